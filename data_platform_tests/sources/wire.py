"""A tiny exchange over real HTTP whose answers a test can script; it speaks Binance's spot API.

Independent of the package's simulator on purpose: it is the place for answers that no healthy
exchange gives.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from data_platform.domain.exchanges import Exchange, exchange_row
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform.sources.access import Access, Retry
from data_platform.sources.base import FetchRequest

NOW = datetime(2024, 3, 1, 12, 0, 30, tzinfo=UTC)
LISTED = datetime(2024, 2, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SYMBOLS = ("BTCUSDT", "ETHUSDT")

Query = dict[str, str]


@dataclass(frozen=True)
class Reply:
    """One answer, as bytes on the wire."""

    body: str | bytes = "[]"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drip: float = 0.0
    """Seconds between two bytes."""
    cut: bool = False
    """Announce more bytes than are sent."""


@dataclass
class Wire:
    """What the server shall answer and what it was asked."""

    url: str = ""
    now: datetime = NOW
    listed: datetime = LISTED
    page_size: int = 1000
    missing: tuple[tuple[datetime, datetime], ...] = ()
    scripted: list[Reply] = field(default_factory=list)
    """Answers to the next requests for candles, in order; then healthy ones."""
    pairs: list[Reply] = field(default_factory=list)
    """Answers to the next requests for the pairs."""
    always: Callable[[Query], Reply | None] = lambda _query: None
    """An answer to every request for candles that it does not return None for."""
    anything: Reply | None = None
    """An answer to every request whatever, so that the server stands for any exchange."""
    paths: list[str] = field(default_factory=list)
    queries: list[Query] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    slow: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str, query: Query) -> Reply:
        if self.anything:
            return self.anything
        if path.endswith("/time"):
            return Reply(json.dumps({"serverTime": ms(self.now)}))
        if path.endswith("/exchangeInfo") and self.pairs:
            return self.pairs.pop(0)
        if path.endswith("/exchangeInfo"):
            return Reply(json.dumps({"symbols": [symbol(name) for name in SYMBOLS]}))
        with self.lock:
            self.queries.append(query)
            reply = self.scripted.pop(0) if self.scripted else self.always(query)
        time.sleep(self.slow)
        return reply or Reply(json.dumps(self.rows(query)))

    def rows(self, query: Query) -> list[list[object]]:
        wanted = min(int(query["limit"]), self.page_size)
        at = max(datetime.fromtimestamp(int(query["startTime"]) / 1000, UTC), self.listed)
        rows: list[list[object]] = []
        while len(rows) < wanted and at <= self.now:
            if not any(start <= at < end for start, end in self.missing):
                rows.append(row(at))
            at += MINUTE
        return rows


def row(at: datetime) -> list[object]:
    low = price(at)
    return [ms(at), f"{low + 1}", f"{low + 2}", f"{low}", f"{low + 1.5}", "3.25", ms(at) + 59_999]


def price(at: datetime) -> float:
    return 100.0 + ms(at) // 60_000 % 977


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def symbol(name: str) -> dict[str, object]:
    base = name.removesuffix("USDT")
    names = {"symbol": name, "baseAsset": base, "quoteAsset": "USDT", "status": "TRADING"}
    return {**names, "permissions": ["SPOT"], "isSpotTradingAllowed": True, "filters": []}


@contextmanager
def wire_server() -> Iterator[Wire]:
    wire = Wire()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            wire.paths.append(parts.path)
            wire.keys.append(self.headers.get("X-MBX-APIKEY"))
            reply = wire.answer(parts.path, dict(parse_qsl(parts.query)))
            body = reply.body if isinstance(reply.body, bytes) else reply.body.encode()
            self.send_response(reply.status)
            for name, value in ({"Content-Type": "application/json"} | reply.headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) + (9 if reply.cut else 0)))
            self.end_headers()
            self.close_connection = reply.cut
            self.send(body, reply.drip)

        def send(self, body: bytes, drip: float) -> None:
            pieces = [bytes([byte]) for byte in body] if drip else [body]
            try:
                for piece in pieces:
                    self.wfile.write(piece)
                    self.wfile.flush()
                    time.sleep(drip)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    wire.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield wire
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def access_to(
    url: str,
    exchange: Exchange | None = None,
    *,
    timeout: float = 5,
    concurrency: int = 4,
    api_key: str | None = None,
) -> Access:
    return Access(
        exchange=exchange or exchange_row("binance"),
        requests_per_minute=600_000,
        base_url=url,
        timeout=timedelta(seconds=timeout),
        grace=timedelta(seconds=5),
        api_key=api_key,
        concurrency=concurrency,
        retry=Retry(pause=timedelta(milliseconds=20), longest_refusal=timedelta(seconds=10)),
    )


def request_of(
    start: datetime, end: datetime, symbol: str = "BTC/USDT", timeframe: str = "1m"
) -> FetchRequest:
    return FetchRequest(Series("binance", Pair(symbol), to_timeframe(timeframe)), start, end)
