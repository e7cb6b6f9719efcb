from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.candles import TIME, empty_candles
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe, to_timeframe
from data_platform.quality.continuity import (
    GAP_RULES,
    find_disordered_times,
    find_holes_in_history,
    find_incomplete_days,
    find_long_gaps,
    find_repeated_times,
)
from data_platform.quality.rule import RuleInput

DAY = datetime(2024, 3, 5, tzinfo=UTC)
END = DAY + timedelta(days=1)
MINUTE = to_timeframe("1m")
LIMITS = {rule.name: rule.limits for rule in GAP_RULES}


def ledger(*rows: tuple[str, int, int, str]) -> pl.DataFrame:
    """Return ledger rows of pair, first missing minute of the day, missing minutes, status."""
    return pl.DataFrame(
        [
            (pair, DAY + timedelta(minutes=first), DAY + timedelta(minutes=first + rows), rows, why)
            for pair, first, rows, why in rows
        ],
        schema={"pair": pl.String, "start": TIME, "end": TIME, "missing": pl.Int64, "status": None},
        orient="row",
    )


def minutes(candles: pl.DataFrame, *offsets: int) -> pl.DataFrame:
    times = pl.Series([DAY + timedelta(minutes=offset) for offset in offsets], dtype=TIME)
    return candles.head(len(offsets)).with_columns(open_time=times)


def test_the_first_candle_is_held_against_the_one_stored_before(hour: pl.DataFrame) -> None:
    given = RuleInput(minutes(hour, 3, 4), minutes(hour, 4, 5), MINUTE, END)
    assert find_disordered_times(given, {})["open_time"].to_list() == [DAY + timedelta(minutes=3)]


def test_a_time_stored_before_the_partition_is_a_repetition(hour: pl.DataFrame) -> None:
    given = RuleInput(minutes(hour, 5, 6), minutes(hour, 4, 5), MINUTE, END)
    assert find_repeated_times(given, {})["open_time"].to_list() == [DAY + timedelta(minutes=5)]


def test_three_equal_times_are_two_repetitions(hour: pl.DataFrame) -> None:
    given = RuleInput(minutes(hour, 1, 2, 2, 2, 3), empty_candles(), MINUTE, END)
    assert find_repeated_times(given, {}).height == 2


@pytest.mark.parametrize(("timeframe", "allowed"), [("1m", 5), ("5m", 2), ("15m", 1), ("1h", 1)])
def test_the_longest_allowed_run_passes_and_one_more_fails(timeframe: str, allowed: int) -> None:
    row = to_timeframe(timeframe)
    step = row.seconds // 60
    gaps = ledger(("A/B", 0, allowed * step, "open"), ("C/D", 0, (allowed + 1) * step, "open"))
    found = find_long_gaps(gaps, row, LIMITS["no_long_gaps"])
    assert found.rows() == [("C/D", DAY, DAY + (allowed + 1) * row.duration, allowed + 1)]


def test_touching_rows_of_different_status_are_one_run() -> None:
    gaps = ledger(("A/B", 13, 3, "refused"), ("A/B", 10, 3, "open"), ("B/C", 16, 3, "outage"))
    found = find_long_gaps(gaps, MINUTE, LIMITS["no_long_gaps"])
    assert found.rows() == [("A/B", DAY + timedelta(minutes=10), DAY + timedelta(minutes=16), 6)]


def test_a_quiet_time_between_two_gaps_parts_them() -> None:
    gaps = ledger(("A/B", 0, 4, "open"), ("A/B", 4, 1, "no_trades"), ("A/B", 5, 4, "open"))
    assert find_long_gaps(gaps, MINUTE, LIMITS["no_long_gaps"]).is_empty()


def test_a_gap_across_midnight_is_reported_once() -> None:
    gaps = ledger(("A/B", 1436, 8, "outage"))
    found = find_long_gaps(gaps, MINUTE, LIMITS["no_long_gaps"])
    assert found["missing"].to_list() == [8]


def test_one_percent_of_a_day_may_be_missing_and_not_more() -> None:
    gaps = ledger(("A/B", 100, 14, "open"), ("C/D", 100, 14, "open"), ("C/D", 300, 1, "refused"))
    found = find_incomplete_days(gaps, MINUTE, LIMITS["days_complete"])
    assert found.select("pair", "open_time", "missing").rows() == [("C/D", DAY, 15)]
    assert found["share"][0] == pytest.approx(15 / 1440)


def test_the_allowed_share_itself_passes() -> None:
    gaps = ledger(("A/B", 0, 360, "open"), ("C/D", 0, 420, "open"))
    found = find_incomplete_days(gaps, to_timeframe("1h"), {"share": 0.25})
    assert found.rows() == [("C/D", DAY, 7, pytest.approx(7 / 24))]


def test_a_gap_up_to_midnight_takes_nothing_from_the_next_day() -> None:
    found = find_incomplete_days(ledger(("A/B", 0, 1440, "open")), MINUTE, {"share": 0.0})
    assert found["open_time"].to_list() == [DAY]


def test_a_gap_across_midnight_counts_for_each_day_what_it_took() -> None:
    gaps = ledger(("A/B", 1430, 10 + 1440 + 20, "outage"))
    found = find_incomplete_days(gaps, MINUTE, {"share": 0.0})
    days = [DAY, DAY + timedelta(days=1), DAY + timedelta(days=2)]
    assert found["open_time"].to_list() == days
    assert found["missing"].to_list() == [10, 1440, 20]


def test_a_day_candle_that_is_missing_is_a_whole_day() -> None:
    gaps = ledger(("A/B", 0, 1440, "open"))
    found = find_incomplete_days(gaps, to_timeframe("1d"), LIMITS["days_complete"])
    assert found.select("open_time", "missing", "share").rows() == [(DAY, 1, 1.0)]


def test_history_counts_every_gap_of_a_pair() -> None:
    gaps = ledger(("A/B", 9, 1, "open"), ("A/B", 3, 2, "outage"), ("C/D", 0, 9, "no_trades"))
    found = find_holes_in_history(gaps, MINUTE, LIMITS["history_complete"])
    assert found.rows() == [("A/B", DAY + timedelta(minutes=3), 2, 3)]


@pytest.mark.parametrize("timeframe", TIMEFRAMES, ids=str)
def test_every_timeframe_has_a_limit(timeframe: Timeframe) -> None:
    assert LIMITS["no_long_gaps"][timeframe.name] >= 1
