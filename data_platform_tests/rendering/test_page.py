"""The page: well-formed, alone, escaped, and with every number where it belongs."""

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from html.parser import HTMLParser

import pytest

from data_platform.rendering.facts import GapFacts, PartitionFacts, ReportFacts, VerdictFacts
from data_platform.rendering.legend import MARKS
from data_platform.rendering.page import to_page
from data_platform_tests.rendering.report_facts import (
    NOW,
    SERIES,
    days_of,
    facts_of,
    score_of,
    series_facts,
    source_facts,
)

VOID = {"meta", "input", "br", "link", "img", "hr"}
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}</svg>&"


class Tree(HTMLParser):
    """Refuses what is not nested; collects tags, attributes and text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"<{tag}> has an attribute twice: {names}"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> ends nothing"
        last = self.open.pop()
        assert last == tag, f"</{tag}> ends <{last}>"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += f" {data}"


def tree_of(page: str) -> Tree:
    tree = Tree()
    tree.feed(page)
    tree.close()
    assert tree.open == [], f"never ended: {tree.open}"
    return tree


def words_of(page: str) -> str:
    return " ".join(tree_of(page).text.split())


def full_facts() -> ReportFacts:
    """Facts with something of every kind."""
    gap = GapFacts(datetime(2024, 2, 3, tzinfo=NOW.tzinfo), NOW, 7, "outage", "no page had it")
    rows = [{"open_time": "2024-02-03 05:00:00", "high": 1.5, "low": 2.5}]
    verdict = VerdictFacts("high_not_below_low", "error", 3, 696, rows)
    series = series_facts(
        state="stale",
        late=timedelta(hours=3),
        scores=[score_of("2024-01", 0.6), score_of()],
        gaps=[gap],
    )
    odd = days_of(date(2024, 2, 1), [{"stored": 17, "outage": 7}, {mark.name: 2 for mark in MARKS}])
    return facts_of(
        health="critical",
        series=[series, series_facts(("okx", "ETH/USDT", "1d"), state="delisted", last=None)],
        days=odd,
        partitions=[PartitionFacts("binance/ohlcv_1h BTC-USDT 2024-02", 0.6, [verdict])],
        more_partitions=4,
        doubts=["binance/BTC-USDT/1h 2024-02: odd."],
        sources=[
            source_facts(errors={"transient": 8, "refused": 2}),
            source_facts("okx", state="left alone", told="okx is not asked", lag=None, took=None),
        ],
    )


@pytest.fixture(scope="module")
def page() -> str:
    return to_page(full_facts())


def test_a_page_is_well_formed_and_complete(page: str) -> None:
    tree = tree_of(page)
    assert [tag for tag, _ in tree.tags].count("h1") == 1
    ids = [given["id"] for _, given in tree.tags if "id" in given]
    assert len(set(ids)) == len(ids)
    targets = {given["href"][1:] for tag, given in tree.tags if tag == "a"}
    assert targets <= set(ids)


def test_a_page_asks_nobody_for_anything(page: str) -> None:
    assert not re.search(r"https?:|//\w|url\(|@import|\bsrc=", page.partition("<body>")[0])
    for tag, given in tree_of(page).tags:
        assert tag not in {"link", "iframe", "img", "object", "embed", "base", "use", "image"}
        assert not set(given) & {"src", "srcset", "xlink:href", "poster", "action", "formaction"}
        assert given.get("href", "#").startswith("#")
    assert "fetch(" not in page
    assert "import(" not in page


def test_only_the_page_s_own_script_may_run(page: str) -> None:
    from base64 import b64encode
    from hashlib import sha256

    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    [policy] = [it["content"] for _, it in tree_of(page).tags if it.get("http-equiv")]
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert not [it for _, it in tree_of(page).tags if any(name.startswith("on") for name in it)]


def test_every_number_of_the_header_is_there(page: str) -> None:
    words = words_of(page)
    assert "2024-03-01 12:00 UTC" in words
    assert "Quality score 0.990" in words
    # 17 + 2 stored, 7 + 4 x 2 missing.
    assert "Completeness 55.88 %" in words
    assert "Missing candles 15" in words
    assert "Fresh series 0 /2 1 delisted, 1 stale" in words
    assert "Sources that answer 1 /2" in words


def test_a_gap_is_on_the_map_at_its_day_and_in_words(page: str) -> None:
    tree = tree_of(page)
    labels = [
        given["aria-label"] for tag, given in tree.tags if tag == "svg" and "aria-label" in given
    ]
    whole, _, bad = labels[1].partition(", 2 with one; ")
    assert whole == "0 days without a gap"
    assert bad == "2024-02-02 lacks most: 2 outage, 2 open, 2 refused, 2 never asked."
    paths = [(it.get("class"), it.get("d")) for tag, it in tree.tags if tag == "path"]
    assert ("k-outage", "M0 0h2v2h-1z") not in paths
    assert ("k-outage", "M0 0h1v2h-1zM1 0h1v4h-1z") in paths
    assert "2024-02-01 7 24 7 outage" in words_of(page)


def test_gaps_verdicts_scores_and_sources_are_told(page: str) -> None:
    words = words_of(page)
    assert "2024-02-03 00:00 2024-03-01 12:00 7 outage no page had it" in words
    assert "high_not_below_low (error): 3 of 696 rows, the first 1" in words
    assert "2024-02-03 05:00:00 1.5 2.5" in words
    assert "Score of 2024-02: 0.990" in words
    assert "accuracy \u2013 nothing known: its weight is shared out" in words
    assert "failed attempts 10 (10.00 %) transient: 8 refused: 2" in words
    assert "okx left alone okx is not asked" in words
    assert "an answer takes 85 ms latency of a tick 7 s" in words
    assert "awaited for 3 h, allowed are 5 min" in words
    assert "binance/BTC-USDT/1h 2024-02: odd." in words
    assert "4 more" in words


def test_every_mark_is_explained(page: str) -> None:
    words = words_of(page)
    for mark in MARKS:
        assert mark.title in words
        assert mark.meaning in words
        assert f".k-{mark.name} {{ fill: var(--{mark.name}); }}" in page
        assert f"--{mark.name}: {mark.light};" in page
        assert f"--{mark.name}: {mark.dark};" in page


def hostile_facts() -> Iterator[ReportFacts]:
    gap = GapFacts(NOW, NOW, 1, HOSTILE, HOSTILE)
    series = (HOSTILE, HOSTILE, HOSTILE)
    bad = series_facts(
        series, state="stale", late=timedelta(1), gaps=[gap], scores=[score_of(score=0.1)]
    )
    verdict = VerdictFacts(HOSTILE, HOSTILE, 2, 3, [{HOSTILE: HOSTILE}])
    yield facts_of(
        series=[bad],
        days=days_of(date(2024, 2, 1), [{"stored": 1, "open": 23}], series),
        partitions=[PartitionFacts(HOSTILE, 0.5, [verdict])],
        doubts=[HOSTILE],
        sources=[source_facts(HOSTILE, state="left alone", told=HOSTILE, errors={HOSTILE: 1})],
    )


def test_hostile_words_stay_words() -> None:
    [facts] = hostile_facts()
    page = to_page(facts)
    tree = tree_of(page)
    tags = [tag for tag, _ in tree.tags]
    assert tags.count("script") == 1
    assert "img" not in tags
    assert not [given for _, given in tree.tags if any(name.startswith("on") for name in given)]
    # As often as it was put in, and never taken for a template of its own.
    assert tree.text.count(HOSTILE) >= 12
    assert "49" not in tree.text


def test_an_empty_lake_has_a_page_too() -> None:
    page = to_page(facts_of(series=[], days=days_of(date(2024, 1, 1), []), score=None))
    words = words_of(page)
    assert "0 series, 0 candles" in words
    assert "Quality score \u2013" in words


def test_a_series_without_gaps_says_so() -> None:
    page = to_page(facts_of())
    assert "29 days without a gap, none with one." in page
    assert "Nothing: every source answers" in page
    assert "data-trouble=" not in page
    assert SERIES[1] in words_of(page)
