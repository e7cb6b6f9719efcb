"""Hand stored candles to other programs: one file per month or per pair, as the program wants.

A whole-pair file is made of all stored months, once per run and pair; what has not changed is not
written again, or is taken from the older file. Formats stand in `converters`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath

import polars as pl

from data_platform.converters.converter import Converter, ExportFile, Month
from data_platform.domain.errors import DataPlatformError
from data_platform.domain.layers import LAYERS_BY_NAME, Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period
from data_platform.domain.precision import FINEST, Precision
from data_platform.operations.journal_book import JournalBook
from data_platform.operations.judge import SERIES_DERIVED, note_completion
from data_platform.operations.lake import Lake
from data_platform.operations.report import LayerReport, Outcome, PartitionReport, report_of
from data_platform.operations.watch import Progress, StoppedError, Watch
from data_platform.storage.change import CommitResult, Export
from data_platform.storage.journal import CommitNote, JournalRow


def export_layer(
    lake: Lake, partitions: Sequence[Partition], converter: Converter, watch: Watch
) -> LayerReport:
    """Bring a program's files up to date with the stored candles.

    Args:
        lake: where candles lie.
        partitions: of one exchange and timeframe, layer = the converter's name.
        converter: the program's format.
        watch: hears of progress, may ask to stop after the current file.

    Returns:
        One report per partition. A series that fails is named in `failures`, the others go on.

    Raises:
        StoppedError: the watch asked for it; every file written so far is whole.
    """
    report = LayerReport()
    by_series: dict[Series, list[Partition]] = {}
    for partition in partitions:
        by_series.setdefault(partition.series, []).append(partition)
    for series, members in by_series.items():
        if watch.should_stop():
            raise StoppedError(f"stopped before exporting {series}; files so far are whole.")
        results: dict[Period, CommitResult] = {}
        book = JournalBook(lake)
        for file in _files(book, members, converter):
            inside = [member for member in members if file.period in (None, member.period)]
            try:
                result = _publish(lake, file, converter, _months(book, file))
            except DataPlatformError as error:
                report.failures.update(dict.fromkeys(inside, str(error)))
                continue
            results.update(dict.fromkeys((member.period for member in inside), result))
        report.partitions += [
            _report(lake, book, member, results.get(member.period)) for member in members
        ]
        watch.report(Progress(series.exchange, 0, 0, len(report.partitions)))
    note_completion(lake, SERIES_DERIVED, report)
    return report


def stale_export_months(series: Series, converter: Converter, book: JournalBook) -> set[Period]:
    """Return the months by which a program's files have to be brought up to date.

    Args:
        series: whose files.
        converter: the program's format.
        book: the journal.

    Returns:
        Months whose files do not hold the candles as they are stored now, or are not what was
        written; of a whole-pair file the newest month alone, since any month rebuilds it.
    """
    return {
        it.period
        for it in export_statuses(series, converter, book)
        if not it.is_current or book.is_damaged(converter.name, series, it.file.period)
    }


@dataclass(frozen=True, slots=True)
class ExportStatus:
    """One file for another program, as the journal tells of it and its candles."""

    file: ExportFile
    period: Period
    """The month by which it is asked for: of a file of a whole pair the newest."""
    own: JournalRow | None
    """None: it was never made."""
    months: tuple[JournalRow, ...]
    """Of the candles that belong into it."""
    code_version: str
    """The converter's now."""

    @property
    def is_current(self) -> bool:
        """Tell whether it was made of the candles as they are stored now, by the same code."""
        if self.own is None:
            return False
        expected = (_source_hash(self.months), self.code_version)
        return (self.own.content_hash, self.own.code_version) == expected


def export_statuses(
    series: Series, converter: Converter, book: JournalBook
) -> Iterator[ExportStatus]:
    """Yield each file of a series that a program should have, in the order of time."""
    months = [row for row in book.rows("ohlcv", series) if row.period]
    own = {row.period: row for row in book.rows(converter.name, series)}
    precision = _known(book, series, converter)
    version = _version(converter, precision)
    for row in months[-1:] if converter.scope == "pair" else months:
        if row.period is None:
            continue
        inside = None if converter.scope == "pair" else row.period
        rows = (row,) if inside else tuple(months)
        file = ExportFile(series, inside, precision)
        yield ExportStatus(file, row.period, own.get(inside), rows, version)


