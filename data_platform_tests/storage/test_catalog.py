import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import DamagedFileError, StorageError, WrongUseError
from data_platform.domain.periods import Period
from data_platform.storage.answers import select
from data_platform.storage.atomic import stamp_of
from data_platform.storage.catalog import build_catalog, open_catalog, refresh_catalog
from data_platform.storage.known_damage import Known, note_damage
from data_platform.storage.partition_store import PartitionStore
from data_platform_tests.storage.lake import (
    at,
    candles,
    commit,
    everything,
    filled,
    open_store,
    partition,
    series,
)

FEBRUARY = Period(2024, 2)
ODD_PAIR = "1000PEPE/USDT:USDT"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PartitionStore]:
    """Three exchanges, two pairs, every layer; nobody changes it."""
    store = open_store(tmp_path_factory.mktemp("a lake [odd]'s"))
    for exchange, price in (("binance", 100), ("kraken", 103), ("okx", 101)):
        commit(store, candles(range(48), price=price), partition(series(exchange)))
    commit(store, candles([0], period=FEBRUARY), partition(period=FEBRUARY))
    commit(store, candles([5]), partition(series(pair=ODD_PAIR)))
    rows = filled(candles(range(3)))
    commit(store, rows, partition(layer="filled"), merge=None)
    wide = rows.with_columns(sma_2=pl.lit(1.5))
    commit(store, wide, partition(layer="indicators"), merge=None)
    for name in ("base-v1", "base-v2"):
        into = partition(layer="features", feature_set=name)
        chosen = rows.select("open_time", "close").with_columns(name=pl.lit(name))
        commit(store, chosen, into, merge=None)
    yield store
    store.state.close()


@pytest.fixture(scope="module")
def door(lake: PartitionStore) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_catalog(lake.root, lake.state) as connection:
        yield connection


def rows_of(door: duckdb.DuckDBPyConnection, sql: str) -> pl.DataFrame:
    return pl.DataFrame(door.sql(sql).to_arrow_table())


def test_a_macro_reads_one_series(door: duckdb.DuckDBPyConnection) -> None:
    found = rows_of(door, "FROM candles('binance', '1h', 'BTC-USDT')")
    assert found.height == 49
    assert found.columns == ["open_time", "open", "high", "low", "close", "volume"]
    assert found["open_time"].cast(pl.Datetime("ms", "UTC")).is_sorted()
    assert found["close"].to_list() == [100.0 + hour for hour in range(48)] + [100.0]


@pytest.mark.parametrize(
    ("bounds", "count"),
    [
        ("since := '2024-01-02'", 25),
        ("until := '2024-01-02'", 24),
        ("since := TIMESTAMPTZ '2024-01-01 12:00Z', until := '2024-01-01 14:00'", 2),
        ("since := DATE '2024-02-01', until := DATE '2024-03-01'", 1),
        ("until := '2024-02-01'", 48),
        ("since := '2024-03-01'", 0),
    ],
)
def test_bounds_cut_a_series(door: duckdb.DuckDBPyConnection, bounds: str, count: int) -> None:
    found = rows_of(door, f"FROM candles('binance', '1h', 'BTC-USDT', {bounds})")
    assert found.height == count


def test_bounds_spare_the_files_of_other_months(store: PartitionStore) -> None:
    months = [Period(2024, month) for month in range(1, 10)]
    for month in months:
        commit(store, candles([0, 1], period=month), partition(period=month))

    def files_read(door: duckdb.DuckDBPyConnection, condition: str) -> int:
        [(_, plan)] = door.sql(f"EXPLAIN ANALYZE FROM {condition}").fetchall()
        [line] = [line for line in plan.splitlines() if "Total Files Read" in line]
        return int(line.strip("│ ").rpartition(" ")[2])

    call = "candles('binance', '1h', 'BTC-USDT'"
    with open_catalog(store.root, store.state) as door:
        assert files_read(door, f"{call}) WHERE open_time < '2024-06-01'") == len(months)
        # The first file tells the columns.
        assert files_read(door, f"{call}, since := '2024-05-01', until := '2024-05-02')") <= 2
        assert files_read(door, f"{call}, since := '2025-05-01')") <= 1


@pytest.mark.parametrize("pair", [ODD_PAIR, "1000PEPE-USDT%3AUSDT"])
def test_an_odd_pair_is_found_by_symbol_and_key(door: duckdb.DuckDBPyConnection, pair: str) -> None:
    assert rows_of(door, f"FROM candles('binance', '1h', '{pair}')").height == 1


