"""Kraken's wire format: OHLC, asset pairs, assets, time.

Facts: https://docs.kraken.com/api-reference/market-data/get-ohlc-data (as ccxt 4.5.90 cites it).
Only the newest 720 closed candles can be had, and the open one; `since` is exclusive, in seconds,
and one that lies further back changes nothing. A time without trades is a flat candle. Old assets
have prefixed names: XXBT for BTC, ZUSD for USD.
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

_REACH = 720
_LOT_PLACES = 8
_INTERVALS = known_timeframes(
    {"1": "1m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "240": "4h", "1440": "1d"}
)

_OHLC = "0/public/OHLC"
_ENDPOINTS: dict[str, Endpoint] = {
    "0/public/AssetPairs": "markets",
    "0/public/Assets": "markets",
    "0/public/Time": "time",
}
_READER = Reader((_OHLC,), _ENDPOINTS, _INTERVALS, "pair", "interval", "since", since_unit_ms=1000)

# Our name -> (kraken's name, its name in pairs).
_OLD_NAMES = {
    "BTC": ("XXBT", "XBT"),
    "DOGE": ("XXDG", "XDG"),
    **{name: (f"X{name}", name) for name in ("ETC", "ETH", "LTC", "XLM", "XMR", "XRP", "ZEC")},
    **{name: (f"Z{name}", name) for name in ("AUD", "CAD", "EUR", "GBP", "JPY", "USD")},
}


def _asset(name: str) -> tuple[str, str]:
    return _OLD_NAMES.get(name, (name, name))


def _wire_names(pair: Pair) -> tuple[str, ...]:
    base, base_short = _asset(pair.base)
    quote, quote_short = _asset(pair.quote)
    short = f"{base_short}{quote_short}"
    # Only pairs of two old assets have the long id; XDGUSD is the exception that Kraken made.
    is_old = base != base_short and quote != quote_short and pair.base != "DOGE"
    names = (f"{base}{quote}", short) if is_old else (short,)
    return (*names, f"{base_short}/{quote_short}")


def _encode(rows: WireRows, timeframe: Timeframe, is_closed: bool) -> pl.Series:  # noqa: ARG001, FBT001
    fields = [
        part
        for name in ("open", "high", "low", "close", "vwap")
        for part in (rows.fixed(name, 0), pl.lit('","'))
    ]
    row = pl.concat_str(
        pl.lit("["),
        (pl.col("time") // 1000).cast(pl.String),
        pl.lit(',"'),
        *fields,
        rows.fixed("volume", _LOT_PLACES),
        pl.lit('",'),
        pl.col("trades").cast(pl.String),
        pl.lit("]"),
    )
    return rows.frame.select(row.alias("row"))["row"]


def _answer(venue: Venue, question: Question) -> Answer | None:
    if question.endpoint == "ohlcv":
        return _ohlc(venue, question.query)
    if question.endpoint == "time":
        now = datetime.fromtimestamp(venue.now_ms() // 1000, UTC)
        return _result(
            {"unixtime": int(now.timestamp()), "rfc1123": f"{now:%a, %d %b %y %T +0000}"}
        )
    if question.path == "0/public/SystemStatus":
        now = datetime.fromtimestamp(venue.now_ms() // 1000, UTC)
        return _result({"status": "online", "timestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}"})
    if question.path == "0/public/AssetPairs":
        return _result({market.wire_id: _asset_pair(market) for market in venue.markets})
    return _result(_assets(venue)) if question.path == "0/public/Assets" else None


def _ohlc(venue: Venue, query: Query) -> Answer:
    market = venue.market(query.get("pair", ""))
    timeframe = _INTERVALS.get(query.get("interval", "1"))
    since = whole_number_or(query.get("since"), -1)
    if market is None:
        return _error("EQuery:Unknown asset pair")
    if timeframe is None or since is None:
        return _error("EGeneral:Invalid arguments")
    open_time = venue.closed_end(timeframe)
    start = max(since * 1000 + 1, open_time - _REACH * timeframe.ms)
    page = venue.newest(market, timeframe, max(0, start), FAR_FUTURE_MS, _REACH + 1)
    closed = [time for time in page.times if time < open_time]
    last = closed[-1] // 1000 if closed else max(0, since)
    rows = ",".join(page.texts)
    body = f'{{"error":[],"result":{{"{market.wire_id}":[{rows}],"last":{last}}}}}'
    return Answer(body)


def _result(result: dict[str, object]) -> Answer:
    return Answer(json.dumps({"error": [], "result": result}))


def _error(message: str, refusal: Refusal = "") -> Answer:
    return Answer(json.dumps({"error": [message]}), refusal=refusal)


def _asset_pair(market: VenueMarket) -> dict[str, object]:
    base, base_short = _asset(market.pair.base)
    quote, quote_short = _asset(market.pair.quote)
    return {
        "altname": f"{base_short}{quote_short}",
        "wsname": f"{base_short}/{quote_short}",
        "aclass_base": "currency",
        "base": base,
        "aclass_quote": "currency",
        "quote": quote,
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": market.profile.price_decimals,
        "lot_decimals": _LOT_PLACES,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.0001",
        "costmin": "0.5",
        "tick_size": market.profile.tick,
        "status": "online",
    }


def _assets(venue: Venue) -> dict[str, object]:
    names = {name for market in venue.markets for name in (market.pair.base, market.pair.quote)}
    return {
        _asset(name)[0]: {
            "aclass": "currency",
            "altname": _asset(name)[1],
            "decimals": 10,
            "display_decimals": 5,
            "status": "enabled",
        }
        for name in sorted(names)
    }


DIALECT = Dialect(
    "kraken",
    _wire_names,
    _encode,
    _READER.read,
    _answer,
    RowFields(0, 1, 2, 3, 4, time_unit_ms=1000),
    Excuses(
        replace(_error("EGeneral:Internal error"), status=500),
        _error("EService:Unavailable"),
        lambda _seconds, _now_ms: _error("EGeneral:Too many requests", "rejected"),
        lambda _seconds, _now_ms: _error("EAPI:Rate limit exceeded", "banned"),
    ),
    # https://docs.kraken.com/api/docs/guides/spot-rest-ratelimits: once a second stays within the
    # limit of the public endpoints; how much more at once, and what follows, is not told.
    Limit((Window("counter", 15, 15, "bucket"),), ban_after=50, ban_seconds=60),
)
