"""A file that does not hold the stored candles is named, with the times at which it does not."""

import json
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from data_platform.converters import CONVERTERS, CONVERTERS_BY_NAME
from data_platform.converters.converter import Converter, ExportFile
from data_platform.operations.export import export_layer
from data_platform.operations.lake import Lake
from data_platform.operations.prove_exports import BARS_EQUAL, prove_exports
from data_platform.operations.watch import nobody_watches
from data_platform_tests.factories import (
    candles_at,
    grid,
    month_of,
    partitions_of,
    series_of,
    store_candles,
)

SERIES = series_of(timeframe="4h")
TRUTH = candles_at(grid("2024-01-10", "2024-03-20", "4h"))
STEP = SERIES.timeframe.ms


@pytest.fixture
def exported(lake: Lake) -> Lake:
    store_candles(lake, SERIES, TRUTH)
    for converter in CONVERTERS:
        asked = partitions_of(SERIES, "2024-01", "2024-03", converter.name)
        assert not export_layer(lake, asked, converter, nobody_watches()).failures
    return lake


def file_of(lake: Lake, converter: Converter) -> Path:
    """Return the file that holds February."""
    month = month_of("2024-02") if converter.scope == "period" else None
    return lake.store.root / "exports" / converter.path(ExportFile(SERIES, month))


def verdicts(
    lake: Lake, converter: Converter, asked: Collection[str] | None = None
) -> dict[str, tuple[int, list[dict[str, Any]]]]:
    prove_exports(lake, converter, [SERIES], asked)
    found = lake.verdicts.newest("binance", converter.name, SERIES.timeframe)
    own = found.filter(pl.col("rule") == BARS_EQUAL).select("period", "count", "rows_json")
    return {period: (count, json.loads(rows)) for period, count, rows in own.rows()}


def change(path: Path, edit: Callable[[pa.Table], pa.Table]) -> None:
    """Write a file anew with another content, by pyarrow."""
    if path.suffix == ".feather":
        feather.write_feather(edit(feather.read_table(path)), path)
    else:
        pq.write_table(edit(pq.read_table(path, partitioning=None)), path)


def first_in_february(table: pa.Table) -> int:
    return 0 if table.num_rows < 200 else 22 * 6


def drop_row(table: pa.Table) -> pa.Table:
    at = first_in_february(table)
    return pa.concat_tables([table.slice(0, at), table.slice(at + 1)])


def add_row(table: pa.Table) -> pa.Table:
    at = first_in_february(table)
    return pa.concat_tables([table.slice(0, at + 1), table.slice(at, 1), table.slice(at + 1)])


@pytest.mark.parametrize("converter", CONVERTERS, ids=lambda it: it.name)
def test_files_as_they_are_written_hold_every_bar(exported: Lake, converter: Converter) -> None:
    assert verdicts(exported, converter) == {}


def test_a_sum_of_floats_may_be_rounded_where_its_15_digits_do_not_show_it(lake: Lake) -> None:
    summed = TRUTH.with_columns(volume=pl.lit(191.98938999999996))
    store_candles(lake, SERIES, summed)
    nautilus = CONVERTERS_BY_NAME["nautilus"]
    asked = partitions_of(SERIES, "2024-01", "2024-03", "nautilus")
    export_layer(lake, asked, nautilus, nobody_watches())
    path = file_of(lake, nautilus)
    assert nautilus.read(path)["volume"].unique().to_list() == [191.98939]
    assert verdicts(lake, nautilus) == {}
    # A unit of the 15th digit is another volume: 191.989390000001.
    other = (19198939 * 10**11 + 10**4).to_bytes(16, "little")

    def lift(table: pa.Table) -> pa.Table:
        values = [other, *table["volume"].to_pylist()[1:]]
        place = table.column_names.index("volume")
        field = table.schema.field("volume")
        return table.set_column(place, field, pa.array(values, field.type))

    change(path, lift)
    [row] = verdicts(lake, nautilus)["2024-02"][1]
    assert (row["open_time"], row["fault"]) == ("2024-02-01 00:00:00", "volume differ")


@pytest.mark.parametrize("converter", CONVERTERS, ids=lambda it: it.name)
@pytest.mark.parametrize(
    ("edit", "fault"), [(drop_row, "missing in the file"), (add_row, "not in the lake")]
)
def test_row_too_few_or_too_many_is_named_with_its_time(
    exported: Lake, converter: Converter, edit: Callable[[pa.Table], pa.Table], fault: str
) -> None:
    path = file_of(exported, converter)
    change(path, edit)
    place = path.relative_to(exported.store.root).as_posix()
    row = {"open_time": "2024-02-01 00:00:00", "fault": fault, "file": place}
    assert verdicts(exported, converter) == {"2024-02": (1, [row])}


@pytest.mark.parametrize("converter", CONVERTERS, ids=lambda it: it.name)
def test_last_row_that_stands_twice_is_named(exported: Lake, converter: Converter) -> None:
    path = file_of(exported, converter)
    change(path, lambda table: pa.concat_tables([table, table.slice(table.num_rows - 1)]))
    [(_, (count, rows))] = verdicts(exported, converter).items()
    last = "2024-03-19 20:00:00" if converter.scope == "pair" else "2024-02-29 20:00:00"
    assert (count, rows[0]["open_time"], rows[0]["fault"]) == (1, last, "not in the lake")