def test_a_view_shows_all_series(door: duckdb.DuckDBPyConnection) -> None:
    found = rows_of(
        door, "SELECT exchange, pair, count(*) AS n FROM candles GROUP BY ALL ORDER BY ALL"
    )
    assert found.rows() == [
        ("binance", "1000PEPE-USDT:USDT", 1),
        ("binance", "BTC-USDT", 49),
        ("kraken", "BTC-USDT", 48),
        ("okx", "BTC-USDT", 48),
    ]


@pytest.mark.parametrize("table", ["filled", "indicators", "features"])
def test_what_is_derived_says_when_it_could_be_known(
    door: duckdb.DuckDBPyConnection, table: str
) -> None:
    for source in (table, f"{table}('binance', '1h', 'BTC-USDT')"):
        found = rows_of(door, f"SELECT open_time, available_at FROM {source}")
        assert not found.is_empty()
        assert all(close - time == timedelta(hours=1) for time, close in found.rows())


def test_feature_sets_are_told_apart(door: duckdb.DuckDBPyConnection) -> None:
    call = "features('binance', '1h', 'BTC-USDT'"
    both = rows_of(door, f"SELECT DISTINCT feature_set FROM {call}) ORDER BY 1")
    assert both["feature_set"].to_list() == ["base-v1", "base-v2"]
    one = rows_of(door, f"SELECT DISTINCT name FROM {call}, feature_set := 'base-v2')")
    assert one["name"].to_list() == ["base-v2"]


def test_the_consensus_is_the_median_candle(door: duckdb.DuckDBPyConnection) -> None:
    found = rows_of(door, "FROM consensus('BTC/USDT', '1h') WHERE exchanges = 3")
    assert found.height == 48
    assert found["close"].to_list() == [101.0 + hour for hour in range(48)]
    assert found["high"].to_list() == [102.0 + hour for hour in range(48)]


def test_the_consensus_keeps_quotes_apart_and_takes_the_median_of_each_number(
    store: PartitionStore,
) -> None:
    volumes = {"binance": 10.0, "kraken": 30.0, "okx": 50.0, "coinbase": 70.0}
    for number, (name, volume) in enumerate(volumes.items()):
        frame = candles([0, 1]).with_columns(volume=volume, close=pl.col("close") + number / 100)
        commit(store, frame.head(1 if name == "coinbase" else 2), partition(series(name)))
    dollars = candles([0]).with_columns(volume=1000.0)
    commit(store, dollars, partition(series("bitstamp", pair="BTC/USD")))
    with open_catalog(store.root, store.state) as door:
        found = rows_of(door, "FROM consensus('BTC-USDT', '1h')")
        assert found.columns == [*CANDLE_SCHEMA.names(), "exchanges", "available_at"]
        first, second = found.rows(named=True)
        assert (first["exchanges"], first["volume"]) == (4, 40.0)
        assert (second["exchanges"], second["volume"]) == (3, 30.0)
        closes = candles([0, 1])["close"]
        assert first["close"] == pytest.approx(closes[0] + 0.015)
        assert second["close"] == pytest.approx(closes[1] + 0.01)
        until = f"until := '{at(1):%Y-%m-%d %H:%M}+00'"
        assert rows_of(door, f"FROM consensus('BTC/USDT', '1h', {until})").height == 1
        assert rows_of(door, "FROM consensus('BTC/USD', '1h')")["volume"].to_list() == [1000.0]


def test_the_consensus_finds_pairs_with_a_dash_in_their_symbol(store: PartitionStore) -> None:
    dated = "BTC/USD:BTC-240329"
    for name in ("binance", "okx"):
        commit(store, candles([0]), partition(series(name, pair=dated)))
    with open_catalog(store.root, store.state) as door:
        found = rows_of(door, f"FROM consensus('{dated}', '1h')")
    assert found["exchanges"].to_list() == [2]


def test_the_state_is_shown_beside(door: duckdb.DuckDBPyConnection) -> None:
    found = rows_of(
        door,
        "SELECT layer, rows, first_open FROM partitions "
        "WHERE period = '2024-02' AND exchange = 'binance'",
    )
    assert found.rows() == [("ohlcv", 1, at(0, FEBRUARY))]
    assert rows_of(door, "SELECT count(*) FROM gaps").item() == 0
    assert rows_of(door, "SELECT count(*) FROM verdicts").item() == 0
    assert rows_of(door, "SELECT count(*) FROM quality").item() == 0


