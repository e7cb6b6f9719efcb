from data_platform_tests.assets.asset_facts import columns_of, reads_of
from data_platform_tests.small_line import BTC, SmallLine, series


def test_features_read_indicators_of_their_own_and_coarser_timeframes(
    read_line: SmallLine,
) -> None:
    assert reads_of(read_line, "features_1h") == {
        "indicators_1h",
        "indicators_4h",
        "indicators_1d",
    }
    assert reads_of(read_line, "features_1d") == {"indicators_1d"}


def test_features_show_the_columns_they_store(read_line: SmallLine) -> None:
    (one,) = read_line.settings.feature_sets
    with read_line.lake() as lake:
        stored = lake.store.read_before(
            "features", series(BTC, "1h"), read_line.clock[0], 1, feature_set=one.key
        )
    assert stored.height == 1
    assert stored.columns == columns_of(read_line, "features_1h")
