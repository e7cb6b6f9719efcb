from datetime import UTC, datetime, timedelta

import dagster as dg

from data_platform.domain.markets import Series
from data_platform.domain.timeframes import to_timeframe
from data_platform.storage.state_frames import state_frames
from data_platform_tests.assets.asset_facts import spec_of
from data_platform_tests.factories import punch
from data_platform_tests.small_line import BTC, SmallLine


def newest_metadata(line: SmallLine, table: str, partition: str) -> dict[str, object]:
    key = dg.AssetKey(["binance", table])
    fetched = line.instance.fetch_materializations(
        dg.AssetRecordsFilter(key, asset_partitions=[partition]), limit=1
    )
    event = fetched.records[0].asset_materialization
    assert event is not None
    return {name: value.value for name, value in event.metadata.items()}


def test_facts_of_a_table_are_those_of_its_layer(read_line: SmallLine) -> None:
    spec = spec_of(read_line, "ohlcv_1h")
    assert spec.group_name == "binance"
    assert spec.kinds == {"parquet", "polars"}
    assert spec_of(read_line, "nautilus_1h").kinds == {"nautilus"}
    named = {name: spec.tags[name] for name in ("exchange", "layer", "timeframe")}
    assert named == {"exchange": "binance", "layer": "ohlcv", "timeframe": "1h"}
    assert list(spec.owners) == ["team:market-data"]
    assert spec.code_version == "1"


def test_each_partition_tells_its_own_rows(read_line: SmallLine) -> None:
    february = newest_metadata(read_line, "filled_4h", "BTC-USDT|2024-02")
    march = newest_metadata(read_line, "filled_4h", "BTC-USDT|2024-03")
    assert february["dagster/partition_row_count"] == 29 * 6
    assert march["dagster/partition_row_count"] == 6 + 3
    assert march["last_open_time"] == "2024-03-02T08:00:00+00:00"


def test_each_run_tells_what_it_wrote_and_asked(stored_line: SmallLine) -> None:
    first = newest_metadata(stored_line, "ohlcv_1h", "BTC-USDT|2024-02")
    assert (first["written"], first["unchanged"], first["failed"]) == (6, 0, 0)
    assert first["candle_requests"] == 3
    assert first["candles_fetched"] == 3 * (29 * 24 + 36)

    stored_line.clock[0] += timedelta(hours=1)
    months = ("2024-02", "2024-03")
    assert stored_line.materialize((BTC,), ("ohlcv",), ("1h",), months).success
    past = newest_metadata(stored_line, "ohlcv_1h", "BTC-USDT|2024-02")
    running = newest_metadata(stored_line, "ohlcv_1h", "BTC-USDT|2024-03")
    assert (past["status"], running["status"]) == ("unchanged", "written")
    assert (running["written"], running["unchanged"]) == (1, 1)
    assert running["dagster/partition_row_count"] == 37


def test_each_run_is_one_row_in_the_log_of_runs(stored_line: SmallLine) -> None:
    asked = stored_line.simulator.candle_requests["binance"]
    stored_line.clock[0] += timedelta(hours=1)
    outcome = stored_line.materialize((BTC,), ("ohlcv", "filled"), ("1h",), ("2024-03", "2024-03"))
    with stored_line.lake() as lake:
        runs = state_frames(lake.state)["runs"]
    [row] = runs.filter(run_id=outcome.run_ids[0]).to_dicts()
    assert (row["exchange"], row["kind"], row["steps"]) == ("binance", "backfill", 2)
    assert (row["written"], row["failed"], row["retries"]) == (2, 0, 0)
    assert row["requests"] == stored_line.simulator.candle_requests["binance"] - asked == 1
    assert row["candles"] == 3
    newest = newest_metadata(stored_line, "ohlcv_1h", "BTC-USDT|2024-03")
    assert newest["lag_seconds"] == row["lag_ms"] / 1000


def test_a_partition_tells_when_its_past_was_rewritten(stored_line: SmallLine) -> None:
    assert "rewritten" not in newest_metadata(stored_line, "ohlcv_1h", "BTC-USDT|2024-02")
    start = datetime(2024, 2, 10, 5, tzinfo=UTC)
    with stored_line.lake() as lake:
        series = Series("binance", BTC, to_timeframe("1h"))
        assert punch(lake, series, start, start + timedelta(hours=2)) == 2
    outcome = stored_line.materialize((BTC,), ("ohlcv",), ("1h",), ("2024-02", "2024-02"))
    told = newest_metadata(stored_line, "ohlcv_1h", "BTC-USDT|2024-02")["rewritten"]
    assert isinstance(told, list)
    newest, older = told
    assert newest.endswith(f" repair (version 3) by run {outcome.run_ids[0]}")
    assert " correction (version 2) " in older
