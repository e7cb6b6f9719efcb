"""Where everything lies below the lake's root: the only module that spells a path.

Holds paths, and nothing that opens them. Partitions are Hive folders that plain DuckDB, polars,
pandas and Spark read; locks, history and quarantine lie outside those folders, so that no glob
over candles ever meets them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from data_platform.domain.errors import StorageError
from data_platform.domain.layers import LAYERS_BY_NAME, Partition
from data_platform.domain.markets import Market, Pair, Series
from data_platform.domain.timeframes import Timeframe

HISTORY = "history"
QUARANTINE = "quarantine"
DAMAGED = "damaged"
ARCHIVE = "archive"
EXPORTS = "exports"
SNAPSHOTS = "snapshots"
STATE = "state"
LOCKS = ".locks"
CANDLES_FILE = "candles.parquet"

# A first letter or digit keeps out `..`, hidden folders and options; no `=`, `/` or `*` either.
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_PAIR = re.compile(r"(?:[A-Za-z0-9_]|%[0-9A-F]{2})+-(?:[A-Za-z0-9_]|%[0-9A-F]{2})+")


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of one lake."""

    root: Path
    """The folder that holds the whole lake."""

    @property
    def catalog(self) -> Path:
        """Return the DuckDB file with the views and macros."""
        return self.root / "catalog.duckdb"

    def partition(self, partition: Partition) -> Path:
        """Return the file of a partition.

        Raises:
            StorageError: a name in it would not be one plain folder.
        """
        return self.root / _hive(partition) / CANDLES_FILE

    def find_partitions(self, layer: str, exchange: str, timeframe: Timeframe) -> Iterator[Path]:
        """Yield the files in the places of partitions of a layer, exchange and timeframe."""
        folder = Path(layer, "set=*") if layer == "features" else Path(layer)
        folder /= f"exchange={_word(exchange)}/timeframe={timeframe.name}/pair=*/period=*"
        return self.root.glob(str(folder / CANDLES_FILE))

    def archived(self, partition: Partition) -> Path:
        """Return the file of a partition that retention has moved out of the lake's tables."""
        return self.root / ARCHIVE / _hive(partition) / CANDLES_FILE

    def history(self, partition: Partition, file_sha256: str) -> Path:
        """Return where a replaced file of a partition is kept."""
        return self.root / HISTORY / _hive(partition) / f"{file_sha256[:32]}.parquet"

    def quarantine(self, partition: Partition, content_hash: str) -> Path:
        """Return where refused rows are kept; the same rows lie in the same place."""
        return self.root / QUARANTINE / _hive(partition) / f"{content_hash[:32]}.parquet"

    def find_quarantine(self, partition: Partition | None = None) -> Iterator[Path]:
        """Yield the files of refused rows: those of one partition, or all."""
        folder = _hive(partition) if partition else Path("**")
        return self.root.glob(str(Path(QUARANTINE, folder, "*.parquet")))

    def find_quarantine_of(self, layer: str, exchange: str) -> Iterator[Path]:
        """Yield the files of refused rows of a layer of an exchange."""
        folder = Path(QUARANTINE, layer, f"exchange={_word(exchange)}")
        return self.root.glob(str(folder / "*" / "*" / "*" / "*.parquet"))

    @property
    def snapshots(self) -> Path:
        """Return the folder of the snapshots' manifests."""
        return self.root / SNAPSHOTS

    def snapshot(self, name: str) -> Path:
        """Return the manifest of a snapshot.

        Raises:
            StorageError: the name would not be one plain file.
        """
        return self.snapshots / f"{_word(name)}.json"

    def pinned(self, file_sha256: str) -> Path:
        """Return where a file that a snapshot pins is kept, whatever it is called in the lake."""
        return self.snapshots / "files" / file_sha256[:2] / f"{file_sha256}.parquet"

    @property
    def snapshots_lock(self) -> Path:
        """Return the lock file of whoever makes or removes a snapshot."""
        return self.root / LOCKS / f"{SNAPSHOTS}.lock"

    def lock(self, partition: Partition) -> Path:
        """Return the lock file of a partition; it is never deleted."""
        return self.root / LOCKS / _hive(partition).with_suffix(".lock")

    def find_locks(self, layer: str) -> Iterator[Path]:
        """Yield every lock file of a layer that was ever held."""
        return (self.root / LOCKS / layer).rglob("*.lock")

    def export(self, path: PurePosixPath) -> Path:
        """Return the place of an export file.

        Args:
            path: the place below `exports/`, in the program's own layout.

        Raises:
            StorageError: the path leaves that folder.
        """
        parts = path.parts
        odd = path.is_absolute() or not parts or any(part in ("", ".", "..") for part in parts)
        if odd or any("\0" in part or "\\" in part for part in parts):
            raise StorageError(f"export path {str(path)!r} leaves the folder of exports.")
        return self.root.joinpath(EXPORTS, *parts)

    def export_lock(self, layer: str, series: Series, period: str) -> Path:
        """Return the lock file of one export file (`period` is `all` for a whole pair)."""
        return self.root / LOCKS / _series(layer, series) / f"{_word(period)}.lock"

    @property
    def state_files(self) -> Path:
        """Return the folder of the files that tell other programs how things stand."""
        return self.root / STATE

    def state_file(self, name: str, market: Market | None = None) -> Path:
        """Return one of those files.

        Args:
            name: of its kind.
            market: whose, of the kinds that have one file a market.

        Raises:
            StorageError: a name would not be one plain folder or file.
        """
        if market is None:
            return self.state_files / f"{name}.json"
        return self.state_files / name / _word(market.exchange) / f"{_pair(market.pair)}.json"

    def find_state_files(self, name: str) -> Iterator[Path]:
        """Yield the files of a kind that has one a market."""
        return (self.state_files / name).glob("*/*.json")

    @property
    def state_lock(self) -> Path:
        """Return the lock file of whoever writes state files."""
        return self.root / LOCKS / f"{STATE}.lock"

    @property
    def known_damage(self) -> Path:
        """Return the note of the files that the catalogue has to leave out."""
        return self.root / "damaged.json"

    def damaged(self, partition: Partition, file_sha256: str) -> Path:
        """Return where a damaged file of a partition is kept once it has given way."""
        return self.root / DAMAGED / _hive(partition) / f"{file_sha256[:32]}.parquet"

    @property
    def report(self) -> Path:
        """Return the page that tells people how good everything is."""
        return self.root / STATE / "report.html"

    def find_loose(self) -> Iterator[Path]:
        """Yield what no journal row names: refused rows, what gave way, snapshots' manifests."""
        yield from self.find_quarantine()
        yield from self.root.glob(f"{DAMAGED}/**/*.parquet")
        yield from self.snapshots.glob("*.json")

    def relative(self, path: Path) -> str:
        """Return a path as the journal spells it: below the root, with `/`."""
        return path.relative_to(self.root).as_posix()


