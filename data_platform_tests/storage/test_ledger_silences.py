from pathlib import Path

from data_platform.domain.candles import TimeRange
from data_platform.storage.ledger_silences import Holes, read_holes
from data_platform_tests.factories import gap_of, lake_at, plant_gaps, series_of, time

BTC, ETH = (series_of("coinbase", f"{base}/USD", "1m") for base in ("BTC", "ETH"))


def at(minute: int) -> str:
    return f"2024-01-10 {minute // 60:02}:{minute % 60:02}"


def read(root: Path, start: int, end: int) -> Holes:
    lake = lake_at(root)
    plant_gaps(
        lake,
        gap_of(BTC, at(5), at(9), "no_trades", confirmed=True),
        gap_of(BTC, at(20), at(21), "no_trades", confirmed=True),
        gap_of(BTC, at(30), at(40), "no_trades", confirmed=True),
        gap_of(BTC, at(40), at(45), "outage", confirmed=True),
        gap_of(BTC, at(45), at(47), "repaired", confirmed=True),
        gap_of(BTC, at(50), at(60), "open"),
        gap_of(BTC, at(60), at(70), "open", confirmed=True),
        gap_of(BTC, at(80), at(90), "unavailable", confirmed=True),
        gap_of(ETH, at(30), at(31), "outage", confirmed=True),
    )
    found = read_holes(lake.state, [BTC, ETH], TimeRange(time(at(start)), time(at(end))))
    lake.state.close()
    assert [it.times for it in found[ETH.pair].silences] == ([times(30, 31)] if start < 31 else [])
    return found[BTC.pair]


def times(start: int, end: int) -> TimeRange:
    return TimeRange(time(at(start)), time(at(end)))


def test_rows_that_touch_are_one_silence_and_single_quiet_candles_none(root: Path) -> None:
    silences = read(root, 0, 120).silences
    assert [it.times for it in silences] == [times(5, 9), times(30, 45)]
    assert [sorted(it.statuses) for it in silences] == [["no_trades"], ["no_trades", "outage"]]
    assert [it.evidence for it in silences] == [(), ("planted",)]


def test_what_no_answer_confirmed_between_candles_is_unknown(root: Path) -> None:
    assert list(read(root, 0, 120).unknown) == [times(50, 60), times(60, 70), times(80, 90)]


def test_only_what_shares_a_time_with_the_range_is_read(root: Path) -> None:
    found = read(root, 44, 52)
    assert [it.times for it in found.silences] == [times(40, 45)]
    assert list(found.unknown) == [times(50, 60)]
