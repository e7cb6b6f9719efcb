"""Which class of the library `ta` computes what each indicator does, and its values.

For proofs only: the contract suite and the nightly audit compare with it. `ta` and pandas are
imported here alone, where they are used. Where `ta` is not followed stands in `departures.py`;
ta 0.11.0, https://github.com/bukosabino/ta, read 2026-11-28.
"""

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module

import numpy as np
import polars as pl

from data_platform.indicators.arrays import Array
from data_platform.indicators.columns import parse_name
from data_platform.indicators.indicator import spell


@dataclass(frozen=True, slots=True)
class Counterpart:
    """One class of `ta` and the indicator that computes the same."""

    indicator: str
    """A name of `INDICATORS`, without parameters."""
    place: str
    """Module and class in `ta`."""
    parameters: tuple[str, ...]
    """The class's parameters, in the order of the indicator's."""
    methods: Mapping[str, str]
    """Column without parameters -> method."""
    fixed: Mapping[str, object] = field(default_factory=dict)
    """Other arguments of the class, where its defaults are another indicator's."""
    only: tuple[float, ...] | None = None
    """The indicator's parameters for which it is the same, where the class has none."""


_ROWS = ("window",)
_SIGNAL = ("window_fast", "window_slow", "window_sign")
_KST = (*(f"roc{place}" for place in range(1, 5)), *(f"window{place}" for place in range(1, 5)))
_WINDOWS = ("window1", "window2", "window3")


def _lines(name: str, method: str) -> dict[str, str]:
    bands = {"upper": "hband", "middle": "mband", "lower": "lband"}
    return {f"{name}_{line}": f"{method}_{band}" for line, band in bands.items()}


def _place(name: str, method: str) -> dict[str, str]:
    return {
        f"{name}_width": f"{method}_wband",
        f"{name}_percent": f"{method}_pband",
        f"{name}_is_above": f"{method}_hband_indicator",
        f"{name}_is_below": f"{method}_lband_indicator",
    }


def _macd(name: str, difference: str) -> dict[str, str]:
    return {name: name, f"{name}_signal": f"{name}_signal", f"{name}_histogram": difference}


_BOLLINGER = ("volatility.BollingerBands", ("window", "window_dev"))
_KELTNER = ("volatility.KeltnerChannel", ("window", "window_atr", "multiplier"))
_MODERN = {"original_version": False}
_BANDS = {**_lines("bb", "bollinger"), "bb_middle": "bollinger_mavg"}
_DONCHIAN_PLACE = dict(list(_place("donchian", "donchian_channel").items())[:2])

