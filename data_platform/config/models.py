"""What may stand in `configs/*.yaml`, key by key, and the JSON Schema that editors read.

Belongs here: the shape of the files. Stays out: how a single value is spelled (`values.py`), and
whatever concerns two values at once (`settings.py`).
`python -m data_platform.config.models > configs/platform.schema.json` writes the schema anew.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from data_platform.config.strict_yaml import Document, ValuePath
from data_platform.config.values import (
    NAME_PATTERN,
    VARIABLE_PATTERN,
    DateField,
    DurationField,
    FolderField,
    GraceField,
    NameField,
    PairField,
    SpreadField,
    TimeframeField,
    TimeoutField,
    UrlField,
    VariableField,
    WindowField,
    spell_value,
)
from data_platform.domain.timeframes import TIMEFRAMES

DEFAULT_START = datetime(2021, 1, 1, tzinfo=UTC)

DEFAULT_INDICATORS = (
    *("sma_20", "sma_50", "ema_12", "ema_26", "rsi_14", "macd_12_26_9", "bb_20_2", "atr_14"),
    *("adx_14", "stoch_14_3", "cci_20", "mfi_14"),
)

_PATTERNS = {
    NAME_PATTERN: "lower-case letters, digits and `_`, a letter first (binance)",
    VARIABLE_PATTERN: "the name of an environment variable (BINANCE_API_KEY), never a key",
}

M = TypeVar("M", bound=BaseModel)


class StrictModel(BaseModel):
    """Frozen, strict about types, and without tolerance for unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class ExchangeEntry(StrictModel):
    """One exchange of the config; only `pairs` has no default."""

    pairs: Annotated[list[PairField], Field(min_length=1)] = Field(
        description="Pairs to keep, as ccxt writes them: BTC/USDT."
    )
    timeframes: Annotated[list[TimeframeField], Field(min_length=1)] = Field(
        default_factory=lambda: list(TIMEFRAMES), description="Timeframes to keep (default: all)."
    )
    start: DateField | None = Field(
        default=None,
        description="First day wanted, UTC (default 2021-01-01); partitions begin with its month.",
    )
    history_days: Annotated[int, Field(ge=0, le=7000)] | None = Field(
        default=None,
        description=(
            "Instead of `start`: the running calendar month and this many days before it. The "
            "start moves with the calendar on the first of each month, 00:00 UTC, never within one."
        ),
    )
    pair_start: dict[str, DateField] = Field(
        default={}, description="First day wanted of single pairs, in place of `start`."
    )
    derive: dict[str, TimeframeField] = Field(
        default={}, description="Timeframe -> the finer one it is computed from, e.g. 4h: 1h."
    )
    ccxt_id: NameField | None = Field(
        default=None, description="ccxt's id of the exchange, where it is not our name."
    )
    base_url: UrlField | None = Field(
        default=None, description="Replaces scheme and host of every URL of the exchange."
    )
    backup: NameField | None = Field(
        default=None,
        description=(
            "Another exchange of this file, whose candles of the same pair and timeframe the grid "
            "(`filled`) takes over gaps that this one does not fill."
        ),
    )
    rate_limit: Annotated[float, Field(gt=0, le=1_000_000)] | None = Field(
        default=None,
        description=(
            "Requests per minute of all processes of this machine together, where other than a "
            "few percent below the exchange's own limit."
        ),
    )
    timeout: TimeoutField = Field(
        default=timedelta(seconds=30),
        description="Longest silence of one request, at most 10m; it may take twice that in all.",
        json_schema_extra={"default": "30s"},
    )
    grace: GraceField = Field(
        default=timedelta(seconds=5),
        description="Wait after a candle's close before asking, at most 1h.",
        json_schema_extra={"default": "5s"},
    )
    api_key_env: VariableField | None = Field(
        default=None, description="Name of the environment variable with the key; never a key."
    )


class RefreshEntry(StrictModel):
    """How often automation runs a layer at most; never more often than its candles close."""

    candles: DurationField = Field(
        default=timedelta(minutes=5),
        description="The candles and their checks.",
        json_schema_extra={"default": "5m"},
    )
    derived: DurationField = Field(
        default=timedelta(hours=1),
        description="Filled, indicators and features.",
        json_schema_extra={"default": "1h"},
    )
    exports: DurationField = Field(
        default=timedelta(days=1),
        description="The files for other programs.",
        json_schema_extra={"default": "1d"},
    )


class BackupsEntry(StrictModel):
    """Where `back_up_schedule` puts the daily backup."""

    folder: FolderField = Field(
        description="Full path of a folder for the backups of this lake, best on another disk."
    )
    keep: Annotated[int, Field(ge=1)] = Field(
        default=30, description="Backups without faults that stay; older ones are dropped."
    )


