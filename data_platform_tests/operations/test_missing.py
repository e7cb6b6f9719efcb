"""What counts as missing, above all what nobody ever asked for."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from data_platform.domain.markets import Series
from data_platform.operations.lake import Lake
from data_platform.operations.missing import (
    GapCount,
    History,
    count_gaps,
    count_lost,
    find_missing,
)
from data_platform.storage.ledger import Gap, Status
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    partition_of,
    partitions_of,
    plant_gaps,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.scripted import ScriptedSource

SERIES = series_of()
QUIET = series_of("coinbase", "BTC/USD", "1m")
YEAR = candles_at(grid("2024-01-01", "2024-07-01"))
FLAT = History("flat", {SERIES.pair: time("2024-01-01")})
OMITTED = History("omitted", {QUIET.pair: time("2024-01-01")})


def missing(
    lake: Lake, series: Series = SERIES, history: History = FLAT
) -> list[tuple[str, str, str, bool]]:
    """Every hole that counts: start, end, status, confirmed."""
    found = find_missing(lake, history, [series])
    assert set(found["timeframe"]) <= {series.timeframe.name}
    assert set(found["pair"]) <= {series.pair.key}
    steps = (found["end"] - found["start"]).dt.total_milliseconds() // series.timeframe.ms
    assert found["missing"].to_list() == steps.to_list()
    return [
        (f"{start:%Y-%m-%d %H:%M}", f"{end:%Y-%m-%d %H:%M}", status, confirmed)
        for start, end, status, confirmed in found.select(
            "start", "end", "status", "confirmed"
        ).rows()
    ]


def fetch(lake: Lake, *months: str, start: str = "2024-01-01") -> None:
    source = ScriptedSource({SERIES: YEAR}, clock=time("2024-08-01"))
    source.update(lake, [partition_of(SERIES, month) for month in months], start=time(start))


def never(start: str, end: str) -> tuple[str, str, str, bool]:
    return (f"{start} 00:00", f"{end} 00:00", "open", False)


def test_months_between_fetched_ones_are_missing_with_their_exact_times(lake: Lake) -> None:
    fetch(lake, "2024-01", "2024-06")
    assert missing(lake) == [never("2024-02-01", "2024-06-01")]
    assert count_gaps(lake, FLAT, [SERIES]) == {SERIES: GapCount(1, 121 * 24, 0, 0)}


def test_wanted_months_before_the_first_fetched_one_are_missing(lake: Lake) -> None:
    fetch(lake, "2024-03", "2024-04")
    assert missing(lake) == [never("2024-01-01", "2024-03-01")]
    later = History("flat", {SERIES.pair: time("2024-02-28 07:30")})
    assert missing(lake, history=later) == [("2024-02-28 08:00", "2024-03-01 00:00", "open", False)]


def test_months_that_are_fetched_at_last_are_missing_no_more(lake: Lake) -> None:
    fetch(lake, "2024-01", "2024-06")
    fetch(lake, "2024-03")
    assert missing(lake) == [never("2024-02-01", "2024-03-01"), never("2024-04-01", "2024-06-01")]
    fetch(lake, *(f"2024-0{number}" for number in range(1, 7)))
    assert missing(lake) == []


def test_months_that_an_answer_explains_are_not_missing(lake: Lake) -> None:
    source = ScriptedSource({SERIES: candles_at(grid("2024-03-05", "2024-07-01"))})
    source.update(lake, partitions_of(SERIES, "2024-01", "2024-03"))
    assert [row.status for row in lake.ledger.gaps(SERIES, time("2024-01"), time("2024-03"))] == [
        "before_listing"
    ]
    assert missing(lake) == []


def test_end_of_a_month_that_was_running_when_it_was_fetched_is_missing(lake: Lake) -> None:
    source = ScriptedSource({SERIES: YEAR}, clock=time("2024-02-10 03:30"))
    source.update(lake, partitions_of(SERIES, "2024-01", "2024-02"))
    assert missing(lake) == []
    fetch(lake, "2024-05")
    assert missing(lake) == [("2024-02-10 03:00", "2024-05-01 00:00", "open", False)]


def test_hole_in_a_stored_month_that_no_row_explains_is_missing(lake: Lake) -> None:
    # As in a lake whose state was built anew from its files.
    hole = (YEAR["open_time"] < time("2024-02-10")) | (YEAR["open_time"] >= time("2024-02-12"))
    store_candles(lake, SERIES, YEAR.filter(hole))
    assert missing(lake) == [never("2024-02-10", "2024-02-12")]
    plant_gaps(lake, gap_of(SERIES, "2024-02-10", "2024-02-11", "no_trades", confirmed=True))
    assert missing(lake) == [never("2024-02-11", "2024-02-12")]


def test_what_was_out_of_reach_is_lost_behind_the_first_candle_and_never_missing(
    lake: Lake,
) -> None:
    before = gap_of(SERIES, "2024-01-01", "2024-02-10", "unavailable", confirmed=True)
    plant_gaps(lake, before)
    assert count_lost(lake, [SERIES]) == {}
    store_candles(lake, SERIES, candles_at(grid("2024-02-10", "2024-02-12")))
    store_candles(lake, SERIES, candles_at(grid("2024-02-13", "2024-02-14")))
    plant_gaps(lake, gap_of(SERIES, "2024-02-12", "2024-02-13", "unavailable", confirmed=True))
    assert missing(lake) == []
    assert count_lost(lake, [SERIES]) == {SERIES: 24}
    assert count_lost(lake, []) == {}


def test_file_that_cannot_be_read_counts_as_missing_where_its_month_has_an_unknown_hole(
    lake: Lake,
) -> None:
    hole = (YEAR["open_time"] < time("2024-02-10")) | (YEAR["open_time"] >= time("2024-02-12"))
    store_candles(lake, SERIES, YEAR.filter(hole))
    [path] = lake.store.files("ohlcv", SERIES, [partition_of(SERIES, "2024-02").period])
    path.write_bytes(b"torn")
    assert missing(lake) == [never("2024-02-01", "2024-03-01")]


def test_month_between_a_stored_one_and_one_that_failed_is_missing(lake: Lake) -> None:
    fetch(lake, "2024-01")
    plant_gaps(lake, gap_of(SERIES, "2024-03-01", "2024-04-01", "open"))
    assert missing(lake) == [never("2024-02-01", "2024-03-01"), never("2024-03-01", "2024-04-01")]


def test_series_that_was_never_asked_for_has_no_gap(lake: Lake) -> None:
    assert missing(lake) == []
    assert count_gaps(lake, FLAT, [SERIES]) == {SERIES: GapCount(0, 0, 0, 0)}
    assert count_gaps(lake, FLAT, []) == {}


def test_what_lies_before_the_start_is_not_missing(lake: Lake) -> None:
    store_candles(lake, SERIES, YEAR)
    plant_gaps(lake, gap_of(SERIES, "2023-11-01", "2023-12-01", "open"))
    assert missing(lake) == []
    hole = (YEAR["open_time"] < time("2024-02-10")) | (YEAR["open_time"] >= time("2024-02-12"))
    other = series_of(pair="ETH/USDT")
    store_candles(lake, other, YEAR.filter(hole))
    plant_gaps(lake, gap_of(other, "2024-02-10", "2024-02-12", "outage", confirmed=True))
    later = History("flat", {other.pair: time("2024-02-11")})
    assert missing(lake, other, later) == [("2024-02-11 00:00", "2024-02-12 00:00", "outage", True)]
    later = History("flat", {other.pair: time("2024-02-12 05:00")})
    assert missing(lake, other, later) == []


def test_pair_without_a_configured_start_is_judged_from_its_first_candle(lake: Lake) -> None:
    fetch(lake, "2024-03", "2024-05")
    assert missing(lake, history=History("flat", {})) == [never("2024-04-01", "2024-05-01")]


@pytest.mark.parametrize("status", ["open", "refused", "outage"])
def test_ledgers_own_holes_count(lake: Lake, status: Status) -> None:
    hole = (YEAR["open_time"] < time("2024-02-10")) | (YEAR["open_time"] >= time("2024-02-12"))
    store_candles(lake, SERIES, YEAR.filter(hole))
    plant_gaps(lake, gap_of(SERIES, "2024-02-10", "2024-02-12", status))
    assert missing(lake) == [("2024-02-10 00:00", "2024-02-12 00:00", status, False)]


def test_what_was_repaired_is_neither_missing_nor_does_it_hide_what_is(lake: Lake) -> None:
    fetch(lake, "2024-01", "2024-03")
    plant_gaps(lake, gap_of(SERIES, "2024-01-05", "2024-01-09", "repaired", confirmed=True))
    assert missing(lake) == [never("2024-02-01", "2024-03-01")]


def test_times_without_trades_are_counted_apart(lake: Lake) -> None:
    times = [at for at in grid("2024-01-01", "2024-01-02", "1m") if at.minute % 5]
    store_candles(lake, QUIET, candles_at(times))
    quiet = [at for at in grid("2024-01-01", "2024-01-02", "1m") if not at.minute % 5]
    plant_gaps(lake, *(minute_gap(at) for at in quiet))
    plant_gaps(lake, gap_of(QUIET, "2024-01-01 05:05", "2024-01-01 05:06", "outage"))
    assert count_gaps(lake, OMITTED, [QUIET]) == {QUIET: GapCount(1, 1, 287, 0)}


def minute_gap(at: datetime) -> Gap:
    end = at + timedelta(minutes=1)
    return gap_of(
        QUIET, f"{at:%Y-%m-%d %H:%M}", f"{end:%Y-%m-%d %H:%M}", "no_trades", confirmed=True
    )


@pytest.mark.parametrize(
    ("history", "confirmed", "counts"),
    [
        # Nobody traded since; a failed request is another matter.
        (OMITTED, True, False),
        (OMITTED, False, True),
        # An exchange that sends flat candles for quiet times lost them.
        (History("flat", OMITTED.starts), True, True),
    ],
)
def test_silence_after_the_newest_candle_is_no_gap_where_quiet_candles_are_omitted(
    lake: Lake, history: History, confirmed: bool, counts: bool
) -> None:
    store_candles(lake, QUIET, candles_at(grid("2024-01-01", "2024-01-01 05:00", "1m")))
    tail = ("2024-01-01 05:00", "2024-01-01 05:40")
    plant_gaps(lake, gap_of(QUIET, *tail, "open", confirmed=confirmed))
    assert missing(lake, QUIET, history) == ([(*tail, "open", confirmed)] if counts else [])
    # The next candle settles it.
    store_candles(lake, QUIET, candles_at(grid("2024-01-01 05:40", "2024-01-01 05:41", "1m")))
    assert missing(lake, QUIET, history) == [(*tail, "open", confirmed)]


def test_other_series_of_the_exchange_are_left_out(lake: Lake) -> None:
    fetch(lake, "2024-01", "2024-06")
    other = series_of(pair="ETH/USDT", timeframe="4h")
    plant_gaps(lake, gap_of(other, "2024-02-10", "2024-02-12", "outage"))
    assert missing(lake) == [never("2024-02-01", "2024-06-01")]
    both = History("flat", {})
    assert set(find_missing(lake, both, [SERIES, other])["timeframe"]) == {"1h", "4h"}


def test_complete_history_of_an_exchange_is_judged_without_reading_a_file(
    lake: Lake, root: Path
) -> None:
    fetch(lake, *(f"2024-0{number}" for number in range(1, 7)))
    for path in (root / "ohlcv").rglob("*.parquet"):
        path.unlink()
    assert missing(lake) == []
