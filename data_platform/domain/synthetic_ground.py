"""What defects are planted in, and how it is noted what was planted where.

Stays out: the defects themselves (`synthetic_defects.py`).
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from data_platform.domain.candles import TIME
from data_platform.domain.timeframes import Timeframe

PLANT_SCHEMA = pl.Schema({"part": pl.String(), "start": TIME, "end": TIME, "slot": TIME})
"""One row a planted defect. part: tells apart what one defect does to several rows, else empty;
start, end: from its first to after its last candle, as delivered; slot: the first grid time whose
candle is spoiled or gone."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Ground:
    """Clean candles to plant in: whole UTC days."""

    candles: pl.DataFrame
    """`CANDLE_SCHEMA`, sorted, on every grid time."""
    timeframe: Timeframe
    minutes: pl.DataFrame
    """The same market's minutes of the same days."""
    elsewhere: pl.DataFrame
    """Another exchange's candles of the same pair and times."""
    mean_volume: float
    """Of the candles ahead."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Candles as an exchange might send them, and what is wrong with them."""

    rows: pl.DataFrame
    """`CANDLE_SCHEMA`, in the order of their arrival."""
    planted: pl.DataFrame
    """`PLANT_SCHEMA`."""


def places(
    ground: Ground, random: np.random.Generator, length: int = 1, count: int = 5
) -> list[int]:
    """Return the first rows of runs that keep two hours from one another and stay in their day."""
    stretch = ground.candles.height // count
    per_day = _DAY // ground.timeframe.duration
    found = []
    for number in range(count):
        row = number * stretch + int(random.integers(1, stretch - length - 120))
        overhang = row % per_day + length - per_day
        found.append(row - overhang if overhang > 0 else row)
    return found


def label_of(ground: Ground, row: int, length: int = 1) -> dict[str, object]:
    """Return the label of a run that is delivered where it belongs."""
    start = ground.candles["open_time"][row]
    end = start + length * ground.timeframe.duration
    return {"part": "", "start": start, "end": end, "slot": start}


def delivery_of(rows: pl.DataFrame, labels: list[dict[str, object]]) -> Delivery:
    """Return rows with their labels."""
    return Delivery(rows, pl.DataFrame(labels, schema=PLANT_SCHEMA))
