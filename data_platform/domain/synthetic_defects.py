"""Every way in which delivered candles can be wrong, planted in clean ones, with the truth.

A defect is planted where the dice fall, and its times are noted as it is planted: nothing here
looks for anything, so the truth owes nothing to those who do. How far a planted spike or return
goes is stated here, in shares and factors, whatever the checks' limits are. Stays out: who has to
find what (`operations/scorecard.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from data_platform.domain.synthetic_ground import Delivery, Ground, delivery_of, label_of, places
from data_platform.domain.timeframes import to_timeframe

PRICES = ("open", "high", "low", "close")

_DAY = timedelta(days=1)
_FIVE = to_timeframe("5m")

Plant = Callable[[Ground, np.random.Generator], Delivery]


@dataclass(frozen=True, slots=True)
class Defect:
    """One way to be wrong."""

    name: str
    plant: Plant
    timeframe: str = "1m"
    """Of the candles that it is planted in."""
    is_impossible: bool = True
    """Whether it cannot be true, or is merely unusual."""


def _changed(changes: Callable[[np.random.Generator], dict[str, pl.Expr]]) -> Plant:
    """Return a planter that changes single candles; the dice are thrown for each anew."""

    def plant(ground: Ground, random: np.random.Generator) -> Delivery:
        rows, labels = ground.candles, []
        for row in places(ground, random):
            here = pl.int_range(pl.len()) == row
            rows = rows.with_columns(
                pl.when(here).then(value).otherwise(pl.col(name)).alias(name)
                for name, value in changes(random).items()
            )
            labels.append(label_of(ground, row))
        return delivery_of(rows, labels)

    return plant


def _spike(random: np.random.Generator) -> dict[str, pl.Expr]:
    size = float(random.uniform(0.12, 0.4))
    names, factor = [
        (("high",), 1 + size),
        (("low",), 1 - size),
        (PRICES, 1 + size),
        (PRICES, 1 - size),
    ][int(random.integers(4))]
    return {name: pl.col(name) * factor for name in names}


def _outlying_return(random: np.random.Generator) -> dict[str, pl.Expr]:
    factor = 1 + float(random.uniform(0.04, 0.08)) * float(random.choice([-1, 1]))
    close = pl.col("close") * factor
    return {
        "close": close,
        "high": pl.max_horizontal("high", close),
        "low": pl.min_horizontal("low", close),
    }


def _set(names: tuple[str, ...], value: Callable[[float], float | None]) -> Plant:
    """Return a planter that puts one wrong value into one of some columns."""

    def changes(random: np.random.Generator) -> dict[str, pl.Expr]:
        name = str(random.choice(names))
        return {name: pl.lit(value(float(random.uniform(1, 1000))), pl.Float64)}

    return _changed(changes)


def _gaps(ground: Ground, random: np.random.Generator) -> Delivery:
    rows = pl.int_range(pl.len())
    gone, labels = pl.lit(value=False), []
    length = int(random.integers(20, 61))
    for row in places(ground, random, length):
        gone |= rows.is_between(row, row + length - 1)
        labels.append(label_of(ground, row, length))
    return delivery_of(ground.candles.filter(~gone), labels)


def _runs(
    lengths: tuple[int, int], columns: Callable[[int], dict[str, pl.Expr]], count: int = 5
) -> Plant:
    """Return a planter of runs; `columns` are the values of a run that begins at a row."""

    def plant(ground: Ground, random: np.random.Generator) -> Delivery:
        rows, labels = ground.candles, []
        length = int(random.integers(lengths[0], lengths[1] + 1))
        moved = (ground.candles["high"] > ground.candles["low"]).to_numpy()
        for place in places(ground, random, length, count):
            # A run begins after a candle that moved, else it would have begun before.
            row = place + int(moved[place - 1 :].argmax())
            here = pl.int_range(pl.len()).is_between(row, row + length - 1)
            rows = rows.with_columns(
                pl.when(here).then(value).otherwise(pl.col(name)).alias(name)
                for name, value in columns(row).items()
            )
            labels.append(label_of(ground, row, length))
        return delivery_of(rows, labels)

    return plant


def _frozen(row: int) -> dict[str, pl.Expr]:
    last = pl.col("close").get(row - 1)
    return {**dict.fromkeys(PRICES, last), "volume": pl.lit(0.0)}


def _silent(_row: int) -> dict[str, pl.Expr]:
    return {"volume": pl.lit(0.0)}


def _loud(ground: Ground, random: np.random.Generator) -> Delivery:
    volume = float(random.uniform(150, 500)) * ground.mean_volume
    return _changed(lambda _: {"volume": pl.lit(volume)})(ground, random)


def _twins(change: float) -> Plant:
    def plant(ground: Ground, random: np.random.Generator) -> Delivery:
        parts, labels, last = [], [], 0
        for row in places(ground, random):
            twin = ground.candles[row : row + 1].with_columns(pl.col("volume") + change)
            parts += [ground.candles[last : row + 1], twin]
            labels.append(label_of(ground, row))
            last = row + 1
        return delivery_of(pl.concat([*parts, ground.candles[last:]]), labels)

    return plant


def _moved(times: Callable[[Ground, np.random.Generator], timedelta]) -> Plant:
    """Return a planter that gives single candles another time."""

    def plant(ground: Ground, random: np.random.Generator) -> Delivery:
        rows, labels = ground.candles, []
        for row in places(ground, random):
            shift = times(ground, random)
            here = pl.int_range(pl.len()) == row
            moved = pl.when(here).then(pl.col("open_time") + shift).otherwise("open_time")
            rows = rows.with_columns(open_time=moved)
            label = label_of(ground, row)
            start = ground.candles["open_time"][row] + shift
            labels.append({**label, "start": start, "end": start + ground.timeframe.duration})
        return delivery_of(rows, labels)

    return plant


def _off_grid(ground: Ground, random: np.random.Generator) -> timedelta:
    return timedelta(milliseconds=int(random.integers(1, ground.timeframe.ms)))


def _to_future(ground: Ground, random: np.random.Generator) -> timedelta:
    # Later than any candle of the ground, wherever in it the row stands.
    days = ground.candles.height // (_DAY // ground.timeframe.duration)
    return int(random.integers(days, days + 400)) * _DAY


def _disorder(ground: Ground, random: np.random.Generator) -> Delivery:
    order, labels = np.arange(ground.candles.height), []
    for row in places(ground, random):
        order[[row, row + 1]] = order[[row + 1, row]]
        labels.append(label_of(ground, row))
    return delivery_of(ground.candles[order], labels)


def _unclosed(ground: Ground, _random: np.random.Generator) -> Delivery:
    step = ground.timeframe.duration
    running = ground.candles[-1:].with_columns(pl.col("open_time") + step)
    start = running["open_time"][0]
    label = {"part": "", "start": start, "end": start + step, "slot": start}
    return delivery_of(pl.concat([ground.candles, running]), [label])


def _shifted_grid(ground: Ground, random: np.random.Generator) -> Delivery:
    shift = timedelta(seconds=int(random.integers(1, ground.timeframe.seconds)))
    rows = ground.candles.with_columns(pl.col("open_time") + shift)
    planted = [
        {"part": "", "start": time + shift, "end": time + shift + shift, "slot": time}
        for time in ground.candles["open_time"]
    ]
    return delivery_of(rows, planted)


def _close_stamped(ground: Ground, _random: np.random.Generator) -> Delivery:
    step, first = ground.timeframe.duration, ground.candles["open_time"][0]
    rows = ground.candles[:-1].with_columns(pl.col("open_time") + step)
    planted = [
        {"part": "", "start": time, "end": time + step, "slot": first} for time in rows["open_time"]
    ]
    return delivery_of(rows, planted)


def _fives_as_minutes(ground: Ground, _random: np.random.Generator) -> Delivery:
    step = ground.timeframe.duration
    rows = ground.candles.group_by_dynamic("open_time", every="5m").agg(
        pl.first("open"), pl.max("high"), pl.min("low"), pl.last("close"), pl.sum("volume")
    )
    planted = [
        {"part": "", "start": time, "end": time + 5 * step, "slot": time + step}
        for time in rows["open_time"]
    ]
    return delivery_of(rows, planted)


def _minutes_as_fives(ground: Ground, _random: np.random.Generator) -> Delivery:
    def label(time: pl.Expr) -> list[pl.Expr]:
        on = time.dt.epoch("ms") % _FIVE.ms == 0
        part = pl.when(on).then(pl.lit("on the grid")).otherwise(pl.lit("off the grid"))
        return [part.alias("part"), time.alias("start"), time.alias("end"), time.alias("slot")]

    planted = ground.minutes.select(label(pl.col("open_time")))
    minute = timedelta(minutes=1)
    return Delivery(ground.minutes, planted.with_columns(pl.col("end") + minute))


def _copied(ground: Ground, random: np.random.Generator) -> Delivery:
    rows, labels = ground.candles, []
    length = int(random.integers(5, 61))
    traded = ground.elsewhere["volume"] > 0
    for place in places(ground, random, length):
        # Where nobody traded there is nothing to tell by: a copy begins with a trade.
        row = place + int(traded[place:].to_numpy().argmax())
        parts = [rows[:row], ground.elsewhere[row : row + length], rows[row + length :]]
        rows = pl.concat(parts)
        labels.append(label_of(ground, row, length))
    return delivery_of(rows, labels)


DEFECTS: tuple[Defect, ...] = (
    Defect("gap", _gaps, is_impossible=False),
    Defect("duplicate", _twins(0.0)),
    Defect("contradicting duplicate", _twins(1.0)),
    Defect("disorder", _disorder),
    Defect("spike", _changed(_spike), is_impossible=False),
    Defect("outlying return", _changed(_outlying_return), is_impossible=False),
    Defect("loud volume", _loud, is_impossible=False),
    Defect("flat run", _runs((61, 119), _frozen), is_impossible=False),
    # One of a kind: what has happened within a day is what a series is used to.
    Defect("fallen silent", _runs((30, 60), _silent, count=1), is_impossible=False),
    Defect("high too low", _changed(lambda _: {"high": pl.min_horizontal("open", "close") * 0.99})),
    Defect("low too high", _changed(lambda _: {"low": pl.max_horizontal("open", "close") * 1.01})),
    Defect("off-grid", _moved(_off_grid)),
    Defect("shifted grid", _shifted_grid),
    Defect("unclosed", _unclosed),
    Defect("future", _moved(_to_future)),
    Defect("NaN price", _set(PRICES, lambda _: float("nan"))),
    Defect("NaN volume", _set(("volume",), lambda _: float("nan"))),
    Defect("empty price", _set(PRICES, lambda _: None)),
    Defect("negative price", _set(PRICES, lambda size: -size)),
    Defect("negative volume", _set(("volume",), lambda size: -size)),
    Defect("5m delivered as 1m", _fives_as_minutes),
    Defect("1m delivered as 5m", _minutes_as_fives, timeframe="5m"),
    Defect("close-stamped 1m", _close_stamped),
    Defect("close-stamped 1h", _close_stamped, timeframe="1h"),
    Defect("wrong-exchange copy", _copied),
)
"""Every defect that can be planted."""
