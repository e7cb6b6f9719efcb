"""Binance's wire format: spot klines, exchange information, time.

Facts: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
(as ccxt 4.5.90 cites them). ccxt's `load_markets` also asks the two futures hosts for their
markets; here they have none. A time without trades is a flat candle with volume 0.
"""

import json
from dataclasses import replace
from math import ceil

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
    Answer,
    Endpoint,
    Query,
    Question,
    Reader,
    Refusal,
    whole_number_or,
)

_PLACES = 8
_LIMIT = 1000
_DEFAULT_LIMIT = 500
_INTERVALS = known_timeframes(
    {
        name: name
        for name in ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
    }
)


_KLINES = "api/v3/klines"
_ENDPOINTS: dict[str, Endpoint] = {
    **dict.fromkeys((f"{api}/exchangeInfo" for api in ("api/v3", "fapi/v1", "dapi/v1")), "markets"),
    **dict.fromkeys((f"{api}/time" for api in ("api/v3", "fapi/v1", "dapi/v1")), "time"),
}
_READER = Reader((_KLINES,), _ENDPOINTS, _INTERVALS, "symbol", "interval", "startTime", "limit")


def _wire_names(pair: Pair) -> tuple[str, ...]:
    return (f"{pair.base}{pair.quote}",)


def _encode(rows: WireRows, timeframe: Timeframe, is_closed: bool) -> pl.Series:  # noqa: ARG001, FBT001
    # Each number is printed once, then joined: a third faster than printing inside the join.
    names = ("open", "high", "low", "close", "volume", "quote_volume")
    texts = rows.frame.select(
        "time", "trades", *(rows.fixed(name, _PLACES).alias(name) for name in names)
    )
    time, between = pl.col("time"), pl.lit('","')
    # The takers' share is not modelled: all of the volume.
    row = pl.concat_str(
        *(pl.lit("["), time.cast(pl.String), pl.lit(',"'), "open", between, "high", between),
        *("low", between, "close", between, "volume", pl.lit('",')),
        *((time + (timeframe.ms - 1)).cast(pl.String), pl.lit(',"'), "quote_volume", pl.lit('",')),
        *(pl.col("trades").cast(pl.String), pl.lit(',"'), "volume", between, "quote_volume"),
        pl.lit('","0"]'),
    )
    return texts.select(row.alias("row"))["row"]


def _answer(venue: Venue, question: Question) -> Answer | None:
    if question.endpoint == "ohlcv":
        return _klines(venue, question.query)
    if question.endpoint == "time":
        return Answer(json.dumps({"serverTime": venue.now_ms()}))
    if question.endpoint == "markets":
        is_spot = question.path.startswith("api/")
        return Answer(_exchange_info(venue, venue.markets if is_spot else []))
    return Answer("{}") if question.path == "api/v3/ping" else None


def _klines(venue: Venue, query: Query) -> Answer:
    market = venue.market(query.get("symbol", ""))
    timeframe = _INTERVALS.get(query.get("interval", ""))
    if market is None:
        return _error(-1121, "Invalid symbol.")
    if timeframe is None:
        return _error(-1120, "Invalid interval.")
    start = whole_number_or(query.get("startTime"), -1)
    end = whole_number_or(query.get("endTime"), FAR_FUTURE_MS)
    limit = whole_number_or(query.get("limit"), _DEFAULT_LIMIT)
    if start is None or end is None or limit is None or limit < 1:
        return _error(-1100, "Illegal characters found in a parameter.")
    find = venue.newest if start < 0 else venue.oldest
    page = find(market, timeframe, max(0, start), end + 1, min(limit, _LIMIT))
    return Answer(f"[{','.join(page.texts)}]")


def _error(code: int, message: str, status: int = 400) -> Answer:
    return Answer(json.dumps({"code": code, "msg": message}), status)


def _exchange_info(venue: Venue, markets: list[VenueMarket]) -> str:
    return json.dumps(
        {
            "timezone": "UTC",
            "serverTime": venue.now_ms(),
            "rateLimits": [
                {
                    "rateLimitType": "REQUEST_WEIGHT",
                    "interval": "MINUTE",
                    "intervalNum": 1,
                    "limit": 6000,
                }
            ],
            "exchangeFilters": [],
            "symbols": [_symbol(market) for market in markets],
        }
    )


def _symbol(market: VenueMarket) -> dict[str, object]:
    return {
        "symbol": market.wire_id,
        "status": "TRADING",
        "baseAsset": market.pair.base,
        "baseAssetPrecision": _PLACES,
        "quoteAsset": market.pair.quote,
        "quotePrecision": _PLACES,
        "quoteAssetPrecision": _PLACES,
        "baseCommissionPrecision": _PLACES,
        "quoteCommissionPrecision": _PLACES,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": market.profile.tick,
                "maxPrice": "1000000",
                "tickSize": market.profile.tick,
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": market.profile.lot,
                "maxQty": "9000000000",
                "stepSize": market.profile.lot,
            },
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


def _too_many(seconds: float, now_ms: int) -> Answer:
    del now_ms
    message = (
        "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. Please "
        "use WebSocket Streams for live updates to avoid polling the API."
    )
    return _refusal(429, message, ceil(seconds), "rejected")


def _banned(seconds: float, now_ms: int) -> Answer:
    message = (
        f"Way too much request weight used; IP banned until {now_ms + round(seconds * 1000)}. "
        "Please use WebSocket Streams for live updates to avoid bans."
    )
    return _refusal(418, message, ceil(seconds), "banned")


def _refusal(status: int, message: str, seconds: int, refusal: Refusal) -> Answer:
    headers = {"Retry-After": str(seconds)}
    answer = _error(-1003, message, status)
    return replace(answer, headers=headers, refusal=refusal, wait_seconds=seconds)


DIALECT = Dialect(
    "binance",
    _wire_names,
    _encode,
    _READER.read,
    _answer,
    RowFields(0, 1, 2, 3, 4),
    Excuses(
        _error(-1001, "Internal error; unable to process your request. Please try again.", 500),
        _error(1, "System is under maintenance.", 503),
        _too_many,
        _banned,
    ),
    # https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits: weight by address;
    # the futures hosts have limits of their own. After how many refusals it bans is not told.
    Limit(
        (Window("weight", 6000, 60, "tumbling"),),
        weights={_KLINES: 2, "api/v3/exchangeInfo": 20}
        | {path: 0 for path in _ENDPOINTS if not path.startswith("api/")},
        ban_after=50,
        ban_seconds=120,
        ban_growth=2,
        used_header="X-MBX-USED-WEIGHT-1M",
    ),
)
