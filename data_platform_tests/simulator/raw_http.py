"""HTTP by hand over a socket: what really is on the wire, and how the connection ends."""

import socket
import urllib.request
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

NEWEST_FIRST = {"bybit", "coinbase", "okx"}

Ending = Literal["whole", "closed", "reset", "silent"]

PATHS = {
    "binance": ("api/v3/klines", {"symbol": "BTCUSDT", "interval": "1m"}),
    "bybit": (
        "v5/market/kline",
        {"category": "spot", "symbol": "BTCUSDT", "interval": "1"},
    ),
    "coinbase": (
        "api/v3/brokerage/market/products/BTC-USD/candles",
        {"granularity": "ONE_MINUTE"},
    ),
    "kraken": ("0/public/OHLC", {"pair": "XXBTZUSD", "interval": "1"}),
    "okx": ("api/v5/market/history-candles", {"instId": "BTC-USDT", "bar": "1m"}),
}


@dataclass
class RawAnswer:
    """Everything that came back."""

    status: int | None
    headers: dict[str, str]
    body: bytes
    ending: Ending
    """`whole`: as long as announced. `closed`: FIN before that. `reset`: RST. `silent`: nothing
    came for the time-out, and the connection was still open."""


def get(url: str, path: str, timeout: float = 5, /, **query: object) -> RawAnswer:
    """Ask for `<url>/<path>` on a connection of its own and read until the answer ends."""
    parts = urlsplit(url)
    assert parts.hostname
    target = f"/{path}?{urlencode(query)}" if query else f"/{path}"
    head = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept-Encoding: gzip\r\n\r\n"
    with socket.create_connection((parts.hostname, parts.port or 80), timeout) as connection:
        connection.sendall(head.encode())
        return _read(connection)


def candles(url: str, exchange: str, timeout: float = 5, /, **query: object) -> RawAnswer:
    """Ask an exchange for one-minute candles of bitcoin."""
    path, asked = PATHS[exchange]
    return get(url, f"{exchange}/{path}", timeout, **{**asked, **query})


def rows_in(exchange: str, body: Any) -> list[Any]:  # noqa: ANN401 - JSON
    """Return the rows of a valid answer, in the order that is oldest first when all is well."""
    if exchange == "binance":
        rows = body
    elif exchange == "bybit":
        assert body["retCode"] == 0
        rows = body["result"]["list"]
    elif exchange == "coinbase":
        rows = [
            [it[name] for name in ("start", "open", "high", "low", "close")]
            for it in body["candles"]
        ]
    elif exchange == "kraken":
        assert body["error"] == []
        rows = next(value for name, value in body["result"].items() if name != "last")
    else:
        assert body["code"] == "0"
        rows = body["data"]
    return list(reversed(rows)) if exchange in NEWEST_FIRST else list(rows)


def times(exchange: str, rows: list[Any]) -> list[int]:
    """Return the opening times of rows, UTC ms."""
    unit = 1000 if exchange in ("coinbase", "kraken") else 1
    return [int(row[0]) * unit for row in rows]


def control(url: str, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    """Send a request to the simulator itself and return status and body."""
    request = urllib.request.Request(  # noqa: S310
        f"{url}/{path}", method=method, data=None if body is None else body.encode()
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.request.HTTPError as error:
        with error:
            return error.code, error.read()


def _read(connection: socket.socket) -> RawAnswer:
    received, ending = b"", "whole"
    while not _is_whole(received):
        try:
            more = connection.recv(1_000_000)
        except TimeoutError:
            ending = "silent"
            break
        except ConnectionResetError:
            ending = "reset"
            break
        if not more:
            ending = "closed"
            break
        received += more
    status, headers, body = _parse(received)
    return RawAnswer(status, headers, body, ending)  # type: ignore[arg-type]


def _parse(received: bytes) -> tuple[int | None, dict[str, str], bytes]:
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return None, {}, received
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, body


def _is_whole(received: bytes) -> bool:
    status, headers, body = _parse(received)
    return status is not None and len(body) >= int(headers.get("Content-Length", "0"))
