import hashlib
import io

import polars as pl
import pytest

from data_platform.domain.candles import TIME
from data_platform.domain.errors import DamagedFileError, StorageError
from data_platform.domain.layers import Partition
from data_platform.domain.periods import Period
from data_platform.storage import parquet_file
from data_platform_tests.storage.lake import JANUARY, candles, filled, partition, series

ROWS = candles(range(48))
WHOLE = parquet_file.encode(partition(), ROWS)


def inspect(content: bytes, layer: str = "ohlcv") -> pl.DataFrame:
    return parquet_file.inspect(partition(layer=layer), content, "candles.parquet")


def written_by_another_hand(frame: pl.DataFrame) -> bytes:
    """A file of another content with our own keys in its footer."""
    return parquet_file.encode(partition(), frame)


def test_a_frame_comes_back_to_the_last_bit() -> None:
    assert parquet_file.decode(WHOLE).equals(ROWS)
    assert inspect(WHOLE).equals(ROWS)
    assert parquet_file.decode(WHOLE, ["close"]).columns == ["close"]


def test_the_same_frame_gives_the_same_bytes() -> None:
    assert parquet_file.encode(partition(), ROWS) == WHOLE


@pytest.mark.parametrize("rows", [1, 3, 700])
def test_the_digest_that_comes_with_a_file_is_its_own(rows: int) -> None:
    content, sha256 = parquet_file.encode_and_hash(partition(), candles(range(rows)))
    assert sha256 == hashlib.sha256(content).hexdigest()
    assert parquet_file.seal_fault(content) is None


def test_it_is_zstd_in_one_row_group_and_names_its_schema() -> None:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(WHOLE))
    assert file.num_row_groups == 1
    assert file.metadata.row_group(0).column(1).compression == "ZSTD"
    assert file.metadata.metadata[b"data_platform.schema_version"] == b"1"


DRIFTS = {
    "extra column": ROWS.with_columns(vwap=pl.lit(1.0)),
    "missing column": ROWS.drop("volume"),
    "retyped column": ROWS.with_columns(pl.col("close").cast(pl.Float32)),
    "naive time": ROWS.with_columns(pl.col("open_time").dt.replace_time_zone(None)),
    "microseconds": ROWS.with_columns(pl.col("open_time").cast(pl.Datetime("us", "UTC"))),
    "reordered": ROWS.select("open_time", "close", "high", "low", "open", "volume"),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_r10_schema_drift_is_refused(drift: str) -> None:
    with pytest.raises(DamagedFileError, match=r"expected .*found"):
        inspect(written_by_another_hand(DRIFTS[drift]))


WRONG_ROWS = {
    "strictly increasing": pl.concat([ROWS, ROWS.tail(1)]),
    "off the grid": ROWS.with_columns(pl.col("open_time") + pl.duration(minutes=1)),
    "outside the period": candles(range(-1, 3)),
    "outside the period ": candles([31 * 24]),
    "is null": ROWS.with_columns(open_time=pl.lit(None, dtype=TIME)),
}


@pytest.mark.parametrize("fault", WRONG_ROWS)
def test_times_that_no_partition_may_hold_are_refused(fault: str) -> None:
    with pytest.raises(DamagedFileError, match=fault.strip()):
        inspect(written_by_another_hand(WRONG_ROWS[fault]))


def test_a_foreign_file_is_refused() -> None:
    buffer = io.BytesIO()
    ROWS.write_parquet(buffer)
    with pytest.raises(DamagedFileError, match="not written by this platform"):
        inspect(buffer.getvalue())


@pytest.mark.parametrize(
    "place",
    [
        partition(period=Period(2024, 2)),
        partition(series(pair="ETH/USDT")),
        partition(series(exchange="okx")),
        partition(layer="filled"),
    ],
    ids=str,
)
def test_a_whole_file_in_the_place_of_another_is_refused(place: Partition) -> None:
    with pytest.raises(DamagedFileError, match=r"written as binance/ohlcv_1h BTC-USDT\|2024-01"):
        parquet_file.inspect(place, WHOLE, "candles.parquet")


@pytest.mark.parametrize("length", [0, 1, 4, 8, 100, len(WHOLE) // 2, len(WHOLE) - 1])
def test_a_truncated_file_is_refused_with_series_period_and_remedy(length: int) -> None:
    with pytest.raises(DamagedFileError) as caught:
        inspect(WHOLE[:length])
    message = str(caught.value)
    for part in ("candles.parquet", "binance/ohlcv_1h", "BTC-USDT", "2024-01", "download"):
        assert part in message


def test_a_file_cut_in_its_middle_is_refused() -> None:
    # Ends like a Parquet file, so that only the parser can tell.
    for cut in (200, len(WHOLE) // 2, len(WHOLE) - 60):
        with pytest.raises(DamagedFileError):
            inspect(WHOLE[:cut] + WHOLE[-8:])


def test_every_flipped_bit_is_found_before_anything_is_parsed() -> None:
    """Parsed by polars 2.1, some ask for 2 exabytes, which ends the process without an error."""
    content = parquet_file.encode(partition(), candles(range(744)))
    for place in range(len(content)):
        torn = bytearray(content)
        torn[place] ^= 1 << place % 8
        with pytest.raises(DamagedFileError):
            inspect(bytes(torn))


def test_two_files_in_one_are_refused() -> None:
    with pytest.raises(DamagedFileError, match="not written by this platform"):
        inspect(WHOLE + WHOLE)


def test_a_file_with_fewer_rows_than_were_stored_is_refused() -> None:
    assert parquet_file.inspect(partition(), WHOLE, "x", ROWS.height).equals(ROWS)
    with pytest.raises(DamagedFileError, match="it holds 48 rows, 49 were stored"):
        parquet_file.inspect(partition(), WHOLE, "x", ROWS.height + 1)


def test_many_files_are_read_in_their_order() -> None:
    parts = [candles(range(5)), candles(range(5, 9)), candles(range(9, 20))]
    contents = [parquet_file.encode(partition(), part) for part in parts]
    assert parquet_file.decode_many(contents).equals(candles(range(20)))
    assert parquet_file.decode_many(contents, ["close"]).columns == ["close"]


def test_a_column_that_older_files_lack_is_null_there() -> None:
    old = filled(candles([0]))
    new = filled(candles([1])).with_columns(sma_2=pl.lit(1.5))
    contents = [parquet_file.encode(partition(), part) for part in (old, new)]
    assert parquet_file.decode_many(contents)["sma_2"].to_list() == [None, 1.5]


def test_indicators_may_have_more_columns_and_ohlcv_may_not() -> None:
    wide = filled(ROWS).with_columns(sma_2=pl.lit(1.5))
    assert parquet_file.schema_fault("indicators", wide.schema) is None
    assert parquet_file.schema_fault("filled", wide.schema)
    assert parquet_file.schema_fault("indicators", ROWS.schema)
    assert parquet_file.schema_fault("features", wide.select("sma_2", "open_time").schema)


def test_an_export_has_no_schema_of_ours() -> None:
    with pytest.raises(StorageError, match="export"):
        parquet_file.leading_schema("freqtrade")


def test_edges_are_the_first_and_last_time_in_utc() -> None:
    first, last = parquet_file.edges(ROWS["open_time"])
    assert first == JANUARY.start
    assert last == JANUARY.start.replace(day=2, hour=23)
