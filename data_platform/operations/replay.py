"""Give refused rows another chance: what passes the audit today goes into the lake.

For rows that a mistaken audit or a wrong clock had refused. What a later fetch has brought wins;
what fails again stays where it is.
"""

from datetime import datetime, timedelta

from data_platform.domain.candles import merge_candles
from data_platform.domain.errors import WrongUseError
from data_platform.operations.lake import Lake
from data_platform.operations.outside import OutsideCommitter
from data_platform.operations.plan import UpdateRules
from data_platform.storage.change import CommitResult
from data_platform.storage.quarantine import RefusedFile

MIN_LETTERS = 4


def find_refused(files: list[RefusedFile], name: str) -> RefusedFile:
    """Return the one file that a person means by the beginning of its name.

    Raises:
        WrongUseError: none or several begin so.
    """
    found = [file for file in files if len(name) >= MIN_LETTERS and file.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(file.name for file in found or files) or "none: the quarantine is empty"
    raise WrongUseError(f"quarantine file {name!r}: expected the beginning of one of {known}.")


def store_refused(lake: Lake, file: RefusedFile, rules: UpdateRules, now: datetime) -> CommitResult:
    """Audit refused rows again, and store those that pass.

    Args:
        lake: where to.
        file: the rows.
        rules: of their exchange.
        now: the clock, UTC; what has not closed is refused again.

    Raises:
        WrongUseError: the rows are not candles of an exchange.
        StorageError: nothing was changed.
    """
    partition = file.partition
    if partition.layer != "ohlcv":
        raise WrongUseError(f"{partition} is computed; materialize it again instead.")
    committer = OutsideCommitter(lake, rules, now)
    rows, fetched_at = file.rows.drop("reason"), file.kept_at - timedelta(milliseconds=1)
    source = f"quarantine:{file.name}"
    return committer.commit(partition, rows, merge_candles, source, fetched_at)
