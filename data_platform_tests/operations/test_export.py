from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath

import polars as pl
import pyarrow.parquet as pq
import pytest

from data_platform.converters import CONVERTERS, freqtrade
from data_platform.converters.converter import Converter, ExportFile, no_companions
from data_platform.converters.freqtrade import CONVERTER as FREQTRADE
from data_platform.converters.nautilus import CONVERTER as NAUTILUS
from data_platform.domain.errors import ExportError
from data_platform.domain.markets import Series
from data_platform.operations.export import export_layer, stale_export_months
from data_platform.operations.journal_book import JournalBook
from data_platform.operations.lake import Lake
from data_platform.operations.report import LayerReport
from data_platform.operations.watch import Progress, StoppedError, Watch, nobody_watches
from data_platform.storage.inventory import Chosen
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.survey import survey
from data_platform_tests.damage import DAMAGES, damage
from data_platform_tests.factories import (
    candles_at,
    files_of,
    grid,
    month_of,
    partitions_of,
    series_of,
    store_candles,
    time,
)

SERIES = series_of(timeframe="4h")
TRUTH = candles_at(grid("2024-01-10", "2024-03-20", "4h"))
GROWN = candles_at(grid("2024-01-10", "2024-03-21", "4h"))
JAN, FEB, MAR = (month_of(f"2024-0{number}") for number in (1, 2, 3))


def export(lake: Lake, converter: Converter, first: str = "2024-01") -> LayerReport:
    asked = partitions_of(SERIES, first, "2024-03", converter.name)
    return export_layer(lake, asked, converter, nobody_watches())


def stale(lake: Lake, converter: Converter) -> set[str]:
    return {str(it) for it in stale_export_months(SERIES, converter, JournalBook(lake))}


def file_in(root: Path, converter: Converter, month: str | None = None) -> Path:
    period = month_of(month) if month else None
    return root / "exports" / converter.path(ExportFile(SERIES, period))


@pytest.mark.parametrize("converter", [it for it in CONVERTERS if it.scope == "pair"])
def test_file_of_a_pair_is_built_once_with_all_months(
    lake: Lake, root: Path, converter: Converter
) -> None:
    store_candles(lake, SERIES, TRUTH)
    # Only the running month is asked for; the file holds every stored one all the same.
    report = export(lake, converter, first="2024-03")
    path = file_in(root, converter)
    assert converter.read(path)["open_time"].to_list() == TRUTH["open_time"].to_list()
    [part] = report.partitions
    assert (part.outcome, part.path, part.rows) == ("written", path, 19 * 6)
    [row] = lake.store.journal_rows(converter.name, "binance")
    assert (row.period, row.months, row.rows) == (None, (JAN, FEB, MAR), TRUTH.height)
    before = files_of(root)
    again = export(lake, converter)
    assert [it.outcome for it in again.partitions] == ["unchanged"] * 3
    assert files_of(root) == before


def test_file_of_a_pair_is_written_once_a_run(lake: Lake) -> None:
    store_candles(lake, SERIES, TRUTH)
    report = export(lake, FREQTRADE)
    assert [it.outcome for it in report.partitions] == ["written"] * 3
    [row] = lake.store.journal_rows("freqtrade", "binance")
    assert row.version == 1


def test_a_new_candle_reads_the_months_of_its_batch_and_a_correction_reaches_an_old_one(
    lake: Lake, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freqtrade, "_BATCH_ROWS", 250)
    store_candles(lake, SERIES, TRUTH)
    export(lake, FREQTRADE)
    read: list[str] = []
    read_range = lake.store.read_range

    def watched(layer: str, series: Series, start: datetime, end: datetime) -> pl.DataFrame:
        read.append(f"{start:%Y-%m-%d} {end:%Y-%m-%d}")
        return read_range(layer, series, start, end)

    monkeypatch.setattr(PartitionStore, "read_range", lambda _, *asked: watched(*asked))
    # 132 rows in January, 174 in February, 114 in March: no two in a batch of 250.
    store_candles(lake, SERIES, GROWN)
    read.clear()
    export(lake, FREQTRADE)
    assert read == ["2024-03-01 2024-04-01"]
    assert FREQTRADE.read(file_in(root, FREQTRADE)).equals(GROWN)
    late = pl.col("open_time") == time("2024-01-15")
    corrected = GROWN.with_columns(volume=pl.when(late).then(3.25).otherwise("volume"))
    store_candles(lake, SERIES, corrected.filter(late))
    read.clear()
    export(lake, FREQTRADE)
    assert read == ["2024-01-01 2024-02-01"]
    assert FREQTRADE.read(file_in(root, FREQTRADE)).equals(corrected)