def read_place(path: str) -> tuple[str, dict[str, str]]:
    """Return in which part of the lake a path lies, and the partition that its folders name.

    Args:
        path: below the root, with `/`.

    Returns:
        A layer, `HISTORY`, `QUARANTINE`, `DAMAGED`, `ARCHIVE`, `EXPORTS`, `SNAPSHOTS` or empty for
        anything else; and layer, exchange, timeframe, pair, feature set and period, each empty
        where no folder says.
    """
    areas = (DAMAGED, HISTORY, QUARANTINE, ARCHIVE, EXPORTS, SNAPSHOTS)
    area = next((it for it in areas if path.startswith(f"{it}/")), "")
    rest = path.removeprefix(f"{area}/").split("/")
    layer = rest[0] if rest[0] in LAYERS_BY_NAME else ""
    named = dict(part.split("=", 1) for part in rest[1:-1] if "=" in part)
    names = ("exchange", "timeframe", "pair", "set", "period")
    exchange, timeframe, pair, feature_set, period = (named.get(name, "") for name in names)
    key = {"layer": layer, "exchange": exchange, "timeframe": timeframe, "pair": pair}
    return area or layer, key | {"feature_set": feature_set, "period": period}


def is_archived(path: str | None) -> bool:
    """Tell whether a path, as the journal spells it, lies in the archive."""
    return path is not None and path.startswith(f"{ARCHIVE}/")


def _hive(partition: Partition) -> Path:
    folder = _series(partition.layer, partition.series, partition.feature_set)
    return folder / f"period={partition.period.key}"


@lru_cache(maxsize=4096)
def _series(layer: str, series: Series, feature_set: str | None = None) -> Path:
    if layer not in LAYERS_BY_NAME:
        raise StorageError(f"no layer is called {layer!r}; found in {series}.")
    folder = Path(layer)
    if (layer == "features") != (feature_set is not None):
        raise StorageError(f"{layer} of {series}: exactly the layer features has a feature set.")
    if feature_set is not None:
        folder /= f"set={_word(feature_set)}"
    return (
        folder
        / f"exchange={_word(series.exchange)}"
        / f"timeframe={series.timeframe.name}"
        / f"pair={_pair(series.pair)}"
    )


def _pair(pair: Pair) -> str:
    if not _PAIR.fullmatch(pair.key):
        raise StorageError(f"pair key {pair.key!r} is no plain folder name.")
    return pair.key


def _word(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise StorageError(
            f"{text[:80]!r} cannot be a folder of the lake: expected letters, digits, `_`, `-`, `.`"
        )
    return text
