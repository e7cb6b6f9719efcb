"""The files that tell other programs how things stand: JSON, each replaced whole.

Holds where they lie and how they are written; what is in them is others' business. A reader sees
the old file or the new one. Whoever computes them does so under one lock, so that a slow writer
never puts an older state over a newer one.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from data_platform.domain.markets import Market
from data_platform.storage.atomic import publish_bytes, remove_file
from data_platform.storage.layout import Layout
from data_platform.storage.locks import exclusive_lock


class StateFiles:
    """The state files of one lake."""

    def __init__(self, root: Path) -> None:
        """Write below the folder of a lake."""
        self._layout = Layout(root)

    @property
    def folder(self) -> Path:
        """Return where they lie."""
        return self._layout.state_files

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other writer out, in any process of this machine.

        Raises:
            StorageError: the lock cannot be taken.
        """
        with exclusive_lock(self._layout.state_lock):
            yield

    def write(self, name: str, content: bytes, market: Market | None = None) -> Path:
        """Replace a state file.

        Args:
            name: of its kind.
            content: the whole file.
            market: whose, of the kinds that have one file a market.

        Returns:
            Where it lies.

        Raises:
            StorageError: it cannot be written; the old one is as it was.
        """
        path = self._layout.state_file(name, market)
        publish_bytes(content, path)
        return path

    def keep_only(self, name: str, markets: Collection[Market]) -> list[Path]:
        """Remove the files of all other markets: nobody renews them, and they would look alive.

        Args:
            name: of a kind that has one file a market.
            markets: whose files stay.

        Returns:
            What was removed.

        Raises:
            StorageError: one cannot be removed.
        """
        kept = {self._layout.state_file(name, market) for market in markets}
        gone = [path for path in self._layout.find_state_files(name) if path not in kept]
        for path in gone:
            remove_file(path)
        return gone
