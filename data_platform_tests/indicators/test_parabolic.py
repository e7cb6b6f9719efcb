import math
import random

import numpy as np
import pytest

from data_platform.indicators import parabolic
from data_platform.indicators.arrays import Array
from data_platform.indicators.parabolic import parabolic_stop

ROWS = 40_000
"""More than are walked row by row."""


def walk(steps: list[float], tick: float = 1e-9) -> tuple[Array, Array]:
    """Return highs and lows of candles whose close moves by the given shares, in whole ticks."""
    generator = random.Random(len(steps))
    closes = 100 * np.exp(np.cumsum(steps))
    spread = np.array([generator.uniform(0, 0.001) for _ in steps]) * closes
    return np.ceil((closes + spread) / tick) * tick, np.floor((closes - spread) / tick) * tick


def any_way(seed: int) -> list[float]:
    generator = random.Random(seed)
    return [generator.gauss(0, 0.001) for _ in range(ROWS)]


MARKETS = {
    "any way": walk(any_way(1)),
    "in few ticks": walk(any_way(2), tick=0.5),
    "a long rise": walk([*any_way(3)[:15_000], *[0.0005] * 12_000, *any_way(4)[:13_000]]),
    "a long fall": walk([*[-0.0002] * 12_000, *any_way(5)[:28_000]]),
    "a rise to the end": walk([*any_way(8)[:38_000], *[0.0005] * 2_000]),
    "a standstill": walk([*any_way(6)[:20_000], *[0.0] * 5_000, *any_way(7)[:15_000]], tick=0.01),
}


def by_the_book(highs: Array, lows: Array, step: float, limit: float) -> list[float]:
    """Return the stops one after the other, those of a downtrend negative."""
    is_up = not (lows[0] > lows[1] and lows[0] - lows[1] > highs[1] - highs[0])
    stop = float(lows[0] if is_up else highs[0])
    extreme = float(highs[1] if is_up else lows[1])
    speed, stops, before = step, [math.nan], 1
    for row in range(1, len(highs)):
        high, low = float(highs[row]), float(lows[row])
        touched = low <= stop if is_up else high >= stop
        if touched:
            is_up = not is_up
            # The extreme of the trend that ends, its last candle's too.
            stop = min(extreme, low) if is_up else max(extreme, high)
            extreme, speed = high if is_up else low, step
        stops.append(stop if is_up else -stop)
        if high > extreme if is_up else low < extreme:
            extreme, speed = high if is_up else low, min(speed + step, limit)
        stop += speed * (extreme - stop)
        bounds = (lows if is_up else highs)[before : row + 1]
        stop = float(min(stop, *bounds) if is_up else max(stop, *bounds))
        before = row
    return stops


def test_the_first_stop_is_the_first_low_or_high() -> None:
    rising = parabolic_stop(np.array([2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0]), 0.02, 0.2)
    falling = parabolic_stop(np.array([4.0, 3.0, 2.0]), np.array([3.0, 2.0, 1.0]), 0.02, 0.2)
    assert rising == pytest.approx([math.nan, 1.0, 1.0 + 0.02 * 2], nan_ok=True)
    assert falling == pytest.approx([math.nan, -4.0, -(4.0 - 0.02 * 2)], nan_ok=True)


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize(("step", "limit"), [(0.02, 0.2), (0.001, 0.01), (1.0, 1.0)])
def test_stretches_are_one_walk_to_the_last_bit(market: str, step: float, limit: float) -> None:
    highs, lows = MARKETS[market]
    found = parabolic_stop(highs, lows, step, limit)
    assert np.array_equal(found, by_the_book(highs, lows, step, limit), equal_nan=True)


@pytest.mark.parametrize("reach", [1, 10, 40])
@pytest.mark.parametrize("rows", [ROWS, ROWS - 1, ROWS - 77, 26_000, 3])
def test_what_was_walked_from_too_near_is_walked_again(
    monkeypatch: pytest.MonkeyPatch, reach: int, rows: int
) -> None:
    monkeypatch.setattr(parabolic, "REACH", reach)
    highs, lows = (prices[-rows:] for prices in MARKETS["any way"])
    found = parabolic_stop(highs, lows, 0.02, 0.2)
    assert np.array_equal(found, by_the_book(highs, lows, 0.02, 0.2), equal_nan=True)


def test_stops_scale_with_the_price() -> None:
    # A power of two changes no bit; squares of such prices are beyond float64.
    highs, lows = MARKETS["any way"]
    usual = parabolic_stop(highs, lows, 0.02, 0.2)
    for factor in (2.0**-900, 2.0**900):
        found = parabolic_stop(highs * factor, lows * factor, 0.02, 0.2)
        assert np.array_equal(found, usual * factor, equal_nan=True)