class PlatformFile(StrictModel):
    """A platform config: which candles are kept, from where, and what is made of them."""

    exchanges: Annotated[dict[NameField, ExchangeEntry], Field(min_length=1)] = Field(
        description="Our name of each exchange -> what to keep of it."
    )
    indicators: list[str] = Field(
        default=list(DEFAULT_INDICATORS), description="Columns stored in the indicators layer."
    )
    refresh: RefreshEntry = Field(
        default_factory=RefreshEntry, description="How often automation runs a layer at most."
    )
    automation: Literal["stopped", "running"] = Field(
        default="stopped", description="Whether sensors and schedules start by themselves."
    )
    backups: BackupsEntry | None = Field(
        default=None, description="What `back_up_schedule` does; without, it does nothing."
    )


class MarketEntry(StrictModel):
    """Another market whose columns a feature set joins."""

    pair: PairField
    exchange: NameField | None = None
    returns: list[WindowField] = []
    volatility: list[SpreadField] = []
    indicators: list[str] = []


class FeatureSetFile(StrictModel):
    """One feature set; the file is called as it is, or `<name>-v<version>`."""

    name: NameField
    version: Annotated[int, Field(ge=1)]
    returns: list[WindowField] = []
    volatility: list[SpreadField] = []
    indicators: list[str] = []
    joins: dict[str, dict[str, list[str]]] = {}
    markets: dict[NameField, MarketEntry] = {}
    fill: str = "carry_10"
    timeframes: list[TimeframeField] = []


def read_model(document: Document, model: type[M]) -> M:
    """Return the content of a document as an instance of `model`.

    Raises:
        ConfigError: a key or value is refused; names file, line, place and what is accepted.
    """
    try:
        return model.model_validate(document.values)
    except ValidationError as error:
        # A missing key comes last: the unknown key nearby is what was meant by it.
        found = sorted(
            error.errors(include_url=False),
            key=lambda each: (each["type"] == "missing", document.line_of(_place(each))),
        )
        path, message = _complaint(found[0], model)
        more = f" (One of {len(found)} problems.)" if len(found) > 1 else ""
        raise document.error(path, message + more) from error


def _complaint(problem: ErrorDetails, model: type[BaseModel]) -> tuple[ValuePath, str]:
    path = _place(problem)
    kind = problem["type"]
    if kind == "extra_forbidden":
        known = list(_model_at(model, path[:-1]).model_fields)
        near = get_close_matches(str(path[-1]), known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return path, f"unknown key.{hint} Accepted: {', '.join(known)}."
    if kind == "missing":
        return path[:-1], f"key {path[-1]!r} is missing."
    if kind == "too_short":
        return path, "expected at least one entry, found none."
    if kind == "value_error":
        return path, str(problem["ctx"]["error"])
    if problem.get("ctx", {}).get("pattern") == VARIABLE_PATTERN:
        # What was found may be the key itself, and must not reach a terminal or a log.
        return path, f"expected {_expected(problem)}."
    found = spell_value(path[-1] if "[key]" in problem["loc"] else problem["input"])
    return path, f"expected {_expected(problem)}, found {found}."


def _place(problem: ErrorDetails) -> ValuePath:
    return tuple(part for part in problem["loc"] if part != "[key]")


def _expected(problem: ErrorDetails) -> str:
    limits = problem.get("ctx", {})
    match problem["type"]:
        case "string_pattern_mismatch":
            return _PATTERNS.get(limits["pattern"], f"a text like {limits['pattern']}")
        case "list_type":
            return "a list"
        case "dict_type" | "model_type":
            return "keys with values"
        case "int_type" | "int_from_float":
            return "a whole number"
        case "greater_than_equal":
            return f"at least {limits['ge']}"
        case "less_than_equal":
            return f"at most {limits['le']:,.15g}"
    text: str = problem["msg"]
    return text.removeprefix("Input should be ")


def _model_at(model: type[BaseModel], path: ValuePath) -> type[BaseModel]:
    """Return the model whose keys stand at `path`; keys of a mapping lead to its values."""
    inside: Any = model
    for part in path:
        fields = getattr(inside, "model_fields", None)
        inside = fields[part].annotation if fields else get_args(inside)[-1]
    found: type[BaseModel] = inside
    return found


def json_schema() -> str:
    """Return the JSON Schema of a platform config, as `configs/platform.schema.json` holds it."""
    schema = PlatformFile.model_json_schema()
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps({**dialect, **schema}, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(json_schema())
