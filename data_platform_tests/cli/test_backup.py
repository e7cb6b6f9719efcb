from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from data_platform.cli.main import main
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform_tests.cli.conftest import StoreCandles
from data_platform_tests.damage import damage

SERIES = Series("okx", Pair("BTC/USDT"), to_timeframe("1h"))
START = datetime(2024, 1, 1, tzinfo=UTC)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["backup", *arguments])


def test_a_backup_tells_what_it_holds_and_what_was_new(
    lake: Path, store_candles: StoreCandles
) -> None:
    store_candles(SERIES, START, 2)
    first = run("kept", "--keep", "1")
    assert first.exit_code == 0, first.output
    left_out, told = first.stdout.splitlines()
    assert left_out.startswith(f"There is no Dagster instance at {lake.parent}/.dagster")
    assert " 2 files, " in told
    assert "; 2 new, " in told
    store_candles(SERIES, START, 3)
    assert run("kept", "--keep", "1").stdout.endswith("; 1 old ones dropped\n")


def test_a_damaged_file_is_named_and_exit_one(lake: Path, store_candles: StoreCandles) -> None:
    store_candles(SERIES, START, 2)
    damage(next((lake / "ohlcv").rglob("*.parquet")), "flipped")
    done = run("kept")
    assert done.exit_code == 1
    assert "candles.parquet: its bytes are not those that the journal tells of" in done.stderr
    assert " 2 files, " in done.stdout


@pytest.mark.usefixtures("lake")
def test_what_cannot_be_meant_exits_two(
    store_candles: StoreCandles, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("kept").exit_code == 1
    store_candles(SERIES, START, 2)
    assert run("data/kept").exit_code == 2
    assert run("kept", "--keep", "0").exit_code == 2
    assert run("configs").exit_code == 2
    monkeypatch.setenv("DATA_PLATFORM_STATE", "postgresql+psycopg://user:secret@host/name")
    refused = run("kept")
    assert (refused.exit_code, "pg_dump" in refused.stderr) == (2, True)
    assert "secret" not in refused.output
    assert not Path("kept").exists()


def test_dagster_on_another_database_is_told(lake: Path, store_candles: StoreCandles) -> None:
    store_candles(SERIES, START, 2)
    (lake.parent / ".dagster").mkdir()
    (lake.parent / ".dagster/dagster.yaml").write_text("storage: {postgres: {}}\n")
    assert "Dagster keeps no SQLite file below" in run("kept").stdout
