import math
from fractions import Fraction

import polars as pl
import pytest

from data_platform.indicators.columns import add_indicators


def test_bands_are_exact_where_running_sums_drift(filled: pl.DataFrame) -> None:
    # A close of 10^9 among small ones ruins a running sum of squares for all later windows.
    spiked = filled.with_columns(
        close=pl.when(pl.int_range(pl.len()) == 50).then(1e9).otherwise("close")
    )
    result = add_indicators(spiked, ("bb_20_2",))
    closes = [Fraction(close) for close in spiked["close"].to_list()]
    for row in (19, 40, 60, 75, 500, 2999):
        window = closes[row - 19 : row + 1]
        mean = sum(window) / 20
        deviation = math.sqrt(sum((close - mean) ** 2 for close in window) / 20)
        assert result["bb_middle_20_2"][row] == pytest.approx(float(mean), rel=1e-15)
        width = result["bb_upper_20_2"][row] - result["bb_lower_20_2"][row]
        assert width == pytest.approx(4 * deviation, abs=1e-12 * float(mean))


def test_bands_of_a_still_market_lie_on_its_price(filled: pl.DataFrame) -> None:
    still = filled.head(50).with_columns(close=pl.lit(0.1))
    result = add_indicators(still, ("bb_20_2",)).tail(1)
    for band in ("bb_upper_20_2", "bb_middle_20_2", "bb_lower_20_2"):
        assert result[band][0] == pytest.approx(0.1, rel=1e-14)


def test_the_place_in_the_bands_follows_from_them(filled: pl.DataFrame) -> None:
    result = add_indicators(filled, ("bb_20_2", "bb_place_20_2")).slice(19)
    upper, middle, lower = (result[f"bb_{it}_20_2"] for it in ("upper", "middle", "lower"))
    assert result["bb_width_20_2"].equals(100 * ((upper - lower) / middle))
    assert result["bb_percent_20_2"].equals((result["close"] - lower) / (upper - lower))
    assert result["bb_is_above_20_2"].to_list() == [
        float(close > top) for close, top in zip(result["close"], upper, strict=True)
    ]
    assert 0 < result["bb_is_below_20_2"].mean() < 0.5  # type: ignore[operator]


def test_bands_without_width_have_no_place(filled: pl.DataFrame) -> None:
    still = filled.head(50).with_columns(close=pl.lit(0.5))
    result = add_indicators(still, ("bb_place_20_2",)).tail(1)
    assert result["bb_width_20_2"][0] == 0.0
    assert result["bb_percent_20_2"][0] is None
    assert (result["bb_is_above_20_2"][0], result["bb_is_below_20_2"][0]) == (0.0, 0.0)


@pytest.mark.parametrize("name", ["bb_place_20_2", "keltner_original_place_20"])
def test_a_price_that_stands_still_is_in_no_channel(filled: pl.DataFrame, name: str) -> None:
    # The mean of twenty times this price is not this price: it differs in the last bit.
    still = filled.head(50).with_columns(
        pl.lit(78.8935).alias(it) for it in ("open", "high", "low", "close")
    )
    _, place, above, below = add_indicators(still, (name,)).row(-1)[-4:]
    assert (place, above, below) == (None, 0.0, 0.0)


def test_keltner_lines_are_average_ranges_from_the_average(filled: pl.DataFrame) -> None:
    result = add_indicators(filled, ("keltner_20_10_1.5", "ema_20", "atr_10"))
    expected = (result["ema_20"] + 1.5 * result["atr_10"]).to_list()
    assert result["keltner_upper_20_10_1.5"].to_list() == expected
    assert result["keltner_middle_20_10_1.5"].equals(result["ema_20"], check_names=False)


def test_keltners_own_lines_are_a_range_from_the_typical_price(filled: pl.DataFrame) -> None:
    result = add_indicators(filled, ("keltner_original_1",))
    high, low = result["high"], result["low"]
    size = (result["keltner_original_upper_1"] - result["keltner_original_middle_1"]).to_list()
    assert size == pytest.approx((high - low).to_list(), abs=1e-9)


def test_the_donchian_channel_is_the_extremes_of_the_window(filled: pl.DataFrame) -> None:
    result = add_indicators(filled.head(40), ("donchian_5", "donchian_place_5"))
    highs, lows = filled["high"].to_list(), filled["low"].to_list()
    for row in range(4, 40):
        top, bottom = max(highs[row - 4 : row + 1]), min(lows[row - 4 : row + 1])
        assert result["donchian_upper_5"][row] == top
        assert result["donchian_lower_5"][row] == bottom
        assert result["donchian_middle_5"][row] == pytest.approx((top + bottom) / 2, rel=1e-15)
        place = (filled["close"][row] - bottom) / (top - bottom)
        assert result["donchian_percent_5"][row] == pytest.approx(place)
    assert "donchian_is_above_5" not in result.columns
