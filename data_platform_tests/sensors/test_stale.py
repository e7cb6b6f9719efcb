from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl
import pytest
import sqlalchemy as sa
from dagster import DagsterRunStatus

from data_platform.assets.candles import COMPARE_TAG
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import to_period
from data_platform.storage.tables import COMMITS
from data_platform_tests.damage import damage
from data_platform_tests.small_line import (
    ALL_LAYERS,
    BTC,
    ETH,
    NOW,
    TIMEFRAMES,
    SmallLine,
    series,
    waiting_run,
)
from data_platform_tests.ticks import only_request, run, tick

SENSOR = "binance_stale_sensor"
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
START, END = datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)

CORRECTED = datetime(2024, 2, 10, 5, tzinfo=UTC)
"""The hour whose candle the exchange changes."""


def compare(line: SmallLine) -> dg.ExecuteInProcessResult:
    """Ask for February's candles of BTC again, as a recheck does."""
    # Of two fetches at the same instant the first one wins.
    line.clock[0] = NOW + timedelta(minutes=1)
    job = line.definitions.resolve_job_def("fetch_binance_candles_job")
    tags = {
        RANGE[0]: "BTC-USDT|2024-02",
        RANGE[1]: "BTC-USDT|2024-02",
        COMPARE_TAG: "2024-02-08",
    }
    keys = [dg.AssetKey(["binance", f"ohlcv_{each}"]) for each in ("1h", "1d")]
    return job.execute_in_process(instance=line.instance, tags=tags, asset_selection=keys)


@pytest.fixture
def corrected(stored_line: SmallLine) -> SmallLine:
    """Give a line whose exchange has changed an hour of BTC, and whose candles know it."""
    stored_line.simulator.faults.add(
        "correction", exchange="binance", symbol="BTC/USDT", time=CORRECTED, minutes=60
    )
    assert compare(stored_line).success
    return stored_line


def mend(line: SmallLine) -> list[tuple[str, str]]:
    """Run what the sensor asks for until it asks for nothing; return the ranges in turn."""
    asked = []
    while requests := list(tick(line, None, SENSOR).run_requests or []):
        for request in requests:
            asked.append((request.tags[RANGE[0]], request.tags[RANGE[1]]))
            assert run(line, request).success
        assert len(asked) < 20
    return asked


def commits(line: SmallLine) -> list[sa.Row[tuple[str, str, str, str, str, int]]]:
    with line.lake() as lake, lake.state.read() as connection:
        names = ("layer", "timeframe", "pair", "period", "reason", "changed")
        query = sa.select(*(COMMITS.c[name] for name in names)).order_by(COMMITS.c.id)
        return list(connection.execute(query).all())


def changed_files(line: SmallLine, before: dict[str, tuple[int, int]]) -> set[str]:
    return {name for name, state in line.files().items() if before.get(name) != state}


def alerts_of(result: dg.ExecuteInProcessResult) -> set[str]:
    events = result.get_asset_materialization_events()
    found = [it.step_materialization_data.materialization.metadata["alerts"].value for it in events]
    return {str(alert) for alerts in found if isinstance(alerts, list) for alert in alerts}


def test_nothing_is_asked_for_when_nothing_has_moved(stored_line: SmallLine) -> None:
    found = tick(stored_line, None, SENSOR)
    assert not found.run_requests
    assert found.skip_reason == dg.SkipReason("nothing that is stored is stale")


def test_newest_value_is_kept_and_the_older_one_told(
    corrected: SmallLine,
) -> None:
    hour = series(BTC, "1h")
    with corrected.lake() as lake:
        stored = lake.store.read_range("ohlcv", hour, START, END)
        replaced = lake.store.replaced(Partition("ohlcv", hour, to_period("2024-02")))
    assert stored.equals(corrected.simulator.candles(hour, START, END))
    assert replaced["open_time"].to_list() == [CORRECTED]
    (row,) = stored.filter(pl.col("open_time") == CORRECTED).to_dicts()
    assert replaced["new_volume"].to_list() == [row["volume"]]
    assert replaced["old_volume"].to_list() != [row["volume"]]
    (fetched, again) = replaced.select("fetched_at", "replaced_at").row(0)
    assert abs(fetched - NOW) < timedelta(seconds=1)
    assert abs(again - NOW) >= timedelta(seconds=59)
    assert {row.reason for row in commits(corrected)[-2:]} == {"correction"}


def test_alert_names_the_candle_and_what_was_done(stored_line: SmallLine) -> None:
    stored_line.simulator.faults.add(
        "correction", exchange="binance", symbol="BTC/USDT", time=CORRECTED, minutes=60
    )
    result = compare(stored_line)
    alerts = alerts_of(result)
    assert len(alerts) == 2
    told = " ".join(alerts)
    assert "binance/BTC-USDT/1h: the exchange has changed the candle of 2024-02-10 05:00" in told
    assert "binance/BTC-USDT/1d: the exchange has changed the candle of 2024-02-10 00:00" in told


