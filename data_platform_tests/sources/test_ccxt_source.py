import gzip
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import (
    GarbageError,
    PermanentError,
    RefusedError,
    SourceError,
    TransientError,
    UnknownPairError,
)
from data_platform.domain.exchanges import exchange_row
from data_platform.sources.access import Access
from data_platform.sources.base import AnswerTimes, FetchRequest, FetchResult
from data_platform.sources.ccxt_source import CcxtSource
from data_platform_tests.sources.wire import (
    LISTED,
    MINUTE,
    NOW,
    Query,
    Reply,
    Wire,
    access_to,
    ms,
    price,
    request_of,
    row,
    symbol,
    wire_server,
)

START = datetime(2024, 2, 20, tzinfo=UTC)
CLOSED_END = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)

GARBAGE = {
    "truncated": Reply(json.dumps([row(START)])[:-5]),
    "html": Reply("<html>Just a moment...</html>", headers={"Content-Type": "text/html"}),
    "empty body": Reply(""),
    "bare NaN": Reply("NaN"),
    "NaN inside": Reply("[[NaN]]"),
    "empty JSON": Reply("{}"),
    "other JSON": Reply('{"result": null}'),
    "bad time": Reply(json.dumps([row(START), ["yesterday", "1", "1", "1", "1", "1"]])),
    "a row too short": Reply("[[]]"),
    "text for rows": Reply('["candles"]'),
    "rows of another year": Reply(json.dumps([row(START - timedelta(days=400))])),
    "redirect": Reply("", status=302, headers={"Location": "http://127.0.0.1:1/klines"}),
}


@pytest.fixture
def wire() -> Iterator[Wire]:
    with wire_server() as server:
        yield server


def fetch(access: Access, *requests: FetchRequest) -> tuple[list[FetchResult], int]:
    source = CcxtSource(access)
    try:
        return list(source.fetch(requests)), source.requests_made
    finally:
        source.close()


def rows_of(results: list[FetchResult]) -> pl.DataFrame:
    return pl.concat([result.candles for result in results])


def errors_of(results: list[FetchResult]) -> list[SourceError]:
    return [result.window.error for result in results if result.window.error]


def hours(count: int) -> timedelta:
    return timedelta(hours=count)


def test_range_over_many_pages_comes_whole_and_in_order(wire: Wire) -> None:
    request = request_of(START, START + hours(100))
    results, made = fetch(access_to(wire.url), request)
    times = [START + MINUTE * index for index in range(6000)]
    candles = rows_of(results)
    assert candles.schema == CANDLE_SCHEMA
    assert candles["open_time"].to_list() == times
    assert candles["low"].to_list() == [price(time) for time in times]
    assert candles["volume"].unique().to_list() == [3.25]
    assert [result.window.start for result in results] == times[::1000]
    assert made == 6
    assert len(wire.queries) == 6
    for result in results:
        assert NOW <= result.window.fetched_at < NOW + timedelta(seconds=20)


def test_source_tells_when_it_was_answered_and_how_soon(wire: Wire) -> None:
    wire.slow = 0.05
    source, before = CcxtSource(access_to(wire.url)), datetime.now(UTC)
    try:
        assert source.answer_times == AnswerTimes(None, None)
        list(source.fetch([request_of(START, START + hours(50))]))
        times = source.answer_times
    finally:
        source.close()
    assert times.last is not None
    assert times.usual is not None
    assert before <= times.last <= datetime.now(UTC)
    assert timedelta(milliseconds=50) <= times.usual < timedelta(seconds=5)


def test_several_requests_each_come_in_time_order(wire: Wire) -> None:
    wire.slow = 0.01
    requests = [request_of(START, START + hours(60), symbol) for symbol in ("BTC/USDT", "ETH/USDT")]
    results, made = fetch(access_to(wire.url), *requests)
    assert made == 8
    for request in requests:
        windows = [result.window for result in results if result.request is request]
        assert [window.start for window in windows[1:]] == [window.end for window in windows[:-1]]
        assert (windows[0].start, windows[-1].end) == (request.start, request.end)


def test_only_the_given_host_is_asked_and_only_for_spot(wire: Wire) -> None:
    fetch(access_to(f"{wire.url}/binance"), request_of(START, START + hours(1)))
    assert sorted(set(wire.paths)) == [
        "/binance/api/v3/exchangeInfo",
        "/binance/api/v3/klines",
        "/binance/api/v3/time",
    ]
    assert len(wire.paths) == 3


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_asked_for_again(wire: Wire, name: str) -> None:
    wire.scripted = [GARBAGE[name], GARBAGE[name]]
    results, made = fetch(access_to(wire.url), request_of(START, START + hours(1)))
    assert made == 3
    assert [result.window.outcome for result in results] == ["answered"]
    assert rows_of(results).height == 60