def _files(
    book: JournalBook, members: Sequence[Partition], converter: Converter
) -> Iterator[ExportFile]:
    series = members[0].series
    if converter.scope == "pair":
        yield ExportFile(series, None, _known(book, series, converter))
    else:
        _tell_of_no_whole_file(book, series, converter)
        months = [member.period for member in members]
        precision = _widened(book, series, months, converter)
        yield from (ExportFile(series, month, precision) for month in months)


def _known(book: JournalBook, series: Series, converter: Converter) -> Precision:
    return book.precision(series.market) if converter.needs else FINEST


def _widened(
    book: JournalBook, series: Series, months: Sequence[Period], converter: Converter
) -> Precision:
    """Return the precision of a market once some months are among its files, and note it."""
    known = _known(book, series, converter)
    if converter.needs is None:
        return known
    needed = known
    for status in export_statuses(series, converter, book):
        if status.period not in months or status.is_current:
            continue
        try:
            rows = [row for row in status.months if row.rows]
            needed = converter.needs(_candles(book.lake, series, rows), needed) if rows else needed
        except DataPlatformError:
            # Writing its file fails alike, and says so.
            continue
    return book.lake.instruments.widen(series.market, needed) if needed != known else known


def _version(converter: Converter, precision: Precision) -> str:
    program = str(LAYERS_BY_NAME[converter.name].code_version)
    return f"{program}-{precision}" if converter.needs else program


def _tell_of_no_whole_file(book: JournalBook, series: Series, converter: Converter) -> None:
    # One of a version whose files held the whole pair: it stays, never brought up to date again,
    # so it must not pass for one of ours. `verify` names what no row tells of.
    whole = (row for row in book.rows(converter.name, series) if row.period is None)
    if any(row.path for row in whole):
        _publish(book.lake, ExportFile(series, None), converter, [])


def _report(
    lake: Lake, book: JournalBook, member: Partition, result: CommitResult | None
) -> PartitionReport:
    row = book.row(replace(member, layer="ohlcv"))
    outcome: Outcome = "failed"
    if result is not None:
        outcome = "written" if result.written else "unchanged"
    path = result.path if result else None
    return replace(report_of(lake, member, row, outcome), path=path)


def _publish(
    lake: Lake, file: ExportFile, converter: Converter, months: Sequence[JournalRow]
) -> CommitResult:
    write = partial(_write, lake, file, converter, months)
    return lake.store.publish(
        Export(
            layer=converter.name,
            series=file.series,
            period=file.period,
            path=converter.path(file) if months else PurePosixPath(),
            write=write,
            renew=(lambda older, path: write(path, older)) if converter.renew else None,
            companions=converter.companions(file) if months else {},
            source_hash=_source_hash(months),
            months=tuple(row.period for row in months if row.period),
            rows=sum(row.rows for row in months),
            first=months[0].first if months else None,
            last=months[-1].last if months else None,
        ),
        CommitNote(
            source="ohlcv",
            run_id=lake.run_id,
            code_version=_version(converter, file.precision),
            fetched_at=datetime.now(tz=UTC),
        ),
    )


def _write(
    lake: Lake,
    file: ExportFile,
    converter: Converter,
    rows: Sequence[JournalRow],
    path: Path,
    older: Path | None = None,
) -> None:
    if converter.renew is None:
        converter.write(_candles(lake, file.series, rows), file, path)
        return
    months = [
        Month(row.period, row.rows, row.content_hash, partial(_candles, lake, file.series, [row]))
        for row in rows
        if row.period
    ]
    converter.renew(months, file, path, older)


def _months(book: JournalBook, file: ExportFile) -> list[JournalRow]:
    rows = book.rows("ohlcv", file.series)
    return [row for row in rows if row.rows and file.period in (None, row.period)]


def _candles(lake: Lake, series: Series, months: Sequence[JournalRow]) -> pl.DataFrame:
    periods = [row.period for row in months if row.period]
    return lake.store.read_range("ohlcv", series, periods[0].start, periods[-1].end)


def _source_hash(months: Sequence[JournalRow]) -> str:
    parts = ",".join(f"{row.period}:{row.content_hash}" for row in months if row.rows)
    return hashlib.sha256(parts.encode()).hexdigest()
