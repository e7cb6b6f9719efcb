"""Whether the files for other programs hold the candles of the lake, bar for bar.

Each file is read by its converter's independent reader, and each month inside held against the hash
under which its candles were stored: times, count and every bit. Where one is another, the months
are compared with the stored candles row by row, and what differs is noted in its month; the check
of the asset speaks for all files. Five years of 1m in one file cost a quarter of a second.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime

import polars as pl

from data_platform.converters.converter import Converter, find_differences
from data_platform.domain.candles import content_hash
from data_platform.domain.errors import DamagedFileError, ExportError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period
from data_platform.operations.export import ExportStatus, export_statuses
from data_platform.operations.journal_book import JournalBook
from data_platform.operations.judge import FIRST_ROWS
from data_platform.operations.lake import Lake
from data_platform.storage.journal import JournalRow
from data_platform.storage.verdicts import VerdictRow

BARS_EQUAL = "bars_equal_the_lake"
"""Whether each candle of a file is the stored one, and none is missing or invented."""

_log = logging.getLogger(__name__)


def prove_exports(
    lake: Lake, converter: Converter, wanted: Sequence[Series], asked: Collection[str] | None
) -> None:
    """Compare the files of some series with the lake, and note where they differ.

    A file whose candles have changed since it was made is stale, not wrong, and is passed over.

    Args:
        lake: where they lie.
        converter: whose files.
        wanted: series of one exchange and timeframe.
        asked: keys of the partitions whose files are compared, with the files of their pairs that
            hold several months; None: all are.
    """
    if not wanted:
        return
    series = wanted[0]
    newest = lake.verdicts.newest(series.exchange, converter.name, series.timeframe)
    failing = set(newest.filter(pl.col("rule") == BARS_EQUAL, pl.col("count") > 0).rows())
    known = {(row[0], row[1]) for row in failing}
    book = JournalBook(lake)
    for each in wanted:
        for status in export_statuses(each, converter, book):
            if status.is_current and _is_asked(status, asked):
                _note(lake, converter, status, known)


def _is_asked(status: ExportStatus, asked: Collection[str] | None) -> bool:
    if asked is None:
        return True
    pair, period = status.file.series.pair.key, status.file.period
    if period is not None:
        return f"{pair}|{period}" in asked
    return any(key.startswith(f"{pair}|") for key in asked)


def _note(
    lake: Lake, converter: Converter, status: ExportStatus, known: Collection[tuple[str, str]]
) -> None:
    series = status.file.series
    faults: dict[str, list[dict[str, object]]] = defaultdict(list)
    for month, row in _faults(lake, converter, status):
        faults[month].append(row)
    months = [row.period for row in status.months if row.period]
    noted = []
    for period in months:
        rows = faults[period.key]
        if rows or (series.pair.key, period.key) in known:
            noted.append(
                (Partition(converter.name, series, period), _verdict(status, period, rows))
            )
    if noted:
        with lake.state.write() as connection:
            for partition, verdict in noted:
                lake.verdicts.record(connection, partition, [verdict])


def _faults(
    lake: Lake, converter: Converter, status: ExportStatus
) -> Iterator[tuple[str, dict[str, object]]]:
    rows = [row for row in status.months if row.rows]
    months = [row.period for row in rows if row.period]
    if not months or status.own is None or status.own.path is None:
        return
    try:
        found = converter.read(lake.store.root / status.own.path)
    except ExportError as error:
        yield months[-1].key, {"fault": str(error)}
        return
    if _holds(found, rows):
        return
    try:
        candles = lake.store.read_range(
            "ohlcv", status.file.series, months[0].start, months[-1].end
        )
    except DamagedFileError as error:
        # The check of the candles says so; what their exports should hold nobody can tell.
        _log.warning("%s for %s is not compared: %s", status.file, converter.title, error)
        return
    known = {month.key for month in months}
    for at, fault in find_differences(candles, found, converter).rows():
        # What lies in no stored month is told with the newest.
        month = f"{at:%Y-%m}"
        row = {"open_time": f"{at:%Y-%m-%d %H:%M:%S}", "fault": fault, "file": status.own.path}
        yield month if month in known else months[-1].key, row


def _holds(found: pl.DataFrame, months: Sequence[JournalRow]) -> bool:
    """Tell whether a file's rows are those of the months, by the hash of each."""
    begin = 0
    for month in months:
        if content_hash(found[begin : begin + month.rows]) != month.content_hash:
            return False
        begin += month.rows
    return begin == found.height


def _verdict(status: ExportStatus, period: Period, rows: list[dict[str, object]]) -> VerdictRow:
    now = datetime.now(tz=UTC)
    checked = next(row.rows for row in status.months if row.period == period)
    return VerdictRow(
        rule=BARS_EQUAL,
        day=now.date(),
        severity="error",
        count=len(rows),
        checked=checked,
        rows_json=json.dumps(rows[:FIRST_ROWS]),
        threshold_json="{}",
        checked_at=now,
    )
