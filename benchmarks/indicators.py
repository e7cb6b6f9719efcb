"""How fast indicators are, against `ta` and TA-Lib, over a year of 1m candles of one market.

The named alternatives run in the same process on the same 525,600 candles: `ta`'s
`add_all_ta_features` (once: it takes a minute), its vectorized subset, and TA-Lib on the columns
that both have, each from a Polars frame to Polars columns. What a tick computes, the configured
columns of few rows, is measured one series at a time and with many stacked in one frame. Times
are the best of several runs, in seconds of the processor, all threads together: the clock of a
busy machine tells of its others.

    python benchmarks/indicators.py
"""

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import ta
from numpy.typing import NDArray

from data_platform.domain.markets import Market, Pair
from data_platform.domain.synthetic import generate_candles
from data_platform.domain.timeframes import to_timeframe
from data_platform.indicators.columns import INDICATORS, add_indicators, output_columns
from data_platform.settings import PROJECT_ROOT, load_settings

START = datetime(2024, 1, 1, tzinfo=UTC)
BAR_ALL = 50.0
"""The full set must be as many times as fast as `add_all_ta_features`."""
BAR_SECONDS = 1.0
"""No indicator may take longer."""
AIM_TA_LIB = 3.0
TICK_ROWS, TICK_SERIES = 500, 60

SHARED = (
    *("obv", "adi", "cmf_20", "force_13", "ease_of_movement", "ease_of_movement_mean_14"),
    *("vpt", "vwap_14", "bb_20_2", "bb_place_20_2", "keltner_original_10"),
    *("keltner_original_place_10", "donchian_20", "donchian_place_20", "macd_12_26_9"),
    *("sma_12", "sma_26", "ema_12", "ema_26", "vortex_14", "trix_15", "mass_index_9_25", "dpo_20"),
    *("kst_10_15_20_30_10_10_10_15_9", "ichimoku_9_26_52", "stc_23_50_10_3_3", "rsi_14"),
    *("stoch_rsi_14_3_3", "tsi_25_13", "uo_7_14_28_4_2_1", "stoch_14_3", "williams_r_14"),
    *("ao_5_34", "roc_12", "ppo_12_26_9", "pvo_12_26_9", "roc_1", "log_roc_1"),
    "cumulative_return",
)
"""What `add_all_ta_features(vectorized=True)` computes."""

TA_LIB: dict[str, str] = {
    "sma_20": "SMA close 20",
    "wma_9": "WMA close 9",
    "ema_14": "EMA close 14",
    "kama_10_2_30": "KAMA close 10",
    "macd_12_26_9": "MACD close 12 26 9",
    "trix_15": "TRIX close 15",
    "rsi_14": "RSI close 14",
    "roc_12": "ROC close 12",
    "bb_20_2": "BBANDS close 20 2.0 2.0",
    "adx_14": "ADX high low close 14; PLUS_DI high low close 14; MINUS_DI high low close 14",
    "atr_14": "ATR high low close 14",
    "aroon_25": "AROON high low 25; AROONOSC high low 25",
    "psar_0.02_0.2": "SAR high low",
    "stoch_14_3": "STOCHF high low close 14 3",
    "williams_r_14": "WILLR high low close 14",
    "cci_20": "CCI high low close 20",
    "uo_7_14_28_4_2_1": "ULTOSC high low close 7 14 28",
    "mfi_14": "MFI high low close volume 14",
    "obv": "OBV close volume",
    "adi": "AD high low close volume",
}
"""Our indicator -> calls of TA-Lib: function, inputs, parameters."""


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=525_600)
    parser.add_argument("--best-of", type=int, default=5)
    options = parser.parse_args()
    frame = candles_of(options.rows)
    print(f"{frame.height:,} candles of 1m; best of {options.best_of}")
    times = print_indicators(frame, options.best_of)
    print_ticks(frame, options.best_of)
    print_against_ta(frame, options.best_of)
    print_against_ta_lib(frame, times, options.best_of)


def candles_of(rows: int) -> pl.DataFrame:
    """Return synthetic candles as the filled layer has them, one segment."""
    market, end = Market("binance", Pair("ETH/USDT")), START + timedelta(minutes=rows)
    candles = generate_candles(11, market, to_timeframe("1m"), START, end).candles
    return candles.with_columns(
        is_filled=pl.lit(value=False),
        fill_method=pl.lit(None, pl.String),
        segment=pl.col("open_time").first(),
    )


def seconds_of(work: Callable[[], object], best_of: int) -> float:
    """Return the processor's seconds of the fastest of several runs."""
    found = []
    for _ in range(best_of):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return min(found)


def print_indicators(frame: pl.DataFrame, best_of: int) -> dict[str, float]:
    """Print the slowest indicators, and return the seconds of each."""
    names = [indicator.default_name for indicator in INDICATORS]
    times = {
        name: seconds_of(lambda name=name: add_indicators(frame, (name,)), best_of)  # type: ignore[misc]
        for name in {*names, *TA_LIB}
    }
    print(f"\n{'slowest of ours':<34}{'ms':>8}   bar {BAR_SECONDS * 1000:,.0f}")
    for name in sorted(names, key=lambda it: -times[it])[:10]:
        print(f"{name:<34}{times[name] * 1000:>8.1f}")
    assert max(times.values()) <= BAR_SECONDS
    return times


