"""The same lake in every time zone, and the calendar's edges in every way of reading it."""

import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from data_platform.converters import CONVERTERS
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period, periods_between
from data_platform.domain.timeframes import TIMEFRAMES
from data_platform.features.resample import resample_candles
from data_platform.operations.export import export_layer
from data_platform.operations.lake import Lake
from data_platform.operations.watch import nobody_watches
from data_platform.storage.answers import select
from data_platform.storage.catalog import open_catalog
from data_platform_tests.factories import (
    candles_at,
    grid,
    lake_at,
    series_of,
    store_candles,
    stored,
    time,
)
from data_platform_tests.operations.lines import derive_line

ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Asia/Kathmandu")
HOURS, MINUTES = series_of(), series_of(timeframe="1m")
TURNS = {
    "year": ("2023-12-31", "2024-01-02"),
    "leap day": ("2024-02-28", "2024-03-02"),
    "no leap day": ("2023-02-28", "2023-03-02"),
    "summer time in New York": ("2024-03-09", "2024-03-12"),
    "summer time in Berlin": ("2024-03-30", "2024-04-02"),
    "winter time in Berlin": ("2024-10-26", "2024-10-29"),
    "winter time in New York": ("2024-11-02", "2024-11-05"),
}


def build(root: Path) -> dict[str, object]:
    """Store, derive and export hours across both changes of the clocks; return what came of it."""
    lake = lake_at(root)
    store_candles(lake, HOURS, candles_at(grid("2024-03-01", "2024-05-01")))
    months = [Period(2024, 3), Period(2024, 4)]
    derive_line(lake, HOURS, months)
    for converter in CONVERTERS:
        parts = [Partition(converter.name, HOURS, month) for month in months]
        export_layer(lake, parts, converter, nobody_watches())
    files = {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix in (".parquet", ".feather")
    }
    found: dict[str, object] = {
        "files": files,
        "days": counts(lake, HOURS, "day"),
        "weeks": counts(lake, HOURS, "week"),
    }
    lake.state.close()
    return found


def counts(lake: Lake, series: Series, unit: str) -> list[tuple[str, str]]:
    """Return what the catalogue counts for each day, week or month."""
    timeframe, pair = series.timeframe, series.pair.key
    with open_catalog(lake.store.root, lake.state) as door:
        answer = select(
            door,
            f"SELECT date_trunc('{unit}', open_time) AS at, count(*) AS n"
            f" FROM candles('binance', '{timeframe}', '{pair}') GROUP BY 1 ORDER BY 1",
        )
    return [(str(at), str(count)) for at, count in answer.texts.rows()]


def test_r25_four_time_zones_make_identical_bytes_and_counts(tmp_path: Path) -> None:
    code = (
        "import json, sys; from pathlib import Path;"
        "from data_platform_tests.test_time_zones import build;"
        "print(json.dumps(build(Path(sys.argv[1]))))"
    )
    running = []
    for zone in ZONES:
        root = tmp_path / zone
        root.mkdir(parents=True)
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", code, str(root)],
                env={**os.environ, "TZ": zone},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    told = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * len(ZONES)
    utc, *others = [json.loads(it) for it in told]
    assert len(utc["files"]) > 10
    assert len(utc["days"]) == 61
    assert {count for _, count in utc["days"]} == {"24"}
    for other in others:
        assert other == utc


@pytest.fixture(scope="module")
def turning(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Give a lake of minutes around every turn of the calendar."""
    root = tmp_path_factory.mktemp("turning")
    lake = lake_at(root)
    for start, end in TURNS.values():
        store_candles(lake, MINUTES, candles_at(grid(start, end, "1m")))
    return lake


@pytest.mark.parametrize("turn", TURNS)
def test_r26_every_turn_of_the_calendar_holds_its_exact_count(turning: Lake, turn: str) -> None:
    start, end = map(time, TURNS[turn])
    days = (end - start).days
    found = turning.store.read_range("ohlcv", MINUTES, start, end)
    assert found.height == days * 1440
    for period in periods_between(start, end):
        stored_there = turning.store.read(Partition("ohlcv", MINUTES, period))
        assert stored_there
        times = stored_there.frame["open_time"]
        assert (times >= period.start).all()
        assert (times < period.end).all()
    seen = dict(counts(turning, MINUTES, "day"))
    for number in range(days):
        assert seen[f"{start + timedelta(days=number):%Y-%m-%dT%H:%M:%SZ}"] == "1440"
    for timeframe in TIMEFRAMES[1:]:
        coarse = resample_candles(found, timeframe, [], end)["open_time"].to_list()
        assert len(coarse) == days * 86_400 // timeframe.seconds
        assert coarse[0] == start
        assert {after - before for before, after in pairwise(coarse)} <= {timeframe.duration}


def test_r26_weeks_begin_on_monday_everywhere(turning: Lake) -> None:
    rows = stored(turning, MINUTES)
    weeks = rows.group_by(pl.col("open_time").dt.truncate("1w")).len().sort("open_time").rows()
    counted = [(datetime.fromisoformat(at), int(n)) for at, n in counts(turning, MINUTES, "week")]
    assert counted == weeks
    assert len(weeks) > 7
    assert {at.isoweekday() for at, _ in weeks} == {1}
    assert {at.astimezone(UTC).hour for at, _ in weeks} == {0}
