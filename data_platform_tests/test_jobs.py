import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from data_platform.config.models import BackupsEntry
from data_platform.definitions import build_definitions
from data_platform.operations.restore import Places, restore
from data_platform.operations.verify import verify_lake
from data_platform.runs import failure_reasons
from data_platform.storage.inventory import Chosen
from data_platform.storage.tables import RUNS
from data_platform_tests.damage import damage
from data_platform_tests.factories import punch, stored
from data_platform_tests.small_line import (
    ALL_LAYERS,
    BTC,
    ETH,
    NOW,
    SOL,
    TIMEFRAMES,
    SmallLine,
    series,
    waiting_run,
)


def selected(line: SmallLine, job: str) -> set[str]:
    keys = line.definitions.resolve_job_def(job).asset_layer.selected_asset_keys
    return {key.to_user_string() for key in keys}


def test_line_job_holds_every_layer_and_timeframe(empty_line: SmallLine) -> None:
    expected = {f"binance/{layer}_{each}" for layer in ALL_LAYERS for each in TIMEFRAMES}
    assert selected(empty_line, "materialize_binance_line_job") == {
        *expected,
        "binance/market_state",
    }


def test_candle_job_holds_candles_alone(empty_line: SmallLine) -> None:
    expected = {f"binance/ohlcv_{each}" for each in TIMEFRAMES}
    assert selected(empty_line, "fetch_binance_candles_job") == expected


def test_catalogue_has_a_job_of_its_own(empty_line: SmallLine) -> None:
    assert selected(empty_line, "rebuild_catalog_job") == {"catalog"}


def house_job(line: SmallLine, name: str, **changes: object) -> dg.ExecuteInProcessResult:
    settings = replace(line.settings, **changes)  # type: ignore[arg-type]
    definitions = build_definitions(settings, clock=lambda: line.clock[0])
    job = definitions.resolve_job_def(name)
    return job.execute_in_process(instance=line.instance, raise_on_error=False)


def test_backup_job_makes_a_backup_that_can_be_restored_and_names_what_it_lacks(
    stored_line: SmallLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "no-instance"))
    backups = BackupsEntry.model_validate({"folder": str(tmp_path / "backup"), "keep": 2})
    assert not house_job(stored_line, "back_up_job").success
    assert house_job(stored_line, "back_up_job", backups=backups).success
    restore(backups.folder, Places(tmp_path / "restored", None))
    url = f"sqlite:///{tmp_path / 'restored' / 'state.db'}"
    assert verify_lake(tmp_path / "restored", url, Chosen()).verdict == "sound"
    shutil.rmtree(backups.folder)
    damaged = next((stored_line.settings.data_root / "ohlcv").rglob("*.parquet"))
    damage(damaged, "flipped")
    failed = house_job(stored_line, "back_up_job", backups=backups)
    assert not failed.success
    (event,) = (it for it in failed.all_events if it.is_step_failure)
    assert damaged.relative_to(stored_line.settings.data_root).as_posix() in str(
        event.event_specific_data
    )


def test_retention_job_archives_what_is_old_and_nothing_else(stored_line: SmallLine) -> None:
    keep = replace(stored_line.settings.thresholds, retention={"1h": timedelta(days=30)})
    stored_line.clock[0] = datetime(2024, 4, 5, 5, 7, tzinfo=UTC)
    before = set(stored_line.files())
    assert house_job(stored_line, "archive_old_months_job", thresholds=keep).success
    moved = before - set(stored_line.files())
    assert moved
    assert all("timeframe=1h" in it and "period=2024-02" in it for it in moved)
    assert {f"archive/{it}" for it in moved} == set(stored_line.files()) - before


def test_prune_job_deletes_superseded_ticks_and_survives_itself(empty_line: SmallLine) -> None:
    candles = empty_line.definitions.resolve_job_def("fetch_binance_candles_job")
    ticks = [
        candles.execute_in_process(
            instance=empty_line.instance,
            asset_selection=[dg.AssetKey(["binance", "ohlcv_1d"])],
            partition_key="BTC-USDT|2024-02",
            tags={"tick": "binance"},
        ).run_id
        for _ in range(2)
    ]
    waiting = waiting_run(tick="binance")
    empty_line.instance.add_run(waiting)
    prune = empty_line.definitions.resolve_job_def("prune_runs_job")
    result = prune.execute_in_process(instance=empty_line.instance)
    assert result.success
    left = {run.run_id for run in empty_line.instance.get_runs()}
    assert left == {ticks[1], waiting.run_id, result.run_id}


HEAL = "heal_binance_gaps_job"


def heal(line: SmallLine) -> dg.ExecuteInProcessResult:
    job = line.definitions.resolve_job_def(HEAL)
    return job.execute_in_process(instance=line.instance, raise_on_error=False)


def test_heal_job_asks_for_all_that_is_due_and_records_it(stored_line: SmallLine) -> None:
    holes = [(ETH, "1h", 2, 250), (ETH, "1h", 20, 1), (SOL, "1d", 9, 2)]
    with stored_line.lake() as lake:
        for pair, timeframe, day, candles in holes:
            one, start = series(pair, timeframe), datetime(2024, 2, day, tzinfo=UTC)
            punch(lake, one, start, start + candles * one.timeframe.duration)
    judged = len(checks(stored_line, "no_long_gaps"))
    result = heal(stored_line)
    assert result.success
    assert stored_line.simulator.candle_requests == {"binance": 3}
    with stored_line.lake() as lake:
        for pair, timeframe, *_ in holes:
            one = series(pair, timeframe)
            truth = stored_line.simulator.candles(one, datetime(2024, 2, 1, tzinfo=UTC), NOW)
            assert stored(lake, one).equals(truth)
    recorded = {
        (event.asset_key.path[-1], event.partition)
        for event in result.all_events
        if event.is_step_materialization and event.asset_key
    }
    assert recorded == {("ohlcv_1h", "ETH-USDT|2024-02"), ("ohlcv_1d", "SOL-USDT|2024-02")}
    assert checks(stored_line, "no_long_gaps")[judged:] == ["SUCCEEDED"]
    with stored_line.lake() as lake, lake.state.read() as connection:
        query = sa.select(RUNS.c.kind, RUNS.c.requests).where(RUNS.c.run_id == result.run_id)
        assert connection.execute(query).all() == [("heal", 3)]
    tags = stored_line.instance.get_runs(limit=1)[0].tags
    assert tags["heal"] == tags["backfill"] == "binance"
    assert heal(stored_line).success
    assert stored_line.simulator.candle_requests == {"binance": 3}


def checks(line: SmallLine, name: str) -> list[str]:
    """Every verdict of a check of the hours so far."""
    key = dg.AssetCheckKey(dg.AssetKey(["binance", "ohlcv_1h"]), name)
    storage = line.instance.event_log_storage
    return [it.status.value for it in storage.get_asset_check_execution_history(key, limit=100)]


def test_heal_job_fails_and_names_what_it_could_not_complete(stored_line: SmallLine) -> None:
    hole = datetime(2024, 2, 9, tzinfo=UTC)
    with stored_line.lake() as lake:
        for pair in (BTC, ETH):
            punch(lake, series(pair, "1d"), hole, hole + timedelta(days=1))
    stored_line.simulator.faults.add("http_451", exchange="binance", symbol="ETH/USDT")
    result = heal(stored_line)
    assert not result.success
    [reason] = failure_reasons(result.all_events)
    assert "binance/ohlcv_1d ETH-USDT|2024-02" in reason
    with stored_line.lake() as lake:
        assert stored(lake, series(BTC, "1d")).height == 30
