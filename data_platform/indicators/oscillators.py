"""Differences of averages: MACD, PPO, PVO, awesome oscillator, TRIX, TSI, KST, Schaff's cycle."""

import polars as pl

from data_platform.indicators.averages import CLOSE, exponential, span
from data_platform.indicators.indicator import (
    PERCENT,
    PRICE,
    SIGNED_PERCENT,
    Column,
    Indicator,
    Parameter,
    Recipe,
    spell,
)
from data_platform.indicators.windows import (
    NEGLIGIBLE,
    highest,
    lagged,
    lowest,
    ratio,
    settled,
    window_mean,
)


def moving_average_convergence(fast: int, slow: int, signal: int) -> Recipe:
    """Return the recipe of the MACD line, its signal line and their difference."""
    texts = (
        f"EMA of {fast} candles less EMA of {slow} candles of the close.",
        f"EMA of {signal} candles of the MACD line.",
        "MACD line less its signal line.",
    )
    line = pl.col(f"ema_{fast}") - pl.col(f"ema_{slow}")
    steps = _two_averages(CLOSE, "ema", fast, slow)
    return _with_signal("macd", (fast, slow, signal), steps, line, (PRICE, *texts))


def percentage_price(fast: int, slow: int, signal: int) -> Recipe:
    """Return the recipe of the MACD in percent of the slow average."""
    texts = (
        f"EMA of {fast} candles against EMA of {slow} candles of the close.",
        f"EMA of {signal} candles of the PPO line.",
        "PPO line less its signal line.",
    )
    line = _percentage("ema", fast, slow)
    steps = _two_averages(CLOSE, "ema", fast, slow)
    return _with_signal("ppo", (fast, slow, signal), steps, line, (SIGNED_PERCENT, *texts))


def percentage_volume(fast: int, slow: int, signal: int) -> Recipe:
    """Return the recipe of the same of the volume; null where nothing was traded for long."""
    texts = (
        f"EMA of {fast} candles against EMA of {slow} candles of the volume.",
        f"EMA of {signal} candles of the PVO line.",
        "PVO line less its signal line.",
    )
    line = _percentage("ema_volume", fast, slow)
    steps = _two_averages(pl.col("volume"), "ema_volume", fast, slow)
    return _with_signal("pvo", (fast, slow, signal), steps, line, (SIGNED_PERCENT, *texts))


def awesome_oscillator(fast: int, slow: int) -> Recipe:
    """Return the recipe of Williams' awesome oscillator."""
    _check_order(fast, slow)
    name = spell("ao", fast, slow)
    text = f"Mean of the range's middle of {fast} candles less that of {slow} candles."
    middle = pl.col("middle_price")
    steps = (
        ((pl.col("high") + pl.col("low")) / 2).alias("middle_price"),
        (window_mean(middle, fast) - window_mean(middle, slow)).alias(name),
    )
    return Recipe((Column(name, PRICE, text),), slow - 1, steps)


def triple_exponential(rows: int) -> Recipe:
    """Return the recipe of TRIX: the change of a triple exponential average."""
    name, weight, thrice = f"trix_{rows}", span(rows), pl.col(f"ema_ema_ema_{rows}")
    text = f"Change of the close's EMA of {rows} candles, taken three times."
    steps = (
        exponential(CLOSE, rows).alias(f"ema_{rows}"),
        exponential(pl.col(f"ema_{rows}"), rows).alias(f"ema_ema_{rows}"),
        exponential(pl.col(f"ema_ema_{rows}"), rows).alias(f"ema_ema_ema_{rows}"),
        (100 * (thrice / lagged(thrice) - 1)).alias(name),
    )
    exact = 0
    for taken in range(3):
        exact = settled(rows, weight, first=taken * (rows - 1), exact=exact)
    return Recipe((Column(name, SIGNED_PERCENT, text),), exact + 1, steps)


