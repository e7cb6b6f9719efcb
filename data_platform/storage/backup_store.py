"""The folder of backups: every content once, under its sha256, and the generations that name it.

Holds how content comes in and goes out. It is copied, never linked: what spoils the lake's own file
must not reach it. A generation's list is written last, so a backup that was interrupted does not
exist, and what it had copied already serves the next one.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from data_platform.domain.errors import (
    DamagedFileError,
    NotStoredError,
    StorageError,
    WrongUseError,
)
from data_platform.storage.atomic import (
    FileState,
    flush_folder,
    hash_file,
    make_folder,
    publish_bytes,
)
from data_platform.storage.generation import Generation, KeptFile, from_text, to_text
from data_platform.storage.locks import exclusive_lock
from data_platform.storage.reading import read_bytes

_LISTS = "generations"
_CONTENTS = "files"
_WORK = ".work"
_LOCK = ".lock"
_NAME = "%Y-%m-%dT%H%M%S.%fZ"


class BackupStore:
    """The backups of one lake in one folder."""

    def __init__(self, folder: Path) -> None:
        """Speak of the backups below a folder, which need not exist."""
        self.folder = folder
        self.added: list[int] = []
        """Bytes of each content that was taken in and had not been there."""

    @contextmanager
    def opened(self) -> Iterator[Path]:
        """Give the only writer a folder for its work, emptied before and after.

        Raises:
            WrongUseError: the folder holds something else.
            StorageError: it cannot be written.
        """
        if self.folder.exists() and not (self.folder / _LISTS).is_dir() and self._is_foreign():
            raise WrongUseError(
                f"{self.folder} holds something that is no backup: name an empty folder, one for "
                "each lake."
            )
        with exclusive_lock(self.folder / _LOCK):
            work = self.folder / _WORK
            try:
                make_folder(self.folder / _LISTS)
                # What one that was killed has left: under the lock nobody else is at work.
                shutil.rmtree(work, ignore_errors=True)
                for path in (self.folder / _LISTS).glob(".*.tmp"):
                    path.unlink()
                work.mkdir()
                yield work
            except OSError as error:
                raise self._refused(error) from error
            finally:
                shutil.rmtree(work, ignore_errors=True)

    def content(self, sha256: str) -> Path:
        """Return where a content lies."""
        return self.folder / _CONTENTS / sha256[:2] / sha256

    def keep(self, source: Path, sha256: str | None = None) -> FileState | None:
        """Take a file's content in, durably, unless it is there already.

        Args:
            source: the file.
            sha256: what it should hold; None: whatever it holds.

        Returns:
            What was taken in; None when the file is gone or holds something else.

        Raises:
            StorageError: it cannot be read, or the backup cannot be written.
        """
        temporary = self.folder / _WORK / secrets.token_hex(8)
        try:
            shutil.copyfile(source, temporary)
            return self.adopt(temporary, sha256)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._refused(error) from error
        finally:
            with suppress(OSError):
                temporary.unlink()

    def adopt(self, file: Path, sha256: str | None = None) -> FileState | None:
        """Move a file out of the folder for work among the contents, durably.

        Args:
            file: there.
            sha256: what it should hold; None: whatever it holds.

        Returns:
            What it holds; None when that is something else, and the file stays.

        Raises:
            OSError: the backup cannot be written.
        """
        found = hash_file(file, flush=True)
        if sha256 not in (None, found.sha256):
            return None
        target = self.content(found.sha256)
        if target.exists():
            file.unlink()
            return found
        make_folder(target.parent)
        file.replace(target)
        flush_folder(target.parent)
        self.added.append(found.size)
        return found

    def bring_back(self, kept: KeptFile, target: Path) -> None:
        """Write a file as a generation holds it, durably, to a path where nothing is.

        Raises:
            DamagedFileError: the backup has lost its content, or it was changed there.
            StorageError: the file cannot be written.
        """
        source = self.content(kept.sha256)
        try:
            make_folder(target.parent)
            shutil.copyfile(source, target)
            found = hash_file(target, flush=True)
            flush_folder(target.parent)
            if kept.modified_ns:
                os.utime(target, ns=(kept.modified_ns, kept.modified_ns))
        except OSError as error:
            if source.exists():
                raise StorageError(
                    f"cannot write {target}: {error.strerror or error}. Check free space and "
                    "permissions, then run the same again."
                ) from error
            raise _lost(kept, source, "gone") from error
        if found.sha256 != kept.sha256:
            raise _lost(kept, source, "not what was kept")

    def publish(self, generation: Generation) -> Path:
        """Make a generation exist, once every content that it names is there."""
        path = self.folder / _LISTS / f"{generation.created_at.strftime(_NAME)}.json"
        publish_bytes(to_text(generation).encode(), path)
        return path

    def names(self) -> list[Path]:
        """Return the lists of all generations, the oldest first."""
        return sorted((self.folder / _LISTS).glob("*.json"))

    def load(self, path: Path) -> Generation:
        """Return the generation of a list.

        Raises:
            DamagedFileError: it is not what was written.
        """
        try:
            return from_text((read_bytes(path) or b"").decode())
        except ValueError as error:
            raise DamagedFileError(
                f"the list of a backup {path} is damaged: {error}. Use another generation: "
                f"data-platform restore {self.folder} --list"
            ) from error

    def choose(self, at: datetime | None) -> Generation:
        """Return the newest generation, or the newest of those made by a time.

        Raises:
            NotStoredError: there is none.
            DamagedFileError: its list is damaged.
        """
        names = self.names()
        latest = at.strftime(_NAME) if at else None
        fitting = [path for path in names if latest is None or path.stem <= latest]
        if not fitting:
            known = f"the oldest is of {names[0].stem}" if names else "it holds no backup"
            when = f" made by {at:%Y-%m-%d %H:%M:%S} UTC" if at else ""
            raise NotStoredError(f"{self.folder} has no backup{when}: {known}.")
        return self.load(fitting[-1])

    def prune(self, keep: int) -> int:
        """Drop old generations, and the contents that no other one names.

        A generation with faults counts for nothing: it must not push a sound one out.

        Args:
            keep: how many sound ones stay, with all that is newer.

        Returns:
            How many went.

        Raises:
            DamagedFileError: a list is damaged, so that nobody knows what is needed.
        """
        lists = {path: self.load(path) for path in self.names()}
        sound = [path for path, generation in lists.items() if not generation.faults]
        gone = [path for path in lists if len(sound) > keep and path < sound[-keep]]
        for path in gone:
            path.unlink()
        if not gone:
            return 0
        flush_folder(self.folder / _LISTS)
        needed = {it.sha256 for path in lists if path not in gone for it in lists[path].files}
        for path in (self.folder / _CONTENTS).glob("*/*"):
            if path.name not in needed:
                path.unlink()
        return len(gone)

    def _is_foreign(self) -> bool:
        # The first backup may have been killed when it had just made its lock.
        return not self.folder.is_dir() or any(it.name != _LOCK for it in self.folder.iterdir())

    def _refused(self, error: OSError) -> StorageError:
        return StorageError(
            f"cannot write the backup {self.folder}: {error.filename or ''} "
            f"{error.strerror or error}. Check free space and permissions, then run it again."
        )


def _lost(kept: KeptFile, source: Path, fault: str) -> DamagedFileError:
    return DamagedFileError(
        f"{kept.path}: its content {source} in the backup is {fault}. Choose another generation by "
        "--at; delete that file, and the next backup takes it in again where the lake still has it."
    )
