from pathlib import Path, PurePosixPath

import pytest

from data_platform.domain.errors import StorageError, WrongUseError
from data_platform.domain.markets import Pair, from_key
from data_platform.storage.catalog import open_catalog
from data_platform.storage.layout import Layout, read_place
from data_platform.storage.partition_store import PartitionStore
from data_platform_tests.storage.lake import candles, commit, partition, series

ROOT = Path("/lake")
LAYOUT = Layout(ROOT)

ODD_SYMBOLS = [
    "../../etc/passwd",
    "./..",
    "A\x00B/USDT",
    "💥/ÜSD",
    "1000PEPE/USDT:USDT",
    "BTC/USD:BTC-240329",
    "a b*?[c]|/x=y",
    "%2E%2E/%2F",
    "'; DROP TABLE gaps; --/USDT",
    "x' OR '1'='1/USD",
]


def test_a_partition_is_one_hive_folder() -> None:
    found = LAYOUT.partition(partition(series(timeframe=series().timeframe)))
    assert found == ROOT / (
        "ohlcv/exchange=binance/timeframe=1h/pair=BTC-USDT/period=2024-01/candles.parquet"
    )


def test_a_feature_set_stands_before_the_exchange() -> None:
    found = LAYOUT.partition(partition(layer="features", feature_set="base-v1"))
    assert found == ROOT / (
        "features/set=base-v1/exchange=binance/timeframe=1h/pair=BTC-USDT/period=2024-01/"
        "candles.parquet"
    )


@pytest.mark.parametrize("symbol", ODD_SYMBOLS)
def test_r27_odd_symbols_stay_inside_the_lake_and_come_back(symbol: str) -> None:
    pair = Pair(symbol)
    path = LAYOUT.partition(partition(series(pair=symbol)))
    assert ".." not in path.parts
    assert len(path.relative_to(ROOT).parts) == 6
    assert from_key(path.parts[-3].removeprefix("pair=")) == pair


@pytest.mark.parametrize("symbol", ODD_SYMBOLS)
def test_r27_candles_of_an_odd_symbol_are_stored_in_the_lake_and_read_again(
    store: PartitionStore, root: Path, symbol: str
) -> None:
    outside = {path for path in root.parent.rglob("*") if root not in path.parents}
    own = series(pair=symbol)
    written = commit(store, candles([1, 2]), partition(own)).path
    assert written
    assert written.resolve().is_relative_to(root.resolve())
    assert {path for path in root.parent.rglob("*") if root not in path.parents} == outside
    found = store.read(partition(own))
    assert found
    assert found.frame.equals(candles([1, 2]))
    assert {row.series for row in store.journal_rows("ohlcv")} == {own}
    with open_catalog(root, store.state) as door:
        (counted,) = door.execute("SELECT pair, count(*) FROM candles GROUP BY 1").fetchall()
        assert counted[1] == 2
        # DuckDB takes text with a NUL up to there.
        if "\0" not in symbol:
            told = door.execute("SELECT count(*) FROM candles('binance', '1h', $1)", [own.pair.key])
            assert told.fetchone() == (2,)


def test_r27_a_symbol_too_long_for_a_path_is_refused() -> None:
    with pytest.raises(WrongUseError, match="characters"):
        Pair("X" * 300 + "/USDT")


@pytest.mark.parametrize("exchange", ["..", "", "a/b", ".hidden", "a=b", "a*", "x" * 100, "-rf"])
def test_r27_odd_exchange_names_are_refused(exchange: str) -> None:
    with pytest.raises(StorageError, match="folder of the lake"):
        LAYOUT.partition(partition(series(exchange=exchange)))


def test_odd_feature_sets_and_layers_are_refused() -> None:
    with pytest.raises(StorageError, match="folder of the lake"):
        LAYOUT.partition(partition(layer="features", feature_set="../x"))
    with pytest.raises(StorageError, match="no layer"):
        LAYOUT.partition(partition(layer="../x"))
    with pytest.raises(StorageError, match="exactly the layer features"):
        LAYOUT.partition(partition(layer="features"))


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "", "a\0b"])
def test_r27_export_paths_do_not_leave_their_folder(path: str) -> None:
    with pytest.raises(StorageError, match="leaves the folder"):
        LAYOUT.export(PurePosixPath(path))


def test_what_is_no_candle_lies_outside_the_folders_that_are_globbed() -> None:
    one = partition()
    places = (
        LAYOUT.history(one, "f" * 64),
        LAYOUT.quarantine(one, "f" * 64),
        LAYOUT.lock(one),
        LAYOUT.export(PurePosixPath("freqtrade/binance/BTC_USDT-1h.feather")),
        LAYOUT.export_lock("freqtrade", series(), "all"),
    )
    tops = [place.relative_to(ROOT).parts[0] for place in places]
    assert tops == ["history", "quarantine", ".locks", "exports", ".locks"]


def test_partitions_and_exports_do_not_share_a_lock() -> None:
    locks = {
        LAYOUT.lock(partition()),
        LAYOUT.lock(partition(layer="filled")),
        LAYOUT.export_lock("nautilus", series(), "2024-01"),
        LAYOUT.export_lock("nautilus", series(), "all"),
        LAYOUT.export_lock("freqtrade", series(), "all"),
    }
    assert len(locks) == 5


PLACE = "exchange=okx/timeframe=1h/pair=BTC-USDT/period=2024-01"
OKX = ("okx", "1h", "BTC-USDT", "", "2024-01")


@pytest.mark.parametrize(
    ("path", "area", "names"),
    [
        (f"ohlcv/{PLACE}/candles.parquet", "ohlcv", ("ohlcv", *OKX)),
        (f"history/ohlcv/{PLACE}/ab.parquet", "history", ("ohlcv", *OKX)),
        (f"quarantine/ohlcv/{PLACE}/ab.parquet", "quarantine", ("ohlcv", *OKX)),
        (f"damaged/ohlcv/{PLACE}/ab.parquet", "damaged", ("ohlcv", *OKX)),
        ("exports/vectorbt/x/y.parquet", "exports", ("vectorbt", "", "", "", "", "")),
        ("ohlcv/x.parquet", "ohlcv", ("ohlcv", "", "", "", "", "")),
        ("mine/x.parquet", "", ("", "", "", "", "", "")),
        ("x.parquet", "", ("", "", "", "", "", "")),
    ],
)
def test_a_path_tells_whose_it_is(path: str, area: str, names: tuple[str, ...]) -> None:
    found, key = read_place(path)
    assert (found, tuple(key.values())) == (area, names)


def test_a_path_of_features_tells_their_set() -> None:
    _, key = read_place(f"features/set=base-v1/{PLACE}/candles.parquet")
    assert (key["feature_set"], key["exchange"]) == ("base-v1", "okx")
