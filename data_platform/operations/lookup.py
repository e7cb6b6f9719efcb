"""What people ask to read, in their own spelling, and which shelf answers.

The lake as it is, as it was known at a time, or as a snapshot pinned it. Nothing here fetches,
fills or repairs.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import polars as pl

from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import Market, Pair, Series, from_key, to_exchange, to_pair
from data_platform.domain.timeframes import Timeframe, to_timeframe
from data_platform.features.feature_set import FeatureSet
from data_platform.operations.computed_store import Lines
from data_platform.operations.lake import Lake
from data_platform.operations.newest_features import FeatureDesk
from data_platform.storage.complete import Shelf, Wanted, read_available, read_complete
from data_platform.storage.heads import JournalReader
from data_platform.storage.history import HistoryReader
from data_platform.storage.past import PastReader
from data_platform.storage.snapshots import SnapshotReader, Snapshots

Time = datetime | date | str
"""An aware datetime, a date, or either in ISO form; without a zone it is UTC."""

_YEARS = (1970, 2199)
"""Of times that people ask for. Calendars end at both ends of `datetime`: a month later or an hour
earlier there is none."""

_VERSIONED = re.compile(r"[A-Za-z0-9_]+-v[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class Known:
    """What the config knows."""

    pairs: Mapping[str, Collection[Pair]]
    """Of each exchange."""
    feature_sets: Sequence[FeatureSet]
    lines: Lines = field(default_factory=dict)
    """How every layer is made, for features that are newer than the stored ones."""


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to read, as they spell it."""

    layer: str
    market: str
    """`binance/BTC-USDT`, `binance/BTC/USDT`, `binance/BTCUSDT`."""
    timeframe: str
    start: Time
    end: Time
    feature_set: str | None = None
    """`name` or `name-v1`; None: the only one configured."""
    as_of: Time | None = None
    """Read what was known at this time; None: what is known now."""
    snapshot: str | None = None
    """Read what a snapshot of this name pinned."""
    allow_missing: bool = False
    """Leave out months that are not stored or damaged."""


def look_up(lake: Lake, known: Known, question: Question) -> pl.DataFrame:
    """Return the rows that answer a question, sorted by open_time.

    Features newer than the newest stored ones are computed, where nobody asks for the past.

    Raises:
        WrongUseError: a word of it cannot be understood.
        NotStoredError: a month of the range is not on the shelf.
        DamagedFileError: a file is gone, torn or changed.
        StorageError: what was known then cannot be told any more.
    """
    if not (isinstance(question.market, str) and isinstance(question.timeframe, str)):
        raise WrongUseError(
            "expected texts like 'okx/BTC-USDT', '1h', "
            f"found {question.market}, {question.timeframe}."
        )
    start, end = to_time(question.start), to_time(question.end)
    if start >= end:
        raise WrongUseError(f"the range from {start} to {end} holds nothing; end is exclusive.")
    store = lake.store
    series = to_series(store, known, question.market, question.timeframe)
    chosen = to_feature_set(known, question.feature_set) if question.layer == "features" else None
    wanted = Wanted(question.layer, series, start, end, chosen)
    if chosen is not None and question.as_of is None and question.snapshot is None:
        desk = FeatureDesk(lake, known.lines, series, chosen)
        return desk.read(wanted, allow_missing=question.allow_missing)
    shelf = _shelf(store, question)
    return (read_available if question.allow_missing else read_complete)(shelf, wanted)


def add_close(rows: pl.DataFrame, timeframe: Timeframe) -> pl.DataFrame:
    """Return the rows with `available_at`: the candle's close, before which nobody knows them."""
    return rows.with_columns((pl.col("open_time") + timeframe.duration).alias("available_at"))


def look_up_known(
    lake: Lake, known: Known, question: Question, time: datetime
) -> dict[str, object]:
    """Return the newest row of features that was known at a time.

    Args:
        lake: where they lie.
        known: what the config knows.
        question: market, timeframe and feature set; its range does not matter.
        time: UTC.

    Raises:
        WrongUseError: a word of it cannot be understood.
        NotStoredError: no candle that had closed is stored.
    """
    series = to_series(lake.store, known, question.market, question.timeframe)
    chosen = to_feature_set(known, question.feature_set)
    return FeatureDesk(lake, known.lines, series, chosen).known_at(time)


def _shelf(store: HistoryReader, question: Question) -> Shelf:
    if question.as_of is not None and question.snapshot is not None:
        raise WrongUseError("as_of and snapshot exclude each other: a snapshot is of its own time.")
    if question.as_of is not None:
        return PastReader(store, to_time(question.as_of))
    if question.snapshot is not None:
        snapshots = Snapshots(store.root)
        return SnapshotReader(snapshots, snapshots.load(question.snapshot))
    return store


def to_series(store: JournalReader, known: Known, market: str, timeframe: str) -> Series:
    """Return the series that a person means.

    What left the config stays readable.

    Raises:
        WrongUseError: no such market or timeframe; the message tells what is accepted.
    """
    text, slash, pair = market.partition("/")
    stored = {from_key(key) for key, _ in store.newest(text.lower())}
    if not (stored or slash or text.lower() in known.pairs):
        raise WrongUseError(f"market {market!r}: expected exchange/pair such as okx/BTC-USDT.")
    exchange = to_exchange(text, [text.lower()] if stored else list(known.pairs))
    pairs: set[Pair] = stored | set(known.pairs.get(exchange, ()))
    if not pair:
        names = sorted(str(Market(exchange, each)) for each in pairs)
        raise WrongUseError(f"market {market!r} names no pair. Expected: {', '.join(names)}.")
    return Series(exchange, to_pair(pair, pairs), to_timeframe(timeframe))


def to_feature_set(known: Known, name: str | None) -> str:
    """Return `<name>-v<version>` of the feature set that a person means.

    Raises:
        WrongUseError: none is meant, or several could be.
    """
    keys = [each.key for each in known.feature_sets]
    if name is None and len(keys) == 1:
        return keys[0]
    fitting = [each.key for each in known.feature_sets if name in (each.name, each.key)]
    if len(fitting) == 1:
        return fitting[0]
    if name is not None and not fitting and _VERSIONED.fullmatch(name):
        # An older version that is still stored.
        return name
    raise WrongUseError(f"feature_set {name!r}: expected one of {', '.join(keys)}.")


def to_time(time: Time) -> datetime:
    """Return the time that a person means, UTC.

    Raises:
        WrongUseError: it is none, or a datetime without a zone.
    """
    if isinstance(time, str):
        try:
            parsed = datetime.fromisoformat(time)
        except ValueError as error:
            raise WrongUseError(
                f"time {time!r}: expected ISO, such as 2024-01-31 or 2024-01-31T12:00Z."
            ) from error
        return _to_utc(parsed.replace(tzinfo=parsed.tzinfo or UTC))
    if not isinstance(time, date):
        raise WrongUseError(
            f"time {time!r}: expected a datetime, a date, or either in ISO form: 2024-01-31."
        )
    if not isinstance(time, datetime):
        return _to_utc(datetime(time.year, time.month, time.day, tzinfo=UTC))
    if time.tzinfo is None:
        raise WrongUseError(f"time {time!r} has no zone; write datetime(..., tzinfo=UTC).")
    return _to_utc(time)


def _to_utc(time: datetime) -> datetime:
    first, last = _YEARS
    if not first <= time.year <= last:
        raise WrongUseError(f"time {time}: expected a year from {first} to {last}.")
    return time.astimezone(UTC)
