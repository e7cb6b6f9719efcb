"""The picture: well-formed, alone, escaped, small, and with the gap at its place."""

from base64 import b64decode
from datetime import date
from xml.etree import ElementTree as ET

import polars as pl

from data_platform.rendering.picture import MAX_SERIES, tell, to_markdown, to_picture
from data_platform_tests.rendering.report_facts import SERIES, days_of

SVG = "{http://www.w3.org/2000/svg}"
FULL = {"stored": 24}


def test_a_picture_shows_each_pair_with_its_strip_and_share() -> None:
    other = ("binance", "ETH/USDT", "1h")
    days = pl.concat(
        [
            days_of(date(2024, 1, 1), [FULL] * 120),
            days_of(date(2024, 2, 1), [FULL, {"stored": 12, "outage": 12}], other),
        ]
    )
    root = ET.fromstring(to_picture(days))  # noqa: S314  # our own
    words = [it.text for it in root.iter(f"{SVG}text")]
    assert words == [
        "2024-01",
        "2024-04",
        "BTC/USDT",
        "100 %",
        "ETH/USDT",
        "75.00 %",
        "stored",
        "outage",
    ]
    outlines = [it.get("d") for it in root.iter(f"{SVG}path") if it.get("fill") != "none"]
    assert outlines == ["M0 0h4v4h-4z", "M1 0h1v4h-1z", "M1 0h1v1h-1z"]


def test_a_hostile_name_stays_a_name() -> None:
    name = "<script>&\"'"
    root = ET.fromstring(to_picture(days_of(date(2024, 1, 1), [FULL], ("x", name, "1h"))))  # noqa: S314
    assert name in [it.text for it in root.iter(f"{SVG}text")]
    assert {it.tag.removeprefix(SVG) for it in root.iter()} == {"svg", "rect", "text", "path"}


def test_no_name_gets_into_the_words_beside_the_picture() -> None:
    text = to_markdown(days_of(date(2024, 1, 1), [FULL], ("x", "](javascript:alert(1))", "1h")))
    assert "javascript" not in text


def test_markdown_holds_the_picture_and_its_words() -> None:
    days = days_of(date(2024, 1, 1), [FULL, {"stored": 20, "open": 4}, {"unavailable": 24}])
    text = to_markdown(days)
    words = (
        "44 candles are stored, 4 missing that should be there, on 1 days; the newest: 2024-01-02."
    )
    assert tell(days) == words
    assert text.startswith(f"![{words}](data:image/svg+xml;base64,")
    assert text.endswith(f")\n\n{words}")
    code = text.partition("base64,")[2].partition(")")[0]
    assert b64decode(code).decode() == to_picture(days)


def test_nothing_missing_is_said_in_one_sentence() -> None:
    assert (
        tell(days_of(date(2024, 1, 1), [FULL]))
        == "24 candles are stored, 0 missing that should be there."
    )


def test_five_years_of_ten_pairs_are_some_kilobytes() -> None:
    frames = [
        days_of(
            date(2020, 1, 1),
            [FULL] * 900 + [{"stored": 20, "outage": 4}] + [FULL] * 900,
            (*SERIES[:1], f"P{n}/USDT", "1h"),
        )
        for n in range(10)
    ]
    assert len(to_markdown(pl.concat(frames))) < 12_000


def test_a_picture_is_for_a_glance_and_has_so_many_lines_at_most() -> None:
    frames = [
        days_of(date(2024, 1, 1), [FULL], ("x", f"P{n:03d}", "1h")) for n in range(MAX_SERIES + 5)
    ]
    assert to_picture(pl.concat(frames)).count("100 %") == MAX_SERIES


def test_no_days_are_an_empty_picture() -> None:
    ET.fromstring(to_picture(days_of(date(2024, 1, 1), [])))  # noqa: S314
    assert tell(days_of(date(2024, 1, 1), [])).startswith("0 candles")
