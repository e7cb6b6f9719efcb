from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from data_platform.domain.errors import StorageError
from data_platform.domain.layers import Partition
from data_platform.domain.periods import Period
from data_platform.storage.change import Export
from data_platform.storage.journal import CommitNote
from data_platform.storage.partition_store import PartitionStore
from data_platform_tests.storage.lake import JANUARY, at, everything, series

FILE = "exports/freqtrade/binance/BTC_USDT-1h.feather"
NOTE = CommitNote(code_version="1")


def writing(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        assert not path.exists()
        path.write_bytes(content)

    return write


def export(content: bytes = b"one", source_hash: str = "aa", rows: int = 2) -> Export:
    return Export(
        layer="freqtrade",
        series=series(),
        period=None,
        path=PurePosixPath("freqtrade/binance/BTC_USDT-1h.feather"),
        write=writing(content),
        companions=tuple,
        source_hash=source_hash,
        months=(JANUARY, Period(2024, 2)),
        rows=rows,
        first=at(0),
        last=at(1),
    )


def test_a_whole_pair_is_one_file_whose_row_lists_its_months(
    store: PartitionStore, root: Path
) -> None:
    result = store.publish(export(), NOTE)
    assert everything(root) == {FILE: b"one"}
    assert result.written
    assert (result.partition, result.path) == (None, root / FILE)
    (row,) = store.journal_rows("freqtrade")
    assert (row.period, row.months) == (None, (JANUARY, Period(2024, 2)))
    assert (row.content_hash, row.rows, row.path, row.reason) == ("aa", 2, FILE, "new")


def test_the_same_candles_again_are_not_written(store: PartitionStore, root: Path) -> None:
    store.publish(export(), NOTE)
    again = store.publish(export(b"other bytes"), NOTE)
    assert not again.written
    assert everything(root) == {FILE: b"one"}
    assert store.journal_rows("freqtrade")[0].version == 1


@pytest.mark.parametrize(
    ("second", "note"),
    [
        (export(b"two", source_hash="bb"), NOTE),
        (export(b"two"), CommitNote(code_version="2")),
        (replace(export(b"two"), months=(JANUARY,)), NOTE),
    ],
)
def test_other_candles_code_or_months_are_written(
    store: PartitionStore, root: Path, second: Export, note: CommitNote
) -> None:
    store.publish(export(), NOTE)
    assert store.publish(second, note).written
    assert everything(root) == {FILE: b"two"}
    assert store.journal_rows("freqtrade")[0].version == 2


def test_a_file_that_is_gone_is_written_again_with_its_companions(
    store: PartitionStore, root: Path
) -> None:
    asked: list[str] = []

    def companions() -> tuple[tuple[PurePosixPath, Callable[[Path], None]], ...]:
        asked.append("once")
        return ((PurePosixPath("freqtrade/note.json"), writing(b"{}")),)

    whole = replace(export(), companions=companions)
    store.publish(whole, NOTE)
    store.publish(whole, NOTE)
    assert asked == ["once"]
    (root / FILE).unlink()
    assert store.publish(whole, NOTE).written
    assert everything(root) == {FILE: b"one", "exports/freqtrade/note.json": b"{}"}


def test_no_candles_are_one_row_and_no_file(store: PartitionStore, root: Path) -> None:
    empty = replace(export(rows=0), first=None, last=None)
    for _ in range(2):
        result = store.publish(empty, NOTE)
    assert (result.written, result.path) == (False, None)
    assert everything(root) == {}
    assert store.journal_rows("freqtrade")[0].version == 1


def test_a_monthly_file_names_its_partition(store: PartitionStore) -> None:
    monthly = replace(
        export(), layer="nautilus", period=JANUARY, path=PurePosixPath("nautilus/x.parquet")
    )
    result = store.publish(monthly, NOTE)
    assert result.partition == Partition("nautilus", series(), JANUARY)
    assert store.journal(result.partition) is not None


def test_a_writer_that_fails_leaves_the_old_file(store: PartitionStore, root: Path) -> None:
    store.publish(export(), NOTE)

    def full(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match=r"BTC_USDT-1h\.feather.*No space left"):
        store.publish(replace(export(source_hash="bb"), write=full), NOTE)
    assert everything(root) == {FILE: b"one"}


def test_a_path_outside_is_refused(store: PartitionStore, root: Path) -> None:
    with pytest.raises(StorageError, match="leaves the folder"):
        store.publish(replace(export(), path=PurePosixPath("../ohlcv/x")), NOTE)
    assert everything(root) == {}
