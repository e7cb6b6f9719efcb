import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from jsonschema import Draft202012Validator

from data_platform.assets.market_state import market_state_key
from data_platform.domain.state_files import SCHEMAS
from data_platform_tests.assets.asset_facts import reads_of, spec_of
from data_platform_tests.small_line import NOW, SmallLine
from data_platform_tests.ticks import only_request, run, tick

HOUR = timedelta(hours=1)
KEY = market_state_key("binance")


def validated(root: Path, path: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((root / "data/state" / path).read_text())
    kind = path.partition("/")[0].removesuffix(".json")
    schema = json.loads((SCHEMAS / f"{kind}.schema.json").read_text())
    Draft202012Validator(schema).validate(found)
    return found


def test_it_depends_on_what_it_reads(read_line: SmallLine) -> None:
    assert reads_of(read_line, "market_state") == {
        *("ohlcv_1h", "ohlcv_4h", "ohlcv_1d", "indicators_1h"),
    }
    spec = spec_of(read_line, "market_state")
    assert spec.group_name == "binance"
    assert spec.partitions_def is None


def test_a_tick_carries_it_after_its_candles(stored_line: SmallLine) -> None:
    stored_line.clock[0], began = NOW + HOUR, datetime.now(UTC)
    request = only_request(tick(stored_line))
    assert KEY in (request.asset_selection or [])
    result = run(stored_line, request)
    assert result.success
    [event] = [
        it.step_materialization_data.materialization
        for it in result.get_asset_materialization_events()
        if it.asset_key == KEY
    ]
    facts = {name: value.value for name, value in event.metadata.items()}
    assert facts["markets"] == 3
    assert facts["files_written"] == 8
    assert (facts["overall_health"], facts["halt_trading"]) == ("healthy", False)
    assert facts["path"] == str(stored_line.root / "data/state")
    sources = validated(stored_line.root, "data_status.json")["sources"]
    assert isinstance(sources, dict)
    assert sources["binance"]["status"] == "up"
    # The machine's clock, not the line's, which stands in 2024.
    assert sources["binance"]["last_response"] >= f"{began:%Y-%m-%dT%H:%M:%SZ}"
    assert 0 <= sources["binance"]["latency_ms"] < 5000
    latest = validated(stored_line.root, "latest_ohlcv/binance/BTC-USDT.json")
    assert latest["updated_at"] == "2024-03-02T13:00:07Z"
    timeframes = latest["timeframes"]
    assert isinstance(timeframes, dict)
    # The candle that this very tick has fetched, and the indicators that it has computed.
    assert timeframes["1h"]["timestamp"] == "2024-03-02T12:00:00Z"
    derived = latest["derived"]
    assert isinstance(derived, dict)
    assert derived["atr_14_1h"] > 0
    for pair in ("BTC-USDT", "ETH-USDT", "SOL-USDT"):
        validated(stored_line.root, f"market_context/binance/{pair}.json")
    validated(stored_line.root, "quality_report.json")


def test_it_runs_alone_and_over_a_range(stored_line: SmallLine) -> None:
    definitions = stored_line.definitions
    job = definitions.get_repository_def().get_implicit_job_def_for_assets([KEY])
    assert job is not None
    alone = job.execute_in_process(instance=stored_line.instance, asset_selection=[KEY])
    assert alone.success
    [event] = alone.get_asset_materialization_events()
    page = Path(str(event.step_materialization_data.materialization.metadata["report"].value))
    assert page == stored_line.root / "data/state/report.html"
    assert "9 series" in page.read_text()
    tables = [dg.AssetKey(["binance", "ohlcv_1h"]), KEY]
    tags = {
        "dagster/asset_partition_range_start": "BTC-USDT|2024-02",
        "dagster/asset_partition_range_end": "SOL-USDT|2024-03",
    }
    ranged = definitions.resolve_job_def("materialize_binance_line_job").execute_in_process(
        instance=stored_line.instance, asset_selection=tables, tags=tags
    )
    assert ranged.success
    keys = [it.asset_key for it in ranged.get_asset_materialization_events()]
    assert keys.count(KEY) == 1
    assert keys.count(tables[0]) == 6


def test_a_damaged_month_is_told_in_the_run(stored_line: SmallLine) -> None:
    [file] = (stored_line.root / "data/ohlcv").rglob(
        "timeframe=1d/pair=BTC-USDT/period=2024-03/candles.parquet"
    )
    file.write_bytes(b"torn")
    definitions = stored_line.definitions
    job = definitions.get_repository_def().get_implicit_job_def_for_assets([KEY])
    assert job is not None
    result = job.execute_in_process(instance=stored_line.instance, asset_selection=[KEY])
    [event] = result.get_asset_materialization_events()
    told = event.step_materialization_data.materialization.metadata["could_not_read"].value
    assert isinstance(told, list)
    assert str(told[0]).startswith("binance/BTC-USDT 1d: binance/ohlcv_1d BTC-USDT|2024-03")
