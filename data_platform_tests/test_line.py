"""The whole line, run for real: Dagster, Parquet, SQLite, and HTTP to a simulated exchange."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from data_platform.domain.errors import WrongUseError
from data_platform.domain.layers import LAYERS
from data_platform.domain.markets import Pair, from_key
from data_platform_tests.small_line import (
    ALL_LAYERS,
    BTC,
    ETH,
    NOW,
    SOL,
    TIMEFRAMES,
    SmallLine,
    open_small_line,
    series,
)

START, END = datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)
PARTITIONS = {
    f"{pair.key}|{month}" for pair, month in product((BTC, ETH, SOL), ("2024-02", "2024-03"))
}
DAGSTER = Path(sys.executable).parent / "dagster"

DOGE = from_key("DOGE-USDT")

NOT_LISTED = """\
exchanges:
  binance:
    start: 2024-03-01
    pairs: [BTC/USDT, DOGE/USDT, ETH/USDT]
    timeframes: [1h]
    rate_limit: 60000
"""


@pytest.fixture(scope="module")
def broken_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallLine]:
    """Give a line one pair of which its exchange does not know."""
    root = tmp_path_factory.mktemp("broken")
    with open_small_line(root, NOT_LISTED, simulated=(BTC, ETH)) as line:
        yield line


@pytest.mark.parametrize("pair", [BTC, ETH, SOL], ids=str)
@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_stored_candles_equal_those_of_the_exchange(
    stored_line: SmallLine, pair: Pair, timeframe: str
) -> None:
    one = series(pair, timeframe)
    with stored_line.lake() as lake:
        found = lake.store.read_range("ohlcv", one, START, END)
    expected = stored_line.simulator.candles(one, START, END)
    assert expected.height == one.timeframe.count(START, one.timeframe.floor(NOW))
    if timeframe == "4h":
        # Derived: volumes are added in another order than the exchange adds them.
        assert_frame_equal(found, expected, check_exact=False, rel_tol=1e-12, abs_tol=0)
        assert found.drop("volume").equals(expected.drop("volume"))
    else:
        assert found.equals(expected)


def test_every_layer_of_every_partition_is_stored_and_materialized(stored_line: SmallLine) -> None:
    for layer, timeframe in product(ALL_LAYERS, TIMEFRAMES):
        assert stored_line.materialized(layer, timeframe) == PARTITIONS, (layer, timeframe)
    with stored_line.lake() as lake:
        rows = lake.store.journal_rows()
    stored = {(row.layer, row.series.timeframe.name, row.series.pair.key) for row in rows}
    pairs = [pair.key for pair in (BTC, ETH, SOL)]
    assert stored == set(product(ALL_LAYERS, TIMEFRAMES, pairs))
    assert all(row.rows for row in rows)


def test_all_layers_and_timeframes_fit_in_one_run(stored_line: SmallLine) -> None:
    (run,) = stored_line.instance.get_runs()
    assert run.is_success


def test_second_run_asks_for_no_candle_and_writes_no_file(stored_line: SmallLine) -> None:
    before = stored_line.files()
    outcome = stored_line.materialize()
    assert outcome.success
    assert stored_line.simulator.candle_requests == {"binance": 0}
    assert stored_line.files() == before


def test_growing_month_fetches_its_tail_and_leaves_other_months_alone(
    stored_line: SmallLine,
) -> None:
    before = stored_line.files()
    stored_line.clock[0] = NOW + timedelta(hours=3)
    assert stored_line.materialize(timeframes=("1h",)).success
    changed = {name for name, state in stored_line.files().items() if before.get(name) != state}
    assert stored_line.simulator.candle_requests == {"binance": 3}
    assert any(name.startswith("ohlcv/") for name in changed)
    assert not [name for name in changed if "2024-02" in name]
    one = series(ETH, "1h")
    with stored_line.lake() as lake:
        found = lake.store.read_range("ohlcv", one, START, END)
    assert found.equals(stored_line.simulator.candles(one, START, END))
    assert found["open_time"][-1] == datetime(2024, 3, 2, 14, tzinfo=UTC)


def test_pairs_that_are_not_neighbours_take_a_run_each(empty_line: SmallLine) -> None:
    outcome = empty_line.materialize((BTC, SOL), ("ohlcv",), ("1d",))
    assert outcome.success
    assert len(outcome.run_ids) == 2
    assert {key.split("|")[0] for key in empty_line.materialized("ohlcv", "1d")} == {
        "BTC-USDT",
        "SOL-USDT",
    }


def test_nothing_selected_is_refused(empty_line: SmallLine) -> None:
    with pytest.raises(WrongUseError, match="nothing of binance"):
        empty_line.materialize(())


def test_finest_candles_come_first_and_candles_before_what_is_made_of_them(
    stored_line: SmallLine,
) -> None:
    (run,) = stored_line.instance.get_runs()
    records = stored_line.instance.get_records_for_run(run.run_id).records
    events = [it.event_log_entry.dagster_event for it in records]
    begun = [str(it.step_key) for it in events if it and it.is_step_start]
    steps = [step.removeprefix("binance__") for step in begun]
    assert [step for step in steps if "ohlcv" in step] == ["ohlcv_1h", "ohlcv_4h", "ohlcv_1d"]
    assert steps.index("ohlcv_1d") < steps.index("filled_1h")


def test_metadata_tells_what_each_partition_holds(stored_line: SmallLine) -> None:
    key = dg.AssetKey(["binance", "ohlcv_1h"])
    fetched = stored_line.instance.fetch_materializations(key, limit=100)
    by_partition = {record.partition_key: record for record in fetched.records}
    event = by_partition["ETH-USDT|2024-02"].asset_materialization
    assert event is not None
    metadata = {name: value.value for name, value in event.metadata.items()}
    assert metadata["dagster/partition_row_count"] == 29 * 24
    assert metadata["first_open_time"] == "2024-02-01T00:00:00+00:00"
    assert metadata["last_open_time"] == "2024-02-29T23:00:00+00:00"
    assert metadata["missing_candles"] == 0
    assert metadata["status"] == "written"
    assert Path(str(metadata["path"])).name == "candles.parquet"


def test_one_failing_pair_stops_neither_the_others_nor_what_follows(broken_line: SmallLine) -> None:
    outcome = broken_line.materialize((BTC, DOGE, ETH), ALL_LAYERS, ("1h",), ("2024-03", "2024-03"))
    assert not outcome.success
    (failure,) = outcome.failures
    assert re.findall(r"[A-Z]+-USDT\|", failure) == ["DOGE-USDT|"]
    with broken_line.lake() as lake:
        rows = {(row.layer, row.series.pair.key): row.rows for row in lake.store.journal_rows()}
    for layer in LAYERS:
        assert rows[layer.name, "BTC-USDT"], layer.name
        assert rows[layer.name, "ETH-USDT"], layer.name
    assert not rows.get(("ohlcv", "DOGE-USDT"))


def test_command_line_exits_1_and_names_the_failing_pair(broken_line: SmallLine) -> None:
    done = materialize_by_command(
        broken_line, "--select", "group:binance", "--partition", "DOGE-USDT|2024-03"
    )
    assert done.returncode == 1
    assert "DOGE-USDT|2024-03" in done.stderr


def test_command_line_materializes_a_range_of_pairs_and_months(empty_line: SmallLine) -> None:
    wanted = "BTC-USDT|2024-02...ETH-USDT|2024-03"
    done = materialize_by_command(
        empty_line, "--select", "binance/ohlcv_1d", "--partition-range", wanted
    )
    assert done.returncode == 0, done.stderr
    assert "BetaWarning" not in done.stderr
    assert empty_line.materialized("ohlcv", "1d") == {
        key for key in PARTITIONS if not key.startswith("SOL")
    }


def test_range_in_the_wrong_order_fails_instead_of_doing_nothing(empty_line: SmallLine) -> None:
    job = empty_line.definitions.resolve_job_def("fetch_binance_candles_job")
    result = job.execute_in_process(
        instance=empty_line.instance,
        raise_on_error=False,
        tags={
            "dagster/asset_partition_range_start": "SOL-USDT|2024-02",
            "dagster/asset_partition_range_end": "BTC-USDT|2024-02",
        },
    )
    assert not result.success
    assert empty_line.simulator.candle_requests == {"binance": 0}
    with empty_line.lake() as lake:
        assert not lake.store.journal_rows()


def test_filled_rows_equal_the_candles_where_nothing_is_missing(stored_line: SmallLine) -> None:
    with stored_line.lake() as lake:
        candles = lake.store.read_range("ohlcv", series(BTC, "1h"), START, END)
        filled = lake.store.read_range("filled", series(BTC, "1h"), START, END)
    assert filled.select(candles.columns).equals(candles)
    assert not filled.filter(pl.col("is_filled")).height


def materialize_by_command(line: SmallLine, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(DAGSTER), "asset", "materialize", "-m", "data_platform.definitions", *options]
    return subprocess.run(
        command, env=line.environment, capture_output=True, text=True, timeout=120, check=False
    )
