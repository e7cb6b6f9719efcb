from data_platform_tests.assets.test_line import newest_metadata
from data_platform_tests.small_line import SmallLine


def test_each_partition_of_candles_tells_its_score(read_line: SmallLine) -> None:
    past = newest_metadata(read_line, "ohlcv_1h", "BTC-USDT|2024-02")
    assert past["quality_score"] == 1.0
    assert (past["completeness"], past["validity"]) == (1.0, 1.0)
    assert "timeliness" not in past
    running = newest_metadata(read_line, "ohlcv_4h", "BTC-USDT|2024-03")
    assert (running["quality_score"], running["timeliness"]) == (1.0, 1.0)
    assert "accuracy" in str(running["absent_components"])
    assert "quality_score" not in newest_metadata(read_line, "filled_4h", "BTC-USDT|2024-03")


def test_what_the_metadata_tell_is_what_is_stored(read_line: SmallLine) -> None:
    with read_line.lake() as lake:
        rows = lake.scores.newest("binance").rows(named=True)
    # Three pairs, three timeframes, two months.
    assert len(rows) == 18
    for row in rows:
        table, partition = f"ohlcv_{row['timeframe']}", f"{row['pair']}|{row['period']}"
        assert newest_metadata(read_line, table, partition)["quality_score"] == row["score_five"]