def test_rot_of_an_old_month_does_not_live_on_when_a_candle_is_added(
    lake: Lake, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freqtrade, "_BATCH_ROWS", 250)
    store_candles(lake, SERIES, TRUTH)
    export(lake, FREQTRADE)
    damage(file_in(root, FREQTRADE), "rotten")
    store_candles(lake, SERIES, GROWN)
    export(lake, FREQTRADE)
    assert FREQTRADE.read(file_in(root, FREQTRADE)).equals(GROWN)


def told_precision(path: Path) -> tuple[bytes, bytes]:
    notes = pq.read_schema(path).metadata
    return notes[b"price_precision"], notes[b"size_precision"]


def test_a_market_has_one_precision_for_all_its_bars_and_its_definition(
    lake: Lake, root: Path
) -> None:
    months = ("2024-01", "2024-02", "2024-03")
    values = {"open": 100.5, "high": 101.25, "low": 100.0, "close": 100.5, "volume": 3.0}
    candles = TRUTH.with_columns(pl.lit(value).alias(name) for name, value in values.items())
    hourly = series_of(timeframe="1h")
    store_candles(lake, SERIES, candles)
    store_candles(lake, hourly, candles.head(5))
    export(lake, NAUTILUS)
    export_layer(
        lake, partitions_of(hourly, "2024-01", "2024-01", "nautilus"), NAUTILUS, nobody_watches()
    )
    paths = [file_in(root, NAUTILUS, month) for month in months]
    assert {told_precision(path) for path in paths} == {(b"2", b"0")}
    [definition] = (root / "exports/nautilus/data/currency_pair/BTCUSDT.BINANCE").iterdir()
    [row] = pq.read_table(definition).to_pylist()
    assert (row["price_precision"], row["size_precision"]) == (2, 0)
    # One candle of February becomes finer: the others are stale, of each timeframe.
    finer = candles.filter(pl.col("open_time") == time("2024-02-15")).with_columns(
        low=pl.lit(99.8765), volume=pl.lit(0.1 + 0.2)
    )
    store_candles(lake, SERIES, finer)
    export_layer(
        lake, partitions_of(SERIES, "2024-02", "2024-02", "nautilus"), NAUTILUS, nobody_watches()
    )
    assert told_precision(paths[1]) == (b"4", b"1")
    [row] = pq.read_table(definition).to_pylist()
    assert (row["price_precision"], row["size_precision"]) == (4, 1)
    assert stale(lake, NAUTILUS) == {"2024-01", "2024-03"}
    assert stale_export_months(hourly, NAUTILUS, JournalBook(lake)) == {JAN}
    report = export(lake, NAUTILUS)
    assert [it.outcome for it in report.partitions] == ["written", "unchanged", "written"]
    assert {told_precision(path) for path in paths} == {(b"4", b"1")}
    assert stale(lake, NAUTILUS) == set()
    found = pl.concat([NAUTILUS.read(path) for path in paths])
    assert found.filter(pl.col("open_time") == time("2024-02-15"))["low"].item() == 99.8765
    assert found.drop("volume").filter(pl.col("low") == 100).height == TRUTH.height - 1


def test_months_written_together_have_the_precision_of_the_finest(lake: Lake, root: Path) -> None:
    late = pl.col("open_time") == time("2024-03-01")
    store_candles(lake, SERIES, TRUTH.with_columns(volume=pl.when(late).then(1.23456).otherwise(2)))
    export(lake, NAUTILUS)
    months = ("2024-01", "2024-02", "2024-03")
    assert {told_precision(file_in(root, NAUTILUS, it))[1] for it in months} == {b"5"}
    assert stale(lake, NAUTILUS) == set()


