"""Bybit's wire format (v5, spot): klines, instruments, time.

Facts: https://bybit-exchange.github.io/docs/v5/market/kline (as ccxt 4.5.90 cites it). Rows come
newest first; `start` alone asks for the first rows from the candle that holds it, across gaps,
while `end` asks for the newest up to it; both are inclusive. A time without trades is a flat
candle. Every answer but those of the gateway is 200; its `retCode` says what went wrong.
"""

import json
from dataclasses import replace

import polars as pl

from data_platform.domain.markets import Pair
from data_platform.domain.timeframes import Timeframe
from data_platform.simulator.limits import Limit, Window
from data_platform.simulator.rows import WireRows
from data_platform.simulator.venue import (
    FAR_FUTURE_MS,
    Dialect,
    Excuses,
    RowFields,
    Venue,
    VenueMarket,
    known_timeframes,
)
from data_platform.simulator.wire import (
    TEXT,
    Answer,
    Endpoint,
    Query,
    Question,
    Reader,
    whole_number_or,
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


_KLINE = "v5/market/kline"
_ENDPOINTS: dict[str, Endpoint] = {
    "v5/market/instruments-info": "markets",
    "v5/market/time": "time",
}
_READER = Reader((_KLINE,), _ENDPOINTS, _INTERVALS, "symbol", "interval", "start", "limit")


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


def _answer(venue: Venue, question: Question) -> Answer | None:
    if question.endpoint == "ohlcv":
        return _klines(venue, question.query)
    if question.endpoint == "time":
        now = venue.now_ms()
        result = {"timeSecond": str(now // 1000), "timeNano": f"{now}000000"}
        return Answer(_envelope(json.dumps(result), now))
    return _instruments(venue, question.query) if question.endpoint == "markets" else None


def _klines(venue: Venue, query: Query) -> Answer:
    now = venue.now_ms()
    market = venue.market(query.get("symbol", ""))
    timeframe = _INTERVALS.get(query.get("interval", ""))
    if query.get("category") != "spot" or market is None:
        return _error("Not supported symbols", now)
    if timeframe is None:
        return _error("Invalid period!", now)
    start = whole_number_or(query.get("start"), -1)
    end = whole_number_or(query.get("end"), FAR_FUTURE_MS)
    limit = whole_number_or(query.get("limit"), _DEFAULT_LIMIT)
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
    return Answer(_envelope(result, now))


def _envelope(result: str, now_ms: int) -> str:
    return f'{{"retCode":0,"retMsg":"OK","result":{result},"retExtInfo":{{}},"time":{now_ms}}}'


def _error(message: str, now_ms: int) -> Answer:
    return _says(10001, message, now_ms)


def _says(code: int, message: str, now_ms: int = 0, status: int = 200) -> Answer:
    body = {"retCode": code, "retMsg": message, "result": {}, "retExtInfo": {}, "time": now_ms}
    return Answer(json.dumps(body), status)


def _instruments(venue: Venue, query: Query) -> Answer:
    category = query.get("category", "")
    now = venue.now_ms()
    if category not in _CATEGORIES:
        return _error("params error: category is invalid", now)
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


def _banned(seconds: float, now_ms: int) -> Answer:
    del now_ms
    body = "403, access too frequent"
    return Answer(body, 403, TEXT, refusal="banned", wait_seconds=seconds)


DIALECT = Dialect(
    "bybit",
    _wire_names,
    _encode,
    _READER.read,
    _answer,
    RowFields(0, 1, 2, 3, 4),
    Excuses(
        _says(10016, "System error. Please try again later.", status=500),
        _says(10016, "The system is under maintenance. Please try again later."),
        lambda seconds, now_ms: replace(_banned(seconds, now_ms), refusal="rejected"),
        _banned,
    ),
    # https://bybit-exchange.github.io/docs/v5/rate-limit: by address; then 403 for ten minutes.
    Limit((Window("requests", 600, 5),), ban_after=1, ban_seconds=600),
)
