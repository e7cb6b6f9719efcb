from dataclasses import replace
from datetime import datetime

import polars as pl

from data_platform.domain.errors import TransientError
from data_platform.domain.markets import Series
from data_platform.domain.periods import to_period
from data_platform.operations.collect import Collector, Slice
from data_platform.sources.base import FetchRequest, FetchResult, Outcome, Window
from data_platform_tests.factories import candles_at, grid, series_of, time

SERIES, OTHER = series_of(), series_of(pair="ETH/USDT")


def request(start: str, end: str, series: Series = SERIES) -> FetchRequest:
    return FetchRequest(series, time(start), time(end))


def result(of: FetchRequest, start: str, end: str, outcome: Outcome = "answered") -> FetchResult:
    error = TransientError("timed out") if outcome == "failed" else None
    window = Window(
        time(start), time(end), outcome, datetime.fromtimestamp(0, of.start.tzinfo), error
    )
    rows = candles_at([] if error else grid(start, end))
    return FetchResult(of, window, rows)


def short(pieces: list[Slice]) -> list[tuple[str, str, int, int]]:
    return [
        (it.series.pair.key, str(it.period), len(it.windows), it.candles.height) for it in pieces
    ]


def take(collector: Collector, *results: FetchResult) -> list[Slice]:
    return [piece for each in results for piece in collector.add(each)]


def test_month_comes_out_with_its_last_window() -> None:
    asked = request("2024-01-01", "2024-02-01")
    collector = Collector()
    assert take(collector, result(asked, "2024-01-01", "2024-01-20")) == []
    found = take(collector, result(asked, "2024-01-20", "2024-02-01"))
    assert short(found) == [("BTC-USDT", "2024-01", 2, 744)]
    assert list(collector.rest()) == []


def test_window_over_three_months_is_cut_at_their_edges() -> None:
    asked = request("2024-01-31", "2024-03-02")
    [january, february, march] = take(Collector(), result(asked, "2024-01-31", "2024-03-02"))
    assert short([january, february, march]) == [
        ("BTC-USDT", "2024-01", 1, 24),
        ("BTC-USDT", "2024-02", 1, 29 * 24),
        ("BTC-USDT", "2024-03", 1, 24),
    ]
    edges = [(it.windows[0].start, it.windows[-1].end) for it in (january, february, march)]
    assert edges == [
        (time("2024-01-31"), time("2024-02-01")),
        (time("2024-02-01"), time("2024-03-01")),
        (time("2024-03-01"), time("2024-03-02")),
    ]
    whole = pl.concat([it.candles for it in (january, february, march)])
    assert whole.equals(candles_at(grid("2024-01-31", "2024-03-02")))


def test_results_of_several_requests_may_come_mixed() -> None:
    one, two = request("2024-01-30", "2024-02-02"), request("2024-01-30", "2024-02-02", OTHER)
    found = take(
        Collector(),
        result(one, "2024-01-30", "2024-01-31"),
        result(two, "2024-01-30", "2024-02-01 12:00"),
        result(one, "2024-01-31", "2024-02-02"),
        result(two, "2024-02-01 12:00", "2024-02-02"),
    )
    assert short(found) == [
        ("ETH-USDT", "2024-01", 1, 48),
        ("BTC-USDT", "2024-01", 2, 48),
        ("BTC-USDT", "2024-02", 1, 24),
        ("ETH-USDT", "2024-02", 2, 24),
    ]


def test_two_requests_for_one_month_are_two_slices() -> None:
    first, second = request("2024-01-03", "2024-01-04"), request("2024-01-08", "2024-01-09")
    found = take(
        Collector(),
        result(first, "2024-01-03", "2024-01-04"),
        result(second, "2024-01-08", "2024-01-09"),
    )
    assert [(it.windows[0].start.day, it.candles.height) for it in found] == [(3, 24), (8, 24)]


def test_request_that_ends_inside_a_month_completes_it() -> None:
    asked = request("2024-01-05", "2024-01-06")
    found = take(Collector(), result(asked, "2024-01-05", "2024-01-06"))
    assert short(found) == [("BTC-USDT", "2024-01", 1, 24)]


def test_what_the_clock_cut_short_is_the_rest() -> None:
    asked = request("2024-01-01", "2024-03-01")
    collector = Collector()
    found = take(collector, result(asked, "2024-01-01", "2024-02-10"))
    assert short(found) == [("BTC-USDT", "2024-01", 1, 744)]
    assert short(list(collector.rest())) == [("BTC-USDT", "2024-02", 1, 9 * 24)]


def test_slice_tells_its_failures_and_when_nobody_answered() -> None:
    asked = request("2024-01-31", "2024-03-01")
    first, second = take(
        Collector(),
        result(asked, "2024-01-31", "2024-02-10", "failed"),
        result(asked, "2024-02-10", "2024-03-01"),
    )
    assert (first.failures, first.is_lost) == (["timed out"], True)
    assert (second.failures, second.is_lost) == (["timed out"], False)
    assert second.candles.height == 20 * 24


def test_slice_is_unlisted_when_nothing_else_has_failed() -> None:
    asked = request("2024-01-01", "2024-01-03")
    answered = result(asked, "2024-01-01", "2024-01-02")
    failed = result(asked, "2024-01-02", "2024-01-03", "failed")
    gone = replace(failed, window=replace(failed.window, is_listed=False))

    def is_unlisted(*results: FetchResult) -> bool:
        windows = tuple(it.window for it in results)
        return Slice(SERIES, to_period("2024-01"), windows, candles_at([])).is_unlisted

    assert is_unlisted(gone)
    assert is_unlisted(answered, gone)
    assert not is_unlisted(failed)
    assert not is_unlisted(failed, gone)
    assert not is_unlisted(answered)
