"""What should move: prices that stand still, volumes that fall silent.

A frozen feed and a quiet market look alike, candle by candle: the length of a run and what the
series was like until then tell them apart. Stays out: leaps (`outliers.py`), times without any
candle (`continuity.py`).
"""

import polars as pl

from data_platform.domain.timeframes import TIMEFRAMES
from data_platform.quality.rule import Limits, Rule, RuleInput
from data_platform.quality.trailing import recent_candles, trailing_candles, with_history

_PRICES = ("open", "high", "low", "close")


def find_still_prices(given: RuleInput, limits: Limits) -> pl.DataFrame:
    """Return runs of candles that repeat the same four prices for longer than allowed.

    Args:
        given: the candles, and those before them; a run may have begun there.
        limits: candles that may be equal in a row, by timeframe.

    Returns:
        open_time (the first of the run), end (the last of it), candles, close; one row a run that
        reaches into the judged candles.
    """
    rows = pl.concat([given.before, given.candles])
    same = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in _PRICES)
    repeats = rows.select(same.fill_null(value=False)).to_series()
    runs = repeats.rle().struct.unnest().with_columns(last=pl.col("len").cum_sum() - 1)
    long = runs.filter(
        "value",
        pl.col("len") >= limits[given.timeframe.name],
        pl.col("last") >= given.before.height,
    ).select(first=pl.col("last") - pl.col("len"), last="last", candles=pl.col("len") + 1)
    first, last = rows[long["first"]], rows[long["last"]]
    return first.select("open_time", end=last["open_time"], candles=long["candles"], close="close")


def find_fallen_silent(given: RuleInput, limits: Limits) -> pl.DataFrame:
    """Return candles without volume where the series is silent more often than it used to be.

    How often a minute passes without a trade is a property of the venue and the pair, so it is
    observed per series: the share of silent candles of the last while (an hour of 1m, two days of
    1d) against the largest such share in the window ahead of it. So a quiet hour of every night is
    no news, and a change is told until it is what the series is used to.

    Args:
        given: the candles, and those before them.
        limits: `share` of candles by which the last while may be above that, 0 to 1.

    Returns:
        open_time, silent (share of the last while), usual (largest share ahead of it).
    """
    recent, window = recent_candles(given.timeframe), trailing_candles(given.timeframe)
    silent = (pl.col("volume") == 0).cast(pl.Float64).rolling_mean(recent)
    usual = silent.rolling_max(window, min_samples=window // 2).shift(recent)
    rows = with_history(given).with_columns(silent=silent, usual=usual)
    is_new = (pl.col("volume") == 0) & (pl.col("silent") - pl.col("usual") > limits["share"])
    return rows.filter("is_judged", is_new).select("open_time", "silent", "usual").collect()


RULES: tuple[Rule, ...] = (
    Rule(
        name="prices_move",
        severity="warn",
        description="No run of candles with the same four prices is longer than allowed.",
        limits={row.name: float(recent_candles(row)) for row in TIMEFRAMES},
        find=find_still_prices,
    ),
    Rule(
        name="zero_volume_as_usual",
        severity="warn",
        description="Candles without volume are no more frequent than the series is used to.",
        limits={"share": 0.25},
        find=find_fallen_silent,
    ),
)
