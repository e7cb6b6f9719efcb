from datetime import datetime, timedelta
from math import fsum

import polars as pl
import pytest

from data_platform.domain.layers import Partition
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.coarser import derive_candles
from data_platform.operations.lake import Lake
from data_platform.operations.report import LayerReport
from data_platform.operations.watch import nobody_watches
from data_platform.storage import journal
from data_platform.storage.ledger import Status
from data_platform_tests.damage import damage
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    gaps_in,
    grid,
    journal_of,
    partition_of,
    partitions_of,
    plant_gaps,
    series_of,
    store_candles,
    stored,
    time,
)
from data_platform_tests.operations.venues import NOW, Venues, market, rules_of

HOUR, FOUR = to_timeframe("1h"), to_timeframe("4h")
FINE = series_of("coinbase", "BTC/USD", "1h")
COARSE = FINE.at(FOUR)


def derive(
    lake: Lake, asked: list[Partition] | None = None, start: datetime | None = None
) -> LayerReport:
    partitions = asked or [partition_of(COARSE)]
    rules = rules_of(partitions, start=start)
    return derive_candles(lake, partitions, HOUR, rules, nobody_watches())


def test_four_hours_of_coinbase_are_what_its_hours_make(venues: Venues, lake: Lake) -> None:
    fine = market("coinbase", "1h")
    start = time("2024-02-20")
    venues.update(lake, partitions_of(fine, "2024-02", "2024-03"), start=start)
    report = derive(lake, partitions_of(fine.at(FOUR), "2024-02", "2024-03"), start)
    assert not report.failures
    found = stored(lake, fine.at(FOUR))
    truth = venues.truth(fine.at(FOUR), start, NOW)
    # Newest closed hour 09:00: the window 08:00 is still open.
    assert found["open_time"].to_list() == grid("2024-02-20", "2024-03-15 08:00", "4h")
    prices = ["open_time", "open", "high", "low", "close"]
    assert found.select(prices).equals(truth.select(prices))
    hours = venues.truth(fine, start, time("2024-03-15 08:00"))["volume"].to_list()
    exact = [fsum(hours[number : number + 4]) for number in range(0, len(hours), 4)]
    assert found["volume"].to_list() == pytest.approx(exact, rel=1e-12)
    assert truth["volume"].to_list() == pytest.approx(exact, rel=1e-12)
    assert gaps_in(lake, fine.at(FOUR)) == []


@pytest.mark.parametrize("how", ["empty", "flipped"])
def test_damaged_month_is_made_again_from_its_hours_and_does_not_stop_the_next(
    lake: Lake, how: str
) -> None:
    january, february = partitions_of(COARSE, "2024-01", "2024-02")
    store_candles(lake, FINE, candles_at(grid("2024-01-01", "2024-02-10")))
    derive(lake, [january, february])
    before = stored(lake, COARSE)
    [path] = lake.store.files("ohlcv", COARSE, [january.period])
    damage(path, how)
    store_candles(lake, FINE, candles_at(grid("2024-02-10", "2024-02-11")))
    report = derive(lake, [february])
    assert not report.failures
    assert journal_of(lake, february).rows == 10 * 6
    assert derive(lake, [january]).count("written") == 1
    assert stored(lake, COARSE).head(before.height).equals(before)
    assert journal_of(lake, january).reason == "repair"


def test_candle_does_not_exist_before_its_last_hour(lake: Lake) -> None:
    store_candles(lake, FINE, candles_at(grid("2024-01-01", "2024-01-01 11:00")))
    derive(lake)
    assert stored(lake, COARSE)["open_time"].to_list() == grid(
        "2024-01-01", "2024-01-01 08:00", "4h"
    )
    assert gaps_in(lake, COARSE) == []
    store_candles(lake, FINE, candles_at([time("2024-01-01 11:00")]))
    derive(lake)
    assert stored(lake, COARSE)["open_time"][-1] == time("2024-01-01 08:00")
    assert journal_of(lake, partition_of(COARSE)).reason == "extend"


@pytest.mark.parametrize(
    ("status", "confirmed", "exists"),
    [
        ("no_trades", True, True),
        ("outage", True, True),
        ("open", False, False),
        ("open", True, False),
        ("refused", False, False),
        ("unavailable", True, False),
    ],
)
def test_candle_with_a_missing_hour_exists_once_that_is_confirmed_empty(
    lake: Lake, status: Status, confirmed: bool, exists: bool
) -> None:
    times = [at for at in grid("2024-01-01", "2024-01-02") if at != time("2024-01-01 05:00")]
    store_candles(lake, FINE, candles_at(times))
    plant_gaps(
        lake, gap_of(FINE, "2024-01-01 05:00", "2024-01-01 06:00", status, confirmed=confirmed)
    )
    derive(lake)
    found = stored(lake, COARSE)["open_time"].to_list()
    assert (time("2024-01-01 04:00") in found) == exists
    assert len(found) == (6 if exists else 5)
    told = "unavailable" if status == "unavailable" else "open"
    expected = [("2024-01-01 04:00", "2024-01-01 08:00", told, told != "open")]
    assert gaps_in(lake, COARSE) == ([] if exists else expected)


def test_confirming_an_hour_makes_the_candle_without_a_new_candle(lake: Lake) -> None:
    times = [at for at in grid("2024-01-01", "2024-01-02") if at != time("2024-01-01 05:00")]
    store_candles(lake, FINE, candles_at(times))
    hole = ("2024-01-01 05:00", "2024-01-01 06:00")
    plant_gaps(lake, gap_of(FINE, *hole, "open"))
    derive(lake)
    plant_gaps(lake, gap_of(FINE, *hole, "no_trades", confirmed=True))
    derive(lake)
    assert stored(lake, COARSE).height == 6
    assert gaps_in(lake, COARSE) == []


