from data_platform.assets.graph import build_line
from data_platform.assets.line import Line, utc_now
from data_platform.domain.layers import LAYERS
from data_platform.operations.watch import nobody_watches
from data_platform.partitions import build_partitions
from data_platform_tests.small_line import SmallLine


def line_of(small: SmallLine) -> Line:
    exchange = small.settings.exchanges["binance"]
    partitions = build_partitions(exchange)
    return Line(exchange, small.settings, partitions, nobody_watches(), utc_now)


def test_every_layer_has_an_asset_at_every_timeframe(read_line: SmallLine) -> None:
    keys = {asset.key.path[-1] for asset in build_line(line_of(read_line))}
    tables = {f"{layer.name}_{each}" for layer in LAYERS for each in ("1h", "4h", "1d")}
    assert keys == {*tables, "market_state"}
