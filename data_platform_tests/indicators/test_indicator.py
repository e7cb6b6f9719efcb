import dataclasses

import pytest

from data_platform.indicators.columns import INDICATORS, to_recipe
from data_platform.indicators.indicator import Indicator, spell


@pytest.mark.parametrize("indicator", INDICATORS, ids=lambda row: row.name)
def test_every_row_names_its_source_and_title(indicator: Indicator) -> None:
    assert indicator.title
    assert len(indicator.source) > 20
    assert indicator.inputs
    assert set(indicator.inputs) <= {"high", "low", "close", "volume"}


@pytest.mark.parametrize("indicator", INDICATORS, ids=lambda row: row.name)
def test_the_name_with_defaults_is_accepted(indicator: Indicator) -> None:
    assert indicator.default_name.startswith(indicator.name)
    for column in to_recipe(indicator.default_name).columns:
        assert column.unit
        assert column.description.endswith(".")


def test_numbers_are_spelled_without_trailing_zeros() -> None:
    assert spell("bb", 20, 2.0) == "bb_20_2"
    assert spell("psar", 0.02, 0.2) == "psar_0.02_0.2"
    assert spell("obv") == "obv"


def test_a_recipe_cannot_be_changed() -> None:
    recipe = to_recipe("sma_20")
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.warm_up = 0  # type: ignore[misc]