@pytest.mark.parametrize("name", GARBAGE)
def test_r15_lasting_garbage_is_a_failed_window_and_never_no_candles(wire: Wire, name: str) -> None:
    bad_start = ms(START + MINUTE * 1000)
    wire.always = lambda query: GARBAGE[name] if query["startTime"] == str(bad_start) else None
    results, _ = fetch(access_to(wire.url), request_of(START, START + MINUTE * 3000))
    assert [result.window.outcome for result in results] == ["answered", "failed", "answered"]
    [error] = errors_of(results)
    assert type(error) is GarbageError
    assert "binance/BTC-USDT/1m from 2024-02-20 16:40" in str(error)
    assert rows_of(results).height == 2000


def test_r15_garbage_for_the_pairs_does_not_make_a_pair_unknown(wire: Wire) -> None:
    wire.pairs = [Reply("<html>Just a moment...</html>")] * 4
    request = request_of(START, START + hours(1))
    results, _ = fetch(access_to(wire.url), request)
    assert [type(error) for error in errors_of(results)] == [GarbageError]
    results, _ = fetch(access_to(wire.url), request)
    assert rows_of(results).height == 60


def test_empty_list_is_believed_when_it_is_told_twice(wire: Wire) -> None:
    wire.scripted = [Reply("[]")]
    results, made = fetch(access_to(wire.url), request_of(START, START + hours(1)))
    assert (made, rows_of(results).height) == (2, 60)
    wire.scripted = [Reply("[]")] * 2
    results, made = fetch(access_to(wire.url), request_of(START, START + hours(1)))
    assert made == 2
    assert [result.window.outcome for result in results] == ["answered"]
    assert rows_of(results).is_empty()


def test_values_that_are_no_numbers_stay_for_the_audit(wire: Wire) -> None:
    bad = [ms(START), None, "much", "NaN", "Infinity", "1.5"]
    wire.scripted = [Reply(json.dumps([bad, row(START + MINUTE)]))]
    results, _ = fetch(access_to(wire.url), request_of(START, START + 2 * MINUTE))
    [first, _] = rows_of(results).rows()
    assert first[0] == START
    assert first[1:3] == (None, None)
    assert str(first[3:]) == "(nan, inf, 1.5)"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply("{}", status=500), TransientError),
        (Reply('{"code": -1000, "msg": "unknown"}', status=500), TransientError),
        (Reply("<html>Bad Gateway</html>", status=502), TransientError),
        (Reply(json.dumps([row(START)]), cut=True), TransientError),
        (Reply("{}", status=429), RefusedError),
        (Reply("{}", status=418), RefusedError),
    ],
)
def test_passing_errors_are_tried_three_times(
    wire: Wire, reply: Reply, kind: type[SourceError]
) -> None:
    wire.scripted = [reply, reply]
    results, made = fetch(access_to(wire.url), request_of(START, START + hours(1)))
    assert (made, rows_of(results).height) == (3, 60)
    wire.always = lambda _query: reply
    results, made = fetch(access_to(wire.url), request_of(START, START + hours(1)))
    assert made == 3
    assert [type(error) for error in errors_of(results)] == [kind]


@pytest.mark.parametrize(
    ("reply", "remedy"),
    [
        (Reply('{"code": 0, "msg": "restricted location"}', status=451), "this country"),
        (Reply("<html>forbidden</html>", status=403), "denies access"),
        (Reply('{"code": -1121, "msg": "Invalid symbol."}', status=400), "Check the pair"),
        (Reply("<html>nginx</html>", status=404), "base_url"),
    ],
)
def test_permanent_error_ends_its_request_at_once_and_no_other(
    wire: Wire, reply: Reply, remedy: str
) -> None:
    wire.always = lambda query: reply if query["symbol"] == "BTCUSDT" else None
    bad = request_of(START, START + hours(100))
    good = request_of(START, START + hours(50), "ETH/USDT")
    results, made = fetch(access_to(wire.url), bad, good)
    assert made == 1 + 3
    [failure] = [result for result in results if result.request is bad]
    assert failure.window.outcome == "failed"
    assert (failure.window.start, failure.window.end) == (bad.start, bad.end)
    assert isinstance(failure.window.error, PermanentError)
    for part in ("binance/BTC-USDT/1m", wire.url, remedy):
        assert part in str(failure.window.error)
    assert rows_of(results).height == 3000


