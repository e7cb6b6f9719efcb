from fractions import Fraction

import polars as pl
import pytest

from data_platform.indicators.columns import add_indicators, warm_up
from data_platform.indicators.indicator import ALL

NAMES = ("obv", "adi", "vpt", "nvi", "cumulative_return")


def traded(filled: pl.DataFrame, closes: list[float], volumes: list[float]) -> pl.DataFrame:
    flat = filled.head(len(closes)).with_columns(
        close=pl.Series(closes), volume=pl.Series(volumes, dtype=pl.Float64)
    )
    return flat.with_columns(high=pl.col("close") + 1, low=pl.col("close") - 3)


def test_an_unchanged_close_adds_no_volume(filled: pl.DataFrame) -> None:
    frame = traded(filled, [5.0, 5.0, 6.0, 6.0, 4.0], [1, 2, 4, 8, 16])
    assert add_indicators(frame, ("obv",))["obv"].to_list() == [1.0, 1.0, 5.0, 5.0, -11.0]


def test_sums_of_decimal_volumes_are_near_the_exact_ones(filled: pl.DataFrame) -> None:
    total, before = Fraction(0), 0.0
    for close, volume in filled.select("close", "volume").rows():
        total += Fraction(volume) * ((close > before) - (close < before))
        before = close
    assert add_indicators(filled, ("obv",))["obv"][-1] == pytest.approx(float(total), rel=1e-13)


def test_each_sum_is_the_textbooks(filled: pl.DataFrame) -> None:
    frame = traded(filled, [10.0, 11.0, 11.0, 9.9], [4, 2, 1, 3])
    result = add_indicators(frame, (*NAMES, "vpt_mean_2"))
    # Each closes three quarters up its candle.
    assert result["adi"].to_list() == [2.0, 3.0, 3.5, 5.0]
    assert result["vpt"].to_list() == [
        None,
        pytest.approx(0.2),
        pytest.approx(0.2),
        pytest.approx(-0.1),
    ]
    assert result["vpt_mean_2"].to_list() == [None, None, pytest.approx(0.2), pytest.approx(0.05)]
    assert result["nvi"].to_list() == [
        1000.0,
        pytest.approx(1100),
        pytest.approx(1100),
        pytest.approx(1100),
    ]
    assert result["cumulative_return"].to_list() == [
        0.0,
        pytest.approx(10),
        pytest.approx(10),
        pytest.approx(-1),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_cumulated_begins_with_its_segment(broken: pl.DataFrame, name: str) -> None:
    assert warm_up((name,)) == ALL
    parts = broken.partition_by("segment", maintain_order=True)
    whole = add_indicators(broken, (name,))[name].to_list()
    assert whole == [it for part in parts for it in add_indicators(part, (name,))[name].to_list()]


@pytest.mark.parametrize("name", [*NAMES, "vpt_mean_14"])
def test_a_past_correction_reaches_every_later_row_of_its_segment(
    broken: pl.DataFrame, name: str
) -> None:
    wrong = pl.int_range(pl.len()) == 800
    changed = broken.with_columns(
        close=pl.when(wrong).then(pl.col("low")).otherwise("close"),
        volume=pl.when(wrong).then(1e5).otherwise("volume"),
    )
    before, after = (add_indicators(it, (name,))[name] for it in (broken, changed))
    differs = (before != after).fill_null(value=False).arg_true().to_list()
    expected = [800] if name == "cumulative_return" else range(815, 1500)
    assert set(expected) <= set(differs) <= set(range(800, 1500))
