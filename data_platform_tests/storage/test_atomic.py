import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data_platform.domain.errors import StorageError
from data_platform.storage.atomic import (
    hash_file,
    hash_with_tail,
    publish_bytes,
    publish_file,
    remove_file,
)
from data_platform_tests.storage import faults
from data_platform_tests.storage.faults import Faults


@pytest.fixture(autouse=True)
def whole_again() -> Iterator[None]:
    yield
    faults.remove()


def test_r3_the_file_is_flushed_before_the_rename_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "x.parquet"
    seen: list[str] = []

    def noting(name: str, real: Callable[..., Any], told: Callable[..., str]) -> None:
        def operation(*args: Any) -> Any:  # noqa: ANN401  # stands for any of them
            seen.append(f"{name} {told(*args)}")
            return real(*args)

        monkeypatch.setattr(os, name, operation)

    def kind(descriptor: int) -> str:
        opened = Path(f"/proc/self/fd/{descriptor}").readlink()
        return "folder" if opened == tmp_path else "file"

    noting("fsync", os.fsync, kind)
    noting("replace", os.replace, lambda _source, to: Path(to).name)
    publish_bytes(b"new", target)
    assert seen == ["fsync file", "replace x.parquet", "fsync folder"]


def test_the_names_of_new_folders_are_flushed_before_the_file_counts_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[Path] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    publish_bytes(b"new", tmp_path / "a" / "b" / "x")
    assert {tmp_path, tmp_path / "a", tmp_path / "a" / "b"} <= set(flushed)


def test_the_answer_is_the_file_as_it_lies_there(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "x"
    found = publish_bytes(b"abc", target)
    assert target.read_bytes() == b"abc"
    assert (found.size, found.sha256) == (3, hashlib.sha256(b"abc").hexdigest())
    assert found.stamp == f"{target.stat().st_mtime_ns}-{target.stat().st_ino}"
    assert found == hash_file(target)


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 5])
def test_a_file_is_hashed_whole_and_its_end_is_told(tmp_path: Path, size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    (tmp_path / "x").write_bytes(content)
    found, tail = hash_with_tail(tmp_path / "x")
    assert found == hash_file(tmp_path / "x")
    assert (found.size, found.sha256) == (size, hashlib.sha256(content).hexdigest())
    assert content.endswith(tail)
    assert bool(tail) == bool(size)


def test_the_same_bytes_again_leave_the_file_alone(tmp_path: Path) -> None:
    target = tmp_path / "x"
    first = publish_bytes(b"abc", target)
    assert publish_bytes(b"abc", target) == first == hash_file(target)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("damaged", [b"", b"ab", b"abd", b"abcd"])
def test_a_damaged_file_is_replaced(tmp_path: Path, damaged: bytes) -> None:
    target = tmp_path / "x"
    target.write_bytes(damaged)
    found = publish_bytes(b"abc", target)
    assert target.read_bytes() == b"abc"
    assert found == hash_file(target)


def test_a_file_that_was_written_since_has_another_stamp(tmp_path: Path) -> None:
    target = tmp_path / "x"
    before = publish_bytes(b"abc", target)
    target.write_bytes(b"abd")
    assert hash_file(target).stamp != before.stamp
    os.utime(target, ns=(0, int(before.stamp.partition("-")[0])))
    assert hash_file(target).stamp == before.stamp
    shutil.copy2(target, tmp_path / "y")
    (tmp_path / "y").replace(target)
    assert hash_file(target).stamp != before.stamp


@pytest.mark.parametrize("kind", ["ENOSPC", "EIO", "EROFS", "EACCES"])
def test_r7_an_error_at_any_operation_leaves_the_old_or_the_new_and_no_temporary_file(
    tmp_path: Path, kind: str
) -> None:
    spoiled = 0
    for at in range(1, 30):
        folder = tmp_path / f"{kind}{at}"
        folder.mkdir()
        target = folder / "x.parquet"
        target.write_bytes(b"old")
        fault = Faults(at, kind)
        faults.install(fault)
        try:
            publish_bytes(b"new content", target)
        except StorageError as error:
            assert str(target) in str(error)  # noqa: PT017
            spoiled += 1
        else:
            # Only the clean-up of a temporary file that is gone already may fail unnoticed.
            assert target.read_bytes() == b"new content"
        finally:
            faults.remove()
        assert target.read_bytes() in (b"old", b"new content")
        assert [path.name for path in folder.iterdir()] == ["x.parquet"]
        if len(fault.seen) < at:
            break
    assert spoiled >= 6


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    publish_bytes(b"0123456789", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"0123456789"


def test_a_disk_that_returns_something_else_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(b"old")
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(len(data))))
    with pytest.raises(StorageError, match="read back differs"):
        publish_bytes(b"new", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 5])
@pytest.mark.parametrize("lie", ["flipped", "short", "long"])
def test_one_byte_that_is_not_as_written_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, lie: str
) -> None:
    real = os.write

    def write(descriptor: int, data: memoryview) -> int:
        last = bytes([data[-1] ^ 1])
        told = {
            "flipped": bytes(data[:-1]) + last,
            "short": bytes(data[:-1]),
            "long": bytes(data) + last,
        }
        real(descriptor, told[lie])
        return len(data)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(StorageError, match="read back differs"):
        publish_bytes(bytes(size), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        path.write_bytes(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        publish_file(write, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_file_never_matches_a_glob_over_parquet(tmp_path: Path) -> None:
    matched: list[Path] = []

    def write(path: Path) -> None:
        path.write_bytes(b"x")
        matched.extend(tmp_path.glob("*.parquet"))

    publish_file(write, tmp_path / "x.parquet")
    assert matched == []


def test_removing_what_is_not_there_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nothing\.parquet"):
        remove_file(tmp_path / "nothing.parquet")


@pytest.mark.parametrize("kind", ["ENOSPC", "EIO"])
def test_an_error_while_folders_are_made_leaves_no_file(tmp_path: Path, kind: str) -> None:
    for at in range(1, 40):
        folder = tmp_path / f"{kind}{at}"
        folder.mkdir()
        target = folder / "a" / "b" / "x.parquet"
        fault = Faults(at, kind)
        faults.install(fault)
        try:
            publish_bytes(b"new", target)
        except StorageError:
            left = [path for path in folder.rglob("*") if path.is_file()]
            assert left in ([], [target])
        finally:
            faults.remove()
        if len(fault.seen) < at:
            break
    assert at > 12
    assert target.read_bytes() == b"new"