def test_window_without_any_hour_has_no_candle_and_says_why(lake: Lake) -> None:
    times = [*grid("2024-01-01", "2024-01-01 06:00"), *grid("2024-01-01 17:00", "2024-01-02")]
    store_candles(lake, FINE, candles_at(times))
    plant_gaps(
        lake, gap_of(FINE, "2024-01-01 06:00", "2024-01-01 17:00", "no_trades", confirmed=True)
    )
    derive(lake)
    found = stored(lake, COARSE)["open_time"].to_list()
    assert found == [time(f"2024-01-01 {hour}:00") for hour in ("00", "04", "16", "20")]
    assert gaps_in(lake, COARSE) == [("2024-01-01 08:00", "2024-01-01 16:00", "no_trades", True)]


def test_before_the_listing_there_is_an_empty_partition(venues: Venues, lake: Lake) -> None:
    fine = market("coinbase", "1h", "NEW")
    coarse = fine.at(FOUR)
    venues.update(lake, partitions_of(fine, "2024-01", "2024-02"))
    derive(lake, partitions_of(coarse, "2024-01", "2024-02"))
    # Listed at 13:37: the hour 13:00 is the first, in the window 12:00.
    assert stored(lake, coarse)["open_time"][0] == time("2024-02-11 12:00")
    assert gaps_in(lake, coarse) == [
        ("2024-01-01 00:00", "2024-02-11 12:00", "before_listing", True)
    ]
    empty = journal_of(lake, partition_of(coarse, "2024-01"))
    assert (empty.rows, empty.path) == (0, None)


def test_start_in_the_middle_of_a_window_leaves_that_window_out(lake: Lake) -> None:
    store_candles(lake, FINE, candles_at(grid("2024-01-10 06:00", "2024-01-11")))
    partitions = [partition_of(COARSE)]
    rules = rules_of(partitions, start=time("2024-01-10 06:00"))
    derive_candles(lake, partitions, HOUR, rules, nobody_watches())
    assert stored(lake, COARSE)["open_time"][0] == time("2024-01-10 08:00")


def test_window_at_the_end_of_a_month_waits_for_the_next(lake: Lake) -> None:
    store_candles(lake, FINE, candles_at(grid("2024-01-31", "2024-01-31 22:00")))
    plant_gaps(lake, gap_of(FINE, "2024-01-31 22:00", "2024-02-01", "open", confirmed=True))
    both = partitions_of(COARSE, "2024-01", "2024-02")
    derive(lake, both)
    assert stored(lake, COARSE)["open_time"][-1] == time("2024-01-31 16:00")
    store_candles(lake, FINE, candles_at(grid("2024-02-01", "2024-02-01 04:00")))
    plant_gaps(lake, gap_of(FINE, "2024-01-31 22:00", "2024-02-01", "no_trades", confirmed=True))
    derive(lake, both)
    assert stored(lake, COARSE)["open_time"].to_list()[-2:] == [
        time("2024-01-31 20:00"),
        time("2024-02-01"),
    ]


def test_unchanged_hours_write_nothing_and_a_correction_one_month(lake: Lake) -> None:
    truth = candles_at(grid("2024-01-01", "2024-03-01"))
    store_candles(lake, FINE, truth)
    both = partitions_of(COARSE, "2024-01", "2024-02")
    derive(lake, both)
    ids = [journal_of(lake, it).id for it in both]
    assert derive(lake, both).count("written") == 0
    assert [journal_of(lake, it).id for it in both] == ids
    wrong = truth.filter(pl.col("open_time") == time("2024-01-20 09:00"))
    store_candles(lake, FINE, wrong.with_columns(high=pl.col("high") + 500))
    report = derive(lake, both)
    assert [it.outcome for it in report.partitions] == ["written", "unchanged"]
    assert journal_of(lake, both[0]).reason == "correction"


def test_clock_that_goes_back_between_two_runs_loses_no_candle(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = candles_at(grid("2024-01-01", "2024-01-05"))
    store_candles(lake, FINE, truth)
    derive(lake)
    hour = pl.col("open_time") == time("2024-01-02 09:00")
    store_candles(lake, FINE, truth.filter(hour).with_columns(high=pl.col("high") + 50))
    earlier = journal_of(lake, partition_of(FINE)).committed_at - timedelta(days=1)

    class Back(journal.datetime):  # type: ignore[name-defined, misc]
        @classmethod
        def now(cls, tz: object = None) -> object:  # noqa: ARG003
            return earlier

    monkeypatch.setattr(journal, "datetime", Back)
    monkeypatch.setattr("data_platform.operations.judge.datetime", Back)
    derive(lake)
    found = stored(lake, COARSE)
    assert found.height == 24
    at = found.filter(pl.col("open_time") == time("2024-01-02 08:00"))
    assert at["high"][0] == truth.filter(hour)["high"][0] + 50


def test_end_of_the_finer_candles_is_the_end_of_the_coarser_ones(lake: Lake) -> None:
    store_candles(lake, FINE, candles_at(grid("2024-01-01", "2024-01-05")))
    again = time("2024-01-07")
    ended = gap_of(
        FINE, "2024-01-05", "2024-01-06 10:00", "after_delisting", confirmed=True, next_try=again
    )
    plant_gaps(lake, ended)
    assert not derive(lake).failures
    assert gaps_in(lake, COARSE) == [
        ("2024-01-05 00:00", "2024-01-06 08:00", "after_delisting", True)
    ]
    (gap,) = lake.ledger.gaps(COARSE, time("2024-01-05"), time("2024-01-06"))
    assert gap.next_try == again
