"""Single values of a config: how each is written, what it means, what is refused.

Belongs here: parsers of one text and the pydantic fields made of them. Stays out: keys.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, WithJsonSchema

from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import Pair, read_pair
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe, to_timeframe
from data_platform.indicators.indicator import MAX_ROWS

FIRST_START = datetime(2009, 1, 1, tzinfo=UTC)
"""No market is older; an earlier start is a slip of the pen."""

_SHOWN = 60
NAME_PATTERN = r"^[a-z][a-z0-9_]{0,39}$"
VARIABLE_PATTERN = r"^[A-Z][A-Z0-9_]{0,79}$"
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])")
DURATION_PATTERN = f"^{_DURATION.pattern}$"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION_TEXT = "a number and a unit (30s, 5m, 1h, 1d)"
_LIMIT_TEXT = "a number from 0 or a duration (30s, 5m, 1h, 1d)"

T = TypeVar("T")


def _of_text(parse: Callable[[str], T], expected: str) -> BeforeValidator:
    """Turn a parser of text into a validator whose complaint pydantic can place."""

    def validate(value: object) -> T:
        if not isinstance(value, str):
            raise ValueError(f"expected {expected}, found {spell_value(value)}.")  # noqa: TRY004
        try:
            return parse(value)
        except WrongUseError as error:
            raise ValueError(str(error)) from error

    return BeforeValidator(validate)


def spell_value(value: object) -> str:
    """Return a value as a message shows it; long texts are cut short, nested ones named."""
    if value is None:
        return "nothing"
    if isinstance(value, str | int | float):
        text = json.dumps(value)
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return "keys with values" if isinstance(value, dict) else "a list"


def to_date(text: str) -> datetime:
    """Return the first instant in UTC of a day such as `2021-01-31`.

    Raises:
        WrongUseError: it is not a day written as `YYYY-MM-DD`, or it lies before 2009.
    """
    try:
        date = datetime.fromisoformat(text if _DATE.fullmatch(text) else "").replace(tzinfo=UTC)
    except ValueError:
        raise WrongUseError(
            f"{text!r} is no date. Accepted: a day in UTC like 2021-01-31."
        ) from None
    if date < FIRST_START:
        raise WrongUseError(f"{text} lies before {FIRST_START:%Y-%m-%d}, the first one accepted.")
    return date


def to_duration(text: str) -> timedelta:
    """Return the length of time written as a number and a unit: `30s`, `5m`, `1h`, `1d`.

    Raises:
        WrongUseError: it is written in another way, or is zero.
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise WrongUseError(f"{text!r} is no duration. Accepted: {_DURATION_TEXT}.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def to_keep(text: str) -> timedelta:
    """Return how long something is kept: a duration, or the longest there is for `unlimited`.

    Raises:
        WrongUseError: it is neither.
    """
    return timedelta.max if text == "unlimited" else to_duration(text)


def to_folder(text: str) -> Path:
    """Return a folder that is named in full: who reads the config may stand anywhere.

    Raises:
        WrongUseError: the path does not begin at the root.
    """
    path = Path(text).expanduser()
    if not path.is_absolute() or "\0" in text:
        raise WrongUseError(f"{text!r} is no full path. Accepted: like /mnt/backup or ~/backup.")
    return path


def to_base_url(text: str) -> str:
    """Return a URL of scheme, host and optional path, without a slash at its end.

    Raises:
        WrongUseError: another scheme than http(s), no host, or a query, fragment or password.
    """
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    plain = not (parts.query or parts.fragment or "@" in parts.netloc or re.search(r"\s", text))
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise WrongUseError(
            "not an address of a server. Accepted: scheme, host, port and path, without user, "
            "query or fragment: http://127.0.0.1:9100/binance."
        )
    return text.rstrip("/")


WindowField = Annotated[int, Field(ge=1, le=MAX_ROWS)]
"""A look-back in candles."""

SpreadField = Annotated[int, Field(ge=2, le=MAX_ROWS)]
"""A look-back in candles over which something is spread: one candle has no deviation."""

TimeframeField = Annotated[
    InstanceOf[Timeframe],
    _of_text(to_timeframe, "a timeframe like 1h"),
    WithJsonSchema({"type": "string", "enum": [timeframe.name for timeframe in TIMEFRAMES]}),
]
PairField = Annotated[
    InstanceOf[Pair],
    _of_text(read_pair, "a pair like BTC/USDT"),
    WithJsonSchema({"type": "string", "examples": ["BTC/USDT"]}),
]
DateField = Annotated[
    datetime,
    _of_text(to_date, "a day in UTC like 2021-01-31"),
    WithJsonSchema({"type": "string", "format": "date"}),
]
DurationField = Annotated[
    timedelta,
    _of_text(to_duration, _DURATION_TEXT),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN}),
]


KeepField = Annotated[timedelta, _of_text(to_keep, "a number of days (90d) or the word unlimited")]


def _at_most(text: str) -> AfterValidator:
    """Refuse a duration that is longer than `text` says."""

    def validate(value: timedelta) -> timedelta:
        if value > to_duration(text):
            raise ValueError(f"expected at most {text}, found {spell_duration(value)}.")
        return value

    return AfterValidator(validate)


def spell_duration(value: timedelta) -> str:
    """Return whole seconds as a config writes them, in the largest unit that fits: `12h`."""
    seconds = round(value.total_seconds())
    sizes = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
    return next(f"{seconds // size}{unit}" for unit, size in sizes.items() if seconds % size == 0)


TimeoutField = Annotated[DurationField, _at_most("10m")]
"""How long an answer may take; with more, one silent exchange would hold a run for hours."""

GraceField = Annotated[DurationField, _at_most("1h")]
"""How long a closed candle is waited for; with more, the newest ones would never be there."""

UrlField = Annotated[
    str,
    _of_text(to_base_url, "a URL like http://127.0.0.1:9100/binance"),
    WithJsonSchema({"type": "string", "format": "uri"}),
]
FolderField = Annotated[
    InstanceOf[Path],
    _of_text(to_folder, "a full path like /mnt/backup"),
    WithJsonSchema({"type": "string", "examples": ["/mnt/backup"]}),
]
NameField = Annotated[str, Field(pattern=NAME_PATTERN)]
"""Our name of an exchange, or ccxt's id of one."""

VariableField = Annotated[str, Field(pattern=VARIABLE_PATTERN)]
"""The name of an environment variable."""


def _to_limit(value: object) -> float | timedelta:
    if isinstance(value, str):
        try:
            return to_duration(value)
        except WrongUseError as error:
            raise ValueError(str(error)) from error
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"expected {_LIMIT_TEXT}, found {spell_value(value)}.")
    return float(value)


LimitField = Annotated[float | timedelta, BeforeValidator(_to_limit)]
"""A threshold: a number or a duration."""
