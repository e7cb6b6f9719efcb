"""What every operation works on: the lake's files, its journal and its ledger, and who asks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from data_platform.domain.errors import NotStoredError
from data_platform.storage.alert_book import AlertBook
from data_platform.storage.breakers import Breakers
from data_platform.storage.instruments import Instruments
from data_platform.storage.ledger import Ledger
from data_platform.storage.ledger_sums import LedgerSums
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.run_log import RunLog
from data_platform.storage.scores import Scores
from data_platform.storage.state import State, is_made
from data_platform.storage.stored_files import StoredFiles
from data_platform.storage.verdicts import Verdicts


@dataclass(frozen=True, slots=True)
class Lake:
    """One lake, opened for one run."""

    store: PartitionStore
    files: StoredFiles
    ledger: Ledger
    verdicts: Verdicts
    scores: Scores
    state: State
    sums: LedgerSums
    breakers: Breakers
    instruments: Instruments
    runs: RunLog
    alerts: AlertBook
    run_id: str = ""
    """Who writes, for the journal; empty when nobody does."""


def open_lake(data_root: Path | str, state_url: str, run_id: str = "") -> Lake:
    """Open a lake; a missing state database is made.

    Args:
        data_root: root of the Parquet tree.
        state_url: SQLAlchemy URL of the state database.
        run_id: who writes.

    Raises:
        StorageError: the state database cannot be opened.
    """
    state = State(state_url)
    return Lake(
        store=PartitionStore(Path(data_root), state),
        files=StoredFiles(Path(data_root), state),
        ledger=Ledger(state),
        verdicts=Verdicts(state),
        scores=Scores(state),
        state=state,
        sums=LedgerSums(state),
        breakers=Breakers(state),
        instruments=Instruments(state),
        runs=RunLog(state),
        alerts=AlertBook(state),
        run_id=run_id,
    )


def require_lake(data_root: Path) -> None:
    """Refuse to go on where there is no lake: who only reads must not make one.

    Raises:
        NotStoredError: the folder does not exist.
    """
    if not data_root.is_dir():
        raise NotStoredError(
            f"there is no lake at {data_root}. Fetch candles with `data-platform download`, or set "
            "DATA_PLATFORM_DATA to where it lies."
        )


@contextmanager
def looked_at_lake(data_root: Path | str, state_url: str) -> Iterator[Lake]:
    """Give a lake to somebody who must leave nothing behind, also where there is none yet.

    Arguments as `open_lake`.
    """
    if is_made(state_url):
        with opened_lake(data_root, state_url) as lake:
            yield lake
        return
    with TemporaryDirectory() as folder, opened_lake(data_root, f"sqlite:///{folder}/0") as lake:
        yield lake


@contextmanager
def opened_lake(data_root: Path | str, state_url: str) -> Iterator[Lake]:
    """Give a lake to somebody who only reads, and close it; arguments as `open_lake`."""
    lake = open_lake(data_root, state_url)
    try:
        yield lake
    finally:
        lake.state.close()
