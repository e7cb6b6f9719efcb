"""What the state files hold: one model each, and the JSON Schema that it comes to.

Holds shapes, units and meanings, and no rule by which a value is found. Whatever is unknown is
null, never 0; every time is ISO 8601 in UTC and ends in `Z`; every candle has closed.
`python -m data_platform.domain.state_files` writes the shipped schemas anew.
"""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from data_platform.domain.timeframes import TIMEFRAMES

SCHEMAS = Path(__file__).parents[1] / "schemas"

_UTC_TIME = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$",
}


def spell_time(time: datetime) -> str:
    """Return a time as the state files spell it: `2024-01-31T12:00:00Z`."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"


Time = Annotated[datetime, PlainSerializer(spell_time, return_type=str), WithJsonSchema(_UTC_TIME)]
Day = Annotated[date, WithJsonSchema({"type": "string", "format": "date"})]
Market = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9_%]+-[A-Za-z0-9_%]+$")
]
TimeframeName = Annotated[
    str, WithJsonSchema({"type": "string", "enum": [each.name for each in TIMEFRAMES]})
]
Price = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Score = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]

SourceState = Literal["up", "failing", "trying", "down", "unknown"]
Health = Literal["healthy", "degraded", "critical"]
Regime = Literal["COMPLACENT", "LOW", "NORMAL", "ELEVATED", "HIGH", "EXTREME", "CRISIS"]
Trend = Literal["bullish", "bearish", "ranging"]
SessionName = Literal["asia", "london", "new_york", "after_hours", "weekend"]


class _Part(BaseModel):
    # Built when first used: that takes 50 ms, which who only loads the graph need not spend.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class SourceStatus(_Part):
    """One exchange as it answers."""

    status: SourceState = Field(
        description="`up`: it answers. `failing`: the newest requests failed, it is still asked. "
        "`down`: it is left alone for a while. `trying`: one request tries whether it is back. "
        "`unknown`: it was never asked."
    )
    last_response: Time | None = Field(description="When it last answered a request, UTC.")
    latency_ms: Amount | None = Field(
        description="Milliseconds from sending a request to its answer, the median of the newest "
        "step that had one."
    )


class SeriesState(_Part):
    """One timeframe of a market."""

    last_bar: Time | None = Field(description="Opening time of the newest closed candle, UTC.")
    quality_score: Score | None = Field(
        description="Quality of the newest month, 0 to 1, by the configured profile."
    )
    bars_today: Count | None = Field(
        description="Closed candles of the running UTC day that are stored."
    )
    gaps_today: Count | None = Field(
        description="Runs of candles of the running UTC day that are missing and should be there."
    )


class MarketTimeframes(_Part):
    """One market."""

    timeframes: dict[TimeframeName, SeriesState] = Field(description="By timeframe.")
    halt_trading: bool = Field(
        description="Whether nobody should trade this market on its data: its source is `down` or "
        "`trying`, one of its series is later than the limit of `candles_fresh` or has no candle "
        "at all, or a score of its is below the level `critical`."
    )


class DataStatus(_Part):
    """How fresh and how good all configured markets are, and whether to trade on them."""

    updated_at: Time = Field(description="When this was computed, UTC.")
    sources: dict[str, SourceStatus] = Field(description="By exchange.")
    markets: dict[Market, MarketTimeframes] = Field(description="By market: `binance/BTC-USDT`.")
    overall_health: Health = Field(
        description="`critical`: `halt_trading` is true. `degraded`: a source is not `up`, a "
        "candle of today is missing or a score is below the level `high` of the alerts. Else "
        "`healthy`."
    )
    quality_score: Score | None = Field(
        description="Mean of the series' quality scores that are known, 0 to 1."
    )
    halt_trading: bool = Field(
        description="True where it is of any market, where any source is `down` or `trying`, and "
        "where nothing is configured."
    )


class Candle(_Part):
    """One closed candle."""

    timestamp: Time = Field(description="Opening time, UTC.")
    open: Price = Field(description="First price, quote currency per unit of base.")
    high: Price = Field(description="Highest price, quote currency per unit of base.")
    low: Price = Field(description="Lowest price, quote currency per unit of base.")
    close: Price = Field(description="Last price, quote currency per unit of base.")
    volume: Amount = Field(description="Traded amount, base currency.")


class Derived(_Part):
    """What follows from the newest candles."""

    atr_14_1h: Amount | None = Field(
        description="Average true range of 14 candles of 1h at the newest one, quote currency, "
        "from the layer `indicators`; null while that has not reached the newest candle."
    )
    daily_high: Price | None = Field(
        description="Highest price of the running UTC day, of closed candles of the finest "
        "timeframe, quote currency per unit of base."
    )
    daily_low: Price | None = Field(description="Lowest price of the same candles.")
    daily_volume: Amount | None = Field(description="Traded amount of them, base currency.")


class LatestOhlcv(_Part):
    """The newest closed candle of each timeframe of one market."""

    updated_at: Time = Field(description="When this was computed, UTC.")
    market: Market = Field(description="`<exchange>/<pair>`: `binance/BTC-USDT`.")
    timeframes: dict[TimeframeName, Candle | None] = Field(
        description="By timeframe; null where no candle is stored."
    )
    derived: Derived = Field(description="What follows from them.")


class MarketQuality(_Part):
    """How good the candles of one market are: means of its timeframes' newest months."""

    quality_score: Score | None = Field(description="Quality by the configured profile, 0 to 1.")
    completeness: Score | None = Field(description="Share of the candles expected, 0 to 1.")
    validity: Score | None = Field(description="Share of received candles not refused, 0 to 1.")
    freshness: Score | None = Field(
        description="1 when nothing is late, else limit by lateness, 0 to 1."
    )
    issues: Count = Field(description="Its issues of the last 24 hours.")


