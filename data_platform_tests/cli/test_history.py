import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from data_platform.cli.main import main
from data_platform.domain.candles import merge_candles
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period
from data_platform.domain.timeframes import to_timeframe
from data_platform.storage.journal import CommitNote
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.state import State
from data_platform_tests.factories import candles_at, grid

SERIES = Series("okx", Pair("BTC/USDT"), to_timeframe("1h"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["history", *arguments])


@pytest.fixture
def corrected(lake: Path) -> Path:
    """Two candles fetched by `run-a`, the first of them corrected by `run-b`."""
    state = State(f"sqlite:///{lake / 'state.db'}")
    store = PartitionStore(lake, state)
    for run_id, price, hour in (("run-a", 100.0, 8), ("run-b", 200.0, 20)):
        store.commit(
            Partition("ohlcv", SERIES, Period(2024, 1)),
            candles_at(grid("2024-01-01", "2024-01-01 02:00")[: 2 if hour == 8 else 1], price),
            merge=merge_candles,
            audit=lambda given: (given, given.clear()),
            note=CommitNote(
                source="ccxt:okx", run_id=run_id, fetched_at=datetime(2024, 2, 1, hour, tzinfo=UTC)
            ),
        )
    state.close()
    return lake


@pytest.mark.usefixtures("corrected")
def test_a_candle_tells_its_whole_story() -> None:
    found = run("okx/BTC-USDT/1h", "--at", "2024-01-01T00:30")
    assert found.exit_code == 0, found.output
    table = found.stdout
    for words in ("new", "correction", "run-a", "run-b", "ccxt:okx", "2024-02-01 08:00:00"):
        assert words in table
    assert "Filled: no row" in table
    [told] = json.loads(run("okx/BTC-USDT/1h", "--at", "2024-01-01", "--json").stdout)
    first, second = told["changes"]
    assert first["before"] is None
    assert first["after"] == second["before"]
    assert second["after"]["close"] - second["before"]["close"] == 100.0
    assert (second["fetched_at"], second["run_id"]) == ("2024-02-01T20:00:00Z", "run-b")


@pytest.mark.usefixtures("corrected")
def test_a_series_tells_its_commits() -> None:
    found = run("okx/btcusdt/1H", "--json")
    assert [(it["version"], it["reason"]) for it in json.loads(found.stdout)] == [
        (1, "new"),
        (2, "correction"),
    ]
    assert "2 commits" in run("okx/BTC-USDT/1h").stdout


@pytest.mark.usefixtures("corrected")
def test_what_was_never_stored_says_so() -> None:
    assert "It was never stored." in run("okx/BTC-USDT/1h", "--at", "2024-01-05").stdout
    assert run("okx").exit_code == 2
    assert run("okx/BTC-USDT/2h").exit_code == 2


@pytest.mark.usefixtures("lake")
def test_without_a_lake_it_says_so() -> None:
    found = run("okx/BTC-USDT/1h")
    assert found.exit_code == 1
    assert "there is no lake" in found.stderr
