"""How the candles of one market stand to those of other exchanges at the same times.

Holds three questions, each asked of a whole month: how far closes lie from the median, whether a
stretch of candles tells what the others told earlier or later, and whether candles are another
exchange's, number for number. Only closes are held against the median: they are prices of one
moment, while a high or low is the extreme of one exchange's own trades. A candle without volume
repeats an old price and is left out. Stays out: which exchanges there are, and the rules
(`agreement.py`).
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.timeframes import Timeframe

Others = Mapping[str, pl.DataFrame]
"""Candles of other exchanges by their name, `CANDLE_SCHEMA`, sorted."""

TWO = 2
"""Exchanges between which no median tells who is right."""

SHIFT_CORRELATION = 0.5
"""Correlation of returns with the others' of another time that tells a shift ..."""

SHIFT_MARGIN = 0.3
"""... when it exceeds the correlation with those of the same time by this much."""

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)

_STRETCH = 24
"""Candles that a UTC day must have to tell a shift by; else the whole month is looked at."""

_ENOUGH = 20
"""Candles of a stretch below which a correlation says nothing."""

_BPS = 10_000.0


def join_closes(candles: pl.DataFrame, others: Others) -> pl.DataFrame:
    """Return the closes of all exchanges at the times of a market's candles.

    Args:
        candles: of one market, `CANDLE_SCHEMA`, sorted.
        others: of the same pair, quote currency included.

    Returns:
        open_time, close (the own), and one column for each other exchange, null where it has no
        candle; sorted, only candles with volume, of the others too.
    """
    joined = _traded(candles.lazy()).select("open_time", "close")
    for name, frame in others.items():
        own = _traded(frame.lazy()).select("open_time", pl.col("close").alias(name))
        joined = joined.join(own, on="open_time", how="left", maintain_order="left")
    return joined.collect()


def compare_closes(closes: pl.DataFrame) -> pl.DataFrame:
    """Return how far each close lies from the median of all exchanges that traded at its time.

    With two exchanges the median would be the midpoint and both half as far off: then the other
    one's close stands for it.

    Args:
        closes: of `join_closes`.

    Returns:
        open_time, close, median, deviation (share of the median), exchanges (how many traded, the
        own one included); sorted, only times at which another exchange traded, too.
    """
    numbers = closes.drop("open_time").fill_null(float("nan")).to_numpy()
    exchanges, middle = _middle_of_rows(numbers)
    known = closes.select(
        "open_time",
        "close",
        median=pl.Series(middle),
        deviation=pl.col("close") / pl.Series(middle) - 1,
        exchanges=pl.Series(exchanges, dtype=pl.Int64),
    )
    return known.filter(pl.col("exchanges") >= TWO)


def measure_pairs(closes: pl.DataFrame, timeframe: Timeframe) -> dict[str, dict[str, float | None]]:
    """Return how a market's closes go with each other exchange's, over all common candles.

    Args:
        closes: of `join_closes`.
        timeframe: the candles' length.

    Returns:
        By exchange: candles (that both traded in), rmse_bps (of the log of the ratio of closes)
        and correlation (of the log returns of candles in a row); None where there are too few.
    """
    names = closes.columns[2:]
    follows = pl.col("open_time").diff() == timeframe.duration
    measures = []
    for name in names:
        ratio = (pl.col("close") / pl.col(name)).log()
        both = [pl.when(follows).then(pl.col(it).log().diff()) for it in ("close", name)]
        measures += [
            pl.col(name).count().alias(f"{name} candles"),
            ((ratio**2).mean().sqrt() * _BPS).alias(f"{name} rmse_bps"),
            pl.corr(*both).fill_nan(None).alias(f"{name} correlation"),
        ]
    found = closes.select(measures).row(0, named=True) if names else {}
    return {name: {it: found[f"{name} {it}"] for it in _MEASURES} for name in names}


