"""What is wrong is told in a sentence, with its series and what to do; what is right is not."""

from datetime import date, timedelta

from data_platform.rendering.attention import find_notices
from data_platform.rendering.facts import ReportFacts
from data_platform_tests.rendering.report_facts import (
    days_of,
    facts_of,
    score_of,
    series_facts,
    source_facts,
)


def told(facts: ReportFacts) -> list[tuple[str, str]]:
    return [(it.level, it.text) for it in find_notices(facts)]


def test_nothing_is_told_where_nothing_is_wrong() -> None:
    assert told(facts_of()) == []


def test_a_source_that_is_left_alone_comes_first() -> None:
    away = source_facts("okx", state="left alone", told="okx is not asked since 12:00")
    days = days_of(date(2024, 2, 1), [{"stored": 20, "open": 4}])
    assert told(facts_of(sources=[away], days=days)) == [
        ("critical", "okx is not asked since 12:00"),
        ("warning", "binance: 4 candles are missing (4 open)."),
    ]


def test_late_series_of_one_timeframe_are_one_sentence() -> None:
    late = [
        series_facts(
            ("okx", f"P{n}/USDT", "1m"),
            state="stale",
            late=timedelta(hours=n),
            limit=timedelta(minutes=6),
        )
        for n in range(1, 7)
    ]
    assert told(facts_of(series=late)) == [
        (
            "critical",
            (
                "okx 1m: P1/USDT, P2/USDT, P3/USDT, P4/USDT and 2 more late by up to 6 h, "
                "allowed are 6 min."
            ),
        )
    ]


def test_what_was_never_stored_is_one_sentence_with_the_command_that_fetches_it() -> None:
    names = [("BTC/USDT", "1h"), ("ETH/USDT", "1h"), ("BTC/USDT", "1d")]
    low = [score_of("2024-02", 0.0)]
    never = [series_facts(("okx", *name), state="not stored", scores=low) for name in names]
    [notice] = find_notices(facts_of(series=never))
    assert notice.text == "okx: nothing was ever stored of BTC/USDT, ETH/USDT (1h, 1d)."
    assert notice.remedy == "data-platform download --exchange okx"


def test_low_scores_are_told_by_their_level_the_lowest_first() -> None:
    low = [
        series_facts(("okx", "A/USDT", "1h"), scores=[score_of("2024-02", 0.84)]),
        series_facts(("okx", "B/USDT", "1h"), scores=[score_of("2024-02", 0.69, validity=0.1)]),
        series_facts(("okx", "C/USDT", "1h"), scores=[score_of("2024-02", 0.85)]),
        series_facts(("okx", "D/USDT", "1h"), scores=[score_of("2024-02", None)]),
    ]
    assert told(facts_of(series=low)) == [
        (
            "critical",
            (
                "okx B/USDT 1h: score 0.690 in 2024-02, below the level critical; its lowest "
                "part is validity."
            ),
        ),
        (
            "warning",
            (
                "okx A/USDT 1h: score 0.840 in 2024-02, below the level high; its lowest part is "
                "completeness."
            ),
        ),
    ]


def test_months_in_doubt_are_named_up_to_a_few() -> None:
    [(level, text)] = told(facts_of(doubts=[f"month {n} is odd." for n in range(6)]))
    assert level == "warning"
    assert text.startswith("month 0 is odd. month 1 is odd.")
    assert text.endswith("And 2 more months.")
