"""Candles as the decimal text that goes over the wire.

Every number of a column is printed with the column's own number of decimals; a dialect pads it
or trims it as its exchange does. Reading the text back gives the truth's float to the last bit.
Stays out: JSON, the order of fields.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from data_platform.domain.synthetic_markets import MarketProfile
from data_platform.domain.synthetic_minutes import TickCandles

QUOTE_DECIMALS = 2
"""Of the turnover in quote currency, which no candle of ours stores."""

_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class WireRows:
    """Candles of one series, oldest first, numbers as text."""

    frame: pl.DataFrame
    """`time` (UTC ms, Int64), `open high low close vwap volume quote_volume` (String), `trades`
    (Int64)."""
    price_decimals: int
    volume_decimals: int

    def fixed(self, column: str, places: int) -> pl.Expr:
        """Return a column printed with at least `places` decimals: `67000.10000000`."""
        decimals = self._decimals(column)
        point = "." if decimals == 0 else ""
        return pl.col(column) + (point + "0" * (places - decimals) if places > decimals else "")

    def trimmed(self, column: str) -> pl.Expr:
        """Return a column printed without closing zeros: `67000.1`, `67000`."""
        if self._decimals(column) == 0:
            return pl.col(column)
        return pl.col(column).str.strip_chars_end("0").str.strip_chars_end(".")

    def _decimals(self, column: str) -> int:
        if column == "volume":
            return self.volume_decimals
        return QUOTE_DECIMALS if column == "quote_volume" else self.price_decimals


def tick_rows(candles: TickCandles, profile: MarketProfile) -> WireRows:
    """Return whole-number candles as text."""
    scale = 10.0 ** (profile.price_decimals + profile.volume_decimals - QUOTE_DECIMALS)
    mean = (candles.open + candles.high + candles.low + candles.close) // 4
    frame = pl.DataFrame(
        {
            "time": candles.time,
            **{name: getattr(candles, name) for name in _PRICES},
            "vwap": np.where(candles.trades == 0, 0, mean),
            "volume": candles.volume,
            "quote_volume": np.rint(mean / scale * candles.volume).astype(np.int64),
            "trades": candles.trades,
        }
    ).with_columns(
        *(_decimal_text(name, profile.price_decimals) for name in (*_PRICES, "vwap")),
        _decimal_text("volume", profile.volume_decimals),
        _decimal_text("quote_volume", QUOTE_DECIMALS),
    )
    return WireRows(frame, profile.price_decimals, profile.volume_decimals)


def float_rows(candles: pl.DataFrame) -> WireRows:
    """Return candles of any floats as text, each with as many decimals as the longest needs.

    Args:
        candles: `CANDLE_SCHEMA` without nulls.
    """
    prices = {name: _positional(candles[name]) for name in _PRICES}
    volume = _positional(candles["volume"])
    price_decimals = max(_longest_fraction(text) for text in prices.values())
    volume_decimals = _longest_fraction(volume)
    mean = (candles["open"] + candles["high"] + candles["low"] + candles["close"]) / 4
    has_traded = candles["volume"] > 0
    frame = pl.DataFrame(
        {
            "time": candles["open_time"].dt.epoch("ms"),
            **{name: _widen(text, price_decimals) for name, text in prices.items()},
            "vwap": [
                f"{price if traded else 0.0:.{price_decimals}f}"
                for price, traded in zip(mean, has_traded, strict=True)
            ],
            "volume": _widen(volume, volume_decimals),
            "quote_volume": [
                f"{turnover:.{QUOTE_DECIMALS}f}" for turnover in mean * candles["volume"]
            ],
            "trades": has_traded.cast(pl.Int64),
        },
        schema_overrides={"vwap": pl.String, "quote_volume": pl.String},
    )
    return WireRows(frame, price_decimals, volume_decimals)


def _decimal_text(column: str, decimals: int) -> pl.Expr:
    number = pl.col(column)
    if decimals == 0:
        return number.cast(pl.String)
    unit = 10**decimals
    fraction = (number % unit).cast(pl.String).str.zfill(decimals)
    return pl.concat_str((number // unit).cast(pl.String), pl.lit("."), fraction).alias(column)


def _positional(numbers: pl.Series) -> pl.Series:
    # The shortest text that reads back as the same float, without an exponent.
    text = [
        short if "e" not in short else np.format_float_positional(number, trim="-")
        for number, short in zip(numbers, numbers.cast(pl.String), strict=True)
    ]
    return pl.Series(numbers.name, text, dtype=pl.String).str.strip_suffix(".0")


def _longest_fraction(text: pl.Series) -> int:
    lengths = text.str.extract(r"\.(\d+)$").str.len_bytes().fill_null(0)
    return int(lengths.max() or 0) if len(lengths) else 0  # type: ignore[arg-type]


def _widen(text: pl.Series, decimals: int) -> pl.Series:
    if decimals == 0:
        return text
    fraction = text.str.extract(r"\.(\d+)$").fill_null("").str.pad_end(decimals, "0")
    return text.str.extract(r"^([^.]*)") + "." + fraction
