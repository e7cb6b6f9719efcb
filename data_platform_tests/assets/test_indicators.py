from data_platform_tests.assets.asset_facts import columns_of, reads_of
from data_platform_tests.small_line import BTC, SmallLine, series


def test_indicators_read_the_grid_and_show_the_columns_they_store(read_line: SmallLine) -> None:
    assert reads_of(read_line, "indicators_4h") == {"filled_4h"}
    with read_line.lake() as lake:
        stored = lake.store.read_before("indicators", series(BTC, "4h"), read_line.clock[0], 1)
    assert stored.columns == columns_of(read_line, "indicators_4h")
    assert "rsi_14" in stored.columns
