"""Sensors: new candles per exchange, the catalogue's config, failed runs.

They start stopped, as is Dagster's habit, unless the config says otherwise. Deciding what is due
costs no request: the clock and the grid tell.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from data_platform.assets.candles import TICK_TAG
from data_platform.assets.line import Line, asset_key
from data_platform.checks import (
    freshness_limits,
    judged_asset,
    to_evaluation,
)
from data_platform.domain.layers import LAYERS, Refresh
from data_platform.jobs import line_job_name
from data_platform.operations.due import SeriesStatus, series_status
from data_platform.operations.lake import Lake, opened_lake
from data_platform.operations.tick import Pace, Tick, plan_tick
from data_platform.operations.verdicts import freshness_verdict
from data_platform.partitions import RANGE_END_TAG, RANGE_START_TAG, PartitionRange
from data_platform.runs import failure_reasons, is_busy
from data_platform.settings import Settings

TICK_SECONDS = 10
"""Seconds between two looks at the clock; the refresh intervals of the config limit the runs."""

TICK_MAX_RUNTIME_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Memory:
    """What the sensor keeps in its cursor; it limits the rate and decides nothing else."""

    last: Mapping[Refresh, datetime]
    """When each kind of layer last ran."""
    fresh: Mapping[str, bool]
    """The last freshness verdict of each candle asset."""

    def to_cursor(self) -> str:
        """Return the cursor's text."""
        last = {kind: time.isoformat() for kind, time in self.last.items()}
        return json.dumps({"last": last, "fresh": dict(self.fresh)})


def read_memory(cursor: str | None) -> Memory:
    """Return what a cursor's text holds; nothing where there is none yet."""
    held = json.loads(cursor) if cursor else {"last": {}, "fresh": {}}
    last = {kind: datetime.fromisoformat(time) for kind, time in held["last"].items()}
    return Memory(last, held["fresh"])


def build_sensors(settings: Settings, lines: Sequence[Line]) -> list[dg.SensorDefinition]:
    """Return every sensor: of the project, and of each exchange."""
    return [
        build_catalog_sensor(settings),
        build_failure_sensor(settings),
        *map(build_new_candle_sensor, lines),
    ]


def build_new_candle_sensor(line: Line) -> dg.SensorDefinition:
    """Return the sensor that carries new candles of an exchange down the whole line.

    One run for all pairs and timeframes that are due, with the layers due by `refresh`; nothing
    while a tick of the same exchange is queued or running, or while the exchange is left alone
    because it has stopped answering. It also judges freshness, so that a line that has stopped
    turns red.
    """
    name = line.exchange.name

    @dg.sensor(
        name=f"{name}_new_candle_sensor",
        job_name=line_job_name(name),
        minimum_interval_seconds=TICK_SECONDS,
        default_status=_status(line.settings),
        description=f"Carries {line.exchange.row.title}'s new candles down the line.",
    )
    def new_candle_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = line.clock()
        memory = read_memory(context.cursor)
        with opened_lake(line.settings.data_root, line.settings.state_url) as lake:
            statuses = series_status(lake, line.exchange.series, freshness_limits(line), now)
            held = _spell_hold(context.instance, lake, name, now)
            tick = None if held else plan_tick(lake, statuses, _pace(line, memory), now)
        fresh = _freshness(line, statuses)
        last = {**memory.last, **dict.fromkeys(tick.kinds if tick else (), now)}
        judged = {key.to_user_string(): it.passed for key, it in fresh.items()}
        return dg.SensorResult(
            run_requests=[_to_request(line, tick, now)] if tick else [],
            skip_reason=None if tick else held or "no new candle is due",
            cursor=Memory(last, judged).to_cursor(),
            asset_events=[
                it
                for key, it in fresh.items()
                if memory.fresh.get(key.to_user_string()) != it.passed
            ],
        )

    return new_candle_sensor


def build_catalog_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that rebuilds the catalogue when the config or the code has changed."""

    @dg.sensor(
        name="catalog_sensor",
        job_name="rebuild_catalog_job",
        minimum_interval_seconds=300,
        default_status=_status(settings),
        description="Rebuilds the DuckDB catalogue when the config changes or a layer appears.",
    )
    def catalog_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        with opened_lake(settings.data_root, settings.state_url) as lake:
            stored = [
                layer
                for layer in LAYERS
                if any(lake.store.newest(exchange, layer.name) for exchange in settings.exchanges)
            ]
        config = settings.config_path.read_bytes() + repr(stored).encode()
        state = hashlib.sha256(config).hexdigest()
        if context.cursor == state:
            return dg.SensorResult(skip_reason="the catalogue fits the config and the layers")
        return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=state)

    return catalog_sensor


def build_failure_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that logs one clear line for each run that failed."""

    @dg.run_failure_sensor(
        name="run_failure_sensor",
        default_status=_status(settings),
        description="Logs one line for each run that failed: what, where and why.",
    )
    def run_failure(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        where = run.tags.get(RANGE_START_TAG, run.tags.get("dagster/partition", "no partition"))
        until = run.tags.get(RANGE_END_TAG, where)
        reasons = failure_reasons(context.get_step_failure_events())
        reason = "; ".join(dict.fromkeys(reasons)) or context.failure_event.message
        context.log.error(
            "run %s of %s failed for %s...%s: %s", run.run_id, run.job_name, where, until, reason
        )

    return run_failure


def _status(settings: Settings) -> dg.DefaultSensorStatus:
    is_running = settings.automation == "running"
    return dg.DefaultSensorStatus.RUNNING if is_running else dg.DefaultSensorStatus.STOPPED


def _freshness(
    line: Line, statuses: list[SeriesStatus]
) -> dict[dg.AssetKey, dg.AssetCheckEvaluation]:
    found = {}
    stored = {it.series.timeframe for it in statuses if it.last is not None}
    for timeframe in line.exchange.timeframes:
        if timeframe not in stored:
            continue
        key = asset_key(line.exchange.name, "ohlcv", timeframe)
        verdict = freshness_verdict(judged_asset(line, "ohlcv", timeframe), statuses)
        found[key] = to_evaluation(key, verdict)
    return found


def _spell_hold(
    instance: dg.DagsterInstance, lake: Lake, exchange: str, now: datetime
) -> str | None:
    """Return why no run of an exchange may start now; None when one may."""
    breaker = lake.breakers.read(exchange)
    if breaker.is_open(now):
        return breaker.spell(exchange)
    return "a tick is still queued or running" if is_busy(instance, exchange) else None


def _pace(line: Line, memory: Memory) -> Pace:
    refresh = line.settings.refresh
    intervals: dict[Refresh, timedelta] = {
        "candles": refresh.candles,
        "derived": refresh.derived,
        "exports": refresh.exports,
    }
    return Pace(intervals, memory.last, line.exchange.grace)


def _to_request(line: Line, tick: Tick, now: datetime) -> dg.RunRequest:
    name = line.exchange.name
    block = PartitionRange(line.exchange.pairs, tick.first, tick.last)
    return dg.RunRequest(
        run_key=f"{name}-{now:%Y-%m-%dT%H:%M:%S}",
        asset_selection=[asset_key(name, *table) for table in tick.tables],
        tags={
            **block.tags,
            TICK_TAG: name,
            "dagster/max_runtime": str(TICK_MAX_RUNTIME_SECONDS),
        },
    )
