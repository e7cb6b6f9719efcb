import pytest

from data_platform.domain.errors import StorageError
from data_platform.operations.backlog import Scope
from data_platform.operations.lake import Lake
from data_platform.operations.remake import remake_stale
from data_platform.operations.watch import nobody_watches
from data_platform_tests.damage import damage
from data_platform_tests.factories import (
    GRACE,
    candles_at,
    grid,
    month_of,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.lines import derive_line, recipes_of

SERIES = series_of()
MONTHS = [month_of("2024-01"), month_of("2024-02")]
SCOPE = Scope(
    "binance", {SERIES.pair: time("2024-01")}, [], GRACE, {SERIES.timeframe: recipes_of(SERIES)}, ()
)
NOW = time("2024-03-02")


@pytest.fixture
def stored(lake: Lake) -> Lake:
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2024-02-20")))
    derive_line(lake, SERIES, MONTHS)
    return lake


def test_what_is_made_again_is_told_with_the_rows_that_it_reads(stored: Lake) -> None:
    assert remake_stale(stored, SCOPE, NOW, nobody_watches()) == []
    store_candles(stored, SERIES, candles_at([time("2024-02-10 05:00")], 500.0))
    found = remake_stale(stored, SCOPE, NOW, nobody_watches())
    assert [str(it.partition) for it in found] == [
        "binance/filled_1h BTC-USDT|2024-02",
        "binance/indicators_1h BTC-USDT|2024-02",
        "binance/features[small-v1]_1h BTC-USDT|2024-02",
    ]
    assert found[0].why == ("reads ohlcv binance/BTC-USDT/1h, 2024-01-31 23:00 to 2024-02-19 23:00")
    assert remake_stale(stored, SCOPE, NOW, nobody_watches()) == []


def test_what_cannot_be_made_again_is_an_error(stored: Lake) -> None:
    store_candles(stored, SERIES, candles_at([time("2024-02-10 05:00")], 500.0))
    [path] = stored.store.files("ohlcv", SERIES, MONTHS[1:])
    damage(path, "flipped")
    with pytest.raises(StorageError, match="damaged"):
        remake_stale(stored, SCOPE, NOW, nobody_watches())
