from data_platform.domain.layers import LAYERS
from data_platform.operations.statements import statements_of


def test_every_layer_has_checks_of_its_own_kind() -> None:
    names = {layer.name: [it.name for it in statements_of(layer.name)] for layer in LAYERS}
    assert names["ohlcv"][0] == "series_fetched"
    assert names["ohlcv"][-1] == "files_are_as_written"
    assert names["filled"] == ["series_derived", "files_are_as_written"]
    assert names["nautilus"] == ["series_derived", "bars_equal_the_lake", "files_are_as_written"]
    assert names["freqtrade"] == names["vectorbt"] == names["nautilus"]


def test_no_name_stands_twice_and_each_check_says_what_it_claims() -> None:
    for layer in LAYERS:
        statements = statements_of(layer.name)
        assert len({it.name for it in statements}) == len(statements)
        assert all(it.description.endswith(".") for it in statements)
