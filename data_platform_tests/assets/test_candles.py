from data_platform.assets.candles import priority_of
from data_platform_tests.assets.asset_facts import columns_of, pool_of, reads_of, spec_of
from data_platform_tests.small_line import SmallLine


def test_fetched_candles_read_nothing_and_share_the_pool_of_their_exchange(
    read_line: SmallLine,
) -> None:
    assert reads_of(read_line, "ohlcv_1h") == set()
    assert pool_of(read_line, "ohlcv_1h") == "binance"


def test_derived_candles_read_the_finer_ones_and_need_no_slot(read_line: SmallLine) -> None:
    assert reads_of(read_line, "ohlcv_4h") == {"ohlcv_1h"}
    assert pool_of(read_line, "ohlcv_4h") is None
    assert "computed from 1h" in str(spec_of(read_line, "ohlcv_4h").description)


def test_both_show_the_same_columns(read_line: SmallLine) -> None:
    expected = ["open_time", "open", "high", "low", "close", "volume"]
    assert columns_of(read_line, "ohlcv_1h") == expected
    assert columns_of(read_line, "ohlcv_4h") == expected


def test_only_the_run_of_a_sensor_goes_first() -> None:
    assert priority_of({"tick": "binance"}) == "live"
    assert priority_of({"backfill": "binance"}) == "backfill"
    assert priority_of({}) == "backfill"