def test_permanent_error_in_the_middle_keeps_what_came_before(wire: Wire) -> None:
    bad_start = ms(START + MINUTE * 3000)
    wire.slow = 0.02
    wire.always = lambda query: (
        Reply("{}", status=451) if query["startTime"] == str(bad_start) else None
    )
    request = request_of(START, START + MINUTE * 200_000)
    results, made = fetch(access_to(wire.url), replace(request, end=START + MINUTE * 15_000))
    assert [result.window.outcome for result in results] == ["answered"] * 3 + ["failed"]
    assert results[-1].window.start == START + MINUTE * 3000
    assert made < 15


def test_retry_after_is_waited_for(wire: Wire) -> None:
    wire.scripted = [Reply("{}", status=429, headers={"Retry-After": "0.4"})]
    started = datetime.now(UTC)
    results, made = fetch(access_to(wire.url), request_of(START, START + hours(1)))
    assert datetime.now(UTC) - started >= timedelta(seconds=0.4)
    assert (made, rows_of(results).height) == (2, 60)


def test_a_ban_longer_than_anybody_waits_fails_at_once_and_sends_nothing_more(wire: Wire) -> None:
    wire.scripted = [Reply("{}", status=418, headers={"Retry-After": "3600"})]
    results, made = fetch(access_to(wire.url), request_of(START, START + hours(100)))
    assert made == 1
    first, *others = errors_of(results)
    assert type(first) is RefusedError
    assert first.until
    assert timedelta(minutes=59) < first.until - datetime.now(UTC) < timedelta(minutes=61)
    assert results[-1].window.end == START + hours(100)
    assert {f"until {first.until:%Y-%m-%d %H:%M}" in str(error) for error in others} == {True}
    # A later source, or another process, sends nothing either.
    asked = len(wire.paths)
    results, made = fetch(access_to(wire.url), request_of(START, START + hours(1)))
    assert (made, len(wire.paths)) == (0, asked)
    assert [type(error) for error in errors_of(results)] == [RefusedError]
    assert f"until {first.until:%Y-%m-%d %H:%M}" in str(errors_of(results)[0])


def test_r33_dripping_server_meets_the_deadline(wire: Wire) -> None:
    wire.always = lambda _query: Reply("[" + " " * 500 + "]", drip=0.05)
    started = datetime.now(UTC)
    results, _ = fetch(access_to(wire.url, timeout=0.3), request_of(START, START + hours(1)))
    assert datetime.now(UTC) - started < timedelta(seconds=5)
    assert [type(error) for error in errors_of(results)] == [TransientError]
    assert "timeout" in str(errors_of(results)[0])


def test_unreachable_exchange_is_named_with_its_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        source = CcxtSource(access_to(url))
        with pytest.raises(TransientError, match=f"{url}.*cannot be reached.*base_url"):
            source.now()
        requests = [request_of(START, CLOSED_END), request_of(START, START + MINUTE, "ETH/USDT")]
        results = list(source.fetch(requests))
        source.close()
    assert [result.window.outcome for result in results] == ["failed", "failed"]
    assert source.requests_made == 0


def test_exchange_that_dies_is_not_asked_for_every_page(wire: Wire) -> None:
    wire.always = lambda query: Reply("{}", 503) if asked(query) > START else None
    access = access_to(wire.url, replace(exchange_row("binance"), page_size=10))
    results, made = fetch(access, request_of(START, START + MINUTE * 5000))
    assert len(results) == 500
    assert [result.window.outcome for result in results] == ["answered"] + ["failed"] * 499
    # Three pages open the breaker; others of those in flight or waiting have begun theirs.
    assert 1 + 3 * 3 <= made <= 1 + 3 * 4 * access.concurrency
    assert "not asked, because binance is not asked since" in str(errors_of(results)[-1])


def test_page_that_always_fails_among_good_ones_ends_nothing_else(wire: Wire) -> None:
    wire.slow = 0.005
    wire.always = lambda query: Reply("{}", 503) if query["symbol"] == "BTCUSDT" else None
    access = access_to(wire.url, replace(exchange_row("binance"), page_size=10))
    bad, good = (request_of(START, START + MINUTE * 400, f"{it}/USDT") for it in ("BTC", "ETH"))
    results, _ = fetch(access, bad, good)
    by_request = {
        request: {result.window.outcome for result in results if result.request is request}
        for request in (bad, good)
    }
    assert by_request[good] == {"answered"}