@pytest.mark.parametrize(
    ("name", "first", "counts"),
    [
        ("vectorbt", "2024-02-01 00:00:00", {"2024-02": 29 * 6 + 1}),
        (
            "freqtrade",
            "2024-01-10 00:00:00",
            {"2024-01": 22 * 6, "2024-02": 29 * 6, "2024-03": 19 * 6 + 1},
        ),
    ],
)
def test_times_shifted_by_one_candle_are_found(
    exported: Lake, name: str, first: str, counts: dict[str, int]
) -> None:
    def shift(table: pa.Table) -> pa.Table:
        field = table.schema.field(0)
        moved = pa.compute.add(table.column(0).cast(pa.int64()), STEP).cast(field.type)
        return table.set_column(0, field, moved)

    converter = CONVERTERS_BY_NAME[name]
    change(file_of(exported, converter), shift)
    found = verdicts(exported, converter)
    # Every close differs, the first time is missing and the last one new.
    assert {period: count for period, (count, _) in found.items()} == counts
    assert next(iter(found.values()))[1][0] == {
        "open_time": first,
        "fault": "missing in the file",
        "file": file_of(exported, converter).relative_to(exported.store.root).as_posix(),
    }


def test_bars_stamped_by_their_opening_are_found(exported: Lake) -> None:
    def stamp_by_opening(table: pa.Table) -> pa.Table:
        for name in ("ts_event", "ts_init"):
            place = table.schema.get_field_index(name)
            early = pa.compute.subtract(table.column(name), pa.scalar(STEP * 10**6, pa.uint64()))
            table = table.set_column(place, table.schema.field(place), early)
        return table

    converter = CONVERTERS_BY_NAME["nautilus"]
    change(file_of(exported, converter), stamp_by_opening)
    [(month, (count, rows))] = verdicts(exported, converter).items()
    assert month == "2024-02"
    assert (count, rows[0]["open_time"]) == (29 * 6 + 1, "2024-01-31 20:00:00")


@pytest.mark.parametrize("converter", CONVERTERS, ids=lambda it: it.name)
def test_one_price_that_differs_by_its_last_bit_is_found(
    exported: Lake, converter: Converter
) -> None:
    def touch(table: pa.Table) -> pa.Table:
        at, place = (
            first_in_february(table),
            table.schema.names.index("close" if "close" in table.schema.names else "Close"),
        )
        values = table.column(place).to_pylist()
        if converter.name == "nautilus":
            raw = int.from_bytes(values[at], "little", signed=True)
            values[at] = (raw + 1_000).to_bytes(16, "little", signed=True)
        else:
            values[at] = values[at] * (1 + 2**-52)
        field = table.schema.field(place)
        return table.set_column(place, field, pa.array(values, field.type))

    change(file_of(exported, converter), touch)
    [(month, (count, rows))] = verdicts(exported, converter).items()
    assert (month, count) == ("2024-02", 1)
    assert (rows[0]["open_time"], rows[0]["fault"]) == ("2024-02-01 00:00:00", "close differ")


@pytest.mark.parametrize("converter", CONVERTERS, ids=lambda it: it.name)
def test_other_types_cannot_be_read_and_say_so(exported: Lake, converter: Converter) -> None:
    def to_text(table: pa.Table) -> pa.Table:
        place = len(table.schema) - 1
        return table.set_column(place, table.schema.names[place], pa.array(["x"] * table.num_rows))

    change(file_of(exported, converter), to_text)
    [(_, (count, rows))] = verdicts(exported, converter).items()
    assert count == 1
    assert "export" in rows[0]["fault"]


def test_what_is_right_again_is_noted_and_only_what_is_asked_is_compared(exported: Lake) -> None:
    converter = CONVERTERS_BY_NAME["nautilus"]
    path = file_of(exported, converter)
    whole = path.read_bytes()
    change(path, drop_row)
    assert verdicts(exported, converter, {"BTC-USDT|2024-01"}) == {}
    assert verdicts(exported, converter, {"BTC-USDT|2024-02"})["2024-02"][0] == 1
    path.write_bytes(whole)
    assert verdicts(exported, converter, {"BTC-USDT|2024-02"}) == {"2024-02": (0, [])}


def test_file_whose_candles_have_changed_since_is_stale_and_not_wrong(exported: Lake) -> None:
    store_candles(exported, SERIES, candles_at(grid("2024-03-20", "2024-03-21", "4h")))
    assert verdicts(exported, CONVERTERS_BY_NAME["vectorbt"]) == {}


@pytest.mark.parametrize("converter", CONVERTERS, ids=lambda it: it.name)
def test_files_are_held_against_the_hashes_of_their_months_first(
    exported: Lake, converter: Converter
) -> None:
    # No candle is left to compare with, and none is needed.
    shutil.rmtree(exported.store.root / "ohlcv")
    assert verdicts(exported, converter) == {}


def test_volumes_that_the_format_rounds_are_compared_row_by_row(lake: Lake) -> None:
    converter = CONVERTERS_BY_NAME["nautilus"]
    store_candles(lake, SERIES, TRUTH.with_columns(volume=pl.lit(1 / 3 * 1e-7)))
    asked = partitions_of(SERIES, "2024-01", "2024-03", converter.name)
    assert not export_layer(lake, asked, converter, nobody_watches()).failures
    assert converter.read(file_of(lake, converter))["volume"][0] != 1 / 3 * 1e-7
    assert verdicts(lake, converter) == {}


def test_candles_that_are_damaged_stop_no_other_comparison(exported: Lake) -> None:
    [path] = (exported.store.root / "ohlcv").rglob("period=2024-02/candles.parquet")
    path.write_bytes(b"")
    assert verdicts(exported, CONVERTERS_BY_NAME["vectorbt"]) == {}
    change(file_of(exported, CONVERTERS_BY_NAME["nautilus"]), drop_row)
    assert verdicts(exported, CONVERTERS_BY_NAME["nautilus"]) == {}