def test_exactly_what_was_computed_from_a_corrected_candle_is_computed_again_once(
    corrected: SmallLine,
) -> None:
    """R18: nothing else is touched, neither bytes nor times."""
    before, known = corrected.files(), len(commits(corrected))
    # Indicators of March look back a month: one tick finds them with those of February.
    assert mend(corrected) == [("BTC-USDT|2024-02", "BTC-USDT|2024-03")]
    changed = changed_files(corrected, before)
    assert changed
    assert all("BTC-USDT" in name or "BTC_USDT" in name or "BTCUSDT" in name for name in changed)
    made = [row for row in commits(corrected)[known:] if row.changed]
    assert len({row[:4] for row in made}) == len(made)
    february = {(row.layer, row.timeframe) for row in made if row.period == "2024-02"}
    layers = ("filled", "indicators", "features")
    derived = {(layer, each) for layer in layers for each in TIMEFRAMES}
    # An hour of the morning is not the day's close, of which the features of days are made.
    assert february == derived - {("features", "1d")} | {("ohlcv", "4h")}
    # A grid of March begins after the last candle of February, which was not changed.
    march = {(row.layer, row.timeframe) for row in made if row.period == "2024-03"}
    assert march
    assert not [layer for layer, _ in march if layer == "filled"]


def test_line_after_it_equals_one_that_never_knew_the_older_value(
    corrected: SmallLine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    mend(corrected)
    from data_platform_tests.small_line import open_small_line

    with open_small_line(tmp_path_factory.mktemp("fresh")) as fresh:
        fresh.simulator.faults.add(
            "correction", exchange="binance", symbol="BTC/USDT", time=CORRECTED, minutes=60
        )
        assert fresh.materialize((BTC,)).success
        for layer in ("ohlcv", "filled", "indicators", "features"):
            for each in TIMEFRAMES:
                assert stored(corrected, layer, series(BTC, each)).equals(
                    stored(fresh, layer, series(BTC, each))
                ), (layer, each)


def stored(line: SmallLine, layer: str, one: Series) -> pl.DataFrame:
    names = [it.key for it in line.settings.feature_sets] if layer == "features" else [None]
    with line.lake() as lake:
        frames = [lake.store.read_range(layer, one, START, END, feature_set=it) for it in names]
    assert all(frame.height for frame in frames)
    return pl.concat(frames, how="diagonal")


def test_run_asks_the_exchange_for_nothing_and_carries_no_fetched_candles(
    corrected: SmallLine,
) -> None:
    requests = corrected.simulator.candle_requests
    request = only_request(tick(corrected, None, SENSOR))
    tables = {key.path[-1] for key in request.asset_selection or []}
    assert tables == {f"{layer}_{each}" for layer in ALL_LAYERS for each in TIMEFRAMES} - {
        "ohlcv_1h",
        "ohlcv_1d",
    }
    assert request.tags["stale"] == request.tags["backfill"] == "binance"
    assert run(corrected, request).success
    assert corrected.simulator.candle_requests == requests


def test_growth_of_the_running_month_waits_for_its_refresh(stored_line: SmallLine) -> None:
    stored_line.clock[0] = NOW + timedelta(hours=4)
    assert stored_line.materialize(layers=("ohlcv",)).success
    assert not tick(stored_line, None, SENSOR).run_requests


def test_repair_in_the_running_month_does_not_wait(stored_line: SmallLine) -> None:
    hole = datetime(2024, 3, 1, 7, tzinfo=UTC)
    stored_line.simulator.faults.add(
        "correction", exchange="binance", symbol="ETH/USDT", time=hole, minutes=60
    )
    stored_line.clock[0] = NOW + timedelta(hours=1)
    assert stored_line.materialize((ETH,), ("ohlcv",), ("1h",)).success
    assert not tick(stored_line, None, SENSOR).run_requests
    job = stored_line.definitions.resolve_job_def("fetch_binance_candles_job")
    tags = {RANGE[0]: "ETH-USDT|2024-03", RANGE[1]: "ETH-USDT|2024-03", COMPARE_TAG: "2024-03-01"}
    keys = [dg.AssetKey(["binance", "ohlcv_1h"])]
    assert job.execute_in_process(
        instance=stored_line.instance, tags=tags, asset_selection=keys
    ).success
    assert set(mend(stored_line)) == {("ETH-USDT|2024-03", "ETH-USDT|2024-03")}


@pytest.mark.parametrize("tag", ["tick", "stale", "backfill"])
def test_it_waits_for_the_runs_under_way(corrected: SmallLine, tag: str) -> None:
    waiting = waiting_run(DagsterRunStatus.QUEUED, **{tag: "binance"})
    corrected.instance.add_run(waiting)
    found = tick(corrected, None, SENSOR)
    assert not found.run_requests
    assert "is still queued or running" in str(found.skip_reason)
    corrected.instance.delete_run(waiting.run_id)
    corrected.instance.add_run(waiting_run(DagsterRunStatus.QUEUED, **{tag: "okx"}))
    assert tick(corrected, None, SENSOR).run_requests


def test_what_a_run_cannot_mend_is_asked_for_under_the_same_key(
    corrected: SmallLine,
) -> None:
    first = only_request(tick(corrected, None, SENSOR))
    with corrected.lake() as lake:
        [path] = lake.store.files("ohlcv", series(BTC, "1h"), [to_period("2024-02")])
    damage(path, "torn")
    assert not run(corrected, first).success
    keys = {it.run_key for it in tick(corrected, None, SENSOR).run_requests or []}
    again = {it.run_key for it in tick(corrected, None, SENSOR).run_requests or []}
    assert keys == again
