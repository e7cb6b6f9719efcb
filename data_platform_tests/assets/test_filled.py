from data_platform_tests.assets.asset_facts import columns_of, reads_of
from data_platform_tests.small_line import BTC, SmallLine, series


def test_grid_reads_the_candles_and_shows_its_columns(read_line: SmallLine) -> None:
    assert reads_of(read_line, "filled_1h") == {"ohlcv_1h"}
    with read_line.lake() as lake:
        stored = lake.store.read_before("filled", series(BTC, "1h"), read_line.clock[0], 1)
    assert stored.columns == columns_of(read_line, "filled_1h")
