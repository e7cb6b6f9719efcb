"""Small lakes for tests: candles whose values tell their time, and a store that commits them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA, TIME, merge_candles
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period
from data_platform.domain.timeframes import Timeframe, to_timeframe
from data_platform.storage.change import CommitResult, Export, Judge, Merge
from data_platform.storage.journal import CommitNote
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.state import State

HOUR = to_timeframe("1h")
DAY = to_timeframe("1d")
JANUARY = Period(2024, 1)


def series(
    exchange: str = "binance", pair: str = "BTC/USDT", timeframe: Timeframe = HOUR
) -> Series:
    return Series(exchange, Pair(pair), timeframe)


def partition(
    of: Series | None = None,
    period: Period = JANUARY,
    layer: str = "ohlcv",
    feature_set: str | None = None,
) -> Partition:
    return Partition(layer, of or series(), period, feature_set)


def at(hour: int, period: Period = JANUARY) -> datetime:
    return period.start + hour * HOUR.duration


def candles(
    hours: Sequence[int],
    *,
    price: float = 100.0,
    period: Period = JANUARY,
    timeframe: Timeframe = HOUR,
) -> pl.DataFrame:
    """One candle for each grid time; its close is `price` plus the time's number."""
    times = [period.start + hour * timeframe.duration for hour in hours]
    close = [price + hour for hour in hours]
    return pl.DataFrame(
        {
            "open_time": pl.Series(times, dtype=TIME),
            "open": close,
            "high": [value + 1 for value in close],
            "low": [value - 1 for value in close],
            "close": close,
            "volume": [1.0] * len(close),
        },
        schema=CANDLE_SCHEMA,
    )


def filled(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(
        is_filled=pl.lit(value=False),
        fill_method=pl.lit(None, dtype=pl.String),
        segment=pl.lit(rows["open_time"][0]).cast(TIME),
    )


def keep_all(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return frame, frame.clear().with_columns(reason=pl.lit(""))


def open_store(root: Path) -> PartitionStore:
    return PartitionStore(root, State(f"sqlite:///{root / 'state.db'}"))


def commit(
    store: PartitionStore,
    frame: pl.DataFrame,
    into: Partition | None = None,
    *,
    note: CommitNote | None = None,
    merge: Merge | None = merge_candles,
    judge: Judge | None = None,
) -> CommitResult:
    return store.commit(
        into or partition(),
        frame,
        merge=merge,
        audit=keep_all,
        note=note or CommitNote(),
        judge=judge,
    )


def everything(root: Path) -> dict[str, bytes]:
    """Every file of the lake but the locks and the database."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".locks" not in path.parts and not path.name.startswith("state.db")
    }


def utc(year: int, month: int = 1, day: int = 1, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def store_every_kind(store: PartitionStore) -> None:
    """Store files of every kind there is: all layers, exports, what was replaced and refused."""
    for pair in ("BTC/USDT", "ETH/USDT"):
        for period in (JANUARY, Period(2024, 2)):
            rows = candles(range(30), period=period)
            own = series(pair=pair)
            commit(store, rows, partition(own, period))
            for layer in ("filled", "indicators"):
                commit(store, filled(rows), partition(own, period, layer), merge=None)
            chosen = partition(own, period, "features", "base-v1")
            commit(store, rows.select("open_time", "close"), chosen, merge=None)
            _export(store, own, period)
    # A correction keeps the file it replaces; a refused row is kept with its reason.
    commit(store, candles(range(30), price=200.0))
    store.commit(
        partition(),
        candles([3]),
        merge=lambda stored, _: candles([]) if stored is None else stored,
        audit=lambda rows: (rows.clear(), rows.with_columns(reason=pl.lit("not true"))),
        note=CommitNote(),
    )


def _export(store: PartitionStore, own: Series, period: Period) -> None:
    folder = PurePosixPath("nautilus", own.pair.key)

    def writing(content: str) -> Callable[[Path], None]:
        def write(path: Path) -> None:
            path.write_text(content)

        return write

    export = Export(
        layer="nautilus",
        series=own,
        period=period,
        path=folder / period.key / "bars.parquet",
        write=writing(f"{own} {period}"),
        companions={folder / "pair.parquet": writing("a definition")},
        source_hash=period.key,
        months=(period,),
        rows=30,
        first=at(0, period),
        last=at(29, period),
    )
    store.publish(export, CommitNote(code_version="1"))
