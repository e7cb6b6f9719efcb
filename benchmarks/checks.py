"""What the checks of one month of 1m cost, against the same rules in pandas.

Every rule across rows judges a made-up month of 43,200 candles with planted leaps, still prices
and silence, as a commit does; the rules over gaps judge its ledger, the rules of agreement hold it
against the same month on three other exchanges. The pandas rules are the same statements with the
same limits, and must find the same rows. Each figure is the best of seven.

    python benchmarks/checks.py
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from data_platform.domain.candles import TIME
from data_platform.domain.markets import Market, Pair
from data_platform.domain.synthetic import generate_candles
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.judge import CANDLE_RULES
from data_platform.quality.agreement import RULES as AGREEMENT_RULES
from data_platform.quality.agreement import Surroundings
from data_platform.quality.continuity import GAP_RULES
from data_platform.quality.rule import RuleInput
from data_platform.quality.trailing import history_candles, recent_candles, trailing_candles

MINUTE = to_timeframe("1m")
START, END = datetime(2024, 3, 30, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)
ROWS, ROUNDS, BAR_MS = 43_200, 7, 150.0
BTC = Pair("BTC/USDT")
TRAILING, RECENT = trailing_candles(MINUTE), recent_candles(MINUTE)
LIMITS = {rule.name: rule.limits for rule in CANDLE_RULES}
PRICES = ["open", "high", "low", "close"]

# pandas has types only by its stubs, and those know no Series of booleans.
Find = Callable[[pd.DataFrame], Any]


def main() -> None:
    """Print what each rule costs in either, and the sum beside its bar."""
    given = month()
    frame = pl.concat([given.before, given.candles]).to_pandas()
    judged = np.arange(len(frame)) >= given.before.height
    ours_sum = pandas_sum = 0.0
    print(f"{'rule':24}{'found':>7}{'ours ms':>10}{'pandas ms':>11}")
    for rule in CANDLE_RULES:
        find, found = PANDAS[rule.name], rule.find(given, rule.limits).height
        theirs = int((find(frame) & judged).sum())
        if found != theirs:
            raise SystemExit(f"{rule.name}: {found} rows here, {theirs} in pandas")
        ours, other = best(partial(rule.find, given, rule.limits)), best(partial(find, frame))
        ours_sum, pandas_sum = ours_sum + ours, pandas_sum + other
        print(f"{rule.name:24}{found:7}{ours:10.2f}{other:11.2f}")
    print(f"{'across rows':24}{'':7}{ours_sum:10.2f}{pandas_sum:11.2f}   ", end="")
    print(f"{pandas_sum / ours_sum:.1f} x as fast as pandas")
    ledger, beside = gaps(), surroundings(given.candles)
    gap_sum = sum(best(partial(it.find, ledger, MINUTE, it.limits)) for it in GAP_RULES)
    agreement_sum = sum(best(partial(it.judge, beside, it.limits)) for it in AGREEMENT_RULES)
    print(f"{'over gaps':24}{'':7}{gap_sum:10.2f}")
    print(f"{'beside three exchanges':24}{'':7}{agreement_sum:10.2f}")
    total = ours_sum + gap_sum + agreement_sum
    print(f"all checks of {ROWS:,} candles: {total:.1f} ms   bar {BAR_MS:.0f} ms")
    if total > BAR_MS:
        raise SystemExit(1)


def month() -> RuleInput:
    """Return a month with a leap, a loud candle, an outlier, a still run and silence in it."""
    made = generate_candles(1, Market("binance", BTC), MINUTE, START, END).candles
    rows, price = pl.int_range(pl.len()), pl.col("close").get(20_000)
    still, silent = rows.is_between(20_000, 20_080), rows.is_between(30_000, 30_050)
    changed = made.with_columns(
        *(pl.when(still).then(price).otherwise(name).alias(name) for name in PRICES),
        volume=pl.when(silent).then(0.0).otherwise("volume"),
    ).with_columns(
        high=pl.when(rows == 10_000).then(pl.col("high") * 1.2).otherwise("high"),
        low=pl.when(rows == 15_000).then(pl.col("low") * 0.96).otherwise("low"),
        close=pl.when(rows == 15_000).then(pl.col("low") * 0.96).otherwise("close"),
        volume=pl.when(rows == 25_000).then(pl.col("volume").mean() * 500).otherwise("volume"),
    )
    first = changed.height - ROWS
    before = changed[first - history_candles(MINUTE) : first]
    return RuleInput(changed[first:], before, MINUTE, END)


def gaps() -> pl.DataFrame:
    """Return a ledger of 500 gaps of one to ten minutes."""
    dice = np.random.default_rng(1)
    starts = np.sort(dice.choice(ROWS // 20, 500, replace=False)) * 20 * MINUTE.ms
    lengths = dice.integers(1, 11, 500) * MINUTE.ms
    begin = round(START.timestamp() * 1000)
    return pl.DataFrame(
        {
            "pair": [BTC.key] * 500,
            "start": pl.Series(begin + starts).cast(TIME),
            "end": pl.Series(begin + starts + lengths).cast(TIME),
            "missing": lengths // MINUTE.ms,
            "status": ["open", "outage"] * 250,
        }
    )


def surroundings(candles: pl.DataFrame) -> Surroundings:
    """Return a month beside the same month of three other exchanges."""
    start, end = candles["open_time"][0], END
    same = {
        name: generate_candles(1, Market(name, BTC), MINUTE, start, end).candles
        for name in ("okx", "bybit", "kraken")
    }
    alike = {f"{name}/{BTC.key}": frame for name, frame in same.items()}
    return Surroundings(candles, MINUTE, same=same, alike=alike)


def best(work: Callable[[], object]) -> float:
    """Return the milliseconds of the fastest of a few rounds."""
    seconds = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds) * 1000


def _finite(frame: pd.DataFrame, columns: list[str]) -> Any:  # noqa: ANN401
    return pd.Series(np.isfinite(frame[columns].to_numpy()).all(axis=1), index=frame.index)


def _disordered_prices(frame: pd.DataFrame) -> Any:  # noqa: ANN401
    inside = frame[["open", "close"]]
    return (frame["high"] < inside.max(axis=1)) | (frame["low"] > inside.min(axis=1))


def _steps(frame: pd.DataFrame) -> Any:  # noqa: ANN401
    return (frame["open_time"].diff().dt.total_seconds() / MINUTE.seconds).clip(lower=1)


def _jumps(frame: pd.DataFrame) -> Any:  # noqa: ANN401
    limit, close = LIMITS["no_price_jumps"]["1m"], frame["close"]
    previous, earlier = close.shift(1), close.shift(2)

    def away(price: Any) -> Any:  # noqa: ANN401
        return np.maximum(frame["high"] / price - 1, 1 - frame["low"] / price)

    is_far = (away(previous) > limit * np.sqrt(_steps(frame))) | (away(frame["open"]) > limit)
    leapt = (previous / earlier - 1).abs() > limit
    return is_far & ~(leapt & ((close / earlier - 1).abs() <= limit))


def _spikes(frame: pd.DataFrame) -> Any:  # noqa: ANN401
    mean = frame["volume"].rolling(TRAILING, TRAILING // 2).mean().shift(1)
    return (frame["volume"] > LIMITS["no_volume_spikes"]["1m"] * mean) & (mean > 0)


def _outliers(frame: pd.DataFrame) -> Any:  # noqa: ANN401
    limits, close = LIMITS["no_outlying_returns"], frame["close"]
    least = limits["1m"]
    size = np.log(close / close.shift(1)) / np.sqrt(_steps(frame))
    sigma = size.clip(-least, least).rolling(TRAILING, TRAILING // 2).std().shift(1)
    leapt = (np.abs(size) > limits["sigmas"] * sigma) & (np.abs(size) > least)
    is_back = leapt.shift(1, fill_value=False) & (np.abs(np.log(close / close.shift(2))) <= least)
    return leapt & ~is_back


def _still(frame: pd.DataFrame) -> Any:  # noqa: ANN401
    same = (frame[PRICES] == frame[PRICES].shift(1)).all(axis=1)
    lengths = same.groupby((~same).cumsum()).transform("size")
    return (lengths > LIMITS["prices_move"]["1m"]) & ~same


def _silent(frame: pd.DataFrame) -> Any:  # noqa: ANN401
    silent = (frame["volume"] == 0).rolling(RECENT).mean()
    usual = silent.rolling(TRAILING, TRAILING // 2).max().shift(RECENT)
    return (frame["volume"] == 0) & (silent - usual > LIMITS["zero_volume_as_usual"]["share"])


PANDAS: dict[str, Find] = {
    "high_not_below_low": _disordered_prices,
    "prices_above_zero": lambda it: ~(_finite(it, PRICES) & (it[PRICES] > 0).all(axis=1)),
    "volume_not_negative": lambda it: ~(_finite(it, ["volume"]) & (it["volume"] >= 0)),
    "times_increasing": lambda it: it["open_time"] < it["open_time"].shift(1),
    "times_unique": lambda it: it["open_time"].duplicated(),
    "times_on_grid": lambda it: it["open_time"].dt.floor("1min") != it["open_time"],
    "candles_closed": lambda it: it["open_time"] >= pd.Timestamp(END),
    "no_price_jumps": _jumps,
    "no_volume_spikes": _spikes,
    "no_outlying_returns": _outliers,
    "prices_move": _still,
    "zero_volume_as_usual": _silent,
}

if __name__ == "__main__":
    main()
