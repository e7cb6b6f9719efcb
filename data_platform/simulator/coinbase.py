"""Coinbase's wire format (Advanced Trade): product candles, products, currencies, time.

Facts: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/public (as ccxt
4.5.90 cites it). A page is the window from `start` to `end`, both inclusive, in seconds, newest
first; one of more than 350 candles is refused. A time without trades has no candle. The wire
knows FOUR_HOUR, which ccxt does not.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl

from data_platform.domain.markets import Pair
from data_platform.domain.timeframes import Timeframe
from data_platform.simulator.limits import Limit, Window
from data_platform.simulator.rows import WireRows
from data_platform.simulator.venue import (
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
    whole_number_or,
)

_LIMIT = 350
_GRANULARITIES = known_timeframes(
    {
        "ONE_MINUTE": "1m",
        "FIVE_MINUTE": "5m",
        "FIFTEEN_MINUTE": "15m",
        "THIRTY_MINUTE": "30m",
        "ONE_HOUR": "1h",
        "TWO_HOUR": "2h",
        "FOUR_HOUR": "4h",
        "SIX_HOUR": "6h",
        "ONE_DAY": "1d",
    }
)
_PRODUCTS = "api/v3/brokerage/market/products"


_ENDPOINTS: dict[str, Endpoint] = {
    _PRODUCTS: "markets",
    "v2/currencies": "markets",
    "v2/currencies/crypto": "markets",
    "v2/exchange-rates": "markets",
    "v2/time": "time",
    "api/v3/brokerage/time": "time",
}
_CANDLES = f"{_PRODUCTS}/{{product_id}}/candles"
_READER = Reader(
    (_CANDLES,),
    _ENDPOINTS,
    _GRANULARITIES,
    "product_id",
    "granularity",
    "start",
    since_unit_ms=1000,
)


def _wire_names(pair: Pair) -> tuple[str, ...]:
    return (f"{pair.base}-{pair.quote}",)


def _encode(rows: WireRows, timeframe: Timeframe, is_closed: bool) -> pl.Series:  # noqa: ARG001, FBT001
    fields = [
        part
        for name in ("low", "high", "open", "close", "volume")
        for part in (pl.lit(f'","{name}":"'), rows.trimmed(name))
    ]
    start = (pl.col("time") // 1000).cast(pl.String)
    row = pl.concat_str(pl.lit('{"start":"'), start, *fields, pl.lit('"}'))
    return rows.frame.select(row.alias("row"))["row"]


def _read(path: str, query: Query) -> Question:
    if path.startswith(f"{_PRODUCTS}/") and path.endswith("/candles"):
        product = path.removeprefix(f"{_PRODUCTS}/").removesuffix("/candles")
        return replace(_READER.read(_CANDLES, {**query, "product_id": product}), path=path)
    return _READER.read(path, query)


def _answer(venue: Venue, question: Question) -> Answer | None:
    if question.endpoint == "ohlcv":
        return _candles(venue, question.query)
    if question.path == _PRODUCTS:
        # Spot and whatever is asked without a type; there are no futures here.
        is_spot = question.query.get("product_type", "SPOT") == "SPOT"
        products = [_product(market) for market in (venue.markets if is_spot else [])]
        return Answer(json.dumps({"products": products, "num_products": len(products)}))
    if question.endpoint == "time":
        return _time(venue.now_ms(), is_v2=question.path == "v2/time")
    return _currencies(venue, question.path)


def _candles(venue: Venue, query: Query) -> Answer:
    market = venue.market(query["product_id"])
    timeframe = _GRANULARITIES.get(query.get("granularity", ""))
    start, end = whole_number_or(query.get("start"), -1), whole_number_or(query.get("end"), -1)
    if market is None:
        return _error("valid product_id is required", status=404, error="NOT_FOUND")
    if timeframe is None:
        return _error("granularity argument is invalid")
    if start is None or end is None or start < 0 or end < start:
        return _error("start and end argument is invalid - please use valid unix seconds")
    if (end - start) // timeframe.seconds + 1 > _LIMIT:
        return _error(
            "start and end argument is invalid - number of candles requested should be less "
            f"than {_LIMIT} "
        )
    page = venue.newest(market, timeframe, start * 1000, end * 1000 + 1, _LIMIT)
    return Answer(f'{{"candles":[{",".join(reversed(page.texts))}]}}')


def _error(details: str, *, status: int = 400, error: str = "INVALID_ARGUMENT") -> Answer:
    body = {"error": error, "error_details": details, "message": details}
    return Answer(json.dumps(body), status)


def _time(now_ms: int, *, is_v2: bool) -> Answer:
    iso = f"{datetime.fromtimestamp(now_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    if is_v2:
        return Answer(json.dumps({"data": {"iso": iso, "epoch": now_ms // 1000}}))
    body = {"iso": iso, "epochSeconds": str(now_ms // 1000), "epochMillis": str(now_ms)}
    return Answer(json.dumps(body))


def _currencies(venue: Venue, path: str) -> Answer | None:
    fiat = sorted({market.pair.quote for market in venue.markets})
    crypto = sorted({market.pair.base for market in venue.markets} - set(fiat))
    if path == "v2/currencies":
        rows = [{"id": name, "name": name, "min_size": "0.01"} for name in fiat]
        return Answer(json.dumps({"data": rows}))
    if path == "v2/currencies/crypto":
        return Answer(json.dumps({"data": [_crypto(name) for name in crypto]}))
    if path == "v2/exchange-rates":
        rates = dict.fromkeys(fiat + crypto, "1.0")
        return Answer(json.dumps({"data": {"currency": "USD", "rates": rates}}))
    return None


def _crypto(name: str) -> dict[str, object]:
    return {
        "asset_id": f"asset-{name.lower()}",
        "code": name,
        "name": name,
        "color": "#0433FF",
        "sort_index": 100,
        "exponent": 8,
        "type": "crypto",
        "address_regex": "",
    }


def _product(market: VenueMarket) -> dict[str, object]:
    return {
        "product_id": market.wire_id,
        "price": str(market.profile.price),
        "base_increment": market.profile.lot,
        "quote_increment": market.profile.tick,
        "quote_min_size": "1",
        "quote_max_size": "150000000",
        "base_min_size": "0.00000001",
        "base_max_size": "9999999999",
        "base_name": market.pair.base,
        "quote_name": market.pair.quote,
        "watched": False,
        "is_disabled": False,
        "new": False,
        "status": "online",
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "trading_disabled": False,
        "auction_mode": False,
        "product_type": "SPOT",
        "quote_currency_id": market.pair.quote,
        "base_currency_id": market.pair.base,
        "fcm_trading_session_details": None,
        "mid_market_price": "",
        "alias": "",
        "alias_to": [],
        "base_display_symbol": market.pair.base,
        "quote_display_symbol": market.pair.quote,
        "view_only": False,
        "price_increment": market.profile.tick,
        "display_name": market.wire_id,
        "product_venue": "CBE",
    }


def _too_many(seconds: float, now_ms: int) -> Answer:
    del seconds, now_ms
    error = {"id": "rate_limit_exceeded", "message": "Too many requests"}
    return Answer(json.dumps({"errors": [error]}), 429, refusal="rejected")


_SERVER_ERROR = {
    "id": "internal_server_error",
    "message": "An error has occurred. If this problem persists, please contact support.",
}

DIALECT = Dialect(
    "coinbase",
    _wire_names,
    _encode,
    _read,
    _answer,
    RowFields("start", "open", "high", "low", "close", time_unit_ms=1000),
    Excuses(
        Answer(json.dumps({"errors": [_SERVER_ERROR]}), 500),
        _error("Coinbase is under maintenance", status=503, error="UNAVAILABLE"),
        _too_many,
        lambda seconds, now_ms: replace(_too_many(seconds, now_ms), refusal="banned"),
    ),
    # Public endpoints, by address: 10 a second, up to 15 in a burst.
    Limit((Window("second", 15, 1), Window("burst", 15, 1.5, "bucket"))),
)
