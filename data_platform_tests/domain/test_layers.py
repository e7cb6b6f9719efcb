from data_platform.domain.layers import LAYERS, Partition
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period
from data_platform.domain.timeframes import to_timeframe


def test_a_layer_reads_only_layers_above_it() -> None:
    seen: set[str] = set()
    for layer in LAYERS:
        assert set(layer.reads) <= seen
        seen.add(layer.name)


def test_a_partition_names_its_asset_and_key() -> None:
    series = Series("okx", Pair("BTC/USDT"), to_timeframe("1h"))
    partition = Partition("ohlcv", series, Period(2024, 3))
    assert str(partition) == "okx/ohlcv_1h BTC-USDT|2024-03"
