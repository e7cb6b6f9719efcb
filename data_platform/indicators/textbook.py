"""The textbooks' own formulas where `ta` is not followed or has none, as plain as they are printed.

For proofs only, as `reference.py`: nothing here is shared with what computes the columns.
"""

import math
from collections.abc import Callable
from decimal import Decimal

import polars as pl

from data_platform.indicators.columns import parse_name
from data_platform.indicators.indicator import spell

Values = list[float | None]


def textbook_values(frame: pl.DataFrame, name: str) -> dict[str, Values]:
    """Return what the textbook makes of one segment, by column; empty where `ta` speaks for it.

    Args:
        frame: `FILLED_SCHEMA`, sorted, one segment, from its first row on.
        name: `obv`, `bb_20_2`, ...
    """
    indicator, numbers = parse_name(name)
    formula = FORMULAS.get(indicator.name)
    if formula is None:
        return {}
    found = formula(frame, *numbers)
    return {spell(stem, *numbers): values for stem, values in found.items()}


def _on_balance_volume(frame: pl.DataFrame) -> dict[str, Values]:
    total, before, totals = 0.0, -math.inf, []
    for close, volume in frame.select("close", "volume").rows():
        total += volume if close > before else -volume if close < before else 0.0
        before = close
        totals.append(total)
    return {"obv": list(totals)}


def _money_flow(frame: pl.DataFrame, rows: int) -> dict[str, Values]:
    before, into, out_of, found = None, [], [], list[float | None]()
    for high, low, close, volume in frame.select("high", "low", "close", "volume").rows():
        price = sum(Decimal(repr(each)) for each in (high, low, close)) / 3
        into.append(float(price) * volume if before is not None and price > before else 0.0)
        out_of.append(float(price) * volume if before is not None and price < before else 0.0)
        before = price
        gained, lost = math.fsum(into[-rows:]), math.fsum(out_of[-rows:])
        is_known = len(into) > rows and gained + lost > 0
        found.append(100 * gained / (gained + lost) if is_known else None)
    return {"mfi": found}


def _bollinger(frame: pl.DataFrame, rows: int, width: float) -> dict[str, Values]:
    closes = frame["close"].to_list()
    found: dict[str, Values] = {
        name: [None] * min(rows - 1, len(closes)) for name in ("upper", "lower", "middle")
    }
    for end in range(rows, len(closes) + 1):
        window = closes[end - rows : end]
        middle = math.fsum(window) / rows
        deviation = math.sqrt(math.fsum((close - middle) ** 2 for close in window) / rows)
        found["middle"].append(middle)
        found["upper"].append(middle + width * deviation)
        found["lower"].append(middle - width * deviation)
    return {f"bb_{line}": values for line, values in found.items()}


def _bollinger_place(frame: pl.DataFrame, rows: int, width: float) -> dict[str, Values]:
    bands = _bollinger(frame, rows, width)
    lines = zip(
        frame["close"], bands["bb_upper"], bands["bb_middle"], bands["bb_lower"], strict=True
    )
    found: dict[str, Values] = {
        name: [] for name in ("bb_width", "bb_percent", "bb_is_above", "bb_is_below")
    }
    for close, upper, middle, lower in lines:
        if upper is None or middle is None or lower is None:
            values: Values = [None] * 4
        else:
            share = (close - lower) / (upper - lower) if upper > lower else None
            size = 100 * (upper - lower) / middle
            values = [size, share, float(close > upper), float(close < lower)]
        for column, value in zip(found.values(), values, strict=True):
            column.append(value)
    return found


def _session_price(frame: pl.DataFrame) -> dict[str, Values]:
    paid, traded, day, prices = 0.0, 0.0, None, list[float | None]()
    for time, high, low, close, volume in frame.select(
        "open_time", "high", "low", "close", "volume"
    ).rows():
        if time.date() != day:
            paid, traded, day = 0.0, 0.0, time.date()
        paid += (high + low + close) / 3 * volume
        traded += volume
        prices.append(paid / traded if traded else None)
    return {"vwap_session": prices}


def _parabolic_stop(frame: pl.DataFrame, step: float, limit: float) -> dict[str, Values]:
    highs, lows = frame["high"].to_list(), frame["low"].to_list()
    stops: Values = [None]
    trends: Values = [None]
    if len(highs) < 2:  # noqa: PLR2004  # no trend yet
        return {"psar": stops[: len(highs)], "psar_trend": trends[: len(highs)]}
    fall, rise = lows[0] - lows[1], highs[1] - highs[0]
    trend = -1.0 if fall > 0 and fall > rise else 1.0
    stop, extreme = (lows[0], highs[1]) if trend > 0 else (highs[0], lows[1])
    speed = step
    for row in range(1, len(highs)):
        recent = slice(max(row - 1, 1), row + 1)
        is_hit = lows[row] <= stop if trend > 0 else highs[row] >= stop
        if is_hit:
            # The first stop of the new trend is the extreme of the old, or beyond both candles.
            trend = -trend
            edges = (extreme, *lows[recent]) if trend > 0 else (extreme, *highs[recent])
            stop = min(edges) if trend > 0 else max(edges)
            extreme, speed = (highs[row] if trend > 0 else lows[row]), step
        stops.append(stop)
        trends.append(trend)
        newest = highs[row] if trend > 0 else lows[row]
        if trend * newest > trend * extreme:
            extreme, speed = newest, min(speed + step, limit)
        stop = stop + speed * (extreme - stop)
        stop = min(stop, *lows[recent]) if trend > 0 else max(stop, *highs[recent])
    return {"psar": stops, "psar_trend": trends}


FORMULAS: dict[str, Callable[..., dict[str, Values]]] = {
    "obv": _on_balance_volume,
    "mfi": _money_flow,
    "bb": _bollinger,
    "bb_place": _bollinger_place,
    "vwap_session": _session_price,
    "psar": _parabolic_stop,
}
