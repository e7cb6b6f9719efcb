"""What a report gathers: the lake's own facts, each at its series, and one verdict on all."""

import os
from dataclasses import replace
from datetime import date, timedelta
from functools import partial

import polars as pl
import pytest

from data_platform.domain.breaker import BreakerState
from data_platform.domain.markets import Series
from data_platform.operations.due import FreshnessLimits
from data_platform.operations.health_report import (
    LEVELS,
    ReportRules,
    Watched,
    gather_facts,
    renew_report,
    write_report,
)
from data_platform.operations.lake import Lake
from data_platform.operations.missing import History
from data_platform.quality.standards import Standards
from data_platform.rendering.facts import ReportFacts
from data_platform.storage.verdicts import VerdictRow
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    partition_of,
    plant_gaps,
    punch,
    score_row,
    series_of,
    store_candles,
    time,
)

BTC = series_of("okx", "BTC/USDT", "1h")
ETH = series_of("okx", "ETH/USDT", "1h")
NOW = time("2024-02-10 06:00:30")
RULES = ReportRules(
    [
        Watched(
            "okx",
            History("flat", dict.fromkeys((BTC.pair, ETH.pair), time("2024-01-01"))),
            [ETH, BTC],
            FreshnessLimits(timedelta(seconds=5), timedelta(minutes=5), Standards()),
        )
    ]
)


@pytest.fixture
def whole(lake: Lake) -> Lake:
    """Return a lake in which nothing is missing or late."""
    for series in (BTC, ETH):
        store_candles(lake, series, candles_at(grid("2024-01-01", "2024-02-10 06:00")))
    return lake


def gather(lake: Lake, rules: ReportRules = RULES) -> ReportFacts:
    return gather_facts(lake, rules, NOW)


def score(lake: Lake, series: Series, month: str, **given: float | None) -> None:
    usual = {"completeness": 1.0, "validity": 0.5, "score_five": 0.9}
    row = score_row(day=date(2024, 2, 10), checked_at=NOW, **{**usual, **given})
    with lake.state.write() as connection:
        lake.scores.record(connection, [(partition_of(series, month), row)])


def put(new: BreakerState, _: BreakerState) -> BreakerState:
    return new


def verdict(
    lake: Lake,
    month: str,
    rule: str,
    count: int,
    day: str = "2024-02-10",
    series: Series = BTC,
) -> None:
    row = VerdictRow(
        rule=rule,
        day=date.fromisoformat(day),
        severity="error" if rule.startswith("high") else "warn",
        count=count,
        checked=744,
        rows_json='[{"open_time": "2024-01-05 03:00:00"}]' if count else "[]",
        threshold_json="{}",
        checked_at=NOW,
    )
    with lake.state.write() as connection:
        lake.verdicts.record(connection, partition_of(series, month), (row,))


def test_a_whole_and_fresh_lake_is_healthy(whole: Lake) -> None:
    facts = gather(whole)
    assert facts.health == "healthy"
    assert [(it.pair, it.state, it.late) for it in facts.series] == [
        ("BTC/USDT", "fresh", timedelta(0)),
        ("ETH/USDT", "fresh", timedelta(0)),
    ]
    assert facts.days["stored"].sum() == 2 * (40 * 24 + 6)
    assert facts.score is None
    assert (facts.partitions, facts.doubts) == ([], [])


def test_a_gap_lies_on_its_day_with_its_evidence(whole: Lake) -> None:
    punch(whole, BTC, time("2024-01-31 22:00"), time("2024-02-01 01:00"))
    plant_gaps(whole, gap_of(BTC, "2024-01-31 22:00", "2024-02-01 01:00", "outage"))
    facts = gather(whole)
    assert facts.health == "degraded"
    lacking = facts.days.filter(pl.col("outage") > 0).select("pair", "day", "outage").rows()
    assert lacking == [
        ("BTC/USDT", date(2024, 1, 31), 2),
        ("BTC/USDT", date(2024, 2, 1), 1),
    ]
    [gap] = facts.series[0].gaps
    assert (gap.start, gap.end, gap.missing) == (
        time("2024-01-31 22:00"),
        time("2024-02-01 01:00"),
        3,
    )
    assert (gap.status, gap.evidence) == ("outage", "planted")
    assert not facts.series[1].gaps


def test_the_longest_gaps_are_told_first_and_only_a_few(whole: Lake) -> None:
    for day in range(1, 9):
        punch(whole, BTC, time(f"2024-01-0{day}"), time(f"2024-01-0{day} 0{day}:00"))
    assert [it.missing for it in gather(whole).series[0].gaps] == [8, 7, 6, 5, 4]


def test_a_late_series_and_one_never_stored_are_critical(lake: Lake) -> None:
    store_candles(lake, BTC, candles_at(grid("2024-01-01", "2024-02-09")))
    facts = gather(lake)
    assert facts.health == "critical"
    assert [it.state for it in facts.series] == ["stale", "not stored"]
    # Its next candle closed at 01:00 of the ninth.
    assert facts.series[0].late == timedelta(hours=29, seconds=30)
    assert facts.series[0].limit == timedelta(hours=1, minutes=5, seconds=5)


