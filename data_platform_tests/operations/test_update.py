"""What an update promises, against the four simulated exchanges and against planted faults."""

import json
import threading
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import (
    GarbageError,
    PermanentError,
    SourceError,
    StorageError,
    TransientError,
)
from data_platform.domain.layers import Partition
from data_platform.operations.lake import Lake
from data_platform.operations.update import CandleUpdate
from data_platform.operations.watch import Progress, StoppedError, Watch, nobody_watches
from data_platform.sources.ccxt_source import CcxtSource
from data_platform.storage.journal import HEADS
from data_platform.storage.partition_store import PartitionStore
from data_platform_tests.damage import DAMAGES, damage, fill_disk
from data_platform_tests.factories import (
    GRACE,
    candles_at,
    files_of,
    gaps_in,
    grid,
    journal_of,
    lake_at,
    partition_of,
    partitions_of,
    series_of,
    store_candles,
    stored,
    time,
)
from data_platform_tests.operations.scripted import ScriptedSource
from data_platform_tests.operations.venues import EXCHANGES, LISTED, NOW, Venues, market, rules_of
from data_platform_tests.sources.wire import Reply, access_to, row, wire_server

MONTHS = ("2024-01", "2024-02", "2024-03")
PAIRS = [series_of(pair=f"C{number}/USDT") for number in range(10)]

STARTS = {"1m": "2024-03-14 22:10", "5m": "2024-03-13", "15m": "2024-03-08", "1h": "2024-02-20"}


@pytest.mark.parametrize("timeframe", ["1m", "5m", "15m", "1h", "4h", "1d"])
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_lake_holds_what_the_exchange_has_to_the_last_bit(
    venues: Venues, lake: Lake, exchange: str, timeframe: str
) -> None:
    if (exchange, timeframe) == ("coinbase", "4h"):
        pytest.skip("derived from 1h: test_coarser.py")
    start = time(STARTS.get(timeframe, "2024-01-20"))
    series = market(exchange, timeframe)
    asked = partitions_of(series, f"{start:%Y-%m}", "2024-03")
    report = venues.update(lake, asked, start=start)
    assert not report.failures
    assert stored(lake, series).equals(venues.truth(series, start, NOW))
    assert stored(lake, series).schema == CANDLE_SCHEMA
    assert [part.rows for part in report.partitions] == [
        venues.truth(series, max(start, it.period.start), it.period.end).height for it in asked
    ]
    assert report.requests == venues.asked(exchange) > 0
    again = venues.update(lake, asked, start=start)
    assert (again.requests, venues.asked(exchange)) == (0, 0)
    assert {part.outcome for part in again.partitions} == {"unchanged"}


def test_what_kraken_no_longer_gives_is_never_asked_again(venues: Venues, lake: Lake) -> None:
    series = market("kraken", "1m")
    month = [partition_of(series, "2024-03")]
    report = venues.update(lake, month)
    assert (venues.asked("kraken"), report.failures) == (1, {})
    # Newest closed 10:06 on the 15th; 720 minutes reach back to 22:07 on the 14th.
    unavailable = ("2024-03-01 00:00", "2024-03-14 22:07", "unavailable", True)
    assert gaps_in(lake, series) == [unavailable]
    assert report.partitions[0].missing == 13 * 1440 + 22 * 60 + 7
    assert stored(lake, series).height == 720
    venues.clock.now += timedelta(minutes=5)
    venues.update(lake, month)
    assert venues.asked("kraken") == 1
    assert stored(lake, series).height == 725
    assert gaps_in(lake, series) == [unavailable]


def test_kraken_line_that_slept_too_long_loses_the_middle_for_good(
    venues: Venues, lake: Lake
) -> None:
    series = market("kraken", "1m")
    month = [partition_of(series, "2024-03")]
    venues.update(lake, month, start=time("2024-03-15"))
    venues.clock.now = time("2024-03-16 00:00:30")
    report = venues.update(lake, month, start=time("2024-03-15"))
    assert not report.failures
    # Closed until 00:00 on the 16th; 720 minutes reach back to noon. Stored until 10:07 before.
    assert gaps_in(lake, series) == [("2024-03-15 10:07", "2024-03-15 12:00", "unavailable", True)]
    venues.asked("kraken")
    venues.update(lake, month, start=time("2024-03-15"))
    assert venues.asked("kraken") == 0


def test_quiet_minutes_of_coinbase_are_no_trades_and_no_faults(venues: Venues, lake: Lake) -> None:
    series = market("coinbase", "1m", "DOGE")
    month = [partition_of(series, "2024-03")]
    start = time("2024-03-13")
    venues.update(lake, month, start=start)
    truth = venues.truth(series, start, NOW)
    expected = (NOW - start) // timedelta(minutes=1)
    quiet = expected - truth.height
    assert quiet > 100
    gaps = lake.ledger.gaps(series, start, NOW)
    assert {gap.status for gap in gaps} == {"no_trades"}
    assert sum(gap.missing for gap in gaps) == quiet
    venues.asked("coinbase")
    venues.update(lake, month, start=start)
    assert venues.asked("coinbase") == 0


