"""The candle assets: what an exchange sent, audited, closed candles only.

One factory for timeframes that the exchange has, one for those derived from a finer one; both
make the same key, so nothing downstream can tell.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import dagster as dg

from data_platform.assets.agreement import judge_beside_others
from data_platform.assets.coverage import show_coverage
from data_platform.assets.line import (
    Line,
    line_asset,
    open_lake_of,
    partitions_of,
    to_result,
)
from data_platform.assets.scores import score_candles
from data_platform.domain.errors import WrongUseError
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.coarser import derive_candles
from data_platform.operations.dictionary import candle_columns
from data_platform.operations.heal import read_holes
from data_platform.operations.plan import UpdateRules
from data_platform.operations.update import CandleUpdate
from data_platform.resources import source_key
from data_platform.sources.access import Priority

TICK_TAG = "tick"
"""Tag of a sensor's run: the exchange. Its requests go before those of all other runs; such runs
are pruned once others have superseded them."""

COMPARE_TAG = "compare_from"
"""Tag of a run that asks for every candle from this time on, UTC, and compares them with what is
stored: `2024-01-31` or `2024-01-31T12:00`."""

GAPS_TAG = "gaps"
"""Tag of a run that asks for nothing but certain missing candles:
`BTC-USDT/1h 2024-02-10T05:00+3 2024-02-12T00:00+1`, that is three hours and one."""


def build_candles(line: Line, timeframe: Timeframe) -> dg.AssetsDefinition:
    """Return the candle asset of one timeframe."""
    finer = line.exchange.derive.get(timeframe)
    return _build_derived(line, timeframe, finer) if finer else _build_fetched(line, timeframe)


def rules_of_run(line: Line, tags: Mapping[str, str]) -> UpdateRules:
    """Return how a run plans, by its tags.

    Raises:
        WrongUseError: a tag's value cannot be understood.
    """
    compared, gaps = tags.get(COMPARE_TAG), tags.get(GAPS_TAG)
    return replace(
        line.settings.rules_of(line.exchange),
        compare_from=_to_time(compared) if compared else None,
        only=read_holes(gaps, line.exchange.name) if gaps is not None else None,
    )


def priority_of(tags: Mapping[str, str]) -> Priority:
    """Return whose requests go first, by the tags of a run."""
    return "live" if TICK_TAG in tags else "backfill"


def _build_fetched(line: Line, timeframe: Timeframe) -> dg.AssetsDefinition:
    exchange = line.exchange
    source = source_key(exchange.name)

    @line_asset(
        line,
        "ohlcv",
        timeframe,
        description=(
            f"{timeframe} candles as {exchange.row.title} sent them: closed, audited, sparse. "
            f"A time without a candle has its reason in the ledger. {exchange.row.card}"
        ),
        columns=candle_columns(),
        reads=[],
        source=source,
    )
    def candles(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        partitions = partitions_of(context, line, "ohlcv", timeframe)
        lake, tags = open_lake_of(context), context.run.tags
        opened = getattr(context.resources, source).open
        open_source = partial(opened, lake.breakers, priority_of(tags))
        rules = rules_of_run(line, tags)
        update = CandleUpdate(lake, open_source, rules, line.watch, line.clock)
        report = update.run(partitions)
        judge_beside_others(line, lake, report, is_tick=TICK_TAG in tags)
        score_candles(line, lake, timeframe, report, is_tick=TICK_TAG in tags)
        show_coverage(context, line, timeframe)
        return to_result(context, report)

    return candles


def _build_derived(line: Line, timeframe: Timeframe, finer: Timeframe) -> dg.AssetsDefinition:
    exchange = line.exchange

    @line_asset(
        line,
        "ohlcv",
        timeframe,
        description=(
            f"{timeframe} candles computed from {finer}, because {exchange.row.title} has none: "
            f"a candle exists once every {finer} inside it is stored or confirmed empty."
        ),
        columns=candle_columns(),
        reads=[("ohlcv", finer)],
    )
    def candles(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        partitions = partitions_of(context, line, "ohlcv", timeframe)
        lake, rules = open_lake_of(context), line.settings.rules_of(exchange)
        report = derive_candles(lake, partitions, finer, rules, line.watch)
        judge_beside_others(line, lake, report, is_tick=TICK_TAG in context.run.tags)
        score_candles(line, lake, timeframe, report, is_tick=TICK_TAG in context.run.tags)
        show_coverage(context, line, timeframe)
        return to_result(context, report)

    return candles


def _to_time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise WrongUseError(
            f"tag {COMPARE_TAG}: {text!r} is no time; write it like 2024-01-31 or "
            "2024-01-31T12:00, in UTC."
        ) from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time
