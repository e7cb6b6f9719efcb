"""What is unusual of single candles: leaps of the price, of the volume, of the return.

Unusual is not untrue: these rules warn, and nobody clips or drops what they find. Each compares a
candle with what was known ahead of it (`trailing.py`). Prices wander, so what they may move grows
with the square root of the candles' lengths that have passed since the last candle: after a hole
or a quiet time nothing leaps that merely walked. A leap that is taken back at once is told once,
where it happened. Where the defaults come from: `docs/decisions/001-thresholds-of-the-rules.md`.
"""

import polars as pl

from data_platform.domain.timeframes import TIMEFRAMES
from data_platform.quality.rule import Limits, Rule, RuleInput
from data_platform.quality.trailing import trailing_candles, with_history

_FARTHEST = {"1m": 0.1, "5m": 0.1, "15m": 0.15, "1h": 0.2, "4h": 0.3}
_LOUDEST = {"1m": 60.0, "5m": 40.0}
_SMALLEST = {"1m": 0.03, "5m": 0.04, "15m": 0.06, "1h": 0.1, "4h": 0.15}


def find_price_jumps(given: RuleInput, limits: Limits) -> pl.DataFrame:
    """Return candles of which a price is far from the close ahead of it, or from its own open.

    Args:
        given: the candles, and those before them.
        limits: largest change within one candle's length as a share, by timeframe.

    Returns:
        open_time, open, high, low, close, previous (close), change (share).
    """
    limit = limits[given.timeframe.name]
    rows = with_history(given).with_columns(earlier=pl.col("close").shift(2))
    is_far = _is_beyond(pl.col("previous"), limit * _root()) | _is_beyond(pl.col("open"), limit)
    leapt = (pl.col("previous") / pl.col("earlier") - 1).abs() > limit
    is_back = leapt & ((pl.col("close") / pl.col("earlier") - 1).abs() <= limit)
    found = rows.filter("is_judged", is_far).filter(~is_back.fill_null(value=False))
    shown = ("open_time", "open", "high", "low", "close", "previous")
    change = pl.max_horizontal(_away("previous"), _away("open"))
    return found.select(*shown, change=change).collect()


def find_volume_spikes(given: RuleInput, limits: Limits) -> pl.DataFrame:
    """Return candles whose volume is many times the mean of the candles ahead of them.

    Where half a window is not stored yet, or nothing at all was traded in it, nothing is told.

    Args:
        given: the candles, and those before them.
        limits: how many times the mean, by timeframe.

    Returns:
        open_time, volume, mean, times.
    """
    window = trailing_candles(given.timeframe)
    mean = pl.col("volume").rolling_mean(window, min_samples=window // 2).shift(1)
    rows = with_history(given).with_columns(mean=mean, times=pl.col("volume") / mean)
    is_loud = (pl.col("times") > limits[given.timeframe.name]) & (pl.col("mean") > 0)
    found = rows.filter("is_judged", is_loud)
    return found.select("open_time", "volume", "mean", "times").collect()


def find_outlying_returns(given: RuleInput, limits: Limits) -> pl.DataFrame:
    """Return candles whose log return is many deviations of the returns ahead of it.

    Neither the return itself nor an earlier outlier hides one: the deviation is of the returns
    ahead alone, and of each at most the smallest return that counts.

    Args:
        given: the candles, and those before them.
        limits: `sigmas` of the trailing returns, and the smallest return that counts, by timeframe.

    Returns:
        open_time, close, previous (close), log_return (by the square root of the candles' lengths
        passed), sigma.
    """
    least, window = limits[given.timeframe.name], trailing_candles(given.timeframe)
    rows = (
        with_history(given)
        .with_columns(log_return=(pl.col("close") / pl.col("previous")).log() / _root())
        .with_columns(sigma=_sigma(least, window))
        .with_columns(leapt=_is_outlying(limits["sigmas"], least))
    )
    is_back = pl.col("leapt").shift(1) & (
        (pl.col("close") / pl.col("close").shift(2)).log().abs() <= least
    )
    found = rows.filter("is_judged", "leapt", ~is_back.fill_null(value=False))
    return found.select("open_time", "close", "previous", "log_return", "sigma").collect()


def _is_beyond(price: pl.Expr, share: pl.Expr | float) -> pl.Expr:
    return (pl.col("high") > price * (1 + share)) | (pl.col("low") < price * (1 - share))


def _away(reference: str) -> pl.Expr:
    price = pl.col(reference)
    return pl.max_horizontal(pl.col("high") / price - 1, 1 - pl.col("low") / price)


def _root() -> pl.Expr:
    return pl.col("steps").sqrt()


def _sigma(least: float, window: int) -> pl.Expr:
    tame = pl.col("log_return").clip(-least, least)
    return tame.rolling_std(window, min_samples=window // 2).shift(1)


def _is_outlying(sigmas: float, least: float) -> pl.Expr:
    size = pl.col("log_return").abs()
    return (size > sigmas * pl.col("sigma")) & (size > least)


RULES: tuple[Rule, ...] = (
    Rule(
        name="no_price_jumps",
        severity="warn",
        description="No price is further from the close ahead of it than the timeframe allows.",
        limits={row.name: _FARTHEST.get(row.name, 0.5) for row in TIMEFRAMES},
        find=find_price_jumps,
    ),
    Rule(
        name="no_volume_spikes",
        severity="warn",
        description="No volume is more than so many times the mean of the candles ahead of it.",
        limits={row.name: _LOUDEST.get(row.name, 20.0) for row in TIMEFRAMES},
        find=find_volume_spikes,
    ),
    Rule(
        name="no_outlying_returns",
        severity="warn",
        description="No return is more than so many deviations of the returns ahead of it.",
        limits={"sigmas": 5.0} | {row.name: _SMALLEST.get(row.name, 0.25) for row in TIMEFRAMES},
        find=find_outlying_returns,
    ),
)