def true_strength_index(slow: int, fast: int) -> Recipe:
    """Return the recipe of Blau's TSI; null where the price has practically not moved."""
    name = spell("tsi", slow, fast)
    text = f"Change of the close against its size, both smoothed by EMAs of {slow} and {fast}."
    move = CLOSE - lagged(CLOSE)
    once = {f"ema_move_{slow}": move, f"ema_way_{slow}": move.abs()}
    twice = {f"{key}_{fast}": exponential(pl.col(key), fast) for key in once}
    moved, way = (pl.col(key) for key in twice)
    steps = (
        *(exponential(value, slow).alias(key) for key, value in once.items()),
        *(value.alias(key) for key, value in twice.items()),
        (100 * ratio(moved, way, NEGLIGIBLE * CLOSE)).alias(name),
    )
    exact = settled(slow, span(slow), first=1)
    warm_up = settled(fast, span(fast), first=slow, exact=exact)
    return Recipe((Column(name, SIGNED_PERCENT, text),), warm_up, steps)


def know_sure_thing(*numbers: int) -> Recipe:
    """Return the recipe of Pring's KST: four rates of change, smoothed and weighed 1 to 4.

    Args:
        numbers: the rows of the four rates, of their four means, and of the signal line.
    """
    rates, means, signal = numbers[:4], numbers[4:8], numbers[8]
    names = [spell(it, *numbers) for it in ("kst", "kst_signal", "kst_difference")]
    columns = (
        Column(names[0], SIGNED_PERCENT, "Four smoothed rates of change, weighed 1 to 4, summed."),
        Column(names[1], SIGNED_PERCENT, f"Mean KST of the last {signal} candles."),
        Column(names[2], SIGNED_PERCENT, "KST less its signal line."),
    )
    first = max(rate + mean for rate, mean in zip(rates, means, strict=True)) - 1
    parts = [
        window_mean(pl.col(f"roc_{rate}"), rows, first=rate) * weight
        for weight, (rate, rows) in enumerate(zip(rates, means, strict=True), 1)
    ]
    steps = (
        *((100 * (CLOSE / lagged(CLOSE, rate) - 1)).alias(f"roc_{rate}") for rate in rates),
        (parts[0] + parts[1] + parts[2] + parts[3]).alias(names[0]),
        window_mean(pl.col(names[0]), signal, first=first).alias(names[1]),
        (pl.col(names[0]) - pl.col(names[1])).alias(names[2]),
    )
    return Recipe(columns, first + signal - 1, steps)


def schaff_trend_cycle(fast: int, slow: int, cycle: int, smooth: int, signal: int) -> Recipe:
    """Return the recipe of Schaff's trend cycle: the stochastic of the MACD, taken twice.

    Null where the MACD or its stochastic did not move in a whole cycle; it begins anew after that.
    """
    _check_order(fast, slow)
    name = spell("stc", fast, slow, cycle, smooth, signal)
    text = f"Place of the MACD {fast}/{slow} in its range of {cycle} candles, twice, smoothed."
    first = slow + cycle - 2
    second = first + smooth + cycle - 2
    line, place, smoother, twice = (f"{name}_{part}" for part in ("line", "place", "smoother", "2"))
    steps = (
        *_two_averages(CLOSE, "ema", fast, slow),
        (pl.col(f"ema_{fast}") - pl.col(f"ema_{slow}")).alias(line),
        _place(line, cycle, slow - 1).alias(place),
        exponential(pl.col(place), smooth).alias(smoother),
        _place(smoother, cycle, first + smooth - 1).alias(twice),
        exponential(pl.col(twice), signal).alias(name),
    )
    exact = max(settled(fast, span(fast)), settled(slow, span(slow))) + cycle - 1
    exact = settled(smooth, span(smooth), first=first, exact=exact) + cycle - 1
    warm_up = settled(signal, span(signal), first=second, exact=exact)
    return Recipe((Column(name, PERCENT, text),), warm_up, steps)


def _place(name: str, rows: int, first: int) -> pl.Expr:
    value = pl.col(name)
    bottom, top = lowest(value, rows, first), highest(value, rows, first)
    return 100 * ratio(value - bottom, top - bottom)


def _two_averages(value: pl.Expr, name: str, fast: int, slow: int) -> tuple[pl.Expr, pl.Expr]:
    each = [exponential(value, rows).alias(f"{name}_{rows}") for rows in (fast, slow)]
    return each[0], each[1]


