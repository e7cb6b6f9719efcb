"""Months of one market on several exchanges and timeframes, and how defects are planted there."""

from datetime import UTC, datetime, timedelta
from functools import cache

import polars as pl

from data_platform.domain.candles import TIME
from data_platform.domain.markets import Market, Pair
from data_platform.domain.synthetic import generate_candles
from data_platform.domain.timeframes import to_timeframe

START = datetime(2024, 3, 1, tzinfo=UTC)
END = datetime(2024, 4, 1, tzinfo=UTC)
EXCHANGES = ("binance", "coinbase", "kraken", "okx")
NO_RANGES = pl.DataFrame(schema={"start": TIME, "end": TIME})


def at(text: str) -> datetime:
    """`05 12:30`: day and time of the month."""
    return datetime.fromisoformat(f"2024-03-{text}").replace(tzinfo=UTC)


@cache
def month_of(
    exchange: str = "binance", timeframe: str = "1m", pair: str = "SOL/USDT", seed: int = 5
) -> pl.DataFrame:
    market = Market(exchange, Pair(pair))
    return generate_candles(seed, market, to_timeframe(timeframe), START, END).candles


def elsewhere(timeframe: str, *exchanges: str, pair: str = "SOL/USDT") -> dict[str, pl.DataFrame]:
    return {name: month_of(name, timeframe, pair) for name in exchanges or EXCHANGES[1:]}


def changed(candles: pl.DataFrame, time: datetime, **factors: float) -> pl.DataFrame:
    """The candles, some numbers of the one at `time` multiplied."""
    here = pl.col("open_time") == time
    return candles.with_columns(
        pl.when(here).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name)
        for name, factor in factors.items()
    )


def moved(
    candles: pl.DataFrame, by: timedelta, start: datetime = START, end: datetime = END
) -> pl.DataFrame:
    """The candles, those of a range told as if they were of another time."""
    inside = pl.col("open_time").is_between(start, end, closed="left")
    told = candles.with_columns(pl.col("open_time") + by).filter(inside)
    return pl.concat([candles.filter(~inside), told]).sort("open_time")


def replaced(
    candles: pl.DataFrame, other: pl.DataFrame, start: datetime, end: datetime
) -> pl.DataFrame:
    """The candles, those of a range taken from another series."""
    inside = pl.col("open_time").is_between(start, end, closed="left")
    return pl.concat([candles.filter(~inside), other.filter(inside)]).sort("open_time")


def times_of(frame: pl.DataFrame) -> list[datetime]:
    times: list[datetime] = frame["open_time"].to_list()
    return times
