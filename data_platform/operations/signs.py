"""Which check has to find which planted defect, and at what time it then says so.

Whatever a check reports in a planted stretch is true only at a time that a row here makes of the
planted times; everything else is a false alarm. Stays out: how defects are planted
(`domain/synthetic_defects.py`), how findings are counted (`scorecard.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import polars as pl

from data_platform.domain.timeframes import Timeframe
from data_platform.operations.detectors import AUDIT
from data_platform.quality.schema import CONFLICT, DUPLICATE

At = Literal["start", "slot", "next", "after", "day", "first", "within", "days"]


@dataclass(frozen=True, slots=True)
class Sign:
    """A check that reports a defect."""

    check: str
    at: At = "start"
    """Where its finding lies: at the candle as delivered; at the grid time that it spoils; one
    candle later; at the first candle after the run; at midnight of the day; at the first spoiled
    time of the series; anywhere in the run; anywhere on the UTC day."""
    must: bool = True
    """Whether it has to be found; else a finding there is true, but nobody waits for it."""
    part: str | None = None
    """Of the planted rows, those of this part."""

    def expected(self, planted: pl.DataFrame, timeframe: Timeframe) -> pl.DataFrame:
        """Return the times at which the sign may show.

        Args:
            planted: `PLANT_SCHEMA`.
            timeframe: of the candles.

        Returns:
            instance (a number for each planted thing that is to be found once), open_time; several
            times an instance where it may show at any of them.
        """
        own = planted if self.part is None else planted.filter(part=self.part)
        step = timeframe.duration
        if self.at == "within":
            last = pl.col("end") - timedelta(milliseconds=1)
            times = pl.datetime_ranges("start", last, step, time_unit="ms")
            return _instances(own.select(open_time=times)).explode("open_time")
        if self.at == "days":
            days = own.select("start", day=pl.col("start").dt.truncate("1d"))
            ranks = pl.col("day").rank("dense").alias("instance")
            return days.select(ranks, open_time="start")
        times = {
            "start": pl.col("start"),
            "slot": pl.col("slot"),
            "next": pl.col("slot") + step,
            "after": pl.col("end"),
            "day": pl.col("slot").dt.truncate("1d"),
            "first": pl.col("slot").min(),
        }[self.at]
        return _instances(own.select(open_time=times).unique(maintain_order=True))


def _instances(times: pl.DataFrame) -> pl.DataFrame:
    return times.with_row_index("instance")


# A candle that is refused is missing then, which is as true as that it was wrong.
_HOLES = (
    Sign("no_long_gaps", "slot", must=False),
    Sign("days_complete", "day", must=False),
    Sign("history_complete", "first", must=False),
)
_OFF_GRID = AUDIT + "open_time off the grid"
_UNCLOSED = AUDIT + "not closed yet"
_HIGH = AUDIT + "high below open, low or close"
_LOW = AUDIT + "low above open, high or close"
_NOT_FINITE = AUDIT + "not a finite number"

SIGNS: Mapping[str, tuple[Sign, ...]] = {
    "gap": (
        Sign("no_long_gaps", "slot"),
        Sign("days_complete", "day"),
        Sign("history_complete", "first"),
    ),
    "duplicate": (Sign(AUDIT + DUPLICATE), Sign("times_unique")),
    "contradicting duplicate": (Sign(AUDIT + CONFLICT), Sign("times_unique"), *_HOLES),
    "disorder": (Sign("times_increasing"),),
    "spike": (
        Sign("no_price_jumps"),
        Sign("no_outlying_returns", must=False),
        Sign("exchanges_agree", must=False),
    ),
    "outlying return": (Sign("no_outlying_returns"), Sign("exchanges_agree", must=False)),
    "loud volume": (Sign("no_volume_spikes"),),
    "flat run": (
        Sign("prices_move"),
        Sign("zero_volume_as_usual", "within", must=False),
        # The market has gone on while the feed was frozen.
        Sign("no_price_jumps", "after", must=False),
        Sign("no_outlying_returns", "after", must=False),
    ),
    "fallen silent": (Sign("zero_volume_as_usual", "within"),),
    "high too low": (Sign(_HIGH), Sign("high_not_below_low"), Sign(_LOW, must=False), *_HOLES),
    "low too high": (Sign(_LOW), Sign("high_not_below_low"), Sign(_HIGH, must=False), *_HOLES),
    "off-grid": (Sign(_OFF_GRID), Sign("times_on_grid"), *_HOLES),
    "shifted grid": (Sign(_OFF_GRID), Sign("times_on_grid"), *_HOLES),
    "unclosed": (Sign(_UNCLOSED), Sign("candles_closed")),
    "future": (
        Sign(_UNCLOSED),
        Sign("candles_closed"),
        Sign("times_increasing", "next", must=False),
        *_HOLES,
    ),
    "NaN price": (
        Sign(_NOT_FINITE),
        Sign("prices_above_zero"),
        Sign("high_not_below_low", must=False),
        Sign(_HIGH, must=False),
        Sign(_LOW, must=False),
        *_HOLES,
    ),
    "NaN volume": (Sign(_NOT_FINITE), Sign("volume_not_negative"), *_HOLES),
    "empty price": (
        Sign(AUDIT + "empty value"),
        Sign("prices_above_zero"),
        Sign("high_not_below_low", must=False),
        *(
            Sign(AUDIT + reason, must=False)
            for reason in ("not a finite number", "price not above zero")
        ),
        Sign(_HIGH, must=False),
        Sign(_LOW, must=False),
        *_HOLES,
    ),
    "negative price": (
        Sign(AUDIT + "price not above zero"),
        Sign("prices_above_zero"),
        Sign("high_not_below_low", must=False),
        Sign(_HIGH, must=False),
        Sign(_LOW, must=False),
        *_HOLES,
    ),
    "negative volume": (Sign(AUDIT + "volume below zero"), Sign("volume_not_negative"), *_HOLES),
    "5m delivered as 1m": (
        Sign("days_complete", "day"),
        Sign("history_complete", "first"),
        Sign("exchanges_agree", must=False),
        Sign("no_volume_spikes", must=False),
    ),
    "1m delivered as 5m": (
        Sign(_OFF_GRID, part="off the grid"),
        Sign("times_on_grid", part="off the grid"),
        Sign("coarser_candles_agree", part="on the grid"),
        Sign("exchanges_agree", part="on the grid", must=False),
        *_HOLES,
    ),
    "close-stamped 1m": (
        Sign("exchanges_agree", "days"),
        Sign("history_complete", "first", must=False),
    ),
    "close-stamped 1h": (
        Sign("coarser_candles_agree"),
        Sign("exchanges_agree", must=False),
        Sign("history_complete", "first", must=False),
        Sign("days_complete", "day", must=False),
    ),
    "wrong-exchange copy": (
        Sign("no_copied_candles"),
        Sign("exchanges_agree", "within", must=False),
    ),
}
"""By defect."""
