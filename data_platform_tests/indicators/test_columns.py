import pydoc

import polars as pl
import pytest

from data_platform.domain.errors import WrongUseError
from data_platform.indicators.columns import (
    INDICATORS,
    add_indicators,
    output_columns,
    to_columns,
    to_recipe,
    warm_up,
)


def test_columns_come_in_the_order_of_the_names_each_once() -> None:
    names = ("bb_5_2", "sma_3", "bb_5_2")
    assert output_columns(names) == ("bb_upper_5_2", "bb_middle_5_2", "bb_lower_5_2", "sma_3")


def test_the_longest_warm_up_counts() -> None:
    assert warm_up(()) == 0
    assert warm_up(("sma_3", "sma_20", "mfi_14")) == 19


def test_no_names_add_nothing(filled: pl.DataFrame) -> None:
    assert add_indicators(filled, ()).equals(filled)


def test_the_names_of_indicators_are_unique() -> None:
    names = [indicator.name for indicator in INDICATORS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sma",
        "sma_",
        "sma_0",
        "sma_-5",
        "sma_020",
        "sma_2.5",
        "sma_1001",
        "sma_20_5",
        "SMA_20",
        "sma 20",
        "sma_\uff12\uff10",
        "macd_12_26",
        "macd_26_12_9",
        "bb_20_0",
        "bb_20_2.0",
        "bb_20_101",
        "hma_20",
        "obv_1",
        "kama_10",
        "20",
        "sma_20\n",
    ],
)
def test_a_name_that_is_none_is_refused_with_the_spelling(text: str) -> None:
    with pytest.raises(WrongUseError, match="indicator") as caught:
        to_recipe(text)
    assert "`obv`" in str(caught.value) or "_<" in str(caught.value)


def test_an_unknown_name_is_refused_with_every_accepted_one() -> None:
    with pytest.raises(WrongUseError) as caught:
        to_recipe("hma_20")
    names = str(caught.value).split("Accepted: ")[1].rstrip(".").split(", ")
    assert [name.split("_<")[0] for name in names] == [indicator.name for indicator in INDICATORS]


def test_a_name_without_parameters_is_refused_with_the_usual_one() -> None:
    # One column has one name: what is left out is not guessed.
    with pytest.raises(WrongUseError, match="as kama_10_2_30") as caught:
        to_recipe("kama")
    assert "`kama_<rows>_<fast rows>_<slow rows>`" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wma", "expected 1 numbers, found 0"),
        ("macd_12_26", "expected 3 numbers, found 2"),
        ("wma_9.5", "rows must be a whole number, found '9.5'"),
        ("wma_1001", "rows must be above 0 and at most 1000, found '1001'"),
    ],
)
def test_what_is_wrong_with_parameters_is_said_in_words(text: str, message: str) -> None:
    with pytest.raises(WrongUseError, match=message):
        to_recipe(text)


def test_a_width_may_be_a_decimal() -> None:
    assert to_columns(("bb_20_2.5",))[0].name == "bb_upper_20_2.5"


def test_indicators_are_computed_over_a_frame_that_has_columns_of_those_names(
    filled: pl.DataFrame,
) -> None:
    # Names used inside recipes are no part of the interface.
    odd = filled.with_columns(typical=pl.lit(1.0), gain=pl.lit(2.0), row_in_segment=pl.lit(9))
    result = add_indicators(odd, ("cci_20", "rsi_14"))
    assert result.select(odd.columns).equals(odd)
    assert result["cci_20"].equals(add_indicators(filled, ("cci_20",))["cci_20"])


@pytest.mark.parametrize(
    ("names", "windows"),
    [
        (("bb_20_2", "bb_place_20_2", "sma_20", "dpo_20"), 2),
        (("macd_12_26_9", "ppo_12_26_9", "ema_26"), 4),
        (("atr_14", "keltner_20_14_2", "keltner_place_20_14_2", "ema_20"), 2),
        (("stoch_14_3", "williams_r_14", "donchian_14"), 3),
    ],
)
def test_what_several_indicators_need_is_computed_once(
    filled: pl.DataFrame, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], windows: int
) -> None:
    computed = []
    known = "data_platform.indicators.windows._known"
    original = pydoc.locate(known)
    assert callable(original)

    def counted(*given: object) -> object:
        computed.append(given)
        return original(*given)

    monkeypatch.setattr(known, counted)
    add_indicators(filled, names)
    assert len(computed) == windows
