"""A ccxt exchange object made fit for candles: one address, no silent loss, every answer noted.

Holds everything that reaches into ccxt; imported by the client only, and ccxt is imported inside
(3 s of CPU, 100 MB). Facts of ccxt 4.5.90, read in its source on 2026-11-25:

- Only rewriting `urls['api']` points every exchange at another address, sync and async;
  `proxyUrl` and `hostname` do not.
- `fetch_ohlcv` returns `[]` for a 2xx answer that does not parse, and `parse_ohlcvs` drops rows
  without a time, sorts, and cuts.
- `load_markets` also calls `fetch_currencies` (a key on some, three requests on coinbase) and on
  binance, okx, bybit and kucoin the markets of derivatives (other hosts, megabytes).
- The client closes its session in `close()` only if it made it, and complains at deletion.
"""

import gc
import logging
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from functools import cache
from typing import Any, Protocol, Self
from urllib.parse import urlsplit, urlunsplit

from data_platform.domain.errors import GarbageError, PermanentError
from data_platform.sources.access import Access
from data_platform.sources.faults import Reply, to_public
from data_platform.sources.pages import Row

REPLY: ContextVar[Reply] = ContextVar("REPLY")
"""What is known of the answer that the current task waits for."""

_MARKET_TYPES = ["spot"]
_CHUNK = 65_536
_LISTS_A_LOOK = 50_000
_SILENT = logging.Logger("ccxt", logging.CRITICAL + 1)  # noqa: LOG001 - in nobody's tree
"""In place of ccxt's own, which logs every request and answer at DEBUG, headers and all."""
_SHOWN = 60
"""Characters of an answer in a message."""


class CcxtExchange(Protocol):
    """What the client uses of ccxt's class."""

    markets: Mapping[str, Mapping[str, Any]] | None
    timeframes: Mapping[str, Any]
    has: Mapping[str, Any]
    session: Any
    timeout_on_exit: int

    async def load_markets(self) -> Mapping[str, Any]:
        """Fetch the markets, once."""
        ...

    async def fetch_time(self) -> int | None:
        """Fetch the exchange's clock, UTC ms."""
        ...

    async def fetch_ohlcv(
        self, symbol: str, timeframe: str, since: int, limit: int | None
    ) -> list[Row]:
        """Fetch candles."""
        ...

    async def close(self) -> None:
        """Close sockets and the session."""
        ...


def open_exchange(access: Access, now: Callable[[], datetime]) -> CcxtExchange:
    """Return a ccxt exchange that talks to the one address of `access`.

    Must be called with a running loop.

    Args:
        access: how the exchange is reached.
        now: the exchange's clock. okx chooses between its recent and its historical endpoint by
            the machine's, which may be wrong.

    Raises:
        PermanentError: ccxt has no such exchange, or it has no candles.
    """
    import ccxt.async_support

    build = getattr(ccxt.async_support, access.ccxt_id, None)
    if build is None or access.ccxt_id not in ccxt.async_support.exchanges:
        raise PermanentError(
            f"{access.exchange.name}: ccxt {ccxt.__version__} has no exchange "
            f"{access.ccxt_id!r}; set `ccxt_id` in the config to one of ccxt's names."
        )
    _spare_collector()
    exchange = build(_settings(access))
    exchange.logger = _SILENT
    exchange.session = _OneHostSession(access)
    exchange.milliseconds = lambda: int(now().timestamp() * 1000)
    if access.base_url:
        exchange.urls["api"] = _moved(exchange.urls["api"], access.base_url)
    if isinstance(exchange.options.get("fetchMarkets"), dict):
        exchange.options["fetchMarkets"]["types"] = _MARKET_TYPES
    exchange.has["fetchCurrencies"] = False
    _listen(exchange, access)
    result: CcxtExchange = exchange
    return result


