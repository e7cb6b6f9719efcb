"""Where the price is going, and how firmly: ADX, Aroon, vortex, parabolic stop, Ichimoku."""

import polars as pl

from data_platform.indicators import parabolic
from data_platform.indicators.averages import CLOSE, exponential, span
from data_platform.indicators.indicator import (
    ALL,
    NUMBER,
    PERCENT,
    PRICE,
    SIGNED_PERCENT,
    Column,
    Indicator,
    Parameter,
    Recipe,
    spell,
)
from data_platform.indicators.volatility import (
    TRUE_RANGE,
    top_and_bottom,
    true_range,
    true_range_sum,
)
from data_platform.indicators.windows import (
    NEGLIGIBLE,
    ROW,
    age_of_highest,
    by_segment,
    lagged,
    ratio,
    settled,
    smoothed,
    window_mean,
    window_sum,
)

HIGH, LOW = pl.col("high"), pl.col("low")


def average_directional_index(rows: int) -> Recipe:
    """Return the recipe of Wilder's directional movement: ADX, +DI, -DI.

    Where the range has shrunk to nothing there is no direction: all three are null. Where it has
    not, but nothing moved either way, the directional index counts as 0.
    """
    adx, plus, minus = f"adx_{rows}", f"plus_di_{rows}", f"minus_di_{rows}"
    columns = (
        Column(adx, PERCENT, f"Strength of the trend, either way, over {rows} candles (Wilder)."),
        Column(plus, PERCENT, f"Share of upward movement in the range, {rows} candles (Wilder)."),
        Column(minus, PERCENT, f"Share of downward movement in the range, {rows} candles."),
    )
    up, down = HIGH - lagged(HIGH), lagged(LOW) - LOW
    is_later = pl.col(ROW) >= 1
    moves = {
        "up_move": pl.when((up > down) & (up > 0)).then(up).when(is_later).then(0.0),
        "down_move": pl.when((down > up) & (down > 0)).then(down).when(is_later).then(0.0),
        "later_range": pl.when(is_later).then(TRUE_RANGE),
    }
    mean_up, mean_down, mean_range = means = [f"mean_{name}_{rows}" for name in moves]
    smallest = NEGLIGIBLE * CLOSE
    both = pl.col(plus) + pl.col(minus)
    apart = ratio((pl.col(plus) - pl.col(minus)).abs(), both, 100 * NEGLIGIBLE)
    directional = pl.when(pl.col(ROW) >= rows).then((100 * apart).fill_null(0.0))
    strength = smoothed(pl.col(f"dx_{rows}"), rows, 1 / rows)
    steps = (
        true_range(),
        *(move.alias(name) for name, move in moves.items()),
        *(
            smoothed(pl.col(name), rows, 1 / rows).alias(mean)
            for name, mean in zip(moves, means, strict=True)
        ),
        (100 * ratio(pl.col(mean_up), pl.col(mean_range), smallest)).alias(plus),
        (100 * ratio(pl.col(mean_down), pl.col(mean_range), smallest)).alias(minus),
        directional.alias(f"dx_{rows}"),
        pl.when(pl.col(plus).is_not_null()).then(strength).alias(adx),
    )
    warm_up = settled(rows, 1 / rows, first=rows, exact=settled(rows, 1 / rows, first=1))
    return Recipe(columns, warm_up, steps)


def aroon(rows: int) -> Recipe:
    """Return the recipe of Aroon: how lately the extremes of `rows` + 1 candles were made.

    Of equal extremes the oldest counts.
    """
    up, down, both = f"aroon_up_{rows}", f"aroon_down_{rows}", f"aroon_oscillator_{rows}"
    columns = (
        Column(up, PERCENT, f"How lately the high of {rows} candles was made: 100 is now."),
        Column(down, PERCENT, f"How lately the low of {rows} candles was made: 100 is now."),
        Column(both, SIGNED_PERCENT, "Aroon up less Aroon down."),
    )
    steps = (
        (100 * (1 - age_of_highest(HIGH, rows + 1) / rows)).alias(up),
        (100 * (1 - age_of_highest(-LOW, rows + 1) / rows)).alias(down),
        (pl.col(up) - pl.col(down)).alias(both),
    )
    return Recipe(columns, rows, steps)