def print_ticks(frame: pl.DataFrame, best_of: int) -> None:
    """Print what the configured columns of a tick's rows take, by series and all at once."""
    names = load_settings({}, config=PROJECT_ROOT / "configs/platform.yaml").indicators
    one = frame.tail(TICK_ROWS)
    stacked = pl.concat(one.with_columns(segment=pl.lit(at)) for at in range(TICK_SERIES))
    print(f"\n{f'{len(names)} configured ones, {TICK_ROWS} rows':<34}{'ms':>8}{'each':>8}")
    for count, rows in ((1, one), (TICK_SERIES, stacked)):
        took = seconds_of(lambda rows=rows: add_indicators(rows, names), 4 * best_of) * 1000  # type: ignore[misc]
        print(f"{f'{count} series in one frame':<34}{took:>8.1f}{took / count:>8.2f}")


def print_against_ta(frame: pl.DataFrame, best_of: int) -> None:
    """Print how many times as fast as `ta` the full set and the vectorized subset are."""
    names = [indicator.default_name for indicator in INDICATORS]
    print(f"\n{'against ta':<34}{'ours s':>8}{'ta s':>8}{'ratio':>8}{'columns':>12}   bar")
    rows: tuple[tuple[str, Sequence[str], bool, float], ...] = (
        ("its vectorized subset", SHARED, True, 1.0),
        ("everything", names, False, BAR_ALL),
    )
    for what, wanted, vectorized, bar in rows:
        ours = seconds_of(lambda wanted=wanted: add_indicators(frame, wanted), best_of)  # type: ignore[misc]
        runs = min(best_of, 3) if vectorized else 1
        columns = 0

        def run(vectorized: bool = vectorized) -> None:  # noqa: FBT001
            nonlocal columns
            columns = all_of_ta(frame, vectorized=vectorized).shape[1] - 5

        theirs = seconds_of(run, runs)
        counts = f"{len(output_columns(wanted))}/{columns}"
        print(f"{what:<34}{ours:>8.2f}{theirs:>8.1f}{theirs / ours:>8.1f}{counts:>12}   {bar:g}")


def all_of_ta(frame: pl.DataFrame, *, vectorized: bool) -> pd.DataFrame:
    """Return the candles with all columns of `ta`."""
    prices = pd.DataFrame(
        {name: frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")}
    )
    with warnings.catch_warnings(action="ignore"):
        made: pd.DataFrame = ta.add_all_ta_features(
            prices, "open", "high", "low", "close", "volume", vectorized=vectorized
        )
    return made


def print_against_ta_lib(frame: pl.DataFrame, times: dict[str, float], best_of: int) -> None:
    """Print our time as a multiple of TA-Lib's, of each indicator that it has, and of all."""
    try:
        import talib
    except ImportError:
        print("\nTA-Lib is not installed: `uv sync --group bench` installs it.")
        return
    functions = talib.__dict__

    def compute(calls: Sequence[str]) -> pl.DataFrame:
        results: list[NDArray[np.float64]] = []
        for call in "; ".join(calls).split("; "):
            name, *words = call.split()
            inputs = [frame[word].to_numpy() for word in words if word in frame.columns]
            numbers = [
                float(word) if "." in word else int(word)
                for word in words
                if word not in frame.columns
            ]
            made = functions[name](*inputs, *numbers)
            results += made if isinstance(made, tuple) else [made]
        columns = [pl.Series(f"{at}", it, nan_to_null=True) for at, it in enumerate(results)]
        return pl.concat([frame, pl.DataFrame(columns)], how="horizontal")

    print(f"\n{'against TA-Lib':<34}{'ours ms':>8}{'theirs':>8}{'times':>8}   aim {AIM_TA_LIB:g}")
    for name, calls in TA_LIB.items():
        theirs = seconds_of(lambda calls=calls: compute([calls]), best_of)  # type: ignore[misc]
        ratio = times[name] / theirs
        print(f"{name:<34}{times[name] * 1000:>8.1f}{theirs * 1000:>8.1f}{ratio:>8.1f}")
    for what, left_out in (("all", ()), ("all but psar", ("psar_0.02_0.2",))):
        wanted = [name for name in TA_LIB if name not in left_out]
        ours = seconds_of(lambda wanted=wanted: add_indicators(frame, wanted), best_of)  # type: ignore[misc]
        theirs = seconds_of(
            lambda wanted=wanted: compute([TA_LIB[name] for name in wanted]),  # type: ignore[misc]
            best_of,
        )
        print(f"{what:<34}{ours * 1000:>8.1f}{theirs * 1000:>8.1f}{ours / theirs:>8.1f}")


if __name__ == "__main__":
    main()