class Issue(_Part):
    """Something that was found wrong."""

    timestamp: Time = Field(description="First candle concerned, UTC; else when it was found.")
    type: str = Field(
        description="`gap`, `refused`, `outage`, `repaired`, or the name of a failing check."
    )
    market: Market = Field(description="`binance/BTC-USDT`.")
    timeframe: TimeframeName = Field(description="Of the candles.")
    duration_bars: Count = Field(description="Candles concerned.")
    resolution: str = Field(description="What was done, or what will be.")


class QualityReport(_Part):
    """The quality of all configured markets, and what went wrong in the last 24 hours."""

    report_date: Day = Field(description="UTC day of the report.")
    markets_monitored: Count = Field(description="Configured markets.")
    overall_quality: Score | None = Field(description="Mean of the series' scores, 0 to 1.")
    quality_by_market: dict[Market, MarketQuality] = Field(description="By market.")
    issues_24h: list[Issue] = Field(description="Newest first.")
    recommendations: list[str] = Field(description="What to do, with the command to run.")


class Session(_Part):
    """The time of day in the trade's words; boundaries are fixed in UTC (docs/state_files.md)."""

    current: SessionName = Field(description="The session that runs.")
    minutes_into_session: Count = Field(description="Whole minutes since it began.")
    killzone_active: bool = Field(description="Whether a killzone runs.")


class KeyLevels(_Part):
    """Prices of the last complete UTC day and week, quote currency per unit of base."""

    daily_pivot: Price | None = Field(description="(high + low + close) / 3 of yesterday.")
    daily_r1: float | None = Field(description="2 x pivot - low of yesterday.")
    daily_s1: float | None = Field(description="2 x pivot - high of yesterday; may be negative.")
    weekly_high: Price | None = Field(description="Highest price of the last complete UTC week.")
    weekly_low: Price | None = Field(description="Lowest price of the last complete UTC week.")


class Event(_Part):
    """Something that happened to a market's data."""

    timestamp: Time = Field(description="The first candle concerned, else when it happened, UTC.")
    type: str = Field(
        description="`gap`, `refused`, `outage`, `repaired`; `correction`, `repair`: stored "
        "candles of any time were changed or added; the name of a failing check; or `not_known`: "
        "why a field of this file is null."
    )
    timeframe: TimeframeName = Field(description="Of the candles.")
    detail: str = Field(description="In words.")


class MarketContext(_Part):
    """Volatility, trend, session and price levels of one market."""

    updated_at: Time = Field(description="When this was computed, UTC.")
    market: Market = Field(description="`binance/BTC-USDT`.")
    volatility_regime: Regime | None = Field(
        description="Seven levels by `volatility_percentile`: below 5 COMPLACENT, 25 LOW, 60 "
        "NORMAL, 80 ELEVATED, 90 HIGH, 98 EXTREME, else CRISIS."
    )
    volatility_percentile: Annotated[float, Field(ge=0, le=100)] | None = Field(
        description="Rank, 0 to 100, of the standard deviation of the last 24 hourly log returns "
        "among those of every hour of the last 90 days; equals count half."
    )
    trend_1d: Trend | None = Field(
        description="`bullish`: close > mean of 20 closes > mean of 50; `bearish`: the reverse; "
        "else `ranging`. Of candles of 1d."
    )
    trend_4h: Trend | None = Field(description="The same of candles of 4h.")
    session: Session = Field(description="The time of day.")
    key_levels: KeyLevels = Field(description="Of complete days and weeks.")
    recent_events: list[Event] = Field(description="Of the last 24 hours, newest first.")


STATE_FILES: dict[str, type[BaseModel]] = {
    "data_status": DataStatus,
    "latest_ohlcv": LatestOhlcv,
    "market_context": MarketContext,
    "quality_report": QualityReport,
}
"""The model of each kind of state file."""


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema, draft 2020-12, of a kind of state file."""
    schema = STATE_FILES[name].model_json_schema(mode="serialization")
    for part in (schema, *schema.get("$defs", {}).values()):
        for field in part["properties"].values():
            # pydantic says how keys are spelt and leaves open whether there may be others.
            if "patternProperties" in field:
                field["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


if __name__ == "__main__":
    for each in STATE_FILES:
        target = SCHEMAS / f"{each}.schema.json"
        target.write_text(json.dumps(json_schema(each), indent=2) + "\n")
