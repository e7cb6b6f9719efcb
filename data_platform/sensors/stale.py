"""What is stale: one sensor an exchange, which has it computed again and nothing else."""

import hashlib
from collections.abc import Mapping

import dagster as dg

from data_platform.assets.candles import TICK_TAG
from data_platform.assets.line import Line, asset_key
from data_platform.domain.layers import LAYERS
from data_platform.jobs import line_job_name
from data_platform.operations.lake import opened_lake
from data_platform.operations.stale import Cell, find_stale
from data_platform.partitions import PartitionRange, to_blocks
from data_platform.runs import BACKFILL_TAG, STALE_TAG
from data_platform.sensors.hold import default_status, spell_busy

LOOK_SECONDS = 60
"""Seconds between two looks; one takes about two seconds for 60 series of six years."""


def build_stale_sensor(line: Line) -> dg.SensorDefinition:
    """Return the sensor that asks for every month of which something stored is stale.

    Months that are over at once; the running one only after a correction or a repair, since its
    growth waits for `refresh`. No candle is asked for. The same state is asked for once: what a
    run could not mend waits for the nightly schedule, until something moves.
    """
    name = line.exchange.name

    @dg.sensor(
        name=f"{name}_stale_sensor",
        job_name=line_job_name(name),
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=default_status(line.settings),
        description=(
            f"Computes {line.exchange.row.title}'s derived layers and exports again where what "
            "they were made of has changed."
        ),
    )
    def stale_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        busy = spell_busy(context.instance, name, TICK_TAG, STALE_TAG, BACKFILL_TAG)
        if busy:
            return dg.SensorResult(skip_reason=busy)
        with opened_lake(line.settings.data_root, line.settings.state_url) as lake:
            cells = find_stale(lake, line.settings.scope_of(line.exchange), line.clock())
        if not cells:
            return dg.SensorResult(skip_reason="nothing that is stored is stale")
        blocks = to_blocks(cells, line.exchange.pairs)
        return dg.SensorResult(run_requests=[_to_request(line, it, cells) for it in blocks])

    return stale_sensor


def _to_request(line: Line, block: PartitionRange, cells: Mapping[Cell, str]) -> dg.RunRequest:
    exchange = line.exchange
    state = hashlib.sha256(",".join(cells[cell] for cell in block.cells).encode()).hexdigest()
    derived = [
        asset_key(exchange.name, layer.name, timeframe)
        for layer in LAYERS
        for timeframe in exchange.timeframes
        if layer.name != "ohlcv" or timeframe in exchange.derive
    ]
    return dg.RunRequest(
        run_key=f"{exchange.name}-stale-{state[:32]}",
        asset_selection=derived,
        tags={**block.tags, STALE_TAG: exchange.name, BACKFILL_TAG: exchange.name},
    )
