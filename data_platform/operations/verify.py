"""Tell whether the lake is sound: every file against the journal, and what to do about each fault.

Holds the verdict and the remedies, and keeps what is damaged out of the catalogue. The looking
itself is done by `storage/survey.py`; nothing here repairs.
"""

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data_platform.domain.errors import StorageError
from data_platform.operations.lake import require_lake
from data_platform.storage.examine import Depth, Finding, Kind
from data_platform.storage.inventory import Chosen
from data_platform.storage.known_damage import Known, note_damage, read_known_damage
from data_platform.storage.layout import ARCHIVE, HISTORY, QUARANTINE, Layout
from data_platform.storage.parquet_file import is_partitioned, remedy
from data_platform.storage.state import State, is_made
from data_platform.storage.survey import Survey, survey

Verdict = Literal["sound", "damaged", "unchecked"]

EXIT_CODES: dict[Verdict, int] = {"sound": 0, "damaged": 1, "unchecked": 2}

LEFT_OUT: tuple[Kind, ...] = ("damaged", "unknown")
"""Of partitions: the catalogue does not read them."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a look at the lake has found."""

    survey: Survey
    left_out: tuple[str, ...]
    """Files that the catalogue leaves out, by path."""
    catalog: str
    """What became of the catalogue: empty where there was nothing to do."""
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """Return the verdict; what a writer has left behind is named and harms nobody."""
        if any(finding.kind != "leftover" for finding in self.survey.findings):
            return "damaged"
        return "unchecked" if self.survey.unchecked else "sound"

    @property
    def speed(self) -> float:
        """Return megabytes hashed in a second."""
        return self.survey.hashed / 1e6 / self.seconds if self.seconds else 0.0


def require_state(data_root: Path, state_url: str) -> None:
    """Refuse to go on without a journal: nothing could vouch for any file.

    Raises:
        NotStoredError: there is no lake.
        StorageError: its state database is gone or empty.
    """
    require_lake(data_root)
    if not is_made(state_url):
        raise StorageError(
            f"the state database of the lake {data_root} is gone: nothing tells what its files "
            "should hold. Put it back from a backup, name it by DATA_PLATFORM_STATE, or let "
            "`data-platform doctor` begin it anew from the files."
        )


def verify_lake(
    data_root: Path, state_url: str, chosen: Chosen, depth: Depth = "full"
) -> Verification:
    """Compare a lake, or a part of it, with its journal.

    Args:
        data_root: root of the Parquet tree.
        state_url: SQLAlchemy URL of the state database.
        chosen: which part.
        depth: `quick` looks at sizes and stamps and hashes only what was touched, `full` hashes
            every file, `deep` also compares every row.

    Raises:
        NotStoredError: there is no lake.
        StorageError: the state database is gone, damaged or cannot be read.
    """
    require_state(data_root, state_url)
    begin = time.monotonic()
    with closing(State(state_url)) as state:
        fault = state.fault() if depth != "quick" else ""
        if fault:
            raise StorageError(
                f"the state database {state} is damaged ({fault}): it vouches for nothing. Put it "
                "back from a backup, or let `data-platform doctor` begin it anew from the files."
            )
        found = survey(data_root, state, chosen, depth)
    layout = Layout(data_root)
    before, after = _left_out(layout, found, chosen, depth)
    told = ""
    if before != after or (depth != "quick" and layout.catalog.exists()):
        told = _renew_catalog(layout, after)
    return Verification(found, tuple(sorted(after)), told, time.monotonic() - begin)


def remedy_of(finding: Finding) -> str:
    """Return what a person has to do about a finding."""
    if finding.kind == "leftover":
        return "Delete it, as `data-platform doctor` does."
    if finding.area == ARCHIVE:
        return "Put it back from a backup, or from where the archive is kept."
    if finding.area == HISTORY:
        return "Put it back from a backup: what the partition held before cannot be told without."
    if finding.area == QUARANTINE:
        return "It holds refused rows, on which nothing depends: delete it."
    if finding.kind == "unjournalled":
        return "`data-platform doctor` takes it over, and so does a `download` of its month."
    if finding.kind == "unknown":
        return "Move it away: who reads all files of a folder takes its rows for stored ones."
    return remedy(finding.key["layer"])


def spell_name(finding: Finding) -> str:
    """Return whose file it is: `binance/ohlcv_1h BTC-USDT|2024-01`."""
    key = finding.key
    if not key["exchange"]:
        return finding.area or "lake"
    layer = f"{key['layer']}[{key['feature_set']}]" if key["feature_set"] else key["layer"]
    table = f"{key['exchange']}/{layer}" + (f"_{key['timeframe']}" if key["timeframe"] else "")
    kept = f"{finding.area} of " if finding.area not in ("exports", key["layer"]) else ""
    return f"{kept}{table} {key['pair']}|{key['period'] or 'all'}"


def _left_out(
    layout: Layout, found: Survey, chosen: Chosen, depth: Depth
) -> tuple[dict[str, Known], dict[str, Known]]:
    """Return the damaged files that the catalogue left out so far, and those from now on."""
    before = read_known_damage(layout)
    now = {
        it.path: Known(it.stamp, it.fault)
        for it in found.findings
        if it.kind in LEFT_OUT and is_partitioned(it.area)
    }
    # What was not looked at now, or not as closely as then, is as damaged as it was.
    kept = {} if depth != "quick" and chosen.is_everything else before
    return before, {**kept, **now}


def _renew_catalog(layout: Layout, left_out: dict[str, Known]) -> str:
    # DuckDB takes a while to import, and a sound lake needs none of it.
    from data_platform.storage.catalog import refresh_catalog

    try:
        note_damage(layout, left_out)
        is_built = refresh_catalog(layout.root)
    except StorageError as error:
        return f"The catalogue is as it was: {error}"
    if not is_built:
        return ""
    without = f" without {len(left_out)} of its files" if left_out else ""
    return f"The catalogue was built again{without}."