@pytest.mark.parametrize("exchange", ["binance", "okx", "coinbase"])
def test_months_before_the_listing_are_stored_as_empty_and_asked_once(
    venues: Venues, lake: Lake, exchange: str
) -> None:
    series = market(exchange, "1h", "NEW")
    asked = partitions_of(series, "2023-12", "2024-03")
    venues.update(lake, asked)
    assert gaps_in(lake, series) == [
        ("2023-12-01 00:00", "2024-02-11 13:00", "before_listing", True)
    ]
    assert [journal_of(lake, it).rows for it in asked] == [0, 0, 18 * 24 + 11, 14 * 24 + 10]
    assert journal_of(lake, asked[0]).path is None
    venues.asked(exchange)
    report = venues.update(lake, asked)
    assert venues.asked(exchange) == 0
    assert [part.missing for part in report.partitions] == [744, 744, 10 * 24 + 13, 0]


def test_months_before_the_configured_start_are_empty_without_a_request(lake: Lake) -> None:
    source = ScriptedSource({})
    asked = partitions_of(None, "2023-11", "2023-12")
    report = source.update(lake, asked, start=time("2024-01-10"))
    assert source.opened == 0
    assert [journal_of(lake, it).rows for it in asked] == [0, 0]
    assert not report.failures
    assert gaps_in(lake, series_of()) == []


def test_complete_past_months_cost_neither_request_nor_write(
    venues: Venues, lake: Lake, root: Path
) -> None:
    asked = partitions_of(market("okx", "4h"), "2024-01", "2024-02")
    venues.update(lake, asked)
    before, rows = files_of(root), [journal_of(lake, it).id for it in asked]
    venues.asked("okx")
    opened = venues.opened
    report = venues.update(lake, asked)
    assert (venues.asked("okx"), venues.opened) == (0, opened)
    assert files_of(root) == before
    assert [journal_of(lake, it).id for it in asked] == rows
    assert [part.outcome for part in report.partitions] == ["unchanged", "unchanged"]


def test_running_month_fetches_its_tail_and_two_candles_more(lake: Lake) -> None:
    series = series_of()
    source = ScriptedSource({series: candles_at(grid("2024-03-01", "2024-03-20"))})
    month = [partition_of(series, "2024-03")]
    source.update(lake, month)
    assert source.asked() == [("BTC-USDT", "2024-03-01 00:00", "2024-03-15 10:00")]
    source.clock += timedelta(hours=3)
    report = source.update(lake, month)
    assert source.asked() == [("BTC-USDT", "2024-03-15 08:00", "2024-03-15 13:00")]
    assert report.candles == 5
    assert journal_of(lake, month[0]).reason == "extend"
    assert stored(lake, series).equals(candles_at(grid("2024-03-01", "2024-03-15 13:00")))


def test_overlap_does_not_reach_into_a_month_that_was_not_asked_for(lake: Lake) -> None:
    series = series_of()
    source = ScriptedSource({series: candles_at(grid("2024-02-28", "2024-03-20"))})
    source.clock = time("2024-03-01 01:30")
    source.update(lake, [partition_of(series, "2024-03")])
    assert source.asked() == [("BTC-USDT", "2024-03-01 00:00", "2024-03-01 01:00")]
    assert lake.store.journal(partition_of(series, "2024-02")) is None


def test_one_request_carries_the_tail_over_the_turn_of_the_month(
    venues: Venues, lake: Lake
) -> None:
    series = market("binance", "1m")
    venues.clock.now = time("2024-02-29 23:58:20")
    venues.update(lake, [partition_of(series, "2024-02")], start=time("2024-02-29"))
    venues.asked("binance")
    venues.clock.now = time("2024-03-01 00:02:20")
    both = partitions_of(series, "2024-02", "2024-03")
    venues.update(lake, both, start=time("2024-02-29"))
    assert venues.asked("binance") == 1
    assert [journal_of(lake, it).rows for it in both] == [1440, 2]


def test_growth_of_a_month_rewrites_no_other_file(venues: Venues, lake: Lake, root: Path) -> None:
    asked = partitions_of(market("binance", "15m"), "2024-02", "2024-03")
    venues.update(lake, asked)
    before = files_of(root)
    venues.clock.now += timedelta(hours=2)
    venues.update(lake, asked)
    after = files_of(root)
    assert set(after) == set(before)
    changed = [name for name in after if after[name] != before[name]]
    assert len(changed) == 1
    assert "period=2024-03" in changed[0]


def test_hole_in_the_middle_is_fetched_and_nothing_else(lake: Lake) -> None:
    series = series_of()
    whole = candles_at(grid("2024-01-01", "2024-02-01"))
    hole = pl.col("open_time").is_between(time("2024-01-09 05:00"), time("2024-01-09 07:00"))
    store_candles(lake, series, whole.filter(~hole))
    source = ScriptedSource({series: whole})
    report = source.update(lake, [partition_of(series)])
    assert source.asked() == [("BTC-USDT", "2024-01-09 05:00", "2024-01-09 08:00")]
    assert stored(lake, series).equals(whole)
    assert journal_of(lake, partition_of(series)).reason == "repair"
    assert report.count("written") == 1


