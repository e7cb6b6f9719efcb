import polars as pl
import pytest

from data_platform.domain.errors import WrongUseError
from data_platform.indicators.columns import add_indicators, to_recipe


def test_macd_is_the_difference_of_two_averages_and_its_own_average(filled: pl.DataFrame) -> None:
    result = add_indicators(filled, ("ema_3", "ema_6", "macd_3_6_2"))
    line = (result["ema_3"] - result["ema_6"]).to_list()
    assert result["macd_3_6_2"].to_list() == line
    expected = (line[5] + line[6]) / 2
    for row in range(7, 50):
        expected += (line[row] - expected) * 2 / 3
        assert result["macd_signal_3_6_2"][row] == pytest.approx(expected, abs=1e-9)
        histogram = result["macd_histogram_3_6_2"][row]
        assert histogram == pytest.approx(line[row] - expected, abs=1e-9)


def test_ppo_is_the_macd_in_percent_of_the_slow_average(filled: pl.DataFrame) -> None:
    result = add_indicators(filled, ("ema_6", "macd_3_6_2", "ppo_3_6_2"))
    expected = (100 * result["macd_3_6_2"] / result["ema_6"]).to_list()
    assert result["ppo_3_6_2"].to_list()[5:] == pytest.approx(expected[5:], rel=1e-12)


def test_without_trades_for_long_the_volume_oscillator_is_unknown(filled: pl.DataFrame) -> None:
    quiet = filled.head(400).with_columns(
        volume=pl.when(pl.int_range(pl.len()) < 50).then(1.0).otherwise(0.0)
    )
    values = add_indicators(quiet, ("pvo_3_6_2",))["pvo_3_6_2"]
    assert values[60] is not None
    assert values.tail(100).null_count() == 100


def test_the_strength_of_a_straight_move_is_100(filled: pl.DataFrame) -> None:
    rising = filled.head(100).with_columns(close=100.0 + pl.int_range(pl.len()))
    assert add_indicators(rising, ("tsi_5_3",))["tsi_5_3"].tail(1).to_list() == [100.0]


def test_a_steady_growth_is_the_sum_of_its_rates(filled: pl.DataFrame) -> None:
    grown = filled.head(40).with_columns(close=1.01 ** pl.int_range(pl.len()).cast(pl.Float64))
    result = add_indicators(grown, ("kst_1_2_3_4_1_1_1_1_1", "trix_3"))
    expected = 100 * sum(place * (1.01**place - 1) for place in range(1, 5))
    assert result["kst_1_2_3_4_1_1_1_1_1"][10] == pytest.approx(expected)
    assert result["kst_difference_1_2_3_4_1_1_1_1_1"][10] == 0.0
    assert result["trix_3"][39] == pytest.approx(1.0, abs=1e-6)


def test_the_trend_cycle_of_a_price_that_stands_still_is_unknown(filled: pl.DataFrame) -> None:
    still = filled.head(300).with_columns(close=pl.lit(5.0))
    assert add_indicators(still, ("stc_23_50_10_3_3",))["stc_23_50_10_3_3"].null_count() == 300


@pytest.mark.parametrize(
    "name", ["macd_9_9_3", "ppo_9_3_3", "pvo_2_1_1", "ao_5_5", "stc_5_5_1_1_1"]
)
def test_a_fast_average_is_shorter_than_the_slow(name: str) -> None:
    with pytest.raises(WrongUseError, match="must be shorter than the slow"):
        to_recipe(name)