def find_shifts(candles: pl.DataFrame, others: Others, timeframe: Timeframe) -> pl.DataFrame:
    """Return stretches that tell what the other exchanges told at another time.

    A stretch is a UTC day, or the whole frame where a day has fewer than 24 candles. It is shifted
    when its returns go with the others' of one candle or one hour before or after, and not with
    those of the same time: a shifted grid, candles named by their close, a clock of another zone.

    Args:
        candles: of one market and at most a month, `CANDLE_SCHEMA`, sorted.
        others: of the same pair, quote currency included.
        timeframe: the candles' length.

    Returns:
        The candles of such stretches: open_time, late_seconds (how much later than the others they
        tell the same; negative when earlier), correlation (of their stretch with the others' of
        then), now (with those of the same time); sorted.
    """
    step = timeframe.duration
    lags = [step, -step, *([_HOUR, -_HOUR] if step < _HOUR else [])]
    names = [f"{lag.total_seconds():.0f}" for lag in lags]
    reference = _returns(_median_closes(others), step)
    own = _returns(candles, step).lazy().rename({"return": "own"})
    for name, lag in zip(["now", *names], [timedelta(0), *lags], strict=True):
        moved = reference.lazy().select(pl.col("open_time") + lag, pl.col("return").alias(name))
        own = own.join(moved, on="open_time", how="left", maintain_order="left")
    every = "1d" if _DAY // step >= _STRETCH else "1mo"
    told = [pl.corr("own", name).fill_nan(None).alias(name) for name in ["now", *names]]
    stretch = pl.col("open_time").dt.truncate(every).alias("stretch")
    rows = own.group_by(stretch).agg(pl.len(), *told).collect()
    best, now = pl.max_horizontal(names), pl.col("now").fill_null(0.0)
    late = pl.coalesce(pl.when(pl.col(name) == best).then(float(name)) for name in names)
    is_shifted = (best >= SHIFT_CORRELATION) & (best - now >= SHIFT_MARGIN)
    shifted = rows.filter((pl.col("len") >= _ENOUGH) & is_shifted).select(
        "stretch", late_seconds=late, correlation=best, now=now
    )
    times = candles.select("open_time", stretch)
    return times.join(shifted, on="stretch", maintain_order="left").drop("stretch")


def find_copies(candles: pl.DataFrame, others: Others, length: int) -> pl.DataFrame:
    """Return runs of candles whose five numbers are another exchange's.

    Candles without volume are left out: where nobody trades, prices stand still everywhere.

    Args:
        candles: of one market, `CANDLE_SCHEMA`, sorted.
        others: of any market that may have been copied, by name.
        length: equal candles in a row that are no chance any more.

    Returns:
        open_time (of the first one), last, candles, like (the other's name); sorted.
    """
    numbers = CANDLE_SCHEMA.names()
    own = _traded(candles.lazy()).with_row_index("row")
    begins = (pl.col("row").diff() != 1).fill_null(value=True)
    found = [_NO_COPIES]
    for name, frame in others.items():
        same = own.join(frame.lazy(), on=numbers, how="semi", maintain_order="left")
        runs = same.group_by(run=begins.cum_sum()).agg(
            pl.col("open_time").min(),
            last=pl.col("open_time").max(),
            candles=pl.len().cast(pl.Int64),
            like=pl.lit(name),
        )
        found.append(runs.filter(pl.col("candles") >= length).drop("run").collect())
    return pl.concat(found).sort("open_time", "like")


_MEASURES = ("candles", "rmse_bps", "correlation")

_NO_COPIES = pl.DataFrame(
    schema={
        "open_time": CANDLE_SCHEMA["open_time"],
        "last": CANDLE_SCHEMA["open_time"],
        "candles": pl.Int64(),
        "like": pl.String(),
    }
)


def _traded(candles: pl.LazyFrame) -> pl.LazyFrame:
    return candles.filter(pl.col("volume") > 0)


def _middle_of_rows(closes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many numbers each row has, and their median; of two the one that is not first."""
    # 3 ms for a month of 1m of four exchanges, by lists of polars 50 ms.
    ordered = np.sort(closes, axis=1)
    counts = (~np.isnan(closes)).sum(axis=1)
    rows, last = np.arange(len(closes)), np.maximum(counts, 1) - 1
    low, high = ordered[rows, last // 2], ordered[rows, (last + 1) // 2]
    other = np.where(closes[:, 0] == low, high, low)
    return counts, np.where(counts == TWO, other, (low + high) / 2)


def _median_closes(others: Others) -> pl.DataFrame:
    closes: Sequence[pl.DataFrame] = [it.select("open_time", "close") for it in others.values()]
    if len(closes) == 1:
        return closes[0]
    return pl.concat(closes).group_by("open_time").agg(pl.col("close").median()).sort("open_time")


def _returns(candles: pl.DataFrame, step: timedelta) -> pl.DataFrame:
    """Return the log return of each candle that follows another one without a hole."""
    follows = pl.col("open_time").diff() == step
    value = pl.when(follows).then(pl.col("close").log().diff())
    return candles.select("open_time", value.alias("return"))