def test_r18_correction_in_the_overlap_replaces_the_candle(lake: Lake, root: Path) -> None:
    series = series_of()
    truth = candles_at(grid("2024-03-01", "2024-03-20"))
    source = ScriptedSource({series: truth})
    month = [partition_of(series, "2024-03")]
    source.update(lake, month)
    last = pl.col("open_time") == time("2024-03-15 09:00")
    corrected = truth.with_columns(volume=pl.when(last).then(7.25).otherwise("volume"))
    source.candles[series] = corrected
    source.clock += timedelta(hours=1)
    source.update(lake, month)
    assert stored(lake, series).equals(
        corrected.filter(pl.col("open_time") < source.clock).head(14 * 24 + 11)
    )
    assert journal_of(lake, month[0]).reason == "correction"
    assert len(list((root / "history").rglob("*.parquet"))) == 1


def test_stored_candles_are_compared_from_a_time_on(lake: Lake) -> None:
    series = series_of()
    truth = candles_at(grid("2024-01-01", "2024-02-01"))
    early = pl.col("open_time") == time("2024-01-02 03:00")
    store_candles(lake, series, truth.with_columns(volume=pl.when(early).then(9.0).otherwise(1.5)))
    source = ScriptedSource({series: truth})
    month = [partition_of(series)]
    assert source.update(lake, month).count("written") == 0
    assert source.update(lake, month, compare_from=time("2024-01-01")).count("written") == 1
    assert source.asked() == [("BTC-USDT", "2024-01-01 00:00", "2024-02-01 00:00")]
    assert stored(lake, series).equals(truth)


