"""New candles: one sensor an exchange, which carries them down the whole line.

Deciding what is due costs no request: the clock and the grid tell.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from data_platform.assets.candles import TICK_TAG
from data_platform.assets.line import Line, asset_key
from data_platform.assets.market_state import market_state_key, renew_state_files
from data_platform.assets.scores import score_again
from data_platform.checks import feature_clock, freshness_limits, judged_asset, to_evaluation
from data_platform.domain.errors import StorageError
from data_platform.domain.layers import Refresh
from data_platform.jobs import line_job_name
from data_platform.operations.due import SeriesStatus, series_status
from data_platform.operations.feature_verdicts import features_fresh_verdict
from data_platform.operations.lake import Lake, opened_lake
from data_platform.operations.tick import Pace, Tick, plan_tick
from data_platform.operations.verdicts import answers_verdict, freshness_verdict
from data_platform.partitions import PartitionRange
from data_platform.sensors.hold import default_status, spell_hold

TICK_SECONDS = 10
"""Seconds between two looks at the clock; the refresh intervals of the config limit the runs."""

TICK_MAX_RUNTIME_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Memory:
    """What the sensor keeps in its cursor; it limits the rate and decides nothing else."""

    last: Mapping[Refresh, datetime]
    """When each kind of layer last ran."""
    fresh: Mapping[str, bool]
    """The last freshness verdict of each candle and feature asset."""
    answers: bool = True
    """Whether the exchange answered when last looked at."""
    told: datetime | None = None
    """When the state files were last written, or a run was asked for that writes them."""

    def to_cursor(self) -> str:
        """Return the cursor's text."""
        last = {kind: time.isoformat() for kind, time in self.last.items()}
        told = self.told.isoformat() if self.told else None
        held = {"last": last, "fresh": dict(self.fresh), "answers": self.answers, "told": told}
        return json.dumps(held)


def read_memory(cursor: str | None) -> Memory:
    """Return what a cursor's text holds; nothing where there is none yet."""
    held = json.loads(cursor) if cursor else {"last": {}, "fresh": {}}
    last = {kind: datetime.fromisoformat(time) for kind, time in held["last"].items()}
    told = held.get("told")
    then = datetime.fromisoformat(told) if told else None
    return Memory(last, held["fresh"], held.get("answers", True), then)


def build_new_candle_sensor(line: Line) -> dg.SensorDefinition:
    """Return the sensor that carries new candles of an exchange down the whole line.

    One run for all pairs and timeframes that are due, with the layers due by `refresh`; nothing
    while a tick of the same exchange is queued or running, or while the exchange is left alone
    because it has stopped answering. It also judges freshness, and so the running month's score,
    and whether the exchange answers: a line that has stopped turns red, and says why. The state
    files are written by the runs; where none is due for a refresh interval, or as soon as one of
    these verdicts turns, here.
    """
    name = line.exchange.name

    @dg.sensor(
        name=f"{name}_new_candle_sensor",
        job_name=line_job_name(name),
        minimum_interval_seconds=TICK_SECONDS,
        default_status=default_status(line.settings),
        description=f"Carries {line.exchange.row.title}'s new candles down the line.",
    )
    def new_candle_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = line.clock()
        memory = read_memory(context.cursor)
        with opened_lake(line.settings.data_root, line.settings.state_url) as lake:
            statuses = series_status(lake, line.exchange.series, freshness_limits(line), now)
            held = spell_hold(context.instance, lake, name, now)
            answers = answers_verdict(lake.breakers.read(name))
            tick = None if held else plan_tick(lake, statuses, _pace(line, memory), now)
            _score(context, line, lake, statuses)
            fresh = _freshness(line, lake, statuses)
            turned = [it for key, it in fresh.items() if _has_turned(memory, key, it)]
            is_news = memory.answers != (answers.count == 0)
            is_due = bool(is_news or turned) or _is_old(line, memory, now)
            told = now if tick else memory.told
            if is_due and not tick and _tell(context, line, lake):
                told = now
        last = {**memory.last, **dict.fromkeys(tick.kinds if tick else (), now)}
        judged = {key.to_user_string(): it.passed for key, it in fresh.items()}
        return dg.SensorResult(
            run_requests=[_to_request(line, tick, now)] if tick else [],
            skip_reason=None if tick else held or "no new candle is due",
            cursor=Memory(last, judged, answers.count == 0, told).to_cursor(),
            asset_events=[
                *turned,
                *(to_evaluation(key, answers) for key in _candle_assets(line) if is_news),
            ],
        )

    return new_candle_sensor


def _has_turned(memory: Memory, key: dg.AssetKey, verdict: dg.AssetCheckEvaluation) -> bool:
    return memory.fresh.get(key.to_user_string()) != verdict.passed


def _is_old(line: Line, memory: Memory, now: datetime) -> bool:
    # While the exchange is not asked no tick writes them, and nobody would be told to halt.
    return memory.told is None or now - memory.told >= line.settings.refresh.candles


def _tell(context: dg.SensorEvaluationContext, line: Line, lake: Lake) -> bool:
    try:
        renew_state_files(line, lake)
    except StorageError as error:
        context.log.warning("the state files stay as they were: %s", error)
        return False
    return True


def _score(
    context: dg.SensorEvaluationContext, line: Line, lake: Lake, statuses: list[SeriesStatus]
) -> None:
    try:
        score_again(line, lake, statuses, is_tick=True)
    except StorageError as error:
        # A score that cannot be noted must not keep candles from being fetched.
        context.log.warning("the scores stay as they were: %s", error)


def _freshness(
    line: Line, lake: Lake, statuses: list[SeriesStatus]
) -> dict[dg.AssetKey, dg.AssetCheckEvaluation]:
    found = {}
    stored = {it.series.timeframe for it in statuses if it.last is not None}
    for timeframe in line.exchange.timeframes:
        if timeframe not in stored:
            continue
        key = asset_key(line.exchange.name, "ohlcv", timeframe)
        verdict = freshness_verdict(judged_asset(line, "ohlcv", timeframe), statuses)
        found[key] = to_evaluation(key, verdict)
        features = asset_key(line.exchange.name, "features", timeframe)
        judged = judged_asset(line, "features", timeframe)
        verdict = features_fresh_verdict(lake, judged, statuses, feature_clock(line))
        found[features] = to_evaluation(features, verdict)
    return found


def _candle_assets(line: Line) -> list[dg.AssetKey]:
    name = line.exchange.name
    return [asset_key(name, "ohlcv", each) for each in line.exchange.timeframes]


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
        asset_selection=[*(asset_key(name, *it) for it in tick.tables), market_state_key(name)],
        tags={
            **block.tags,
            TICK_TAG: name,
            "dagster/max_runtime": str(TICK_MAX_RUNTIME_SECONDS),
        },
    )