def test_scores_are_those_of_the_chosen_profile_by_month(whole: Lake) -> None:
    score(whole, BTC, "2024-01", score_five=0.6)
    score(whole, BTC, "2024-02", score_five=0.96, score_four=0.5, timeliness=0.25)
    score(whole, ETH, "2024-02", score_five=0.98, score_four=None)
    facts = gather(whole)
    assert [(it.period, it.score) for it in facts.series[0].scores] == [
        ("2024-01", 0.6),
        ("2024-02", 0.96),
    ]
    newest = facts.series[0].score
    assert newest is not None
    assert newest.components["timeliness"] == 0.25
    assert newest.components["accuracy"] is None
    assert facts.score == pytest.approx(0.97)
    four = gather(whole, replace(RULES, score_column="score_four"))
    assert four.score == 0.5
    assert four.health == "critical"


@pytest.mark.parametrize(
    ("value", "health"),
    [(0.69, "critical"), (0.70, "degraded"), (0.84, "degraded"), (0.85, "healthy")],
)
def test_a_low_score_worsens_the_health(whole: Lake, value: float, health: str) -> None:
    score(whole, ETH, "2024-02", score_five=value)
    assert gather(whole).health == health


def test_a_source_that_does_not_answer_worsens_the_health(whole: Lake) -> None:
    failing = BreakerState("closed", 1, None, None, "HTTP 503")
    away = BreakerState("open", 3, NOW, NOW + timedelta(minutes=5), "HTTP 503")
    healths = []
    for breaker in (failing, away):
        whole.breakers.change("okx", partial(put, breaker))
        healths.append(gather(whole).health)
    assert healths == ["degraded", "critical"]


def test_failed_verdicts_are_told_by_partition_the_worst_first(whole: Lake) -> None:
    verdict(whole, "2024-01", "no_price_jumps", 90)
    verdict(whole, "2024-01", "times_unique", 0)
    verdict(whole, "2024-02", "high_not_below_low", 2)
    verdict(whole, "2024-02", "no_price_jumps", 1, day="2024-02-09")
    verdict(whole, "2024-02", "no_price_jumps", 0)
    score(whole, BTC, "2024-02", score_five=0.93)
    first, second = gather(whole).partitions
    assert (first.name, first.score) == ("okx/ohlcv_1h BTC-USDT 2024-02", 0.93)
    # What has passed since is not told.
    [found] = first.verdicts
    assert (found.rule, found.count, found.checked) == ("high_not_below_low", 2, 744)
    assert found.rows == [{"open_time": "2024-01-05 03:00:00"}]
    assert (second.name, second.score) == ("okx/ohlcv_1h BTC-USDT 2024-01", None)


def test_of_partitions_with_errors_the_one_with_the_lowest_score_comes_first(whole: Lake) -> None:
    for month, count, value in (("2024-01", 9, 0.9), ("2024-02", 1, 0.4)):
        verdict(whole, month, "high_not_below_low", count)
        score(whole, BTC, month, score_five=value)
    assert [it.score for it in gather(whole).partitions] == [0.4, 0.9]


def test_a_series_with_many_bad_months_does_not_hide_the_others(whole: Lake) -> None:
    for month in range(1, 10):
        verdict(whole, f"2023-0{month}", "high_not_below_low", 50)
    verdict(whole, "2024-01", "no_price_jumps", 1, series=ETH)
    facts = gather(whole)
    assert [it.name.split()[1] for it in facts.partitions] == ["BTC-USDT", "BTC-USDT", "ETH-USDT"]
    assert facts.more_partitions == 7


def test_a_month_of_which_journal_and_ledger_disagree_is_told(whole: Lake) -> None:
    plant_gaps(whole, gap_of(BTC, "2024-01-05 00:00", "2024-01-05 02:00", "outage"))
    facts = gather(whole)
    assert " ".join(facts.doubts) == (
        "okx/BTC-USDT/1h 2024-01: the journal tells of 744 candles, the ledger leaves room for "
        "742; its file has 744."
    )
    assert facts.days.select(pl.sum("outage")).item() == 0


def test_the_page_is_written_to_its_place_in_the_lake_and_replaced_whole(whole: Lake) -> None:
    path = write_report(whole, RULES, NOW)
    assert path == whole.store.root / "state/report.html"
    first = path.read_text()
    assert first.startswith("<!doctype html>")
    assert first.rstrip().endswith("</html>")
    punch(whole, ETH, time("2024-01-02"), time("2024-01-03"))
    assert write_report(whole, RULES, NOW) == path
    assert path.read_text() != first
    assert [it.name for it in path.parent.iterdir()] == ["report.html"]


def test_the_page_is_renewed_once_it_is_an_hour_old(whole: Lake) -> None:
    path = renew_report(whole, RULES, NOW)
    told = path.read_text()
    for minutes, is_renewed in ((59, False), (61, True), (-1, True)):
        path.write_text("old")
        written = (NOW - timedelta(minutes=minutes)).timestamp()
        os.utime(path, (written, written))
        assert renew_report(whole, RULES, NOW) == path
        assert (path.read_text() == told) == is_renewed


def test_the_levels_are_those_of_the_alerts() -> None:
    assert LEVELS == {"critical": 0.70, "escalate": 0.80, "high": 0.85}