def test_nautilus_has_one_file_a_month(lake: Lake, root: Path) -> None:
    store_candles(lake, SERIES, TRUTH)
    report = export(lake, NAUTILUS)
    paths = [file_in(root, NAUTILUS, month) for month in ("2024-01", "2024-02", "2024-03")]
    assert [it.path for it in report.partitions] == paths
    heights = [NAUTILUS.read(path).height for path in paths]
    assert heights == [22 * 6, 29 * 6, 19 * 6]
    before = files_of(root)
    assert [it.outcome for it in export(lake, NAUTILUS).partitions] == ["unchanged"] * 3
    assert files_of(root) == before
    store_candles(lake, SERIES, GROWN)
    outcomes = [it.outcome for it in export(lake, NAUTILUS).partitions]
    assert outcomes == ["unchanged", "unchanged", "written"]
    changed = [name for name, held in files_of(root).items() if before.get(name) != held]
    exported = [name for name in changed if name.startswith("exports/")]
    assert exported == [paths[2].relative_to(root).as_posix()]


@pytest.mark.parametrize("converter", CONVERTERS, ids=lambda it: it.name)
def test_series_without_candles_makes_no_file(lake: Lake, root: Path, converter: Converter) -> None:
    report = export(lake, converter)
    assert not report.failures
    assert [(it.outcome, it.path, it.rows) for it in report.partitions] == [
        ("unchanged", None, 0)
    ] * 3
    assert files_of(root) == {}


@pytest.mark.parametrize("converter", CONVERTERS, ids=lambda it: it.name)
def test_correction_makes_the_file_stale_and_exporting_makes_it_current(
    lake: Lake, converter: Converter
) -> None:
    store_candles(lake, SERIES, TRUTH)
    months = {"2024-01", "2024-02", "2024-03"}
    newest = {"2024-03"}
    assert stale(lake, converter) == (newest if converter.scope == "pair" else months)
    export(lake, converter)
    assert stale(lake, converter) == set()
    early = TRUTH.filter(pl.col("open_time") == time("2024-01-15"))
    store_candles(lake, SERIES, early.with_columns(volume=pl.lit(3.25)))
    assert stale(lake, converter) == (newest if converter.scope == "pair" else {"2024-01"})
    export(lake, converter)
    assert stale(lake, converter) == set()


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("converter", CONVERTERS, ids=lambda it: it.name)
def test_damaged_file_is_stale_and_made_again(
    lake: Lake, root: Path, converter: Converter, how: str
) -> None:
    store_candles(lake, SERIES, TRUTH)
    export(lake, converter)
    before = {name: content for name, (content, _) in files_of(root).items()}
    month, is_whole = "2024-02", converter.scope == "pair"
    damage(file_in(root, converter, None if is_whole else month), how)
    found = {"2024-03" if is_whole else month} if how != "rotten" else set()
    assert stale(lake, converter) == found
    outcomes = [it.outcome for it in export(lake, converter).partitions]
    assert outcomes == (["written"] * 3 if is_whole else ["unchanged", "written", "unchanged"])
    assert {name: content for name, (content, _) in files_of(root).items()} == before
    reasons = {str(row.period): row.reason for row in lake.store.journal_rows(converter.name)}
    assert reasons.pop("None" if is_whole else month) == "repair"
    assert set(reasons.values()) <= {"new"}
    assert stale(lake, converter) == set()


@pytest.mark.parametrize("how", DAMAGES)
def test_damaged_definition_of_a_market_is_stale_and_made_again_once(
    lake: Lake, root: Path, how: str
) -> None:
    store_candles(lake, SERIES, TRUTH)
    export(lake, NAUTILUS)
    before = {name: content for name, (content, _) in files_of(root).items()}
    [definition] = (root / "exports").rglob("currency_pair/*/*.parquet")
    damage(definition, how)
    months = {"2024-01", "2024-02", "2024-03"}
    assert stale(lake, NAUTILUS) == (months if how != "rotten" else set())
    outcomes = [it.outcome for it in export(lake, NAUTILUS).partitions]
    assert outcomes == ["written", "unchanged", "unchanged"]
    assert {name: content for name, (content, _) in files_of(root).items()} == before
    assert stale(lake, NAUTILUS) == set()


