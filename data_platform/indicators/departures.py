"""Where `ta` 0.11.0 is not followed, and what of it has no row here: one table, for docs and tests.

`docs/indicators.md` shows it; the contract suite proves each row on candles.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Departure:
    """One habit of `ta` and what stands here instead."""

    columns: tuple[str, ...]
    """Without parameters: `bb_upper`."""
    where: Literal["warm-up", "standstill", "everywhere"]
    """`warm-up`: before our first value. `standstill`: where nothing moved or nothing traded."""
    theirs: str
    ours: str


@dataclass(frozen=True, slots=True)
class Omission:
    """One method or parameter of `ta` that no row here has."""

    place: str
    """`Class.method` or `Class(parameter)`."""
    reason: str


_BANDS = ("bb_upper", "bb_lower", "bb_width", "bb_percent", "bb_is_above", "bb_is_below")

DEPARTURES: tuple[Departure, ...] = (
    Departure(
        ("obv",),
        "everywhere",
        "adds the volume where the close has not changed",
        "adds nothing there (Granville, TA-Lib)",
    ),
    Departure(
        ("mfi",),
        "everywhere",
        "lets rounding tell rising from falling where typical prices are equal",
        "no direction where they differ by less than 1e-12 of the price",
    ),
    Departure(
        _BANDS,
        "everywhere",
        "takes pandas' running deviation, which drifts (3e-6 of the price in a year of 1m)",
        "takes each window's deviation anew (exact to 1e-15 of the price)",
    ),
    Departure(
        ("psar",),
        "everywhere",
        "holds the stop at one of the two lows before, tests it before that, always begins upwards "
        "with the second close, and writes behind the end of a series with times",
        "Wilder's: at both lows, tested the row after, begins with the larger directional move "
        "(TA-Lib)",
    ),
    Departure(
        ("atr", "adx", "plus_di", "minus_di"),
        "warm-up",
        "writes 0",
        "null; `keltner`, whose lines need the average range, too",
    ),
    Departure(
        ("rsi", "stoch_rsi", "stoch_rsi_k", "stoch_rsi_d", "kama"),
        "warm-up",
        "counts the first row, which has no change, as a change of 0: one value early",
        "counts changes only",
    ),
    Departure(
        ("kst", "kst_signal", "kst_difference"),
        "warm-up",
        "takes the mean close of the whole series, later rows included, for what is not known",
        "null",
    ),
    Departure(
        ("ichimoku_cloud_a", "ichimoku_cloud_b"),
        "warm-up",
        "takes the mean of the whole series, later rows included, for what is not known",
        "null",
    ),
    Departure(
        ("ichimoku_b", "kst_signal", "keltner_original_upper", "keltner_original_lower"),
        "warm-up",
        "takes windows that are shorter than asked for",
        "null",
    ),
    Departure(("keltner_original_percent",), "warm-up", "follows from such lines", "null"),
    Departure(
        ("ulcer",),
        "warm-up",
        "measures the first falls from tops of fewer rows",
        "null until each fall of the window has a whole window before it",
    ),
    Departure(
        (
            "bb_is_above",
            "bb_is_below",
            "keltner_is_above",
            "keltner_is_below",
            "keltner_original_is_above",
            "keltner_original_is_below",
        ),
        "warm-up",
        "writes 0 where there is no channel yet",
        "null",
    ),
    Departure(
        ("rsi", "stoch_rsi", "stoch_rsi_k", "stoch_rsi_d"),
        "standstill",
        "calls it 100 where nothing fell, and goes on with what is left of old moves",
        "null where gains and losses together are below 1e-9 of the price",
    ),
    Departure(
        ("adx", "plus_di", "minus_di", "mass_index", "tsi"),
        "standstill",
        "goes on with what is left of old moves, or writes 0",
        "null where the average range or move is below 1e-9 of the price",
    ),
    Departure(
        (
            *("mfi", "cmf", "vwap", "ease_of_movement", "ease_of_movement_mean"),
            *("pvo", "pvo_signal", "pvo_histogram"),
        ),
        "standstill",
        "NaN or infinite without volume, or what pandas' running sums leave of older volume",
        "null",
    ),
    Departure(
        (
            *("stoch_k", "stoch_d", "williams_r", "uo", "cci"),
            *("vortex_plus", "vortex_minus", "vortex_difference"),
        ),
        "standstill",
        "NaN, infinite, or what running sums leave of older ranges",
        "null",
    ),
    Departure(
        (
            "bb_percent",
            "keltner_percent",
            "keltner_original_percent",
            "donchian_percent",
            "bb_is_above",
            "bb_is_below",
            "keltner_is_above",
            "keltner_is_below",
            "keltner_original_is_above",
            "keltner_original_is_below",
        ),
        "standstill",
        "tells by the last bits of rounding where a price lies that its lines lie on",
        "outside is beyond 1e-12 of the price; no place in a channel that is not wider",
    ),
    Departure(
        ("stc",),
        "standstill",
        "skips rows without range and weighs the others by their distance",
        "null there, and begins anew after it",
    ),
)

OMISSIONS: tuple[Omission, ...] = (
    Omission("PSARIndicator.psar_up", "`psar` where `psar_trend` is 1"),
    Omission("PSARIndicator.psar_down", "`psar` where `psar_trend` is -1"),
    Omission("PSARIndicator.psar_up_indicator", "the rows where `psar_trend` turns to 1"),
    Omission("PSARIndicator.psar_down_indicator", "the rows where `psar_trend` turns to -1"),
    Omission("PSARIndicator(close)", "only its second value is used, as the first stop"),
    Omission("CCIIndicator(constant)", "a scale that Lambert fixed; another is a multiple"),
    Omission("DonchianChannel(offset)", "a shift of the column; a negative one reads later rows"),
    Omission("IchimokuIndicator(visual)", "`ichimoku` without, `ichimoku_cloud` with the shift"),
    Omission(
        "KeltnerChannel(original_version)", "`keltner_original` is the one, `keltner` the other"
    ),
    Omission("VolumePriceTrendIndicator(dropnans)", "a row stays a row"),
)
"""Every class also has `fillna`, which fills the warm-up: here it is null."""


def follows(column: str) -> bool:
    """Tell whether a column has the values of `ta` after its warm-up: `bb_upper`, no parameters."""
    return not any(row.where == "everywhere" and column in row.columns for row in DEPARTURES)