OUTSIDE = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_parquet('{root}/../outside.parquet')",
    "SELECT * FROM candles('../../../../etc', '1h', 'BTC-USDT')",
    "SELECT * FROM candles('binance', '1h', '../../../../../etc/*')",
    "SELECT * FROM candles('*', '1h', 'BTC-USDT')",
    "SELECT * FROM query('SELECT * FROM read_csv(''/etc/passwd'')')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
]


@pytest.mark.parametrize("sql", OUTSIDE)
def test_r28_nothing_outside_the_lake_is_read(
    lake: PartitionStore, door: duckdb.DuckDBPyConnection, sql: str
) -> None:
    candles(range(1)).write_parquet(lake.root.parent / "outside.parquet")
    with pytest.raises(WrongUseError):
        select(door, sql.replace("{root}", str(lake.root).replace("'", "''")))


WRITES = [
    "COPY (SELECT 1) TO '{root}/x.csv'",
    "COPY candles TO '/tmp/x.csv'",
    "ATTACH '{root}/x.duckdb'",
    "PRAGMA database_list",
    "CREATE TABLE x AS SELECT 1",
    "INSERT INTO gaps SELECT * FROM gaps",
    "DROP TABLE gaps",
    "DELETE FROM partitions",
    "SET TimeZone = 'America/New_York'",
    "RESET lock_configuration",
    "INSTALL httpfs",
    "LOAD sqlite",
    "CALL pragma_version()",
    "EXPORT DATABASE '{root}/x'",
    "CHECKPOINT",
    "EXPLAIN ANALYZE SELECT 1",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE gaps",
    "",
    "-- nothing",
    "SELEC 1",
    "PREPARE x AS SELECT 1",
]


@pytest.mark.parametrize("sql", WRITES)
def test_r28_only_one_select_passes_the_door(
    lake: PartitionStore, door: duckdb.DuckDBPyConnection, sql: str
) -> None:
    before = everything(lake.root)
    with pytest.raises(WrongUseError):
        select(door, sql.replace("{root}", str(lake.root).replace("'", "''")))
    assert everything(lake.root) == before


def test_r28_the_lock_holds_without_the_guard(
    lake: PartitionStore, door: duckdb.DuckDBPyConnection
) -> None:
    for sql in (
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET TimeZone = 'America/New_York'",
        "COPY (SELECT 1) TO '/tmp/canary.csv'",
        "ATTACH '/tmp/canary.duckdb'",
        "INSTALL httpfs",
    ):
        with pytest.raises(duckdb.Error):
            door.execute(sql)
    assert not Path("/tmp/canary.csv").exists()  # noqa: S108  # what must not be there
    assert lake.root.is_dir()


def test_a_frame_of_the_caller_is_no_table(door: duckdb.DuckDBPyConnection) -> None:
    secret = pl.DataFrame({"a": [1]})
    with pytest.raises(WrongUseError, match="secret"):
        select(door, "SELECT * FROM secret")
    assert secret.height == 1


