"""What becomes of times without a candle: named policies over the grid that `fill.py` makes.

The grid carries the first 10 candles of a gap, whatever follows. A feature set may take it so
(`carry_10`) or do without what was carried (`none`). `linear_3` reads the candle behind a gap: it
is for charts and exports, and no feature set may name it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from data_platform.domain.errors import WrongUseError
from data_platform.domain.timeframes import Timeframe
from data_platform.features.blocks import BLOCK, per_block
from data_platform.features.fill import CARRY

LINEAR_CANDLES = 3
"""The longest gap that `linear_3` draws a line over."""


@dataclass(frozen=True, slots=True)
class FillPolicy:
    """One way to treat gaps."""

    name: str
    description: str
    """One sentence."""
    sees_future: bool
    """Whether a row depends on later candles, so that no feature may use it."""
    apply: Callable[[pl.DataFrame, Timeframe], pl.DataFrame]
    """Return the rows of a frame that begins with `FILLED_SCHEMA`, sorted, under this policy; of
    several blocks each as if it stood alone."""


def _as_it_is(frame: pl.DataFrame, timeframe: Timeframe) -> pl.DataFrame:  # noqa: ARG001
    return frame


def _without_filled(frame: pl.DataFrame, timeframe: Timeframe) -> pl.DataFrame:
    sent = frame.filter(~pl.col("is_filled"))
    follows = per_block(sent, pl.col("open_time").diff()) == timeframe.duration
    begins = pl.when(~follows.fill_null(value=False)).then("open_time")
    return sent.with_columns(segment=begins.forward_fill())


def _with_lines(frame: pl.DataFrame, timeframe: Timeframe) -> pl.DataFrame:
    carried = (pl.col("fill_method") == CARRY).fill_null(value=False)
    hole = pl.struct(carried.rle_id(), "segment", *({BLOCK} & set(frame.columns)))
    # What is no regular step is no hole of this one: rows from the 11th on are not there.
    step = per_block(frame, pl.col("open_time").shift(-1)) - pl.col("open_time")
    work = frame.with_columns((step == timeframe.duration).fill_null(value=False).alias("goes_on"))
    is_short = (
        carried & (pl.len().over(hole) <= LINEAR_CANDLES) & pl.col("goes_on").last().over(hole)
    )
    work = work.with_columns(is_short.alias("is_short"))
    known = ~pl.col("is_short")
    prices = ("open", "high", "low", "close")
    lines = (per_block(frame, pl.when(known).then(name).interpolate()) for name in prices)
    method = pl.when("is_short").then(pl.lit("linear")).otherwise("fill_method")
    return work.with_columns(*lines, method.alias("fill_method")).drop("goes_on", "is_short")


CARRY_10 = FillPolicy(
    "carry_10",
    "The first 10 candles of a gap carry the last close, whatever follows; then the segment ends.",
    sees_future=False,
    apply=_as_it_is,
)
NO_FILL = FillPolicy(
    "none",
    "Only candles that the exchange sent; a segment ends at each gap.",
    sees_future=False,
    apply=_without_filled,
)
LINEAR_3 = FillPolicy(
    "linear_3",
    f"A line over gaps of up to {LINEAR_CANDLES} candles; it reads the candle behind the gap.",
    sees_future=True,
    apply=_with_lines,
)

POLICIES: tuple[FillPolicy, ...] = (CARRY_10, NO_FILL, LINEAR_3)


def to_policy(name: str) -> FillPolicy:
    """Return the fill policy of a name.

    Raises:
        WrongUseError: there is none; the message tells which there are.
    """
    found = [policy for policy in POLICIES if policy.name == name]
    if found:
        return found[0]
    names = ", ".join(policy.name for policy in POLICIES)
    raise WrongUseError(f"unknown fill policy {name!r}. Accepted: {names}.")


def to_honest_policy(name: str) -> FillPolicy:
    """Return the fill policy of a name, for features.

    Raises:
        WrongUseError: there is none, or it sees the future.
    """
    policy = to_policy(name)
    if policy.sees_future:
        honest = ", ".join(it.name for it in POLICIES if not it.sees_future)
        raise WrongUseError(
            f"fill policy {name!r} reads the candle behind a gap: what it fills sees the future. "
            f"It is for charts and exports only. A feature set may name: {honest}."
        )
    return policy
