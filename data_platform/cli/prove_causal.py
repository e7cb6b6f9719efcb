"""`data-platform prove-causal`: whether your own columns see the future."""

from datetime import UTC, datetime
from typing import Any

import click
import polars as pl
from rich.table import Table
from rich.text import Text

from data_platform.api import load_ohlcv
from data_platform.cli.options import TIME
from data_platform.cli.output import open_console
from data_platform.domain.errors import WrongUseError
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.own_columns import (
    FEWEST_CANDLES,
    SYNTHETIC_CANDLES,
    Library,
    Proof,
    loader,
    made_up_candles,
    prove,
)

_VERDICTS = {"repetition": "not reproducible", "dates": "told by dates"}
"""Of the probes that find no leak."""


@click.command("prove-causal")
@click.argument("function", metavar="MODULE:FUNCTION")
@click.option("--market", help="Prove it on stored candles: binance/BTC-USDT.  [default: made up]")
@click.option("--timeframe", default="1h", show_default=True)
@click.option("--start", type=TIME, help="First opening time of stored candles, UTC.")
@click.option("--end", type=TIME, help="End, exclusive.  [default: now]")
@click.option(
    "--candles",
    "count",
    type=click.IntRange(FEWEST_CANDLES),
    help=f"How many made-up candles.  [default: {SYNTHETIC_CANDLES}]",
)
@click.option(
    "--moments",
    type=click.IntRange(1, 10_000),
    default=32,
    show_default=True,
    help="At how many moments history is cut and the future changed.",
)
@click.option(
    "--frame",
    "library",
    type=click.Choice(["polars", "pandas"]),
    default="polars",
    show_default=True,
    help="Whose frames the function takes.",
)
@click.pass_context
def prove_causal(
    ctx: click.Context,
    /,
    function: str,
    timeframe: str,
    moments: int,
    library: Library,
    **asked: Any,  # noqa: ANN401
) -> None:
    """Tell of each column of your own function whether it sees the future.

    MODULE:FUNCTION takes a frame of candles (open_time, open, high, low, close, volume; sorted,
    with gaps) and returns columns for them: a frame or series with one row a candle, or with an
    open_time of its own. It is computed again on histories that end earlier and on ones whose later
    candles are others; where a row that was known by then becomes another, the column leaks. And on
    the same candles 28 years later, where the calendar is the same: what is another there was
    looked up by date somewhere else, of which nothing can be proved.

    Exits 0 when every column is causal, 1 when one leaks, cannot be reproduced or is told by dates,
    2 on wrong use.
    """
    load = loader(function)
    length = to_timeframe(timeframe)
    candles = _candles(timeframe, **asked)
    proof = prove(load, candles, length, moments, library)
    open_console().print(_to_table(proof))
    market = asked["market"]
    source = f"stored candles of {market}" if market else "made-up candles"
    click.echo(
        f"{len(proof.columns)} columns at {proof.moments} moments of {candles.height} {source}, "
        f"{timeframe}: {_verdict(proof)}"
    )
    if proof.leaks:
        ctx.exit(1)


def _candles(
    timeframe: str,
    market: str | None,
    start: datetime | None,
    end: datetime | None,
    count: int | None,
) -> pl.DataFrame:
    if market is None:
        if start or end:
            raise WrongUseError("--start and --end are of stored candles: name their --market.")
        made_up = to_timeframe(timeframe), datetime(2024, 1, 1, tzinfo=UTC)
        return made_up_candles(*made_up, count or SYNTHETIC_CANDLES)
    if count:
        raise WrongUseError("--candles is of made-up ones; of a market give --start and --end.")
    if start is None:
        raise WrongUseError(f"--market {market}: give the --start of its candles, too.")
    return load_ohlcv(market, timeframe, start, end or datetime.now(UTC))


def _to_table(proof: Proof) -> Table:
    table = Table()
    for name in ("column", "verdict", "first time (UTC)", "probe", "history until (UTC)"):
        table.add_column(Text(name))
    leaking = {leak.column for leak in proof.leaks}
    for column in proof.columns:
        if column not in leaking:
            table.add_row(Text(column), Text("causal"), "", "", "")
    for leak in proof.leaks:
        verdict = _VERDICTS.get(leak.probe)
        table.add_row(
            Text(leak.column),
            Text(verdict or "leaks"),
            Text(f"{leak.time:%Y-%m-%d %H:%M}"),
            Text(leak.probe),
            Text("" if verdict else f"{leak.moment:%Y-%m-%d %H:%M}"),
        )
    return table


def _verdict(proof: Proof) -> str:
    if not proof.leaks:
        return "every column is causal."
    leaking = sorted({leak.column for leak in proof.leaks if leak.probe not in _VERDICTS})
    told = []
    if leaking:
        told.append(f"{', '.join(leaking)} may not be used, the future shows in it")
    if proof.unreproducible:
        told.append(f"{', '.join(sorted(proof.unreproducible))} changes when asked again")
    if proof.dated:
        told.append(
            f"{', '.join(sorted(proof.dated))} is told by the dates, not by the candles: from "
            "where, and whether it was known then, nothing here can prove"
        )
    return "; ".join(told) + "."
