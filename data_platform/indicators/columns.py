"""From names such as `rsi_14` to columns: understands the names, runs the recipes.

The list of indicators is the families' tuples in the order of `INDICATORS`.
"""

import math
import re
from collections.abc import Sequence
from functools import cache

import polars as pl

from data_platform.domain.errors import WrongUseError
from data_platform.indicators import (
    averages,
    channels,
    cumulative,
    momentum,
    oscillators,
    trend,
    volatility,
    volume,
)
from data_platform.indicators.indicator import (
    ALL,
    MAX_ROWS,
    Column,
    Indicator,
    Parameter,
    Recipe,
    WarmUp,
)
from data_platform.indicators.windows import ROW, SEGMENT

INDICATORS: tuple[Indicator, ...] = (
    *averages.INDICATORS,
    *trend.INDICATORS,
    *oscillators.INDICATORS,
    *momentum.INDICATORS,
    *volatility.INDICATORS,
    *channels.INDICATORS,
    *volume.INDICATORS,
    *cumulative.INDICATORS,
)

_READ = ("open_time", "high", "low", "close", "volume", SEGMENT)
_BY_NAME = {indicator.name: indicator for indicator in INDICATORS}
_NAME = re.compile(r"([a-z]+(?:_[a-z]+)*)((?:_[0-9]+(?:\.[0-9]+)?)*)")
_MAX_FACTOR = 100.0


@cache
def to_recipe(text: str) -> Recipe:
    """Return how the indicator that `text` names is computed.

    Args:
        text: a name and all its parameters: `sma_20`, `bb_20_2`, `macd_12_26_9`, `obv`.

    Raises:
        WrongUseError: unknown name or impossible parameters; the message tells what is accepted.
    """
    indicator, numbers = parse_name(text)
    try:
        return indicator.build(*numbers)
    except ValueError as error:
        raise _refusal(text, indicator, error) from error


def parse_name(text: str) -> tuple[Indicator, tuple[float, ...]]:
    """Return the indicator that `text` names, and its parameters.

    Raises:
        WrongUseError: unknown name or impossible parameters; the message tells what is accepted.
    """
    match = _NAME.fullmatch(text)
    indicator = _BY_NAME.get(match[1]) if match else None
    if match is None or indicator is None:
        accepted = ", ".join(_spelling(row) for row in INDICATORS)
        raise WrongUseError(f"unknown indicator {text!r}. Accepted: {accepted}.")
    words = match[2].split("_")[1:]
    try:
        numbers = _to_numbers(words, indicator.parameters)
    except ValueError as error:
        raise _refusal(text, indicator, error) from error
    return indicator, numbers


def to_columns(names: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns that the named indicators add, in order, each once.

    Raises:
        WrongUseError: a name is unknown.
    """
    columns = [column for name in names for column in to_recipe(name).columns]
    return tuple({column.name: column for column in columns}.values())


def output_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns that the named indicators add, in order, each once.

    Raises:
        WrongUseError: a name is unknown.
    """
    return tuple(column.name for column in to_columns(names))


def warm_up(names: Sequence[str]) -> WarmUp:
    """Return how many rows `add_indicators` needs before the first row that is wanted.

    `ALL` where an indicator remembers everything: then it needs the rest of that row's segment,
    which is enough for every other one.

    Raises:
        WrongUseError: a name is unknown.
    """
    needs = [to_recipe(name).warm_up for name in names]
    return ALL if ALL in needs else max((it for it in needs if it != ALL), default=0)


def add_indicators(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return the frame with the columns of the named indicators.

    Row t uses rows <= t of its own segment. A value that is not known yet, or that has no
    meaning (a ratio in a market that stands still), is null; none is NaN or infinite.

    Args:
        frame: `FILLED_SCHEMA`, sorted by open_time: the wanted rows and, before them, up to
            `warm_up(names)` rows of the same series. Several series may stand one below the
            other, which has the same bits as one by one, if `segment`, whatever its type, has
            no value in two of them: `pl.struct("series", "segment")`.
        names: `sma_20`, `rsi_14`, ...

    Returns:
        Same rows; the columns of `output_columns(names)`, Float64, behind those of the frame.

    Raises:
        WrongUseError: a name is unknown.
    """
    row = pl.int_range(pl.len()).over(SEGMENT).alias(ROW)
    work = frame.select(pl.col(column for column in _READ if column in frame.columns), row)
    for selection in _passes(tuple(dict.fromkeys(names))):
        work = work.select(selection)
    # Prices near the edge of float64 overflow; what is no number is not known.
    odd = [column.name for column in work if not math.isfinite(column.sum())]
    if odd:
        work = work.with_columns(pl.when(pl.col(odd).is_finite()).then(pl.col(odd)))
    return pl.concat([frame, work], how="horizontal")


@cache
def _passes(names: tuple[str, ...]) -> tuple[tuple[pl.Expr, ...], ...]:
    """Return what to select, time after time, to come from candles to the named columns.

    A step is taken as soon as all that it reads is there, once for all indicators that name it.
    What no later one reads is dropped, for the memory's sake.
    """
    made: list[dict[str, pl.Expr]] = []
    place = dict.fromkeys((*_READ, ROW), -1)
    for step in (step for name in names for step in to_recipe(name).steps):
        name = step.meta.output_name()
        if name not in place:
            place[name] = 1 + max(place[root] for root in step.meta.root_names())
            made += [{}] * (place[name] == len(made))
            made[place[name]][name] = step
    wanted = output_columns(names)
    passes, read = [tuple(pl.col(name).cast(pl.Float64) for name in wanted)], set(wanted)
    for at in reversed(range(len(made))):
        kept = [name for name in place if place[name] < at and name in read]
        passes.append((*(pl.col(name) for name in kept), *made[at].values()))
        read = read.union(*(step.meta.root_names() for step in made[at].values()))
    return tuple(reversed(passes))


def _to_numbers(words: Sequence[str], parameters: Sequence[Parameter]) -> tuple[float, ...]:
    if len(words) != len(parameters):
        raise ValueError(f"expected {len(parameters)} numbers, found {len(words)}")
    return tuple(_to_number(*pair) for pair in zip(words, parameters, strict=True))


def _to_number(word: str, parameter: Parameter) -> float:
    if parameter.kind == "rows" and not word.isdecimal():
        raise ValueError(f"{parameter.name} must be a whole number, found {word!r}")
    number = int(word) if parameter.kind == "rows" else float(word)
    top = MAX_ROWS if parameter.kind == "rows" else _MAX_FACTOR
    if not 0 < number <= top or f"{number:g}" != word:
        raise ValueError(f"{parameter.name} must be above 0 and at most {top:g}, found {word!r}")
    return number


def _refusal(text: str, indicator: Indicator, error: ValueError) -> WrongUseError:
    usual = "" if indicator.default_name == indicator.name else f" as {indicator.default_name}"
    spelling = f"`{_spelling(indicator)}`{usual}"
    return WrongUseError(f"indicator {text!r} is not {spelling}: {error}.")


def _spelling(indicator: Indicator) -> str:
    names = (f"<{parameter.name}>" for parameter in indicator.parameters)
    return "_".join((indicator.name, *names))
