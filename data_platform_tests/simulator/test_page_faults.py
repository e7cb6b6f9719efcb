"""What each fault of candles puts on the wire, in every dialect."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from data_platform.domain.errors import WrongUseError
from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
from data_platform.simulator.page_faults import PAGE_FAULTS
from data_platform.simulator.server import Simulator, run_simulator
from data_platform_tests.simulator.raw_http import candles, rows_in, times
from data_platform_tests.simulator.simulated import EXCHANGES, NOW, at, config, ms, pair_of

MINUTE = 60_000
ROWS = 6
START = ms(at(2024, 3, 15, 9, 0))
OPEN = ms(NOW) // MINUTE * MINUTE
# How each exchange is asked for the rows from START on.
WINDOWS: dict[str, dict[str, object]] = {
    "binance": {"startTime": START, "limit": ROWS},
    "bybit": {"start": START, "limit": ROWS},
    "coinbase": {"start": START // 1000, "end": START // 1000 + (ROWS - 1) * 60},
    "kraken": {"since": (OPEN - (ROWS - 1) * MINUTE) // 1000 - 1},
    "okx": {"before": START - 1, "after": START + ROWS * MINUTE},
}
FIRST = dict.fromkeys(EXCHANGES, START) | {"kraken": OPEN - (ROWS - 1) * MINUTE}


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with run_simulator(config()) as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Iterator[Simulator]:
    yield running
    running.faults.clear()


def page(simulator: Simulator, exchange: str) -> list[Any]:
    """Return the rows of a valid answer, in the order that is oldest first when all is well."""
    answer = candles(simulator.url, exchange, **WINDOWS[exchange])
    assert (answer.status, answer.ending) == (200, "whole")
    assert answer.headers["Content-Type"] == "application/json"
    return rows_in(exchange, json.loads(answer.body))


def both(simulator: Simulator, exchange: str, name: str, **options: object) -> tuple[Any, Any]:
    """Return the rows without and with a fault."""
    before = page(simulator, exchange)
    first = FIRST[exchange]
    assert times(exchange, before) == list(range(first, first + ROWS * MINUTE, MINUTE))
    simulator.faults.add(name, exchange=exchange, **options)
    return before, page(simulator, exchange)


def test_every_fault_has_a_test_here() -> None:
    tests = " ".join(name for name in globals() if name.startswith("test_"))
    assert [fault.name for fault in PAGE_FAULTS if f"_{fault.name}_" not in tests] == []


PRICES = [
    ("null_price", None),
    ("text_price", "n/a"),
    ("nan_price", "NaN"),
    ("infinite_price", "Infinity"),
]


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize(("name", "value"), PRICES, ids=[name for name, _ in PRICES])
def test_null_price_or_text_price_or_nan_price_or_infinite_price_is_the_middle_rows_close(
    simulator: Simulator, exchange: str, name: str, value: object
) -> None:
    good, bad = both(simulator, exchange, name)
    changed = [index for index in range(ROWS) if good[index] != bad[index]]
    assert changed == [3]
    differing = [place for place in range(len(good[3])) if good[3][place] != bad[3][place]]
    assert differing == [4]
    assert bad[3][4] == value


def test_null_price_is_bare_null_and_nan_price_is_quoted_on_the_wire(simulator: Simulator) -> None:
    simulator.faults.add("null_price", exchange="okx", first=1)
    simulator.faults.add("nan_price", exchange="okx")
    assert b",null," in candles(simulator.url, "okx", **WINDOWS["okx"]).body
    assert b',"NaN",' in candles(simulator.url, "okx", **WINDOWS["okx"]).body


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_bad_timestamp_is_a_word_in_the_middle_row(simulator: Simulator, exchange: str) -> None:
    good, bad = both(simulator, exchange, "bad_timestamp")
    assert bad[3] == ["yesterday", *good[3][1:]]
    assert bad[:3] + bad[4:] == good[:3] + good[4:]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_off_grid_row_opens_half_a_minute_late(simulator: Simulator, exchange: str) -> None:
    good, bad = both(simulator, exchange, "off_grid_row")
    assert times(exchange, bad)[3] == times(exchange, good)[3] + 30_000
    assert type(bad[3][0]) is type(good[3][0])
    assert bad[3][1:] == good[3][1:]
    assert bad[:3] + bad[4:] == good[:3] + good[4:]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_unsorted_rows_are_all_there_in_another_order(simulator: Simulator, exchange: str) -> None:
    good, bad = both(simulator, exchange, "unsorted_rows")
    assert bad == good[3:] + good[:3]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_duplicate_rows_stand_twice_and_the_page_is_no_longer(
    simulator: Simulator, exchange: str
) -> None:
    good, bad = both(simulator, exchange, "duplicate_rows")
    whole = [*good[:4], *good[3:]]
    # Only where the page was full has the last row made room.
    assert bad == (whole[:ROWS] if exchange in ("binance", "bybit") else whole)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_rows_outside_are_real_candles_on_either_side(simulator: Simulator, exchange: str) -> None:
    good, bad = both(simulator, exchange, "rows_outside")
    first, last = times(exchange, good)[0], times(exchange, good)[-1]
    extra = times(exchange, [row for row in bad if row not in good])
    before = [first - 3 * MINUTE, first - 2 * MINUTE, first - MINUTE]
    after = [last + MINUTE, last + 2 * MINUTE, last + 3 * MINUTE]
    assert extra == (before if exchange == "kraken" else before + after)
    assert times(exchange, bad) == sorted(times(exchange, bad))


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_half_page_misses_its_later_half(simulator: Simulator, exchange: str) -> None:
    good, bad = both(simulator, exchange, "half_page")
    assert bad == good[:3]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_empty_page_is_valid_and_empty(simulator: Simulator, exchange: str) -> None:
    _, bad = both(simulator, exchange, "empty_page")
    assert bad == []


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_stale_page_holds_the_real_rows_of_another_time(
    simulator: Simulator, exchange: str
) -> None:
    good, bad = both(simulator, exchange, "stale_page", candles=100)
    assert times(exchange, bad) == [time - 100 * MINUTE for time in times(exchange, good)]
    assert all(row[1:] not in [other[1:] for other in good] for row in bad)


@pytest.mark.parametrize("exchange", ["binance", "bybit"])
def test_stale_page_is_the_page_before_by_default(simulator: Simulator, exchange: str) -> None:
    good, bad = both(simulator, exchange, "stale_page")
    assert times(exchange, bad) == [time - ROWS * MINUTE for time in times(exchange, good)]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_wrong_symbol_holds_the_other_pairs_rows_at_the_right_times(
    simulator: Simulator, exchange: str
) -> None:
    good, bad = both(simulator, exchange, "wrong_symbol")
    assert set(times(exchange, bad)) <= set(times(exchange, good))
    assert all(float(row[4]) < 100 for row in bad), "LINK's prices for bitcoin's"
    assert bad


def test_wrong_symbol_needs_another_pair() -> None:
    exchanges = {"okx": SimulatedExchange("okx", (pair_of("okx"),))}
    simulator = Simulator(SimulatorConfig(exchanges, clock=NOW))
    with pytest.raises(WrongUseError, match="another pair must be simulated there too"):
        simulator.faults.add("wrong_symbol", exchange="okx")


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_future_candle_is_one_more_row_a_year_from_now(simulator: Simulator, exchange: str) -> None:
    good, bad = both(simulator, exchange, "future_candle")
    assert bad[:-1] == good
    assert times(exchange, bad)[-1] == ms(NOW + timedelta(days=365)) // MINUTE * MINUTE


@pytest.mark.parametrize("fault", PAGE_FAULTS, ids=lambda fault: fault.name)
def test_an_empty_page_stays_valid_under_every_fault(simulator: Simulator, fault: Any) -> None:  # noqa: ANN401
    simulator.faults.add(fault.name, exchange="okx")
    answer = candles(simulator.url, "okx", before=ms(NOW) + MINUTE)
    body = json.loads(answer.body)
    assert (answer.status, body["code"]) == (200, "0")
