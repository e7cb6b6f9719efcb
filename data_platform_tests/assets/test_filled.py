from pathlib import Path

import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.markets import Series
from data_platform_tests.assets.asset_facts import columns_of, reads_of, spec_of
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    plant_gaps,
    store_candles,
    stored,
)
from data_platform_tests.small_line import (
    BTC,
    CONFIG,
    ETH,
    SmallLine,
    open_small_line,
    series,
)

BACKED = CONFIG.replace(
    "  binance:\n", "  okx: {pairs: [BTC/USDT], timeframes: [1h]}\n  binance:\n    backup: okx\n"
)


def test_grid_reads_the_candles_and_shows_its_columns(read_line: SmallLine) -> None:
    assert reads_of(read_line, "filled_1h") == {"ohlcv_1h"}
    with read_line.lake() as lake:
        kept = lake.store.read_before("filled", series(BTC, "1h"), read_line.clock[0], 1)
    assert kept.columns == columns_of(read_line, "filled_1h")
    assert "okx" not in str(spec_of(read_line, "filled_1h").description)


def test_the_backup_of_the_config_covers_open_gaps_of_the_pairs_that_it_keeps(
    tmp_path: Path,
) -> None:
    gap = ("2024-02-10", "2024-02-11")
    times = [*grid("2024-02-01", gap[0]), *grid(gap[1], "2024-03-02")]
    with open_small_line(tmp_path, BACKED) as line:
        assert "okx's candles" in str(spec_of(line, "filled_1h").description)
        with line.lake() as lake:
            for own in (series(BTC, "1h"), series(ETH, "1h")):
                store_candles(lake, own, candles_at(times))
                plant_gaps(lake, gap_of(own, *gap, "outage", confirmed=True))
            theirs = candles_at(grid(*gap), 500.0)
            store_candles(lake, Series("okx", BTC, own.timeframe), theirs)
        assert line.materialize((BTC, ETH), ("filled",), ("1h",)).success
        with line.lake() as lake:
            made = {pair: stored(lake, series(pair, "1h"), "filled") for pair in (BTC, ETH)}
    taken = made[BTC].filter(pl.col("fill_method") == "backup:okx")
    assert taken.select(CANDLE_SCHEMA.names()).equals(theirs)
    assert made[ETH].filter("is_filled")["fill_method"].to_list() == ["carry"] * 10
