import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from data_platform.cli.main import main
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform_tests.cli.conftest import StoreCandles
from data_platform_tests.read_only import run_powerless, unwritable

SERIES = Series("okx", Pair("BTC/USDT"), to_timeframe("1h"))
START = datetime(2024, 1, 1, tzinfo=UTC)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["query", *arguments])


@pytest.mark.usefixtures("lake")
def test_a_select_is_answered_in_each_format(store_candles: StoreCandles) -> None:
    store_candles(SERIES, START, 3)
    sql = "SELECT open_time, close FROM candles('okx', '1h', 'BTC-USDT') ORDER BY 1 LIMIT 2"
    as_json = run(sql, "--format", "json")
    assert as_json.exit_code == 0, as_json.output
    assert json.loads(as_json.stdout) == [
        {"open_time": "2024-01-01T00:00:00Z", "close": 100.0},
        {"open_time": "2024-01-01T01:00:00Z", "close": 101.0},
    ]
    assert run(sql, "--format", "csv").stdout == (
        "open_time,close\n2024-01-01T00:00:00Z,100.0\n2024-01-01T01:00:00Z,101.0\n"
    )
    table = run(sql).stdout
    assert "2024-01-01T01:00:00Z" in table
    assert table.endswith("2 rows\n")


@pytest.mark.usefixtures("lake")
def test_what_other_libraries_cannot_hold_is_printed(store_candles: StoreCandles) -> None:
    store_candles(SERIES, START, 3)
    sql = (
        "SELECT max(open_time) - min(open_time) AS span, sum(i)::HUGEINT << 70 AS huge,"
        " 'nan'::DOUBLE AS nothing, '12:00:00+02'::TIMETZ AS zoned FROM candles, range(4) r(i)"
    )
    as_json = run(sql, "--format", "json")
    assert as_json.exit_code == 0, as_json.output
    assert json.loads(as_json.stdout) == [
        {"span": "02:00:00", "huge": 18 << 70, "nothing": None, "zoned": "12:00:00+02"}
    ]
    texts = ["02:00:00", str(18 << 70), "nan", "12:00:00+02"]
    assert run(sql, "--format", "csv").stdout.splitlines() == [
        "span,huge,nothing,zoned",
        ",".join(texts),
    ]
    table = run(sql).stdout.splitlines()[3]
    assert [cell.strip() for cell in table.strip("│").split("│")] == texts


@pytest.mark.usefixtures("lake")
def test_what_is_stored_can_be_asked_of_the_state_database(store_candles: StoreCandles) -> None:
    store_candles(SERIES, START, 3)
    done = run("SELECT exchange, rows FROM partitions", "--format", "csv")
    assert done.stdout == "exchange,rows\nokx,3\n"


@pytest.mark.parametrize(
    "sql",
    [
        "SELEC 1",
        "SELECT * FROM nowhere",
        "DROP TABLE gaps",
        "SELECT 1; SELECT 2",
        "COPY (SELECT 1) TO 'out.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT 1 AS a, 2 AS a",
        "",
    ],
)
def test_r28_anything_but_one_select_over_the_lake_is_wrong_use(
    lake: Path, store_candles: StoreCandles, sql: str
) -> None:
    store_candles(SERIES, START, 1)
    done = run(sql)
    assert done.exit_code == 2
    assert done.stderr.startswith("data-platform: ")
    assert done.stderr.count("\n") == 1
    assert not list(lake.parent.rglob("out.csv"))


def test_without_a_lake_the_first_step_is_named(lake: Path) -> None:
    done = run("SELECT 1")
    assert done.exit_code == 1
    assert done.stderr == (
        f"data-platform: there is no lake at {lake}. Fetch candles with `data-platform download`, "
        "or set DATA_PLATFORM_DATA to where it lies.\n"
    )


@pytest.mark.parametrize("has_catalogue", [True, False])
def test_a_copy_of_a_lake_that_cannot_be_written_answers(
    lake: Path, store_candles: StoreCandles, *, has_catalogue: bool
) -> None:
    store_candles(SERIES, START, 3)
    assert run("SELECT 1").exit_code == 0
    copy = lake.with_name("copy")
    shutil.copytree(lake, copy)
    if not has_catalogue:
        (copy / "catalog.duckdb").unlink()
    shutil.rmtree(lake)
    arguments = ("query", "SELECT count(*) AS n FROM candles", "--format", "csv")
    with unwritable(copy):
        done = run_powerless(
            "-m", "data_platform.cli.main", *arguments, DATA_PLATFORM_DATA=str(copy)
        )
    assert (done.stdout, done.stderr) == ("n\n3\n", "")
