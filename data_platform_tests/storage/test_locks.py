import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_platform.domain.errors import StorageError
from data_platform.storage.locks import exclusive_lock, kept_from_writers


def test_a_second_lock_in_the_same_thread_is_refused(tmp_path: Path) -> None:
    with (
        exclusive_lock(tmp_path / "a"),
        pytest.raises(StorageError, match="second lock"),
        exclusive_lock(tmp_path / "b"),
    ):
        pass
    with exclusive_lock(tmp_path / "b"):
        pass


def test_a_lock_that_cannot_be_made_names_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StorageError, match=str(tmp_path / "file" / "x.lock")),
        exclusive_lock(tmp_path / "file" / "x.lock"),
    ):
        pass


def test_a_holder_that_is_killed_frees_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    code = (
        "import fcntl, os, sys, time\n"
        f"fd = os.open({str(path)!r}, os.O_RDWR | os.O_CREAT)\n"
        "fcntl.flock(fd, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "time.sleep(0.5)\n"
        "os._exit(9)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        started = time.monotonic()
        with exclusive_lock(path):
            waited = time.monotonic() - started
    assert waited > 0.2
    assert holder.returncode == 9


def test_a_lock_is_free_after_an_error_inside(tmp_path: Path) -> None:
    with pytest.raises(KeyError), exclusive_lock(tmp_path / "a"):
        raise KeyError
    with exclusive_lock(tmp_path / "a"):
        assert os.path.exists(tmp_path / "a")  # noqa: PTH110


def free(path: Path, seconds: float) -> bool:
    with kept_from_writers(path, seconds) as is_free:
        return is_free


def test_nobody_is_waited_for_where_no_lock_was_ever_held(tmp_path: Path) -> None:
    assert free(tmp_path / "a", 0.0)
    assert not (tmp_path / "a").exists()


def test_a_holder_is_waited_for_as_long_as_told(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / "a"):
        assert not free(tmp_path / "a", 0.05)
    assert free(tmp_path / "a", 0.0)
    with exclusive_lock(tmp_path / "a"):
        pass


def test_writers_are_kept_away_and_lookers_are_not(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / "a"):
        pass
    with kept_from_writers(tmp_path / "a", 0.0), (tmp_path / "a").open() as file:
        assert free(tmp_path / "a", 0.0)
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
