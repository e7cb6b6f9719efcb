"""Gaps: one sensor an exchange, which asks again for the candles that are missing and due."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import dagster as dg

from data_platform.assets.candles import GAPS_TAG
from data_platform.assets.line import Line, asset_key
from data_platform.jobs import candles_job_name, find_due_of, heal_job_name
from data_platform.operations.heal import Hole, Look, plan_look, spell_holes
from data_platform.operations.lake import opened_lake
from data_platform.partitions import PartitionRange, to_blocks
from data_platform.runs import BACKFILL_TAG, HEAL_TAG
from data_platform.sensors.hold import default_status, spell_busy, spell_hold

LOOK_SECONDS = 60
"""Seconds between two looks; one takes 0.15 seconds for 60 settled series of four years, about two
with 180 holes in them."""


def build_gap_sensor(line: Line) -> dg.SensorDefinition:
    """Return the sensor that asks again for candles that are missing between stored ones.

    One run for each block of neighbours, with the candles that have gaps and no other asset; what
    comes makes the derived layers stale. The same state is asked for once a day: what a run cannot
    mend waits, until something moves.
    """
    name = line.exchange.name

    @dg.sensor(
        name=f"{name}_gap_sensor",
        job_name=candles_job_name(name),
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=default_status(line.settings),
        description=(
            f"Asks {line.exchange.row.title} again for candles that are missing between stored "
            "ones and due: the newest first, at most 100 of each series at a time."
        ),
    )
    def gap_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = line.clock()
        with opened_lake(line.settings.data_root, line.settings.state_url) as lake:
            held = spell_hold(context.instance, lake, name, now)
            held = held or spell_busy(context.instance, name, HEAL_TAG, BACKFILL_TAG)
            if held:
                return dg.SensorResult(skip_reason=held)
            look = plan_look(lake, name, find_due_of(line, lake), now)
        if not look.holes:
            return dg.SensorResult(skip_reason=_spell_idle(look, name))
        return dg.SensorResult(run_requests=list(_to_requests(line, look.holes, now)))

    return gap_sensor


def _spell_idle(look: Look, exchange: str) -> str:
    if not look.too_long:
        return "no gap between stored candles is due"
    return (
        f"{look.too_long} gaps are too long to be healed by and by: the nightly schedule asks for "
        f"them, or {heal_job_name(exchange)} at once"
    )


def _to_requests(line: Line, holes: Sequence[Hole], now: datetime) -> Iterator[dg.RunRequest]:
    timeframes: dict[tuple[object, object], set[str]] = {}
    for hole in holes:
        timeframes.setdefault(hole.cell, set()).add(hole.series.timeframe.name)
    # A run carries every timeframe of its whole block: months that lack the same ones go together.
    for carried in sorted({tuple(sorted(names)) for names in timeframes.values()}):
        own = [hole for hole in holes if timeframes[hole.cell] == set(carried)]
        for block in to_blocks({hole.cell for hole in own}, line.exchange.pairs):
            cells = set(block.cells)
            inside = [hole for hole in own if hole.cell in cells]
            yield _to_request(line, block, inside, now)


def _to_request(
    line: Line, block: PartitionRange, holes: Iterable[Hole], now: datetime
) -> dg.RunRequest:
    name, asked = line.exchange.name, list(holes)
    text = spell_holes(asked)
    state = hashlib.sha256("\n".join([text, *(hole.state for hole in asked)]).encode()).hexdigest()
    timeframes = {hole.series.timeframe for hole in asked}
    return dg.RunRequest(
        run_key=f"{name}-heal-{now:%Y-%m-%d}-{state[:32]}",
        asset_selection=[
            asset_key(name, "ohlcv", each) for each in line.exchange.fetched if each in timeframes
        ],
        tags={**block.tags, GAPS_TAG: text, HEAL_TAG: name, BACKFILL_TAG: name},
    )
