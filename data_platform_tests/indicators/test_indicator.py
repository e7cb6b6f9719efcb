import dataclasses

import pytest

from data_platform.indicators.columns import INDICATORS, to_recipe
from data_platform.indicators.indicator import Indicator


@pytest.mark.parametrize("indicator", INDICATORS, ids=lambda row: row.name)
def test_every_row_names_its_source_and_title(indicator: Indicator) -> None:
    assert indicator.title
    assert len(indicator.source) > 20
    assert indicator.parameters


def test_a_recipe_cannot_be_changed() -> None:
    recipe = to_recipe("sma_20")
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.warm_up = 0  # type: ignore[misc]
