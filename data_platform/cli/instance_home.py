"""The folder of the Dagster instance, made ready before several processes use it.

Stays out: runs.
"""

import fcntl
import shutil
from pathlib import Path

from data_platform.domain.errors import StorageError
from data_platform.settings import PROJECT_ROOT, dagster_home

TEMPLATE = PROJECT_ROOT / "configs/dagster.yaml"


def prepare_home() -> Path:
    """Return the folder of the Dagster instance; a new one gets its config and its databases.

    Four processes that open a new instance at once break Dagster's own migrations ('expected to
    match one row when updating alembic_version; 0 found', dagster 1.13.27, 2026-11-25), so it is
    opened once, by one process, before any worker starts.

    Raises:
        StorageError: the folder cannot be written.
    """
    home = dagster_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with (home / ".prepare.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (home / "dagster.yaml").exists():
                shutil.copyfile(TEMPLATE, home / "dagster.yaml")
            if not _last_database(home).exists():
                _make_databases(home)
    except OSError as error:
        raise StorageError(f"cannot prepare DAGSTER_HOME {home}: {error.strerror}.") from error
    return home


def _last_database(home: Path) -> Path:
    return home / "schedules" / "schedules.db"


def _make_databases(home: Path) -> None:
    # Dagster takes seconds to import, and an old home needs none of it.
    from dagster import DagsterInstance

    with DagsterInstance.from_config(str(home)):
        pass
