"""OKX's wire format: candles, history candles, instruments, time.

Facts: https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-candlesticks (as ccxt
4.5.90 cites them). `after` asks for older rows, `before` for newer ones, both exclusive; rows come
newest first. `candles` reaches back 1,440 rows and holds the open one, `history-candles` holds
closed ones only. A time without trades is a flat candle. `1Dutc` is the UTC day; the days of
other time zones are not simulated.
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

_LIMIT = 300
_DEFAULT_LIMIT = 100
_RECENT = 1440
_BARS = known_timeframes(
    {
        **{name: name for name in ("1m", "3m", "5m", "15m", "30m")},
        "1H": "1h",
        "2H": "2h",
        "4H": "4h",
        "6Hutc": "6h",
        "12Hutc": "12h",
        "1Dutc": "1d",
    }
)
_INSTRUMENT_TYPES = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION")


def _wire_names(pair: Pair) -> tuple[str, ...]:
    return (f"{pair.base}-{pair.quote}",)


def _encode(rows: WireRows, timeframe: Timeframe, is_closed: bool) -> pl.Series:  # noqa: ARG001, FBT001
    fields = [
        part
        for name in ("open", "high", "low", "close", "volume", "quote_volume", "quote_volume")
        for part in (rows.trimmed(name), pl.lit('","'))
    ]
    confirm = "1" if is_closed else "0"
    row = pl.concat_str(
        pl.lit('["'), pl.col("time").cast(pl.String), pl.lit('","'), *fields, pl.lit(f'{confirm}"]')
    )
    return rows.frame.select(row.alias("row"))["row"]


def _answer(venue: Venue, path: str, query: Query) -> Answer | None:
    if path == "api/v5/market/candles":
        return _candles(venue, query, is_history=False)
    if path == "api/v5/market/history-candles":
        return _candles(venue, query, is_history=True)
    if path == "api/v5/public/time":
        return Answer(_envelope(json.dumps({"ts": str(venue.now_ms())})))
    if path == "api/v5/public/instruments":
        return _instruments(venue, query)
    return None


def _candles(venue: Venue, query: Query, *, is_history: bool) -> Answer:
    market = venue.market(query.get("instId", ""))
    timeframe = _BARS.get(query.get("bar", "1m"))
    if market is None:
        return _error("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
    after = whole_number(query.get("after"), FAR_FUTURE_MS)
    before = whole_number(query.get("before"), -1)
    limit = whole_number(query.get("limit"), _DEFAULT_LIMIT)
    if timeframe is None or after is None or before is None or limit is None:
        wrong = "bar" if timeframe is None else "after, before or limit"
        return _error("51000", f"Parameter {wrong} error")
    open_time = venue.closed_end(timeframe)
    start, end = before + 1, after
    if is_history:
        end = min(end, open_time)
    else:
        start = max(start, open_time - (_RECENT - 1) * timeframe.ms)
    page = venue.newest(market, timeframe, start, end, min(max(1, limit), _LIMIT))
    return Answer(_envelope(",".join(reversed(page.texts))), is_candles=True)


def _envelope(rows: str) -> str:
    return f'{{"code":"0","msg":"","data":[{rows}]}}'


def _error(code: str, message: str) -> Answer:
    return Answer(json.dumps({"code": code, "msg": message, "data": []}), is_candles=True)


def _instruments(venue: Venue, query: Query) -> Answer:
    kind = query.get("instType", "")
    if kind not in _INSTRUMENT_TYPES:
        body = {"code": "51000", "msg": "Parameter instType error", "data": []}
        return Answer(json.dumps(body), 400)
    markets = venue.markets if kind == "SPOT" else []
    return Answer(_envelope(",".join(json.dumps(_instrument(market)) for market in markets)))


def _instrument(market: VenueMarket) -> dict[str, object]:
    return {
        "alias": "",
        "baseCcy": market.pair.base,
        "category": "1",
        "ctMult": "",
        "ctType": "",
        "ctVal": "",
        "ctValCcy": "",
        "expTime": "",
        "instFamily": "",
        "instId": market.wire_id,
        "instType": "SPOT",
        "lever": "",
        "listTime": str(market.listed_ms),
        "lotSz": market.profile.lot,
        "maxLmtSz": "9999999999",
        "maxMktSz": "1000000",
        "minSz": market.profile.lot,
        "optType": "",
        "quoteCcy": market.pair.quote,
        "ruleType": "normal",
        "settleCcy": "",
        "state": "live",
        "stk": "",
        "tickSz": market.profile.tick,
        "uly": "",
    }


DIALECT = Dialect("okx", _wire_names, _encode, _answer)