def vortex(rows: int) -> Recipe:
    """Return the recipe of the vortex indicator; null where the window has no range."""
    plus, minus, both = f"vortex_plus_{rows}", f"vortex_minus_{rows}", f"vortex_difference_{rows}"
    columns = (
        Column(plus, NUMBER, f"Moves from low to next high, in true ranges of {rows} candles."),
        Column(minus, NUMBER, f"Moves from high to next low, in true ranges of {rows} candles."),
        Column(both, NUMBER, "Vortex plus less vortex minus."),
    )
    total = pl.col(f"true_range_sum_{rows}")
    up, down = (HIGH - lagged(LOW)).abs(), (LOW - lagged(HIGH)).abs()
    steps = (
        *true_range_sum(rows),
        ratio(window_sum(up, rows, first=1), total).alias(plus),
        ratio(window_sum(down, rows, first=1), total).alias(minus),
        (pl.col(plus) - pl.col(minus)).alias(both),
    )
    return Recipe(columns, rows, steps)


def parabolic_stop(step: float, limit: float) -> Recipe:
    """Return the recipe of Wilder's parabolic stop and reverse.

    How long a trend is remembered has no bound, so it is computed from its segment's start.
    """
    if step > limit or limit > 1:
        raise ValueError(f"the step {step:g} must be at most the limit {limit:g}, that at most 1")
    stop, trend = spell("psar", step, limit), spell("psar_trend", step, limit)
    columns = (
        Column(stop, PRICE, "Stop of the running trend; it reverses where the price touches it."),
        Column(trend, NUMBER, "1 while the trend is up (the stop below), -1 while it is down."),
    )
    signed = by_segment(
        lambda highs, lows: parabolic.parabolic_stop(highs, lows, step, limit), HIGH, LOW
    )
    both = spell("psar_signed", step, limit)
    steps = (
        signed.alias(both),
        pl.col(both).abs().alias(stop),
        pl.col(both).sign().alias(trend),
    )
    return Recipe(columns, ALL, steps)


def ichimoku(fast: int, base: int, slow: int) -> Recipe:
    """Return the recipe of Ichimoku's lines as they are known at the row.

    Charts draw the spans `base` candles further right: see `ichimoku_cloud`. The lagging line is
    the close drawn to the left; no row can know it.
    """
    names = [spell(f"ichimoku_{it}", fast, base, slow) for it in ("conversion", "base", "a", "b")]
    texts = (
        f"Middle of the range of the last {fast} candles (tenkan-sen).",
        f"Middle of the range of the last {base} candles (kijun-sen).",
        "Mean of conversion and base line (senkou span A, not shifted).",
        f"Middle of the range of the last {slow} candles (senkou span B, not shifted).",
    )
    columns = tuple(Column(name, PRICE, text) for name, text in zip(names, texts, strict=True))
    lines = zip(names, _lines(fast, base, slow), strict=True)
    steps = (
        *(step for rows in (fast, base, slow) for step in _middle(rows)),
        *(line.alias(name) for name, line in lines),
    )
    return Recipe(columns, max(fast, base, slow) - 1, steps)


def ichimoku_cloud(fast: int, base: int, slow: int) -> Recipe:
    """Return the recipe of the cloud over the row: the spans as known `base` candles before."""
    first, second = (spell(f"ichimoku_cloud_{it}", fast, base, slow) for it in ("a", "b"))
    columns = (
        Column(first, PRICE, f"Senkou span A of {base} candles ago, where charts draw it."),
        Column(second, PRICE, f"Senkou span B of {base} candles ago, where charts draw it."),
    )
    _, _, span_a, span_b = _lines(fast, base, slow)
    steps = (
        *(step for rows in (fast, base, slow) for step in _middle(rows)),
        lagged(span_a, base).alias(first),
        lagged(span_b, base).alias(second),
    )
    return Recipe(columns, base + max(fast, base, slow) - 1, steps)