@cache
def _spare_collector() -> None:
    """Let Python's collector look after each fifty pages, and not at ccxt's modules, once.

    They live as long as the process, and what a page makes is freed without it. Each page makes a
    thousand lists, so it came with every one: a third of all CPU time (0.9 s of 2.9 s for 450
    pages, 2026-11-28).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_LISTS_A_LOOK)


async def close_exchange(exchange: CcxtExchange) -> None:
    """Close the connections; ccxt closes no session that it did not make."""
    session: _OneHostSession = exchange.session
    await session.close()
    # Nothing is left for it to wait for: it sleeps 0.25 s for sockets that it made itself.
    exchange.timeout_on_exit = 0
    await exchange.close()


def _settings(access: Access) -> dict[str, object]:
    settings: dict[str, object] = {
        "enableRateLimit": False,
        "timeout": int(access.timeout.total_seconds() * 1000),
        # Given so that ccxt neither makes one nor owns it; the real one follows.
        "session": None,
    }
    if access.api_key:
        settings["apiKey"] = access.api_key
    return settings


def _moved(value: Any, base_url: str) -> Any:  # noqa: ANN401 - ccxt nests dicts freely
    if isinstance(value, dict):
        return {name: _moved(inner, base_url) for name, inner in value.items()}
    if not isinstance(value, str):
        return value
    base, old = urlsplit(base_url), urlsplit(value)
    path = base.path.rstrip("/") + old.path
    return urlunsplit((base.scheme, base.netloc, path, old.query, ""))


def _listen(exchange: Any, access: Access) -> None:  # noqa: ANN401 - ccxt is not typed
    import ccxt

    judge, parse = exchange.handle_errors, exchange.parse_ohlcvs

    def handle_errors(*answer: Any) -> object:  # noqa: ANN401 - ccxt's nine arguments
        status, _, url, _, headers, body, parsed = answer[:7]
        reply = REPLY.get()
        reply.status, reply.headers, reply.body = status, headers, parsed
        if status < 400 and (parsed is None or status >= 300):  # noqa: PLR2004 - HTTP's classes
            shown = to_public(body, access, _SHOWN)
            raise ccxt.BadResponse(f"{url} {status}: no JSON but {shown!r}")
        return judge(*answer)

    def parse_ohlcvs(rows: Any, market: Any = None, *_: Any, **__: Any) -> list[Row]:  # noqa: ANN401
        # Neither `since` nor `limit`: cutting is ours, and no row may vanish.
        candles: list[Row] = parse(rows, market)
        if not candles and not holds_empty_list(REPLY.get().body):
            raise ccxt.BadResponse("JSON without a list of candles")
        return candles

    exchange.handle_errors = handle_errors
    exchange.parse_ohlcvs = parse_ohlcvs


def holds_empty_list(value: object) -> bool:
    """Return whether a JSON value holds an empty list that could be one of candles.

    'No candles' is believed only when the exchange says so: `{}` or `{"data": null}` are read as
    an empty list by ccxt. Lists of errors do not count.
    """
    if isinstance(value, Mapping):
        return any(holds_empty_list(v) for name, v in value.items() if "error" not in str(name))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return not value or any(holds_empty_list(inner) for inner in value)
    return False


class _OneHostSession:
    """aiohttp's session as ccxt uses it; follows no redirect and reads no endless answer."""

    def __init__(self, access: Access) -> None:
        import aiohttp
        import certifi

        context = ssl.create_default_context(cafile=certifi.where())
        connector = aiohttp.TCPConnector(ssl=context, limit=access.concurrency)
        self._session = aiohttp.ClientSession(connector=connector)
        # It sends once more, unasked and uncounted, what found its connection closed.
        self._session._retry_connection = False  # noqa: SLF001 - no other switch, aiohttp 3.14
        self.headers: Mapping[str, str] = self._session.headers

    def get(self, url: Any, **options: Any) -> "_BoundedAnswer":  # noqa: ANN401 - aiohttp's own
        """Send a GET."""
        return _BoundedAnswer(self._session.get(url, allow_redirects=False, **options))

    def post(self, url: Any, **options: Any) -> "_BoundedAnswer":  # noqa: ANN401 - aiohttp's own
        """Send a POST; some exchanges ask for candles so."""
        return _BoundedAnswer(self._session.post(url, allow_redirects=False, **options))

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


class _BoundedAnswer:
    """An answer whose text is read, decompressed, up to a limit."""

    def __init__(self, request: Any) -> None:  # noqa: ANN401 - aiohttp's private class
        self._request = request

    async def __aenter__(self) -> Self:
        self._response = await self._request.__aenter__()
        REPLY.get().came_at = time.monotonic()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._request.__aexit__(*error)

    def __getattr__(self, name: str) -> object:
        return getattr(self._response, name)

    async def text(self, **_: str) -> str:
        """Return the body; JSON is UTF-8 by its standard."""
        body, longest = bytearray(), REPLY.get().longest
        async for chunk in self._response.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > longest:
                raise GarbageError(f"sent an answer longer than {longest:,} bytes")
        return body.decode("utf-8", errors="replace")