def _percentage(name: str, fast: int, slow: int) -> pl.Expr:
    short, long = pl.col(f"{name}_{fast}"), pl.col(f"{name}_{slow}")
    return 100 * ratio(short - long, long)


def _with_signal(
    name: str,
    numbers: tuple[int, int, int],
    averages: tuple[pl.Expr, pl.Expr],
    line: pl.Expr,
    words: tuple[str, str, str, str],
) -> Recipe:
    fast, slow, signal = numbers
    _check_order(fast, slow)
    unit, *texts = words
    names = [spell(it, *numbers) for it in (name, f"{name}_signal", f"{name}_histogram")]
    columns = tuple(Column(each, unit, text) for each, text in zip(names, texts, strict=True))
    steps = (
        *averages,
        line.alias(names[0]),
        exponential(pl.col(names[0]), signal).alias(names[1]),
        (pl.col(names[0]) - pl.col(names[1])).alias(names[2]),
    )
    exact = max(settled(fast, span(fast)), settled(slow, span(slow)))
    warm_up = settled(signal, span(signal), first=slow - 1, exact=exact)
    return Recipe(columns, warm_up, steps)


def _check_order(fast: int, slow: int) -> None:
    if fast >= slow:
        raise ValueError(f"the fast average ({fast} rows) must be shorter than the slow ({slow})")


_SIGNAL = (Parameter("fast rows", 12), Parameter("slow rows", 26), Parameter("signal rows", 9))
_KST = (
    *(Parameter(f"rate {place} rows", rows) for place, rows in enumerate((10, 15, 20, 30), 1)),
    *(Parameter(f"mean {place} rows", rows) for place, rows in enumerate((10, 10, 10, 15), 1)),
    Parameter("signal rows", 9),
)
_APPEL = "Gerald Appel, Technical Analysis: Power Tools for Active Investors, 2005"
_SCHOOL = "https://chartschool.stockcharts.com/table-of-contents/technical-indicators-and-overlays"

INDICATORS: tuple[Indicator, ...] = (
    Indicator(
        name="macd",
        title="Moving average convergence/divergence",
        inputs=("close",),
        parameters=_SIGNAL,
        source=_APPEL,
        build=moving_average_convergence,
    ),
    Indicator("ppo", "Percentage price oscillator", ("close",), _SIGNAL, _APPEL, percentage_price),
    Indicator(
        name="pvo",
        title="Percentage volume oscillator",
        inputs=("volume",),
        parameters=_SIGNAL,
        source=f"{_SCHOOL}/technical-indicators/percentage-volume-oscillator-pvo",
        build=percentage_volume,
    ),
    Indicator(
        name="ao",
        title="Awesome oscillator",
        inputs=("high", "low"),
        parameters=(Parameter("fast rows", 5), Parameter("slow rows", 34)),
        source="Bill Williams, New Trading Dimensions, 1998",
        build=awesome_oscillator,
    ),
    Indicator(
        name="trix",
        title="TRIX",
        inputs=("close",),
        parameters=(Parameter("rows", 15),),
        source="Jack Hutson, TRIX, Technical Analysis of Stocks & Commodities, 1983",
        build=triple_exponential,
    ),
    Indicator(
        name="tsi",
        title="True strength index",
        inputs=("close",),
        parameters=(Parameter("slow rows", 25), Parameter("fast rows", 13)),
        source="William Blau, Momentum, Direction, and Divergence, 1995",
        build=true_strength_index,
    ),
    Indicator(
        name="kst",
        title="Know sure thing",
        inputs=("close",),
        parameters=_KST,
        source="Martin Pring, Summed Rate of Change (KST), Technical Analysis of Stocks & "
        "Commodities, 1992",
        build=know_sure_thing,
    ),
    Indicator(
        name="stc",
        title="Schaff trend cycle",
        inputs=("close",),
        parameters=(
            Parameter("fast rows", 23),
            Parameter("slow rows", 50),
            Parameter("cycle rows", 10),
            Parameter("smooth rows", 3),
            Parameter("signal rows", 3),
        ),
        source="Doug Schaff, The Schaff Trend Cycle, 1999; Investopedia, 2010",
        build=schaff_trend_cycle,
    ),
)
