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
from data_platform.storage.tables import COMMITS
from data_platform_tests.damage import DAMAGES, damage
from data_platform_tests.storage.lake import DAY, JANUARY, at, everything, series

FILE = "exports/freqtrade/binance/BTC_USDT-1h.feather"
NOTE = CommitNote(code_version="1")


def writing(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        assert not path.exists()
        path.write_bytes(content)

    return write


def export(
    content: bytes = b"one file of candles", source_hash: str = "aa", rows: int = 2
) -> Export:
    return Export(
        layer="freqtrade",
        series=series(),
        period=None,
        path=PurePosixPath("freqtrade/binance/BTC_USDT-1h.feather"),
        write=writing(content),
        companions={},
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
    assert everything(root) == {FILE: b"one file of candles"}
    assert result.written
    assert (result.partition, result.path) == (None, root / FILE)
    (row,) = store.journal_rows("freqtrade")
    assert (row.period, row.months) == (None, (JANUARY, Period(2024, 2)))
    assert (row.content_hash, row.rows, row.path, row.reason) == ("aa", 2, FILE, "new")


def test_the_same_candles_again_are_not_written(store: PartitionStore, root: Path) -> None:
    store.publish(export(), NOTE)
    again = store.publish(export(b"other bytes"), NOTE)
    assert not again.written
    assert everything(root) == {FILE: b"one file of candles"}
    assert store.journal_rows("freqtrade")[0].version == 1


@pytest.mark.parametrize(
    ("second", "note"),
    [
        (export(b"two files of candles", source_hash="bb"), NOTE),
        (export(b"two files of candles"), CommitNote(code_version="2")),
        (replace(export(b"two files of candles"), months=(JANUARY,)), NOTE),
    ],
)
def test_other_candles_code_or_months_are_written(
    store: PartitionStore, root: Path, second: Export, note: CommitNote
) -> None:
    store.publish(export(), NOTE)
    assert store.publish(second, note).written
    assert everything(root) == {FILE: b"two files of candles"}
    assert store.journal_rows("freqtrade")[0].version == 2


NOTED = "exports/freqtrade/note.json"


def with_companion() -> Export:
    return replace(
        export(),
        companions={PurePosixPath("freqtrade/note.json"): writing(b"the market's definition")},
    )


def reasons(store: PartitionStore) -> list[str]:
    with store.state.read() as connection:
        return [str(row.reason) for row in connection.execute(COMMITS.select())]


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", [FILE, NOTED])
def test_a_damaged_file_or_companion_is_written_again_and_the_other_left_alone(
    store: PartitionStore, root: Path, name: str, how: str
) -> None:
    store.publish(with_companion(), NOTE)
    whole = everything(root)
    assert whole == {FILE: b"one file of candles", NOTED: b"the market's definition"}
    times = {each: (root / each).stat() for each in whole}
    damage(root / name, how)
    assert store.publish(with_companion(), NOTE).written
    assert everything(root) == whole
    (other,) = {FILE, NOTED} - {name}
    after = (root / other).stat()
    assert (after.st_ino, after.st_mtime_ns) == (times[other].st_ino, times[other].st_mtime_ns)
    assert reasons(store) == ["new", "repair"]
    assert not store.publish(with_companion(), NOTE).written
    assert reasons(store) == ["new", "repair"]


def test_a_companion_that_another_export_mended_is_not_mended_again(
    store: PartitionStore, root: Path
) -> None:
    daily = replace(
        with_companion(),
        series=series(timeframe=DAY),
        path=PurePosixPath("freqtrade/binance/BTC_USDT-1d.feather"),
    )
    for each in (with_companion(), daily):
        store.publish(each, NOTE)
    (root / NOTED).write_bytes(b"")
    assert store.publish(daily, NOTE).written
    assert not store.publish(with_companion(), NOTE).written
    assert reasons(store) == ["new", "new", "repair"]


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
    assert everything(root) == {FILE: b"one file of candles"}


def renewable(source_hash: str) -> Export:
    """A file that tells whether anything was taken from the older one."""

    def renew(older: Path, path: Path) -> None:
        path.write_bytes(older.read_bytes() + b" and more")

    return replace(export(b"anew", source_hash), renew=renew)


def test_a_whole_older_file_is_taken_over(store: PartitionStore, root: Path) -> None:
    store.publish(renewable("aa"), NOTE)
    assert everything(root) == {FILE: b"anew"}
    store.publish(renewable("bb"), NOTE)
    assert everything(root) == {FILE: b"anew and more"}
    store.publish(replace(renewable("cc"), path=PurePosixPath("freqtrade/other")), NOTE)
    assert everything(root)["exports/freqtrade/other"] == b"anew and more and more"


@pytest.mark.parametrize("how", DAMAGES)
def test_nothing_is_taken_over_from_a_damaged_file(
    store: PartitionStore, root: Path, how: str
) -> None:
    store.publish(renewable("aa"), NOTE)
    damage(root / FILE, how)
    store.publish(renewable("bb"), NOTE)
    assert everything(root) == {FILE: b"anew"}
    assert store.journal_rows("freqtrade")[0].reason == "repair"


def test_nothing_is_taken_over_from_what_other_code_has_made(
    store: PartitionStore, root: Path
) -> None:
    store.publish(renewable("aa"), NOTE)
    store.publish(renewable("bb"), replace(NOTE, code_version="2"))
    assert everything(root) == {FILE: b"anew"}


def test_a_path_outside_is_refused(store: PartitionStore, root: Path) -> None:
    with pytest.raises(StorageError, match="leaves the folder"):
        store.publish(replace(export(), path=PurePosixPath("../ohlcv/x")), NOTE)
    assert everything(root) == {}