COUNTERPARTS: tuple[Counterpart, ...] = (
    Counterpart("sma", "trend.SMAIndicator", _ROWS, {"sma": "sma_indicator"}),
    Counterpart("wma", "trend.WMAIndicator", _ROWS, {"wma": "wma"}),
    Counterpart("ema", "trend.EMAIndicator", _ROWS, {"ema": "ema_indicator"}),
    Counterpart("kama", "momentum.KAMAIndicator", ("window", "pow1", "pow2"), {"kama": "kama"}),
    Counterpart(
        "adx",
        "trend.ADXIndicator",
        _ROWS,
        {"adx": "adx", "plus_di": "adx_pos", "minus_di": "adx_neg"},
    ),
    Counterpart(
        "aroon",
        "trend.AroonIndicator",
        _ROWS,
        {
            "aroon_up": "aroon_up",
            "aroon_down": "aroon_down",
            "aroon_oscillator": "aroon_indicator",
        },
    ),
    Counterpart(
        "vortex",
        "trend.VortexIndicator",
        _ROWS,
        {
            "vortex_plus": "vortex_indicator_pos",
            "vortex_minus": "vortex_indicator_neg",
            "vortex_difference": "vortex_indicator_diff",
        },
    ),
    Counterpart("psar", "trend.PSARIndicator", ("step", "max_step"), {"psar": "psar"}),
    Counterpart(
        "ichimoku",
        "trend.IchimokuIndicator",
        _WINDOWS,
        {
            "ichimoku_conversion": "ichimoku_conversion_line",
            "ichimoku_base": "ichimoku_base_line",
            "ichimoku_a": "ichimoku_a",
            "ichimoku_b": "ichimoku_b",
        },
    ),
    Counterpart(
        "ichimoku_cloud",
        "trend.IchimokuIndicator",
        _WINDOWS,
        {"ichimoku_cloud_a": "ichimoku_a", "ichimoku_cloud_b": "ichimoku_b"},
        {"visual": True},
    ),
    Counterpart(
        "mass_index",
        "trend.MassIndex",
        ("window_fast", "window_slow"),
        {"mass_index": "mass_index"},
    ),
    Counterpart("dpo", "trend.DPOIndicator", _ROWS, {"dpo": "dpo"}),
    Counterpart("macd", "trend.MACD", _SIGNAL, _macd("macd", "macd_diff")),
    Counterpart("ppo", "momentum.PercentagePriceOscillator", _SIGNAL, _macd("ppo", "ppo_hist")),
    Counterpart("pvo", "momentum.PercentageVolumeOscillator", _SIGNAL, _macd("pvo", "pvo_hist")),
    Counterpart(
        "ao",
        "momentum.AwesomeOscillatorIndicator",
        ("window1", "window2"),
        {"ao": "awesome_oscillator"},
    ),
    Counterpart("trix", "trend.TRIXIndicator", _ROWS, {"trix": "trix"}),
    Counterpart("tsi", "momentum.TSIIndicator", ("window_slow", "window_fast"), {"tsi": "tsi"}),
    Counterpart(
        "kst",
        "trend.KSTIndicator",
        (*_KST, "nsig"),
        {"kst": "kst", "kst_signal": "kst_sig", "kst_difference": "kst_diff"},
    ),
    Counterpart(
        "stc",
        "trend.STCIndicator",
        ("window_fast", "window_slow", "cycle", "smooth1", "smooth2"),
        {"stc": "stc"},
    ),
    Counterpart("rsi", "momentum.RSIIndicator", _ROWS, {"rsi": "rsi"}),
    Counterpart(
        "stoch_rsi",
        "momentum.StochRSIIndicator",
        ("window", "smooth1", "smooth2"),
        {"stoch_rsi": "stochrsi", "stoch_rsi_k": "stochrsi_k", "stoch_rsi_d": "stochrsi_d"},
    ),
    Counterpart(
        "stoch",
        "momentum.StochasticOscillator",
        ("window", "smooth_window"),
        {"stoch_k": "stoch", "stoch_d": "stoch_signal"},
    ),
    Counterpart(
        "williams_r", "momentum.WilliamsRIndicator", ("lbp",), {"williams_r": "williams_r"}
    ),
    Counterpart("cci", "trend.CCIIndicator", _ROWS, {"cci": "cci"}),
    Counterpart(
        "uo",
        "momentum.UltimateOscillator",
        (*_WINDOWS, "weight1", "weight2", "weight3"),
        {"uo": "ultimate_oscillator"},
    ),
    Counterpart("roc", "momentum.ROCIndicator", _ROWS, {"roc": "roc"}),
    Counterpart("roc", "others.DailyReturnIndicator", (), {"roc": "daily_return"}, only=(1,)),
    Counterpart(
        "log_roc", "others.DailyLogReturnIndicator", (), {"log_roc": "daily_log_return"}, only=(1,)
    ),
    Counterpart("atr", "volatility.AverageTrueRange", _ROWS, {"atr": "average_true_range"}),
    Counterpart("ulcer", "volatility.UlcerIndex", _ROWS, {"ulcer": "ulcer_index"}),
    Counterpart("bb", *_BOLLINGER, _BANDS),
    Counterpart("bb_place", *_BOLLINGER, _place("bb", "bollinger")),
    Counterpart("keltner", *_KELTNER, _lines("keltner", "keltner_channel"), _MODERN),
    Counterpart("keltner_place", *_KELTNER, _place("keltner", "keltner_channel"), _MODERN),
    Counterpart(
        "keltner_original", _KELTNER[0], _ROWS, _lines("keltner_original", "keltner_channel")
    ),
    Counterpart(
        "keltner_original_place", _KELTNER[0], _ROWS, _place("keltner_original", "keltner_channel")
    ),
    Counterpart(
        "donchian", "volatility.DonchianChannel", _ROWS, _lines("donchian", "donchian_channel")
    ),
    Counterpart("donchian_place", "volatility.DonchianChannel", _ROWS, _DONCHIAN_PLACE),
    Counterpart("mfi", "volume.MFIIndicator", _ROWS, {"mfi": "money_flow_index"}),
    Counterpart("cmf", "volume.ChaikinMoneyFlowIndicator", _ROWS, {"cmf": "chaikin_money_flow"}),
    Counterpart("force", "volume.ForceIndexIndicator", _ROWS, {"force": "force_index"}),
    Counterpart(
        "ease_of_movement",
        "volume.EaseOfMovementIndicator",
        (),
        {"ease_of_movement": "ease_of_movement"},
    ),
    Counterpart(
        "ease_of_movement_mean",
        "volume.EaseOfMovementIndicator",
        _ROWS,
        {"ease_of_movement_mean": "sma_ease_of_movement"},
    ),
    Counterpart(
        "vwap",
        "volume.VolumeWeightedAveragePrice",
        _ROWS,
        {"vwap": "volume_weighted_average_price"},
    ),
    Counterpart("obv", "volume.OnBalanceVolumeIndicator", (), {"obv": "on_balance_volume"}),
    Counterpart("adi", "volume.AccDistIndexIndicator", (), {"adi": "acc_dist_index"}),
    Counterpart("vpt", "volume.VolumePriceTrendIndicator", (), {"vpt": "volume_price_trend"}),
    Counterpart(
        "vpt_mean",
        "volume.VolumePriceTrendIndicator",
        ("smoothing_factor",),
        {"vpt_mean": "volume_price_trend"},
    ),
    Counterpart("nvi", "volume.NegativeVolumeIndexIndicator", (), {"nvi": "negative_volume_index"}),
    Counterpart(
        "cumulative_return",
        "others.CumulativeReturnIndicator",
        (),
        {"cumulative_return": "cumulative_return"},
    ),
)


