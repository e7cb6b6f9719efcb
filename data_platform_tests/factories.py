"""Series, candles, lakes and partitions with a default for every argument."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA, TIME, content_hash, merge_candles
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period, periods_between, to_period
from data_platform.domain.timeframes import Timeframe, to_timeframe
from data_platform.operations.lake import Lake, open_lake
from data_platform.storage.change import CommitResult
from data_platform.storage.journal import CommitNote, JournalRow
from data_platform.storage.ledger import Gap, Status
from data_platform.storage.scores import ScoreRow

GRACE = timedelta(seconds=5)


def time(text: str) -> datetime:
    """`2024-01-31 23:58` or `2024-01` or `2024-01-31` in UTC."""
    full = text if len(text) > len("2024-01") else f"{text}-01"
    return datetime.fromisoformat(full).replace(tzinfo=UTC)


def series_of(
    exchange: str = "binance", pair: str = "BTC/USDT", timeframe: Timeframe | str = "1h"
) -> Series:
    length = to_timeframe(timeframe) if isinstance(timeframe, str) else timeframe
    return Series(exchange, Pair(pair), length)


def partition_of(
    series: Series | None = None, month: str = "2024-01", layer: str = "ohlcv"
) -> Partition:
    return Partition(layer, series or series_of(), to_period(month))


def partitions_of(
    series: Series | None = None,
    first: str = "2024-01",
    last: str = "2024-01",
    layer: str = "ohlcv",
) -> list[Partition]:
    months = periods_between(to_period(first).start, to_period(last).end)
    return [Partition(layer, series or series_of(), month) for month in months]


def grid(start: str, end: str, timeframe: Timeframe | str = "1h") -> list[datetime]:
    """Return the grid times from `start` to `end`, exclusive."""
    length = to_timeframe(timeframe) if isinstance(timeframe, str) else timeframe
    count = (time(end) - time(start)) // length.duration
    return [time(start) + number * length.duration for number in range(count)]


def candles_at(times: Iterable[datetime], price: float = 100.0) -> pl.DataFrame:
    """One candle for each time; its close is `price` plus a number from 0 to 96 of the time."""
    opened = list(times)
    close = [price + at.timestamp() // 60 % 97 for at in opened]
    return pl.DataFrame(
        {
            "open_time": pl.Series(opened, dtype=TIME),
            "open": close,
            "high": [value + 1 for value in close],
            "low": [value - 1 for value in close],
            "close": close,
            "volume": [1.5] * len(close),
        },
        schema=CANDLE_SCHEMA,
    )


def lake_at(root: Path, run_id: str = "run-1") -> Lake:
    return open_lake(root, f"sqlite:///{root / 'state.db'}", run_id)


def store_candles(lake: Lake, series: Series, frame: pl.DataFrame) -> list[CommitResult]:
    """Commit candles to their months, without audit, gaps or verdicts."""
    by_month = frame.group_by(pl.col("open_time").dt.strftime("%Y-%m"), maintain_order=True)
    return [
        lake.store.commit(
            Partition("ohlcv", series, to_period(str(month))),
            rows,
            merge=merge_candles,
            audit=lambda given: (given, given.clear()),
            note=CommitNote(source="factory"),
        )
        for (month,), rows in by_month
    ]


def punch(lake: Lake, series: Series, start: datetime, end: datetime) -> int:
    """Delete stored candles through the store, as a damaged history lacks them; return how many.

    Nothing is noted: neither the ledger nor anybody else knows of the hole.
    """
    gone = 0
    for period in periods_between(start, end):
        partition = Partition("ohlcv", series, period)
        held = lake.store.read(partition)
        assert held is not None
        times = pl.col("open_time")
        kept = held.frame.filter((times < start) | (times >= end))
        gone += held.frame.height - kept.height
        lake.store.commit(
            partition,
            kept,
            merge=None,
            audit=lambda given: (given, given.clear()),
            note=CommitNote(source="punched"),
        )
    return gone


def gap_of(
    series: Series | None = None,
    start: str = "2024-01-01",
    end: str = "2024-01-02",
    status: Status = "open",
    *,
    confirmed: bool = False,
    next_try: datetime | None = None,
    tries: int = 1,
) -> Gap:
    where = series or series_of()
    missing = where.timeframe.count(time(start), time(end))
    known = {"confirmed": confirmed, "evidence": "planted", "tries": tries, "next_try": next_try}
    return Gap(where, time(start), time(end), missing, status, **known)  # type: ignore[arg-type]


def plant_gaps(lake: Lake, *gaps: Gap) -> None:
    with lake.state.write() as connection:
        for gap in gaps:
            lake.ledger.record(connection, gap.series, gap.start, gap.end, [gap])


def gaps_in(lake: Lake, series: Series) -> list[tuple[str, str, str, bool]]:
    """Every row of the ledger of a series: start, end, status, confirmed."""
    found = lake.ledger.gaps(series, time("1990-01"), time("2090-01"))
    return [
        (f"{gap.start:%Y-%m-%d %H:%M}", f"{gap.end:%Y-%m-%d %H:%M}", gap.status, gap.confirmed)
        for gap in found
    ]


def stored(lake: Lake, series: Series, layer: str = "ohlcv") -> pl.DataFrame:
    """Every stored row of a series."""
    return lake.store.read_range(layer, series, time("1990-01"), time("2090-01"))


def content(lake: Lake, partition: Partition) -> str | None:
    """The content hash of what the file of a partition holds, or None without a file."""
    found = lake.store.read(partition)
    return content_hash(found.frame) if found else None


def journal_of(lake: Lake, partition: Partition) -> JournalRow:
    row = lake.store.journal(partition)
    assert row is not None
    return row


def month_of(text: str) -> Period:
    return to_period(text)


def files_of(root: Path) -> dict[str, tuple[bytes, int]]:
    """Content and modification time of every file of the lake but locks and the database.

    Nor of the state files: they tell of now.
    """
    return {
        path.relative_to(root).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and not {".locks", "state"} & set(path.relative_to(root).parts)
        and not path.name.startswith("state.db")
    }


_SCORE = ScoreRow(
    day=date(2024, 1, 1),
    expected=100,
    stored=100,
    completeness=None,
    validity=None,
    consistency=None,
    accuracy=None,
    timeliness=None,
    score_five=None,
    score_four=None,
    absent="",
    profiles="",
    basis="",
    checked_at=datetime(2024, 3, 2, tzinfo=UTC),
)


def score_row(**given: Any) -> ScoreRow:  # noqa: ANN401
    """A score of which nothing is known but what is given."""
    return replace(_SCORE, **given)