def mass_index(fast: int, rows: int) -> Recipe:
    """Return the recipe of Dorsey's mass index; null where the range has shrunk to nothing."""
    name = spell("mass_index", fast, rows)
    text = f"Sum over {rows} candles of the range's EMA of {fast}, against the EMA of that."
    once, twice, bulge = f"ema_range_{fast}", f"ema_ema_range_{fast}", f"bulge_{fast}"
    steps = (
        exponential(HIGH - LOW, fast).alias(once),
        exponential(pl.col(once), fast).alias(twice),
        ratio(pl.col(once), pl.col(twice), NEGLIGIBLE * HIGH).alias(bulge),
        window_sum(pl.col(bulge), rows, first=2 * fast - 2).alias(name),
    )
    weight = span(fast)
    exact = settled(fast, weight, first=fast - 1, exact=settled(fast, weight))
    return Recipe((Column(name, NUMBER, text),), exact + rows - 1, steps)


def detrended_price(rows: int) -> Recipe:
    """Return the recipe of the detrended price oscillator: the close of half a window ago."""
    name, ago = f"dpo_{rows}", rows // 2 + 1
    text = f"Close of {ago} candles ago less the mean close of the last {rows} candles."
    mean = f"sma_{rows}"
    steps = (
        window_mean(CLOSE, rows).alias(mean),
        (lagged(CLOSE, ago) - pl.col(mean)).alias(name),
    )
    return Recipe((Column(name, PRICE, text),), max(rows - 1, ago), steps)


def _middle(rows: int) -> tuple[pl.Expr, ...]:
    middle = (pl.col(f"top_{rows}") + pl.col(f"bottom_{rows}")) / 2
    return (*top_and_bottom(rows), middle.alias(f"middle_{rows}"))


def _lines(fast: int, base: int, slow: int) -> tuple[pl.Expr, ...]:
    lines = [pl.col(f"middle_{rows}") for rows in (fast, base, slow)]
    return lines[0], lines[1], (lines[0] + lines[1]) / 2, lines[2]


_RANGE = ("high", "low", "close")
_ICHIMOKU = (Parameter("fast rows", 9), Parameter("base rows", 26), Parameter("slow rows", 52))
_ICHIMOKU_SOURCE = "Goichi Hosoda, Ichimoku Kinko Hyo, 1969"

INDICATORS: tuple[Indicator, ...] = (
    Indicator(
        name="adx",
        title="Average directional index",
        inputs=_RANGE,
        parameters=(Parameter("rows", 14),),
        source="J. Welles Wilder, New Concepts in Technical Trading Systems, 1978, section IV",
        build=average_directional_index,
    ),
    Indicator(
        name="aroon",
        title="Aroon",
        inputs=("high", "low"),
        parameters=(Parameter("rows", 25),),
        source="Tushar Chande and Stanley Kroll, The New Technical Trader, 1994",
        build=aroon,
    ),
    Indicator(
        name="vortex",
        title="Vortex indicator",
        inputs=_RANGE,
        parameters=(Parameter("rows", 14),),
        source="Etienne Botes and Douglas Siepman, The Vortex Indicator, Technical Analysis of "
        "Stocks & Commodities, January 2010",
        build=vortex,
    ),
    Indicator(
        name="psar",
        title="Parabolic stop and reverse",
        inputs=("high", "low"),
        parameters=(Parameter("step", 0.02, "factor"), Parameter("limit", 0.2, "factor")),
        source="J. Welles Wilder, New Concepts in Technical Trading Systems, 1978, section II",
        build=parabolic_stop,
    ),
    Indicator("ichimoku", "Ichimoku", ("high", "low"), _ICHIMOKU, _ICHIMOKU_SOURCE, ichimoku),
    Indicator(
        "ichimoku_cloud",
        "Ichimoku cloud",
        ("high", "low"),
        _ICHIMOKU,
        _ICHIMOKU_SOURCE,
        ichimoku_cloud,
    ),
    Indicator(
        name="mass_index",
        title="Mass index",
        inputs=("high", "low"),
        parameters=(Parameter("fast rows", 9), Parameter("rows", 25)),
        source="Donald Dorsey, The Mass Index, Technical Analysis of Stocks & Commodities, 1992",
        build=mass_index,
    ),
    Indicator(
        name="dpo",
        title="Detrended price oscillator",
        inputs=("close",),
        parameters=(Parameter("rows", 20),),
        source="https://chartschool.stockcharts.com/table-of-contents/technical-indicators-and-"
        "overlays/technical-indicators/detrended-price-oscillator-dpo",
        build=detrended_price,
    ),
)