def counterparts_of(name: str) -> tuple[Counterpart, ...]:
    """Return the classes of `ta` that compute a named indicator with its parameters: `sma_20`."""
    indicator, numbers = parse_name(name)
    return tuple(
        row
        for row in COUNTERPARTS
        if row.indicator == indicator.name and row.only in {None, numbers}
    )


def library_values(frame: pl.DataFrame, name: str) -> dict[str, Array]:
    """Return what `ta` makes of one segment, by column; NaN, infinite and 0 as it has them.

    Args:
        frame: `FILLED_SCHEMA`, sorted, one segment, from its first row on.
        name: `sma_20`, `rsi_14`, ...
    """
    import pandas as pd

    _, numbers = parse_name(name)
    # A DatetimeIndex lets `ta` write its PSAR behind the end.
    prices = pd.DataFrame({it: frame[it].to_numpy() for it in ("high", "low", "close", "volume")})
    found: dict[str, Array] = {}
    for row in counterparts_of(name):
        module, kind = row.place.split(".")
        made = getattr(import_module(f"ta.{module}"), kind)
        wanted = inspect.signature(made).parameters
        series = {str(it): prices[it].copy() for it in prices if it in wanted}
        given = dict(zip(row.parameters, numbers, strict=False))
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            try:
                instance = made(**series, **given, **row.fixed)
                values = {stem: getattr(instance, it)() for stem, it in row.methods.items()}
            except (IndexError, ValueError):
                # ATR, ADX and others fill places that a segment shorter than their windows does
                # not have; then nothing of them is known.
                if frame.height > 2 * max(numbers, default=0):
                    raise
                values = dict.fromkeys(row.methods, pd.Series(np.full(frame.height, np.nan)))
            for stem, made_of_it in values.items():
                found[spell(stem, *numbers)] = made_of_it.to_numpy(dtype=float)
    return found
