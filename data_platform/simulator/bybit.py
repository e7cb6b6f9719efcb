"""Bybit's wire format (v5, spot): klines, instruments, time.

Facts: https://bybit-exchange.github.io/docs/v5/market/kline (as ccxt 4.5.90 cites it). Rows come
newest first; `start` alone asks for the first rows from the candle that holds it, across gaps,
while `end` asks for the newest up to it; both are inclusive. A time without trades is a flat
candle. Every answer but those of the gateway is 200; its `retCode` says what went wrong.
"""

import json

import polars as pl

from data_platform.domain.markets import Pair
from data_platform.domain.timeframes import Timeframe
from data_platform.simulator.rows import WireRows
from data_platform.simulator.venue import (
    FAR_FUTURE_MS,
    Answer,
    Dialect,
    Query,
    Venue,
    VenueMarket,
    known_timeframes,
    whole_number,
)

_LIMIT = 1000
_DEFAULT_LIMIT = 200
_INTERVALS = known_timeframes(
    {
        **{str(minutes): f"{minutes}m" for minutes in (1, 3, 5, 15, 30)},
        **{str(hours * 60): f"{hours}h" for hours in (1, 2, 4, 6, 12)},
        "D": "1d",
    }
)
_CATEGORIES = ("spot", "linear", "inverse", "option")


def _wire_names(pair: Pair) -> tuple[str, ...]:
    return (f"{pair.base}{pair.quote}",)


def _encode(rows: WireRows, timeframe: Timeframe, is_closed: bool) -> pl.Series:  # noqa: ARG001, FBT001
    fields = [
        part
        for name in ("open", "high", "low", "close", "volume", "quote_volume")
        for part in (pl.lit('","'), rows.trimmed(name))
    ]
    row = pl.concat_str(pl.lit('["'), pl.col("time").cast(pl.String), *fields, pl.lit('"]'))
    return rows.frame.select(row.alias("row"))["row"]


def _answer(venue: Venue, path: str, query: Query) -> Answer | None:
    if path == "v5/market/kline":
        return _klines(venue, query)
    if path == "v5/market/time":
        now = venue.now_ms()
        result = {"timeSecond": str(now // 1000), "timeNano": f"{now}000000"}
        return Answer(_envelope(json.dumps(result), now))
    if path == "v5/market/instruments-info":
        return _instruments(venue, query)
    return None


def _klines(venue: Venue, query: Query) -> Answer:
    now = venue.now_ms()
    market = venue.market(query.get("symbol", ""))
    timeframe = _INTERVALS.get(query.get("interval", ""))
    if query.get("category") != "spot" or market is None:
        return _error("Not supported symbols", now)
    if timeframe is None:
        return _error("Invalid period!", now)
    start = whole_number(query.get("start"), -1)
    end = whole_number(query.get("end"), FAR_FUTURE_MS)
    limit = whole_number(query.get("limit"), _DEFAULT_LIMIT)
    if start is None or end is None or limit is None:
        return _error("params error: start, end or limit is invalid", now)
    # The candle that holds `start` is the first one; an end makes it the newest rows up to there.
    is_forward = start >= 0 and "end" not in query
    find = venue.oldest if is_forward else venue.newest
    start = max(0, start)
    page = find(
        market, timeframe, start - start % timeframe.ms, end + 1, min(max(1, limit), _LIMIT)
    )
    rows = ",".join(reversed(page.texts))
    result = f'{{"category":"spot","symbol":"{market.wire_id}","list":[{rows}]}}'
    return Answer(_envelope(result, now), is_candles=True)


def _envelope(result: str, now_ms: int) -> str:
    return f'{{"retCode":0,"retMsg":"OK","result":{result},"retExtInfo":{{}},"time":{now_ms}}}'


def _error(message: str, now_ms: int, *, is_candles: bool = True) -> Answer:
    body = {"retCode": 10001, "retMsg": message, "result": {}, "retExtInfo": {}, "time": now_ms}
    return Answer(json.dumps(body), is_candles=is_candles)


def _instruments(venue: Venue, query: Query) -> Answer:
    category = query.get("category", "")
    now = venue.now_ms()
    if category not in _CATEGORIES:
        return _error("params error: category is invalid", now, is_candles=False)
    # Only spot is traded here.
    markets = venue.markets if category == "spot" else []
    listed = [_instrument(market) for market in markets]
    result = {"category": category, "list": listed, "nextPageCursor": ""}
    return Answer(_envelope(json.dumps(result), now))


def _instrument(market: VenueMarket) -> dict[str, object]:
    return {
        "symbol": market.wire_id,
        "baseCoin": market.pair.base,
        "quoteCoin": market.pair.quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "none",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": market.profile.lot,
            "quotePrecision": "0.00000001",
            "minOrderQty": market.profile.lot,
            "maxOrderQty": "9000000000",
            "minOrderAmt": "5",
            "maxOrderAmt": "4000000",
        },
        "priceFilter": {"tickSize": market.profile.tick},
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
    }


DIALECT = Dialect("bybit", _wire_names, _encode, _answer)
