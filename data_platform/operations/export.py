"""Hand stored candles to other programs: one file per month or per pair, as the program wants.

A whole-pair file is rebuilt from all stored months, once per run and pair; what has not changed
is not written again. Formats stand in `converters`.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

import polars as pl

from data_platform.converters.converter import Converter, ExportFile
from data_platform.domain.errors import DataPlatformError
from data_platform.domain.layers import LAYERS_BY_NAME, Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period
from data_platform.operations.lake import Lake
from data_platform.operations.report import LayerReport, Outcome, report_of
from data_platform.operations.watch import Progress, StoppedError, Watch
from data_platform.storage.change import Export
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
        outcomes: dict[Period, Outcome] = {}
        try:
            outcomes = _export_series(lake, series, members, converter)
        except DataPlatformError as error:
            report.failures.update(dict.fromkeys(members, str(error)))
        for member in members:
            outcome = outcomes.get(member.period, "failed")
            row = lake.store.journal(Partition("ohlcv", series, member.period))
            report.partitions.append(report_of(lake, member, row, outcome))
        watch.report(Progress(series.exchange, 0, 0, len(report.partitions)))
    return report


def is_export_stale(lake: Lake, series: Series, period: Period, converter: Converter) -> bool:
    """Tell whether a month's candles are not in the program's file as they are stored now."""
    file = ExportFile(series, None if converter.scope == "pair" else period)
    rows = lake.store.journal_rows(converter.name, series.exchange, series.timeframe, series.pair)
    own = [row for row in rows if row.period == file.period]
    return not own or own[0].content_hash != _source_hash(_months(lake, file))


def _export_series(
    lake: Lake, series: Series, members: Sequence[Partition], converter: Converter
) -> dict[Period, Outcome]:
    if converter.scope == "pair":
        outcome = _publish(lake, ExportFile(series, None), converter)
        return dict.fromkeys((member.period for member in members), outcome)
    return {
        member.period: _publish(lake, ExportFile(series, member.period), converter)
        for member in members
    }


def _publish(lake: Lake, file: ExportFile, converter: Converter) -> Outcome:
    months = _months(lake, file)
    candles = cache(lambda: _candles(lake, file.series, months))
    result = lake.store.publish(
        Export(
            layer=converter.name,
            series=file.series,
            period=file.period,
            path=converter.path(file),
            write=lambda path: converter.write(candles(), file, path),
            companions=lambda: converter.companions(candles(), file),
            source_hash=_source_hash(months),
            months=tuple(row.period for row in months if row.period),
            rows=sum(row.rows for row in months),
            first=months[0].first if months else None,
            last=months[-1].last if months else None,
        ),
        CommitNote(
            source="ohlcv",
            run_id=lake.run_id,
            code_version=str(LAYERS_BY_NAME[converter.name].code_version),
            fetched_at=datetime.now(tz=UTC),
        ),
    )
    return "written" if result.written else "unchanged"


def _months(lake: Lake, file: ExportFile) -> list[JournalRow]:
    series = file.series
    rows = lake.store.journal_rows("ohlcv", series.exchange, series.timeframe, series.pair)
    return [row for row in rows if row.rows and file.period in (None, row.period)]


def _candles(lake: Lake, series: Series, months: Sequence[JournalRow]) -> pl.DataFrame:
    periods = [row.period for row in months if row.period]
    return lake.store.read_range("ohlcv", series, periods[0].start, periods[-1].end)


def _source_hash(months: Sequence[JournalRow]) -> str:
    parts = ",".join(f"{row.period}:{row.content_hash}" for row in months)
    return hashlib.sha256(parts.encode()).hexdigest()