@pytest.mark.parametrize("is_packed", [False, True])
def test_r33_endless_answer_is_garbage_and_costs_no_memory(wire: Wire, *, is_packed: bool) -> None:
    rows = json.dumps([row(START + MINUTE * index) for index in range(600_000)]).encode()
    bomb = gzip.compress(rows if not is_packed else b" " * 300_000_000, 1)
    wire.scripted = [Reply(bomb, headers={"Content-Encoding": "gzip"})] * 3
    before = resident_mb()
    results, made = fetch(access_to(wire.url), request_of(START, START + MINUTE))
    assert made == 3
    [error] = errors_of(results)
    assert type(error) is GarbageError
    assert "sent an answer longer than 4,000,000 bytes" in str(error)
    assert resident_mb() - before <= 64


def test_key_and_query_never_appear_in_a_message(wire: Wire) -> None:
    canary = "canary-key-4711"
    bodies = f'{{"code": -1, "msg": "key {canary} of {wire.url}/x?signature=abc is wrong"}}'
    wire.always = lambda _query: Reply(bodies, status=500)
    access = access_to(wire.url, api_key=canary)
    results, _ = fetch(access, request_of(START, START + hours(1)))
    [error] = errors_of(results)
    shown = f"{error}{error!r}{access!r}"
    for secret in (canary, "signature", "startTime"):
        assert secret not in shown


def test_unknown_pair_and_timeframe_cost_no_request(wire: Wire) -> None:
    unknown = request_of(START, START + hours(1), "BTC/USD")
    results, made = fetch(access_to(wire.url), unknown, request_of(START, START + hours(1)))
    [error] = errors_of(results)
    assert type(error) is UnknownPairError
    assert "binance/BTC-USD/1m" in str(error)
    assert "BTC/USDT" in str(error)
    assert made == 1
    assert rows_of(results).height == 60


def test_exchange_that_lists_no_pair_at_all_has_delisted_none(wire: Wire) -> None:
    wire.pairs = [Reply('{"symbols": []}')]
    results, made = fetch(access_to(wire.url), request_of(START, START + hours(1)))
    [error] = errors_of(results)
    assert type(error) is GarbageError
    assert "lists no pair at all" in str(error)
    assert made == 0
    assert results[0].window.is_listed


def test_pair_that_is_listed_and_not_traded_gives_its_candles_and_says_so(wire: Wire) -> None:
    halted = [{**symbol(name), "status": "BREAK"} for name in ("BTCUSDT",)]
    wire.pairs = [Reply(json.dumps({"symbols": [*halted, symbol("ETHUSDT")]}))]
    results, _ = fetch(
        access_to(wire.url),
        request_of(START, START + hours(1)),
        request_of(START, START + hours(1), "ETH/USDT"),
    )
    told = {(it.request.series.pair.symbol, it.window.is_listed) for it in results}
    assert told == {("BTC/USDT", False), ("ETH/USDT", True)}
    assert {it.window.outcome for it in results} == {"answered"}
    assert rows_of(results).height == 120


def test_pair_that_the_exchange_disowns_when_asked_is_not_listed(wire: Wire) -> None:
    wire.always = lambda _query: Reply('{"code":-1121,"msg":"Invalid symbol."}', status=400)
    results, made = fetch(access_to(wire.url), request_of(START, START + hours(1)))
    [error] = errors_of(results)
    assert type(error) is UnknownPairError
    assert not results[0].window.is_listed
    assert made == 1


def test_r20_unfinished_candle_is_dropped_by_the_clock(wire: Wire) -> None:
    # 12:00:30 there: the minute of 12:00 is unfinished, that of 11:59 has been closed for 30 s.
    results, _ = fetch(
        access_to(wire.url), request_of(CLOSED_END - hours(1), CLOSED_END + hours(1))
    )
    assert rows_of(results)["open_time"].max() == CLOSED_END - MINUTE
    assert results[-1].window.end == CLOSED_END


def test_candle_within_its_grace_is_unfinished(wire: Wire) -> None:
    wire.now = CLOSED_END + timedelta(seconds=2)
    results, _ = fetch(
        access_to(wire.url), request_of(CLOSED_END - hours(1), CLOSED_END + hours(1))
    )
    assert results[-1].window.end == CLOSED_END - MINUTE