def test_damaged_candles_fail_their_series_alone_and_harm_no_file(lake: Lake, root: Path) -> None:
    other = series_of(pair="ETH/USDT", timeframe="4h")
    for series in (SERIES, other):
        store_candles(lake, series, TRUTH)
    asked = [
        it
        for series in (SERIES, other)
        for it in partitions_of(series, "2024-01", "2024-03", "freqtrade")
    ]
    export_layer(lake, asked, FREQTRADE, nobody_watches())
    before = file_in(root, FREQTRADE).read_bytes()
    store_candles(lake, SERIES, candles_at(grid("2024-03-20", "2024-03-21", "4h")))
    [path] = lake.store.files("ohlcv", SERIES, [FEB])
    path.write_bytes(b"torn")
    report = export_layer(lake, asked, FREQTRADE, nobody_watches())
    assert list(report.failures) == asked[:3]
    assert all(str(path) in reason for reason in report.failures.values())
    assert [it.outcome for it in report.partitions] == ["failed"] * 3 + ["unchanged"] * 3
    assert file_in(root, FREQTRADE).read_bytes() == before
    noted = lake.verdicts.newest("binance", "freqtrade", SERIES.timeframe)
    assert set(noted["rule"]) == {"series_derived"}
    assert noted["count"].to_list() == [1, 1, 1]


def test_month_that_a_program_cannot_hold_does_not_unname_the_ones_before(lake: Lake) -> None:
    def refuse_february(candles: pl.DataFrame, file: ExportFile, path: Path) -> None:
        if file.period == FEB:
            raise ExportError(f"{file}: no way to hold it")
        candles.write_parquet(path)

    picky = Converter(
        name="nautilus",
        title="Picky",
        scope="period",
        path=lambda file: PurePosixPath("picky") / f"{file.period}.parquet",
        write=refuse_february,
        read=pl.read_parquet,
        volume_step=0.0,
        companions=no_companions,
        columns=(),
    )
    store_candles(lake, SERIES, TRUTH)
    report = export(lake, picky)
    assert [it.outcome for it in report.partitions] == ["written", "failed", "written"]
    assert [str(it.period) for it in report.failures] == ["2024-02"]


def test_file_of_all_months_is_named_once_a_program_has_one_a_month(lake: Lake, root: Path) -> None:
    store_candles(lake, SERIES, TRUTH)
    place = PurePosixPath("nautilus/BTC_USDT.parquet")
    whole = replace(NAUTILUS, scope="pair", path=lambda _: place, write=write_whole)
    export(lake, whole)
    assert survey_all(root, lake) == {}
    export(lake, NAUTILUS)
    assert survey_all(root, lake) == {f"exports/{place}": "unknown"}
    versions = [row.version for row in lake.store.journal_rows("nautilus") if not row.period]
    assert not export(lake, NAUTILUS).failures
    again = [row.version for row in lake.store.journal_rows("nautilus") if not row.period]
    assert again == versions


def write_whole(candles: pl.DataFrame, file: ExportFile, path: Path) -> None:
    assert file.period is None
    candles.write_parquet(path)


def survey_all(root: Path, lake: Lake) -> dict[str, str]:
    found = survey(root, lake.state, Chosen(), "full").findings
    return {finding.path: finding.kind for finding in found}


def test_stopping_leaves_whole_files(lake: Lake) -> None:
    other = series_of(pair="ETH/USDT", timeframe="4h")
    for series in (SERIES, other):
        store_candles(lake, series, TRUTH)
    heard: list[Progress] = []
    answers = iter([False, True])
    watch = Watch(report=heard.append, should_stop=lambda: next(answers))
    asked = [it for series in (SERIES, other) for it in partitions_of(series, layer="freqtrade")]
    with pytest.raises(StoppedError, match="ETH"):
        export_layer(lake, asked, FREQTRADE, watch)
    assert [it.done for it in heard] == [1]
    assert len(lake.store.journal_rows("freqtrade", "binance")) == 1
