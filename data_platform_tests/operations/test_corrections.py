from datetime import timedelta

import polars as pl
import pytest

from data_platform.domain.candles import TIME
from data_platform.domain.errors import TransientError
from data_platform.operations.collect import Slice
from data_platform.operations.corrections import (
    find_withdrawn,
    spell_correction,
    spell_delisting,
    spell_withdrawn,
)
from data_platform.operations.lake import Lake
from data_platform.sources.base import Outcome, Window
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    journal_of,
    month_of,
    partition_of,
    series_of,
    stored,
    time,
)
from data_platform_tests.operations.scripted import ScriptedSource

SERIES = series_of()
MONTH = [partition_of(SERIES)]
NOBODY = pl.Series([], dtype=TIME)


def changed(start: str, end: str, volume: float) -> pl.DataFrame:
    """A month of candles of which some were corrected."""
    mine = pl.col("open_time").is_between(time(start), time(end), closed="left")
    whole = candles_at(grid("2024-01-01", "2024-02-01"))
    return whole.with_columns(volume=pl.when(mine).then(volume).otherwise("volume"))


@pytest.fixture
def source(lake: Lake) -> ScriptedSource:
    source = ScriptedSource({SERIES: candles_at(grid("2024-01-01", "2024-02-01"))})
    assert not source.update(lake, MONTH).alerts
    source.clock += timedelta(days=2)
    return source


def compare(lake: Lake, source: ScriptedSource) -> list[str]:
    report = source.update(lake, MONTH, compare_from=time("2024-01-01"))
    assert not report.failures
    return report.alerts


def test_corrected_candle_is_told_with_both_values_and_both_fetches(
    lake: Lake, source: ScriptedSource
) -> None:
    source.candles[SERIES] = changed("2024-01-10 05:00", "2024-01-10 06:00", 9.25)
    (line,) = compare(lake, source)
    assert line == (
        "binance/BTC-USDT/1h: the exchange has changed the candle of 2024-01-10 05:00 UTC: "
        "volume 1.5 -> 9.25 (fetched at 2024-03-15 10:07:23 UTC and at 2024-03-17 10:07:23 UTC). "
        "The new values are stored, the old ones kept in history; what was computed from them is "
        "stale."
    )
    assert stored(lake, SERIES).equals(source.candles[SERIES])
    assert journal_of(lake, MONTH[0]).reason == "correction"


def test_many_corrections_of_a_month_are_one_line(lake: Lake, source: ScriptedSource) -> None:
    source.candles[SERIES] = changed("2024-01-10 05:00", "2024-01-10 10:00", 2.5)
    (line,) = compare(lake, source)
    expected = (
        "5 candles of 2024-01-10 05:00 UTC..2024-01-10 09:00 UTC, the first: volume 1.5 -> 2.5"
    )
    assert expected in line
    assert "\n" not in line


def test_the_same_answer_again_is_no_alert(lake: Lake, source: ScriptedSource) -> None:
    source.candles[SERIES] = changed("2024-01-10 05:00", "2024-01-10 10:00", 2.5)
    compare(lake, source)
    assert compare(lake, source) == []


def test_withdrawn_candle_stays_and_is_told(lake: Lake, source: ScriptedSource) -> None:
    whole = source.candles[SERIES]
    gone = pl.col("open_time") == time("2024-01-10 05:00")
    source.candles[SERIES] = whole.filter(~gone)
    (line,) = compare(lake, source)
    assert line.startswith("binance/BTC-USDT/1h: the exchange does not send the candle of 2024-01")
    assert stored(lake, SERIES).equals(whole)


def piece(outcome: Outcome, *sent: str) -> Slice:
    error = TransientError("timed out") if outcome == "failed" else None
    windows = (
        Window(time("2024-01-02"), time("2024-01-03"), outcome, time("2024-02-01"), error),
        Window(time("2024-01-03"), time("2024-01-04"), "failed", time("2024-02-01"), error),
    )
    return Slice(SERIES, month_of("2024-01"), windows, candles_at([time(text) for text in sent]))


def test_only_what_was_answered_can_be_withdrawn() -> None:
    times = candles_at(grid("2024-01-01", "2024-01-05", "4h"))["open_time"]
    sent = ("2024-01-02 04:00", "2024-01-02 08:00", "2024-01-02 12:00", "2024-01-02 16:00")
    assert find_withdrawn(times, piece("failed"), NOBODY).is_empty()
    assert find_withdrawn(times, piece("unavailable"), NOBODY).is_empty()
    found = find_withdrawn(times, piece("answered", *sent), NOBODY)
    assert found.to_list() == [time("2024-01-02 00:00"), time("2024-01-02 20:00")]


def test_a_row_that_came_and_was_refused_is_not_withdrawn() -> None:
    times = candles_at(grid("2024-01-02", "2024-01-03"))["open_time"]
    sent = [f"2024-01-02 {hour:02}:00" for hour in range(1, 24)]
    refused = pl.Series([time("2024-01-02")], dtype=TIME)
    assert find_withdrawn(times, piece("answered", *sent), refused).is_empty()


def test_several_withdrawn_candles_are_told_by_their_edges() -> None:
    times = candles_at(grid("2024-01-02", "2024-01-03"))["open_time"]
    line = spell_withdrawn(SERIES, times)
    assert "24 candles of 2024-01-02 00:00 UTC..2024-01-02 23:00 UTC any more" in line


def test_candle_of_unknown_fetch_is_told_as_such() -> None:
    names = ("open", "high", "low", "close", "volume")
    row = {
        "open_time": time("2024-01-02"),
        **{f"old_{name}": 1.0 for name in names},
        **{f"new_{name}": 2.0 for name in names},
        "fetched_at": None,
        "replaced_at": time("2024-01-03"),
    }
    line = spell_correction(SERIES, pl.DataFrame([row]))
    assert "open 1.0 -> 2.0, high 1.0 -> 2.0" in line
    assert "fetched at an unknown time and at 2024-01-03 00:00 UTC" in line


@pytest.mark.parametrize(
    ("last", "words", "expected"),
    [
        ("2024-01-04 23:00", "", "any more; its newest candle is of 2024-01-04 23:00 UTC. What"),
        (None, "", "any more; none of its candles is stored. What"),
        (None, "no pair BTC/USDT.", "stored (no pair BTC/USDT). What"),
    ],
)
def test_pair_that_ended_is_told_with_what_to_do(
    last: str | None, words: str, expected: str
) -> None:
    gap = gap_of(SERIES, "2024-01-05", "2024-01-06", "after_delisting", confirmed=True)
    line = spell_delisting(gap, time(last) if last else None, words)
    assert line.startswith("binance/BTC-USDT/1h: binance does not trade BTC/USDT any more; ")
    assert expected in line
    assert line.endswith("if it was renamed, add its new name there.")
