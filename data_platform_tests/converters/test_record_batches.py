from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import feather

from data_platform.converters.record_batches import Batch, write_batches

SCHEMA = pa.schema([("date", pa.timestamp("ms", tz="UTC")), ("close", pa.float64())])
PLAIN, ZSTD = pa.ipc.IpcWriteOptions(), pa.ipc.IpcWriteOptions(compression="zstd")
LZ4 = pa.ipc.IpcWriteOptions(compression=pa.Codec("lz4", -3))


def table(number: int, rows: int = 500) -> pa.Table:
    times = [number * 1_000_000 + at for at in range(rows)]
    return pa.table([times, [at / 7 for at in times]], schema=SCHEMA)


def batch(number: int) -> Batch:
    return Batch(f"n{number}", lambda: (f"n{number}", table(number)))


def refused(number: int) -> Batch:
    def read() -> tuple[str, pa.Table]:
        raise AssertionError(f"batch {number} was read")

    return Batch(f"n{number}", read)


def write(batches: Sequence[Batch], path: Path, older: Path | None = None) -> Path:
    write_batches(batches, SCHEMA, LZ4, path, older)
    return path


def write_by_pyarrow(numbers: Sequence[int], path: Path, options: pa.ipc.IpcWriteOptions) -> bytes:
    notes = {"batches": " ".join(f"n{it}" for it in numbers)}
    with pa.ipc.new_file(path, SCHEMA, options=options, metadata=notes) as writer:
        for number in numbers:
            writer.write_table(table(number))
    return path.read_bytes()


@pytest.mark.parametrize("options", [LZ4, ZSTD, PLAIN], ids=["lz4", "zstd", "plain"])
@pytest.mark.parametrize("count", [1, 2, 7, 60])
def test_it_writes_what_pyarrow_writes(
    count: int, options: pa.ipc.IpcWriteOptions, tmp_path: Path
) -> None:
    write_batches([batch(it) for it in range(count)], SCHEMA, options, tmp_path / "ours")
    expected = write_by_pyarrow(range(count), tmp_path / "theirs", options)
    assert (tmp_path / "ours").read_bytes() == expected


@pytest.mark.parametrize(
    ("numbers", "new"),
    [
        ((1, 2, 3, 4), {4}),
        ((1, 2, 9), {9}),
        ((1, 9, 3), {9}),
        ((9, 1, 2, 3), {9}),
        ((2, 3), set()),
        ((3, 1, 1), set()),
        ((7, 8), {7, 8}),
    ],
    ids=str,
)
def test_what_an_older_file_holds_is_not_read_again(
    numbers: tuple[int, ...], new: set[int], tmp_path: Path
) -> None:
    older = write([batch(it) for it in (1, 2, 3)], tmp_path / "older")
    asked = [batch(it) if it in new else refused(it) for it in numbers]
    found = write(asked, tmp_path / "newer", older)
    assert found.read_bytes() == write_by_pyarrow(numbers, tmp_path / "theirs", LZ4)


def test_readers_find_every_row(tmp_path: Path) -> None:
    older = write([batch(1), batch(2)], tmp_path / "older")
    path = write([refused(1), batch(5), refused(2)], tmp_path / "newer", older)
    expected = pa.concat_tables([table(1), table(5), table(2)])
    assert feather.read_table(path).equals(expected)
    assert pl.read_ipc(path).equals(pl.DataFrame(pl.from_arrow(expected)))
    pd.testing.assert_frame_equal(pd.read_feather(path), expected.to_pandas())


def write_other_schema(path: Path) -> None:
    schema = pa.schema([("date", pa.timestamp("us", tz="UTC")), ("close", pa.float64())])
    write_batches([Batch("n1", lambda: ("n1", table(1).cast(schema)))], schema, LZ4, path)


def write_other_column(path: Path) -> None:
    schema = pa.schema([("date", pa.timestamp("ms", tz="UTC")), ("open", pa.float64())])
    renamed = table(1).rename_columns(["date", "open"])
    write_batches([Batch("n1", lambda: ("n1", renamed))], schema, LZ4, path)


def write_without_names(path: Path) -> None:
    feather.write_feather(table(1), path)


def write_with_fewer_names(path: Path) -> None:
    with pa.ipc.new_file(path, SCHEMA, options=LZ4, metadata={"batches": "n1"}) as writer:
        for _ in range(2):
            writer.write_table(table(8))


@pytest.mark.parametrize(
    "make", [write_other_schema, write_other_column, write_without_names, write_with_fewer_names]
)
def test_nothing_is_taken_from_a_file_of_another_kind(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / "older")
    found = write([batch(1)], tmp_path / "newer", tmp_path / "older")
    assert feather.read_table(found).equals(table(1))


def test_rows_without_a_name_are_taken_from_nowhere(tmp_path: Path) -> None:
    older = write([Batch("", lambda: ("", table(1)))], tmp_path / "older")
    found = write([Batch("", lambda: ("", table(2)))], tmp_path / "newer", older)
    assert feather.read_table(found).equals(table(2))