def test_request_beyond_the_closed_range_yields_nothing(wire: Wire) -> None:
    results, made = fetch(access_to(wire.url), request_of(CLOSED_END, CLOSED_END + hours(1)))
    assert (results, made) == ([], 0)


def test_years_before_the_listing_cost_one_request(wire: Wire) -> None:
    request = request_of(datetime(2022, 1, 1, tzinfo=UTC), LISTED + hours(1))
    results, made = fetch(access_to(wire.url), request)
    assert made <= 3
    assert rows_of(results)["open_time"].to_list() == [LISTED + MINUTE * i for i in range(60)]
    assert {result.window.outcome for result in results} == {"answered"}
    windows = [result.window for result in results]
    assert [window.start for window in windows[1:]] == [window.end for window in windows[:-1]]
    assert (windows[0].start, windows[-1].end) == (request.start, request.end)


def test_r17_a_long_gap_ends_no_walk(wire: Wire) -> None:
    gap = (START + hours(3), START + hours(90))
    wire.missing = (gap,)
    results, made = fetch(access_to(wire.url), request_of(START, START + hours(100)))
    times = rows_of(results)["open_time"].to_list()
    expected = [START + MINUTE * i for i in range(6000)]
    assert times == [time for time in expected if not gap[0] <= time < gap[1]]
    assert made <= 6


def test_r17_full_page_of_repeated_rows_hides_no_candle(wire: Wire) -> None:
    twice = [row(START)] * 10 + [row(START + MINUTE * i) for i in range(1, 51)]
    wire.scripted = [Reply(json.dumps(twice))]
    results, made = fetch(access_to(wire.url), request_of(START, START + hours(1)))
    times = rows_of(results)["open_time"]
    assert times.unique().sort().to_list() == [START + MINUTE * i for i in range(60)]
    assert times.len() == 69
    assert made == 2


def test_consumer_that_waits_bounds_what_is_fetched(wire: Wire) -> None:
    source = CcxtSource(access_to(wire.url, replace(exchange_row("binance"), page_size=10)))
    results = source.fetch([request_of(START, START + hours(100))])
    next(results)
    threading.Event().wait(0.5)
    assert source.requests_made <= 4 * 4 + 1
    results.close()  # type: ignore[attr-defined]
    made = source.requests_made
    threading.Event().wait(0.1)
    assert source.requests_made == made
    source.close()


def test_closing_leaves_no_thread_and_ends_a_reader(wire: Wire) -> None:
    before = threading.active_count()
    source = CcxtSource(access_to(wire.url))
    results = source.fetch([request_of(START, START + hours(200))])
    next(results)
    source.close()
    source.close()
    with pytest.raises(RuntimeError, match="closed"):
        list(results)
    with pytest.raises(RuntimeError, match="closed"):
        source.now()
    assert not [thread for thread in threading.enumerate() if thread.name == "source-binance"]
    assert before >= 1


def test_defect_in_the_walk_reaches_the_consumer(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("data_platform.sources.walk.next_page", broken)
    source = CcxtSource(access_to(wire.url))
    with pytest.raises(ExceptionGroup):
        list(source.fetch([request_of(START, START + hours(1))]))
    source.close()


def test_exchange_that_ccxt_does_not_know_is_refused() -> None:
    source = CcxtSource(access_to("http://127.0.0.1:1", exchange_row("binnance")))
    with pytest.raises(PermanentError, match="ccxt_id"):
        source.now()
    source.close()


def resident_mb() -> float:
    """Return the most memory this process has held since the last call, and forget it."""
    peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
    Path("/proc/self/clear_refs").write_text("5")
    return int(peak) / 1024


def asked(query: Query) -> datetime:
    return datetime.fromtimestamp(int(query["startTime"]) / 1000, UTC)


def test_many_pages_are_in_flight_at_once(wire: Wire) -> None:
    wire.slow = 0.2
    started = datetime.now(UTC)
    source = CcxtSource(access_to(wire.url, concurrency=8))
    source.now()
    list(source.fetch([request_of(START, START + MINUTE * 9000)]))
    source.close()
    # One alone, then eight together: two rounds of 0.2 s and not nine; the import comes before.
    assert len(wire.queries) == 9
    assert min(asked(query) for query in wire.queries) == START
    assert datetime.now(UTC) - started < timedelta(seconds=1.5) + timedelta(seconds=5)
