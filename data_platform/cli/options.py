"""What people type: click's types for pairs, timeframes, days and markets.

Each turns the platform's own refusal into click's, which ends with exit code 2.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from data_platform.config.values import to_date
from data_platform.domain.errors import WrongUseError
from data_platform.domain.layers import LAYERS
from data_platform.domain.markets import read_pair
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.lookup import to_time


class ParsedType(click.ParamType[object]):
    """A text that one of the domain's parsers understands."""

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        self.name = name
        self._parse = parse

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> object:
        """Return the parsed value; one that is parsed already stays."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except WrongUseError as error:
            self.fail(str(error), param, ctx)


def _one(text: str) -> str:
    if "," in text:
        raise WrongUseError(f"{text!r}: one at a time; give the option again for the next.")
    return text


WORD = ParsedType("text", _one)
"""Of an option that may be repeated."""

PAIR = ParsedType("pair", read_pair)
TIMEFRAME = ParsedType("timeframe", lambda text: to_timeframe(_one(text)))
DAY = ParsedType("day", to_date)
TIME = ParsedType("time", to_time)

Command = TypeVar("Command", bound=Callable[..., object])


_SELECTION = (
    click.option("--exchange", "exchanges", multiple=True, type=WORD, help="Repeat for several."),
    click.option("--pair", "pairs", multiple=True, type=WORD, help="BTC/USDT or BTCUSDT."),
    click.option("--timeframe", "timeframes", multiple=True, type=TIMEFRAME),
    click.option(
        "--layer",
        "layers",
        multiple=True,
        type=click.Choice([layer.name for layer in LAYERS], case_sensitive=False),
    ),
    click.option("--start", type=DAY, help="First day, UTC; its whole month is taken."),
    click.option("--end", type=DAY, help="Day after the last one, UTC."),
)


def selection_options(command: Command) -> Command:
    """Give a command the options that choose a part of the lake; without them it is the whole."""
    for option in reversed(_SELECTION):
        command = option(command)
    return command
