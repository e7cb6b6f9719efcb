"""OKX's wire format: candles, history candles, instruments, time.

Facts: https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-candlesticks (as ccxt
4.5.90 cites them). `after` asks for older rows, `before` for newer ones, both exclusive; rows come
newest first. `candles` reaches back 1,440 rows and holds the open one, `history-candles` holds
closed ones only. A time without trades is a flat candle. `1Dutc` is the UTC day; the days of
other time zones are not simulated.
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
    Answer,
    Endpoint,
    Query,
    Question,
    Reader,
    whole_number_or,
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


_CANDLES = "api/v5/market/candles"
_HISTORY = "api/v5/market/history-candles"
_ENDPOINTS: dict[str, Endpoint] = {
    "api/v5/public/instruments": "markets",
    "api/v5/public/time": "time",
}
_READER = Reader((_CANDLES, _HISTORY), _ENDPOINTS, _BARS, "instId", "bar", "before", "limit")


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


def _answer(venue: Venue, question: Question) -> Answer | None:
    if question.endpoint == "ohlcv":
        return _candles(venue, question.query, is_history=question.path == _HISTORY)
    if question.endpoint == "time":
        return Answer(_envelope(json.dumps({"ts": str(venue.now_ms())})))
    return _instruments(venue, question.query) if question.endpoint == "markets" else None


def _candles(venue: Venue, query: Query, *, is_history: bool) -> Answer:
    market = venue.market(query.get("instId", ""))
    timeframe = _BARS.get(query.get("bar", "1m"))
    if market is None:
        return _error("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
    after = whole_number_or(query.get("after"), FAR_FUTURE_MS)
    before = whole_number_or(query.get("before"), -1)
    limit = whole_number_or(query.get("limit"), _DEFAULT_LIMIT)
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
    return Answer(_envelope(",".join(reversed(page.texts))))


def _envelope(rows: str) -> str:
    return f'{{"code":"0","msg":"","data":[{rows}]}}'


def _error(code: str, message: str, status: int = 200) -> Answer:
    return Answer(json.dumps({"code": code, "msg": message, "data": []}), status)


def _instruments(venue: Venue, query: Query) -> Answer:
    kind = query.get("instType", "")
    if kind not in _INSTRUMENT_TYPES:
        return _error("51000", "Parameter instType error", 400)
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


def _too_many(seconds: float, now_ms: int) -> Answer:
    del seconds, now_ms
    return replace(_error("50011", "Too Many Requests", 429), refusal="rejected")


DIALECT = Dialect(
    "okx",
    _wire_names,
    _encode,
    _READER.read,
    _answer,
    RowFields(0, 1, 2, 3, 4),
    Excuses(
        _error("63999", "Internal system error", 500),
        _error("50001", "Service temporarily unavailable. Try again later.", 503),
        _too_many,
        lambda seconds, now_ms: replace(_too_many(seconds, now_ms), refusal="banned"),
    ),
    # By address and endpoint, as each endpoint's page says.
    Limit(
        (
            Window("candles", 40, 2, paths=frozenset({_CANDLES})),
            Window("history-candles", 20, 2, paths=frozenset({_HISTORY})),
            Window("instruments", 20, 2, paths=frozenset({"api/v5/public/instruments"})),
            Window("time", 10, 2, paths=frozenset({"api/v5/public/time"})),
        )
    ),
)