def test_mistakes_are_told_in_one_line(door: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(WrongUseError, match="does not parse") as caught:
        select(door, "SELECT FROM WHERE")
    assert "\n" not in str(caught.value)
    for asked, told in (
        ("candles('binance', '1h', 'XRP-USDT')", "pair 'XRP-USDT'. Stored: 1000PEPE-.*, BTC-USDT"),
        ("candles('binance', '1h', 'BTCUSDT')", "pair 'BTCUSDT'. Stored: 1000PEPE-.*, BTC-USDT"),
        ("candles('OKX', '1h', 'BTC-USDT')", "exchange 'OKX'. Stored: binance, kraken, okx"),
        ("candles('okx', '1H', 'BTC-USDT')", "timeframe '1H'. Stored: 1h."),
        ("filled('okx', '1h', 'BTC-USDT')", "exchange 'okx'. Stored: binance."),
        ("consensus('BTC/USDT', '1d')", "timeframe '1d'. Stored: 1h."),
        (
            "features('binance', '1h', 'BTC-USDT', feature_set := 'base')",
            "feature_set 'base'. Stored: base-v1, base-v2.",
        ),
    ):
        with pytest.raises(WrongUseError, match=f"^nothing is stored .* asks for: {told}"):
            select(door, f"FROM {asked}")
    with pytest.raises(WrongUseError, match="nonsense"):
        select(door, "SELECT nonsense FROM candles")


DAYS = """
import sys
from pathlib import Path
from data_platform.storage.answers import select
from data_platform.storage.catalog import open_catalog
from data_platform_tests.storage.lake import open_store
store = open_store(Path(sys.argv[1]))
with open_catalog(store.root, store.state) as door:
    sql = "SELECT date_trunc('day', open_time) AS d, count(*) AS n"
    rows = select(door, sql + " FROM candles('okx', '1h', 'BTC-USDT') GROUP BY 1 ORDER BY 1")
print(rows.texts.rows())
"""


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu"])
def test_r25_a_day_is_a_utc_day_wherever_the_machine_stands(
    lake: PartitionStore, zone: str
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", DAYS, str(lake.root)],
        env={**os.environ, "TZ": zone},
        capture_output=True,
        text=True,
        check=True,
    )
    days = [("2024-01-01T00:00:00Z", "24"), ("2024-01-02T00:00:00Z", "24")]
    assert run.stdout.strip() == str(days)


def test_an_empty_lake_has_empty_views_that_fill_later(store: PartitionStore) -> None:
    build_catalog(store.root)
    with open_catalog(store.root, store.state) as door:
        assert rows_of(door, "FROM candles").is_empty()
        assert "available_at" in rows_of(door, "FROM features").columns
    commit(store, candles(range(3)))
    with open_catalog(store.root, store.state) as door:
        assert rows_of(door, "FROM candles").height == 3
        assert rows_of(door, "FROM indicators").is_empty()


def test_the_file_alone_serves_plain_duckdb(lake: PartitionStore) -> None:
    path = build_catalog(lake.root)
    with duckdb.connect(str(path), read_only=True) as connection:
        found = connection.execute("SELECT count(*) FROM candles('okx', '1h', 'BTC/USDT')")
        assert found.fetchone() == (48,)


def test_a_catalogue_in_use_can_be_built_anew(lake: PartitionStore) -> None:
    with open_catalog(lake.root, lake.state) as door:
        build_catalog(lake.root)
        assert rows_of(door, "FROM candles").height == 146
    assert not list(lake.root.glob(".catalog*"))


def test_a_broken_catalogue_is_made_anew(store: PartitionStore) -> None:
    commit(store, candles(range(3)))
    (store.root / "catalog.duckdb").write_bytes(b"torn")
    with open_catalog(store.root, store.state) as door:
        assert rows_of(door, "FROM candles").height == 3


def test_a_damaged_file_is_named(store: PartitionStore) -> None:
    path = commit(store, candles(range(3))).path
    assert path
    with open_catalog(store.root, store.state) as door:
        path.write_bytes(path.read_bytes()[:40])
        with pytest.raises(DamagedFileError, match=r"period=2024-01/candles\.parquet"):
            select(door, "FROM candles('binance', '1h', 'BTC-USDT')")


def test_a_place_that_cannot_be_written_is_named(store: PartitionStore) -> None:
    (store.root / "catalog.duckdb").mkdir()
    with pytest.raises(StorageError, match=str(store.root / "catalog.duckdb")):
        build_catalog(store.root)


def test_the_views_are_made_in_memory_where_the_file_cannot_be(store: PartitionStore) -> None:
    commit(store, candles(range(3)))
    (store.root / "catalog.duckdb").mkdir()
    with open_catalog(store.root, store.state) as door:
        assert rows_of(door, "FROM candles").height == 3
        assert rows_of(door, "FROM candles('binance', '1h', 'BTC-USDT')").height == 3
        with pytest.raises(WrongUseError):
            select(door, "SELECT * FROM read_text('/etc/passwd')")


@pytest.fixture
def moved(store: PartitionStore) -> Iterator[PartitionStore]:
    """Give a copy of a lake that has a catalogue, and goes its own way."""
    commit(store, candles(range(3)))
    build_catalog(store.root)
    other = store.root.with_name("other lake")
    shutil.copytree(store.root, other)
    commit(store, candles(range(7)))
    copy = open_store(other)
    yield copy
    copy.state.close()


@pytest.mark.parametrize("source", ["candles", "candles('binance', '1h', 'BTC-USDT')"])
def test_a_copied_lake_answers_from_its_own_files(moved: PartitionStore, source: str) -> None:
    with open_catalog(moved.root, moved.state) as door:
        assert rows_of(door, f"FROM {source}").height == 3


def test_a_moved_lake_answers(moved: PartitionStore, store: PartitionStore) -> None:
    shutil.rmtree(store.root)
    with open_catalog(moved.root, moved.state) as door:
        assert rows_of(door, "FROM candles").height == 3
    with duckdb.connect(str(moved.root / "catalog.duckdb"), read_only=True) as plain:
        assert plain.execute("SELECT count(*) FROM candles").fetchone() == (3,)


def test_a_catalogue_that_is_right_stays(store: PartitionStore) -> None:
    commit(store, candles(range(3)))
    path = build_catalog(store.root)
    before = stamp_of(path.stat())
    open_catalog(store.root, store.state).close()
    assert stamp_of(path.stat()) == before


def test_a_catalogue_of_other_statements_is_made_anew(store: PartitionStore) -> None:
    commit(store, candles(range(3)))
    path = build_catalog(store.root)
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE OR REPLACE VIEW candles AS SELECT 1 AS old")
    with open_catalog(store.root, store.state) as door:
        assert rows_of(door, "FROM candles").height == 3


SOURCES = {
    "candles": 53,
    "candles('binance', '1h', 'BTC-USDT')": 5,
    "candles('okx', '1h', 'BTC/USDT')": 48,
    "consensus('BTC/USDT', '1h')": 48,
}


@pytest.mark.parametrize(
    "content", [b"", b"PAR1 cut", b"foreign"], ids=["empty", "torn", "foreign"]
)
def test_r9_a_damaged_file_that_is_known_is_left_out_of_every_query(
    store: PartitionStore, content: bytes
) -> None:
    commit(store, candles(range(5)))
    commit(store, candles(range(48)), partition(series("okx")))
    commit(store, candles([0], period=FEBRUARY), partition(period=FEBRUARY))
    build_catalog(store.root)
    place = store.layout.partition(partition(period=FEBRUARY))
    before = place.read_bytes()
    place.write_bytes(content)
    with open_catalog(store.root, store.state) as door, pytest.raises(duckdb.Error):
        door.sql("FROM candles").fetchall()
    stamp = stamp_of(place.stat())
    note_damage(store.layout, {store.layout.relative(place): Known(stamp, "planted")})
    assert refresh_catalog(store.root)
    assert not refresh_catalog(store.root)
    with open_catalog(store.root, store.state) as door:
        assert {it: rows_of(door, f"FROM {it}").height for it in SOURCES} == SOURCES
    with duckdb.connect(str(store.layout.catalog), read_only=True) as plain:
        assert plain.execute("SELECT count(*) FROM candles").fetchone() == (53,)
    place.unlink()
    place.write_bytes(before)
    assert refresh_catalog(store.root)
    with open_catalog(store.root, store.state) as door:
        assert rows_of(door, "FROM candles").height == 54


def test_a_series_of_which_no_sound_file_is_left_is_refused_by_its_macro_alone(
    store: PartitionStore,
) -> None:
    commit(store, filled(candles(range(5))), partition(layer="filled"), merge=None)
    for name in ("a-v1", "b-v1"):
        into = partition(layer="features", feature_set=name)
        commit(store, candles(range(5)).select("open_time", "close"), into, merge=None)
    damaged = [partition(layer="filled"), partition(layer="features", feature_set="a-v1")]
    places = [store.layout.partition(each) for each in damaged]
    for place in places:
        place.write_bytes(b"")
    known = {store.layout.relative(it): Known(stamp_of(it.stat()), "empty") for it in places}
    note_damage(store.layout, known)
    with open_catalog(store.root, store.state) as door:
        assert rows_of(door, "FROM filled").height == 0
        assert rows_of(door, "FROM features").height == 5
        call = "FROM features('binance', '1h', 'BTC-USDT'"
        assert rows_of(door, f"{call})").height == 5
        assert rows_of(door, f"{call}, feature_set := 'b-v1')").height == 5
        for lost in (f"{call}, feature_set := 'a-v1')", "FROM filled('binance','1h','BTC-USDT')"):
            with pytest.raises(WrongUseError, match="no sound file is left of it"):
                select(door, lost)