FAULTS: dict[str, SourceError] = {
    "permanent": PermanentError("no such pair: C7/USDT. Check `pairs`."),
    "transient": TransientError("timed out"),
    "garbage": GarbageError("half a page"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_pair_of_ten_fails_and_nine_are_stored(lake: Lake, fault: str) -> None:
    truth = candles_at(grid("2024-01-01", "2024-03-01"))
    source = ScriptedSource(dict.fromkeys(PAIRS, truth), failing={PAIRS[7]: FAULTS[fault]})
    asked = [it for series in PAIRS for it in partitions_of(series, "2024-01", "2024-02")]
    report = source.update(lake, asked)
    failed = partitions_of(PAIRS[7], "2024-01", "2024-02")
    assert report.failures == dict.fromkeys(failed, str(FAULTS[fault]))
    assert [it.partition for it in report.partitions if it.outcome == "failed"] == failed
    for series in PAIRS:
        expected = truth.clear() if series == PAIRS[7] else truth
        assert stored(lake, series).equals(expected)
    assert gaps_in(lake, PAIRS[7]) == [("2024-01-01 00:00", "2024-03-01 00:00", "open", False)]
    # Nobody answered: that is not the same as a month without candles.
    assert lake.store.journal(failed[0]) is None
    source.asked()
    source.failing = {}
    again = source.update(lake, asked)
    assert source.asked() == [("C7-USDT", "2024-01-01 00:00", "2024-03-01 00:00")]
    assert not again.failures
    assert stored(lake, PAIRS[7]).equals(truth)
    assert gaps_in(lake, PAIRS[7]) == []


def test_failed_page_in_the_middle_is_the_only_one_asked_again(lake: Lake) -> None:
    series = series_of()
    truth = candles_at(grid("2024-01-01", "2024-02-01"))
    source = ScriptedSource({series: truth}, page=240)
    source.fails_at = {time("2024-01-15 12:00"): TransientError("timed out")}
    month = [partition_of(series)]
    report = source.update(lake, month)
    assert report.failures == {month[0]: "timed out"}
    assert gaps_in(lake, series) == [("2024-01-11 00:00", "2024-01-21 00:00", "open", False)]
    assert journal_of(lake, month[0]).rows == 744 - 240
    assert report.partitions[0].missing == 240
    source.asked()
    source.fails_at = {}
    assert not source.update(lake, month).failures
    assert source.asked() == [("BTC-USDT", "2024-01-11 00:00", "2024-01-21 00:00")]
    assert stored(lake, series).equals(truth)
    assert gaps_in(lake, series) == []


def test_failure_on_being_asked_again_forgets_nothing_that_was_confirmed(lake: Lake) -> None:
    series = series_of()
    quiet = pl.col("open_time").is_between(time("2024-01-09 05:00"), time("2024-01-09 07:00"))
    truth = candles_at(grid("2024-01-05", "2024-02-01")).filter(~quiet)
    source = ScriptedSource({series: truth})
    month = [partition_of(series)]
    source.update(lake, month)
    known = [
        ("2024-01-01 00:00", "2024-01-05 00:00", "before_listing", True),
        ("2024-01-09 05:00", "2024-01-09 08:00", "outage", True),
    ]
    assert gaps_in(lake, series) == known
    source.failing = {series: TransientError("timed out")}
    report = source.update(lake, month, compare_from=time("2024-01-01"))
    assert list(report.failures) == month
    assert gaps_in(lake, series) == known
    assert stored(lake, series).equals(truth)


def test_refused_row_goes_to_quarantine_and_is_asked_again_after_an_hour(
    lake: Lake, root: Path
) -> None:
    series = series_of()
    truth = candles_at(grid("2024-03-01", "2024-03-20"))
    at = pl.col("open_time")
    nan, low = at == time("2024-03-02 01:00"), at == time("2024-03-03 04:00")
    broken = truth.with_columns(
        close=pl.when(nan).then(float("nan")).otherwise("close"),
        high=pl.when(low).then(pl.col("low") - 1).otherwise("high"),
    )
    source = ScriptedSource({series: broken})
    month = [partition_of(series, "2024-03")]
    report = source.update(lake, month)
    assert (report.partitions[0].refused, report.partitions[0].outcome) == (2, "failed")
    assert list(report.failures) == month
    assert "candles came that cannot be true" in report.failures[month[0]]
    closed = truth.filter(at < time("2024-03-15 10:00"))
    assert stored(lake, series).height == closed.height - 2
    assert gaps_in(lake, series) == [
        ("2024-03-02 01:00", "2024-03-02 02:00", "refused", False),
        ("2024-03-03 04:00", "2024-03-03 05:00", "refused", False),
    ]
    [file] = (root / "quarantine").rglob("*.parquet")
    refused = pl.read_parquet(file, hive_partitioning=False)
    assert refused["open_time"].to_list() == [time("2024-03-02 01:00"), time("2024-03-03 04:00")]
    assert refused["reason"].null_count() == 0
    source.asked()
    source.clock += timedelta(minutes=59)
    source.candles[series] = truth
    source.update(lake, month)
    assert source.asked() == [("BTC-USDT", "2024-03-15 08:00", "2024-03-15 11:00")]
    source.clock += timedelta(minutes=1)
    source.update(lake, month)
    assert source.asked() == [
        ("BTC-USDT", "2024-03-02 01:00", "2024-03-02 02:00"),
        ("BTC-USDT", "2024-03-03 04:00", "2024-03-03 05:00"),
    ]
    assert gaps_in(lake, series) == []
    assert stored(lake, series).equals(truth.filter(at < time("2024-03-15 11:00")))


def test_refused_row_that_costs_no_candle_is_no_failure(lake: Lake) -> None:
    series, truth = series_of(), candles_at(grid("2024-01-01", "2024-02-01"))
    twin = truth.slice(9, 1).with_columns(high=pl.col("low") - 1)
    report = ScriptedSource({series: pl.concat([truth, twin])}).update(lake, [partition_of(series)])
    assert report.partitions[0].refused == 1
    assert not report.failures
    assert stored(lake, series).equals(truth)


def test_refused_row_off_the_grid_leaves_whole_candles_in_the_ledger(lake: Lake) -> None:
    series = series_of()
    truth = candles_at(grid("2024-01-01", "2024-02-01"))
    at = pl.col("open_time")
    odd = at == time("2024-01-02 05:00")
    moved = truth.with_columns(open_time=pl.when(odd).then(at.dt.offset_by("30s")).otherwise(at))
    ScriptedSource({series: moved}).update(lake, [partition_of(series)])
    assert gaps_in(lake, series) == [("2024-01-02 05:00", "2024-01-02 06:00", "refused", False)]


def test_tries_count_how_often_a_gap_was_asked_for(lake: Lake) -> None:
    series = series_of()
    source = ScriptedSource({}, failing={series: TransientError("timed out")})
    for expected in (1, 2, 3):
        source.update(lake, [partition_of(series)])
        [gap] = lake.ledger.gaps(series, time("2024-01"), time("2024-02"))
        assert (gap.tries, gap.evidence) == (expected, "timed out")


def test_unreachable_exchange_is_named_for_all_and_nothing_is_written(
    lake: Lake, root: Path
) -> None:
    source = ScriptedSource({}, unreachable=TransientError("Binance cannot be reached"))
    asked = [it for series in PAIRS for it in partitions_of(series, "2024-01", "2024-02")]
    report = source.update(lake, asked)
    assert report.failures == dict.fromkeys(asked, "Binance cannot be reached")
    assert source.closed == 1
    assert files_of(root) == {}
    assert [lake.store.journal(it) for it in asked] == [None] * 20
    assert [gaps_in(lake, series) for series in PAIRS] == [[]] * 10


def test_dead_address_is_named_for_all(lake: Lake, venues: Venues) -> None:
    asked = [it for base in ("BTC", "DOGE") for it in partitions_of(market("okx", "1h", base))]
    url, venues.simulator.url = venues.simulator.url, "http://127.0.0.1:9"
    try:
        report = venues.update(lake, asked)
    finally:
        venues.simulator.url = url
    assert set(report.failures) == set(asked)
    assert all("127.0.0.1:9" in reason for reason in report.failures.values())
    assert all(it.rows == 0 for it in report.partitions)


def test_pair_that_the_exchange_does_not_know_is_named(lake: Lake, venues: Venues) -> None:
    known, unknown = market("binance", "1d"), market("binance", "1d", "NOSUCH")
    asked = [*partitions_of(unknown, "2024-01", "2024-03"), *partitions_of(known, last="2024-03")]
    report = venues.update(lake, asked)
    assert list(report.failures) == partitions_of(unknown, "2024-01", "2024-03")
    assert "NOSUCH/USDT" in next(iter(report.failures.values()))
    assert stored(lake, known).height == 31 + 29 + 14


def test_damaged_file_stops_its_series_alone_and_is_left_alone(lake: Lake, root: Path) -> None:
    broken, sound = PAIRS[:2]
    truth = candles_at(grid("2024-01-01", "2024-02-01"))
    for series in (broken, sound):
        store_candles(lake, series, truth.head(100))
    [path] = lake.store.files("ohlcv", broken, [partition_of(broken).period])
    path.write_bytes(path.read_bytes()[:-200])
    before = path.read_bytes()
    source = ScriptedSource({broken: truth, sound: truth})
    report = source.update(lake, [partition_of(broken), partition_of(sound)])
    assert list(report.failures) == [partition_of(broken)]
    assert str(path) in report.failures[partition_of(broken)]
    assert "move the file away" in report.failures[partition_of(broken)]
    assert stored(lake, sound).equals(truth)
    assert path.read_bytes() == before
    # The remedy that the message names works.
    path.rename(root / "broken.parquet")
    assert not source.update(lake, [partition_of(broken)]).failures
    assert stored(lake, broken).equals(truth)


def test_damaged_month_does_not_keep_the_next_one_from_growing(lake: Lake) -> None:
    series = series_of()
    truth = candles_at(grid("2024-02-01", "2024-03-20"))
    source = ScriptedSource({series: truth})
    source.update(lake, partitions_of(series, "2024-02", "2024-03"))
    [path] = lake.store.files("ohlcv", series, [partition_of(series, "2024-02").period])
    path.write_bytes(b"torn")
    source.clock += timedelta(hours=5)
    report = source.update(lake, [partition_of(series, "2024-03")])
    assert not report.failures
    assert journal_of(lake, partition_of(series, "2024-03")).rows == 14 * 24 + 15


@pytest.mark.parametrize("how", [how for how in DAMAGES if how != "gone"])
def test_damaged_month_among_those_asked_for_fails_alone(lake: Lake, how: str) -> None:
    series = series_of()
    truth = candles_at(grid("2024-01-01", "2024-03-20"))
    source = ScriptedSource({series: truth})
    asked = partitions_of(series, "2024-01", "2024-03")
    source.update(lake, asked[1:])
    [path] = lake.store.files("ohlcv", series, [asked[1].period])
    damage(path, how)
    before = path.read_bytes()
    source.clock += timedelta(hours=5)
    source.asked()
    report = source.update(lake, asked)
    # The month before it was never fetched, the one after it grows; it is neither asked for nor
    # touched, and named once.
    assert source.asked() == [
        ("BTC-USDT", "2024-01-01 00:00", "2024-02-01 00:00"),
        ("BTC-USDT", "2024-03-15 08:00", "2024-03-15 15:00"),
    ]
    assert [part.outcome for part in report.partitions] == ["written", "failed", "written"]
    assert list(report.failures) == [asked[1]]
    for word in (str(path), "binance/ohlcv_1h BTC-USDT|2024-02", "move the file away", "download"):
        assert report.failures[asked[1]].count(word) == 1
    assert path.read_bytes() == before
    assert [part.rows for part in report.partitions] == [31 * 24, 29 * 24, 14 * 24 + 15]
    noted = lake.verdicts.newest("binance", "ohlcv", series.timeframe)
    failed = noted.filter(rule="series_fetched").filter(pl.col("count") > 0)
    assert failed["period"].to_list() == ["2024-02"]


def test_file_that_a_crash_left_without_a_journal_row_is_adopted_though_nothing_is_missing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = series_of()
    truth = candles_at(grid("2024-01-01", "2024-02-01"))
    month = partition_of(series)
    store_candles(lake, series, truth.head(100))
    with monkeypatch.context() as patched:
        # As if the process had died between rename and journal.
        patched.setattr(PartitionStore, "_note", lambda *_: None)
        store_candles(lake, series, truth)
    assert journal_of(lake, month).rows == 100
    source = ScriptedSource({series: truth})
    [report] = source.update(lake, [month]).partitions
    assert (source.asked(), report.outcome, report.rows) == ([], "unchanged", 744)
    assert (journal_of(lake, month).rows, journal_of(lake, month).reason) == (744, "adopted")
    assert lake.files.damaged(lake.files.of_series("ohlcv", series), hashed=lambda _: True) == []


@pytest.mark.parametrize("how", DAMAGES)
def test_damaged_month_before_the_start_is_named_though_nothing_of_it_is_asked_for(
    lake: Lake, how: str
) -> None:
    series = series_of()
    store_candles(lake, series, candles_at(grid("2024-01-01", "2024-02-01")))
    [path] = lake.store.files("ohlcv", series, [partition_of(series).period])
    damage(path, how)
    report = ScriptedSource({}).update(lake, [partition_of(series)], start=time("2024-03-01"))
    assert str(path.relative_to(lake.store.root)) in report.failures[partition_of(series)]
    assert journal_of(lake, partition_of(series)).rows == 744


@pytest.mark.parametrize("blocked", ["ohlcv", ".locks"])
def test_r7_folder_that_cannot_be_written_is_named_and_harms_nothing(
    lake: Lake, root: Path, blocked: str
) -> None:
    # A file where a folder is wanted stops every user, root too, unlike permissions.
    (root / blocked).write_text("in the way")
    asked = partitions_of(last="2024-02")
    report = ScriptedSource({series_of(): candles_at(grid("2024-01-01", "2024-03-01"))}).update(
        lake, asked
    )
    assert set(report.failures) == set(asked)
    assert all(str(root / blocked) in reason for reason in report.failures.values())
    assert [it.outcome for it in report.partitions] == ["failed", "failed"]
    assert [lake.store.journal(it) for it in asked] == [None, None]
    assert set(files_of(root)) <= {blocked}


@pytest.mark.parametrize(
    ("how", "words"), [("full", "disk is full"), ("read-only", "readonly database")]
)
def test_state_database_that_cannot_be_written_is_told_with_series_path_and_remedy(
    lake: Lake, root: Path, how: str, words: str
) -> None:
    asked = partitions_of(first="2021-01", last="2024-02")
    truth = candles_at(grid("2021-01-01", "2024-03-01", "4h"))
    source = ScriptedSource({series_of(): truth})
    fill_disk(lake.state, how)
    with pytest.raises(StorageError) as caught:
        source.update(lake, asked)
    (told,) = str(caught.value).splitlines()
    for part in ("binance/ohlcv_1h BTC/USDT", str(root / "state.db"), words, "Check free space"):
        assert part in told
    assert told.count("state.db") == 1
    lake.state.close()
    again = lake_at(root)
    # What was noted before the disk was full is stored; the same command does the rest.
    noted = [again.store.journal(it) for it in asked]
    assert None in noted
    report = source.update(again, asked)
    assert not report.failures
    assert sum(journal_of(again, it).rows for it in asked) == truth.height
    listed = again.files.of_series("ohlcv", series_of())
    assert again.files.damaged(listed, hashed=lambda _: True) == []
    again.state.close()


def test_hole_at_the_end_of_a_month_is_settled_when_the_next_one_arrives(lake: Lake) -> None:
    series = series_of()
    truth = candles_at(
        [*grid("2024-01-01", "2024-01-31 22:00"), *grid("2024-02-01 03:00", "2024-03-01")]
    )
    source = ScriptedSource({series: truth})
    source.update(lake, [partition_of(series, "2024-01")])
    assert gaps_in(lake, series) == [("2024-01-31 22:00", "2024-02-01 00:00", "open", True)]
    source.update(lake, partitions_of(series, "2024-01", "2024-02"))
    assert gaps_in(lake, series) == [("2024-01-31 22:00", "2024-02-01 03:00", "outage", True)]


# Six hours without a trade may be; of seven, four in one month and three in the other, no part.
@pytest.mark.parametrize(
    ("exchange", "end", "status"),
    [
        ("binance", "2024-02-01 02:00", "outage"),
        ("coinbase", "2024-02-01 02:00", "no_trades"),
        ("coinbase", "2024-02-01 03:00", "outage"),
    ],
)
def test_gap_across_the_turn_of_the_month_is_one_row(
    lake: Lake, exchange: str, end: str, status: str
) -> None:
    series = series_of(exchange, "BTC/USD")
    truth = candles_at([*grid("2024-01-01", "2024-01-31 20:00"), *grid(end, "2024-03-01")])
    ScriptedSource({series: truth}).update(lake, partitions_of(series, "2024-01", "2024-02"))
    assert gaps_in(lake, series) == [("2024-01-31 20:00", end, status, True)]


@pytest.mark.parametrize("exchange", ["coinbase", "okx"])
def test_listing_is_found_by_days_noted_with_that_evidence_and_not_asked_for_again(
    lake: Lake, venues: Venues, exchange: str
) -> None:
    series = market(exchange, "1m", base="NEW")
    years = partitions_of(series, "2022-02", "2024-02")
    assert not venues.update(lake, years).failures
    # Minutes since the listing on 2024-02-11, and some ten requests for the two years before.
    pages = -(-(29 - 10) * 1440 // 300)
    assert venues.asked(exchange) <= pages + 12
    (gap,) = lake.ledger.gaps(series, time("2022-02-01"), time("2024-02-11 13:37"))
    assert (gap.status, gap.start, gap.end) == ("before_listing", time("2022-02-01"), LISTED)
    said = "a valid answer held no candle; asked by days, there is no candle before 2024-02-11"
    assert gap.evidence == said
    assert not venues.update(lake, years).failures
    assert venues.asked(exchange) == 0


def test_one_odd_first_answer_is_not_the_time_before_the_listing_for_ever(lake: Lake) -> None:
    series = series_of()
    truth = candles_at(grid("2024-01-01", "2024-03-01"))
    lost = pl.col("open_time") < time("2024-01-20")
    source = ScriptedSource({series: truth.filter(~lost)})
    both = partitions_of(series, "2024-01", "2024-02")
    source.update(lake, both)
    assert gaps_in(lake, series) == [
        ("2024-01-01 00:00", "2024-01-20 00:00", "before_listing", True)
    ]
    source.asked()
    source.candles[series] = truth
    source.update(lake, both)
    assert source.asked() == []
    source.clock += timedelta(hours=1)
    source.update(lake, both)
    assert source.asked() == [("BTC-USDT", "2024-01-01 00:00", "2024-01-20 00:00")]
    assert stored(lake, series).equals(truth)
    assert gaps_in(lake, series) == [("2024-01-01 00:00", "2024-01-20 00:00", "repaired", True)]


def test_years_before_the_listing_cost_a_page_and_all_of_them_only_when_it_holds_candles(
    lake: Lake,
) -> None:
    series = series_of("okx", timeframe="1d")
    truth = candles_at(grid("2019-01-01", "2024-03-01", "1d"))
    lost = pl.col("open_time") < time("2024-01-20")
    source = ScriptedSource({series: truth.filter(~lost)})
    months = partitions_of(series, "2019-01", "2024-02")
    source.update(lake, months)
    source.asked()
    source.clock += timedelta(hours=1)
    source.update(lake, months)
    # 300 candles are a page of okx.
    assert source.asked() == [("BTC-USDT", "2023-03-26 00:00", "2024-01-20 00:00")]
    source.clock += timedelta(days=1)
    source.candles[series] = truth
    source.update(lake, months)
    assert source.asked() == [
        ("BTC-USDT", "2019-01-01 00:00", "2023-03-26 00:00"),
        ("BTC-USDT", "2023-03-26 00:00", "2024-01-20 00:00"),
    ]
    assert stored(lake, series).equals(truth)


def test_time_before_the_listing_that_older_candles_belie_is_asked_for_in_the_same_run(
    lake: Lake,
) -> None:
    series = series_of()
    truth = candles_at(grid("2023-12-01", "2024-03-15"))
    lost = pl.col("open_time") < time("2024-02-05")
    source = ScriptedSource({series: truth.filter(~lost)})
    source.update(lake, partitions_of(series, "2024-02", "2024-02"))
    source.asked()
    source.candles[series] = truth
    report = source.update(lake, partitions_of(series, "2023-12", "2024-02"))
    assert source.asked() == [
        ("BTC-USDT", "2023-12-01 00:00", "2024-02-01 00:00"),
        ("BTC-USDT", "2024-02-01 00:00", "2024-02-05 00:00"),
    ]
    assert not report.failures
    assert stored(lake, series).equals(truth.filter(pl.col("open_time") < time("2024-03-01")))
    source.update(lake, partitions_of(series, "2023-12", "2024-02"))
    assert source.asked() == []


def test_confirmed_outage_is_asked_again_a_few_times_and_then_rarely(lake: Lake) -> None:
    series = series_of()
    hole = pl.col("open_time").is_between(time("2024-01-09 05:00"), time("2024-01-09 07:00"))
    source = ScriptedSource({series: candles_at(grid("2024-01-01", "2024-02-01")).filter(~hole)})
    month = [partition_of(series)]
    source.update(lake, month)
    source.asked()
    begun, when = source.clock, []
    # Every hour of two days, every day of two months, every month of three years.
    for hours in [*range(49), *range(49, 60 * 24, 24), *range(60 * 24, 3 * 365 * 24, 30 * 24)]:
        source.clock = begun + timedelta(hours=hours)
        source.update(lake, month)
        asked = source.asked()
        assert asked in ([], [("BTC-USDT", "2024-01-09 05:00", "2024-01-09 08:00")])
        when += [timedelta(hours=hours)] if asked else []
    waits = [(after - before).days for before, after in pairwise(when)]
    assert when[0] == timedelta(hours=1)
    assert waits[:3] == [1, 7, 30]
    assert len(waits) == 5
    assert all(365 <= wait < 365 + 30 for wait in waits[3:])
    assert gaps_in(lake, series) == [("2024-01-09 05:00", "2024-01-09 08:00", "outage", True)]


def test_valid_half_page_is_no_outage_for_ever(lake: Lake) -> None:
    start, end = time("2024-02-20"), time("2024-02-21")
    series = series_of(timeframe="1m")
    with wire_server() as wire:
        wire.scripted = [Reply(json.dumps([row(at) for at in grid_of(start, 120)]))]
        access = access_to(wire.url)
        rules = rules_of([partition_of(series, "2024-02")], start=start)
        update = CandleUpdate(
            lake, lambda: CcxtSource(access), rules, nobody_watches(), clock=lambda: end + GRACE
        )
        report = update.run([partition_of(series, "2024-02")])
    assert not report.failures
    assert stored(lake, series)["open_time"].to_list() == grid_of(start, 1440)
    assert gaps_in(lake, series) == []


def grid_of(start: datetime, count: int) -> list[datetime]:
    return [start + timedelta(minutes=number) for number in range(count)]


def test_earlier_history_turns_before_listing_into_what_it_was(lake: Lake) -> None:
    series = series_of()
    later = candles_at(grid("2024-02-10", "2024-03-01"))
    source = ScriptedSource({series: later})
    source.update(lake, [partition_of(series, "2024-02")])
    assert gaps_in(lake, series) == [
        ("2024-02-01 00:00", "2024-02-10 00:00", "before_listing", True)
    ]
    source.candles[series] = pl.concat([candles_at(grid("2024-01-01", "2024-01-30")), later])
    source.update(lake, partitions_of(series, "2024-01", "2024-02"))
    assert gaps_in(lake, series) == [("2024-01-30 00:00", "2024-02-10 00:00", "outage", True)]


def test_halted_market_costs_one_small_request_a_tick_however_long_it_lasts(lake: Lake) -> None:
    series = series_of(timeframe="1m")
    source = ScriptedSource({series: candles_at(grid("2024-03-01", "2024-03-02", "1m"))})
    month = [partition_of(series, "2024-03")]
    source.update(lake, month)
    source.asked()
    source.clock += timedelta(minutes=1)
    source.update(lake, month)
    # The last ten minutes that were empty, in case the exchange publishes late, and the new one.
    assert source.asked() == [("BTC-USDT", "2024-03-15 09:55", "2024-03-15 10:08")]
    assert gaps_in(lake, series) == [("2024-03-02 00:00", "2024-03-15 10:08", "open", True)]


def test_stopping_leaves_what_was_committed_and_the_same_command_goes_on(lake: Lake) -> None:
    series = series_of()
    truth = candles_at(grid("2024-01-01", "2024-03-01"))
    source = ScriptedSource({series: truth})
    asked = partitions_of(series, "2024-01", "2024-02")
    # Asked before anything else, then before each commit.
    answers = iter([False, False, True])
    watch = Watch(report=lambda _: None, should_stop=lambda: next(answers))
    with pytest.raises(StoppedError, match="2024-02"):
        source.update(lake, asked, watch=watch)
    assert source.closed == 1
    assert stored(lake, series).equals(truth.filter(pl.col("open_time") < time("2024-02")))
    source.asked()
    source.update(lake, asked)
    assert source.asked() == [("BTC-USDT", "2024-02-01 00:00", "2024-03-01 00:00")]


def test_stopping_before_an_update_asks_nothing_and_plans_nothing(lake: Lake) -> None:
    source = ScriptedSource({series_of(): candles_at(grid("2024-01-01", "2024-02-01"))})
    watch = Watch(report=lambda _: None, should_stop=lambda: True)
    with pytest.raises(StoppedError, match=r"before binance/ohlcv_1h BTC-USDT\|2024-01"):
        source.update(lake, [partition_of()], watch=watch)
    assert source.opened == 0
    assert lake.store.journal(partition_of()) is None


def test_progress_tells_candles_requests_and_partitions(lake: Lake) -> None:
    series = series_of()
    source = ScriptedSource({series: candles_at(grid("2024-01-01", "2024-03-01"))}, page=400)
    heard: list[Progress] = []
    watch = Watch(report=heard.append, should_stop=lambda: False)
    source.update(lake, partitions_of(series, "2024-01", "2024-03"), watch=watch)
    told = [(it.candles, it.requests, it.done) for it in heard]
    # January ends in the second page, February in the fourth; nothing was traded in March.
    assert told == [(400, 1, 0), (800, 2, 1), (1200, 3, 1), (1440, 4, 2), (1440, 5, 3)]


def test_failure_is_noted_for_the_check_until_it_is_mended(lake: Lake) -> None:
    source = ScriptedSource({}, failing={series_of(): TransientError("timed out")})
    source.update(lake, [partition_of()])

    def newest() -> list[tuple[str, int, str]]:
        found = lake.verdicts.newest("binance", "ohlcv", series_of().timeframe)
        rows = found.filter(pl.col("rule") == "series_fetched")
        return rows.select("period", "count", "rows_json").rows()

    [(period, count, rows_json)] = newest()
    assert (period, count, json.loads(rows_json)) == ("2024-01", 1, [{"reason": "timed out"}])
    source.failing = {}
    source.update(lake, [partition_of()])
    assert [row[:2] for row in newest()] == [("2024-01", 0)]


def test_two_updates_at_once_lose_nothing(lake: Lake, root: Path) -> None:
    series = series_of()
    truth = candles_at(grid("2024-01-01", "2024-04-01"))
    asked = partitions_of(series, "2024-01", "2024-03")
    errors: list[dict[Partition, str]] = []

    def work(number: int) -> None:
        own = lake_at(root, f"run-{number}")
        source = ScriptedSource({series: truth}, clock=time("2024-04-02"), page=50)
        errors.append(source.update(own, asked).failures)
        own.state.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [{}, {}]
    assert stored(lake, series).equals(truth)
    with lake.state.read() as connection:
        heads = connection.execute(HEADS.select()).all()
    assert len(heads) == 3
