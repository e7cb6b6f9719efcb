"""Faults of single answers: refused, broken or never sent, whatever the question was.

One row each. Most replace the answer; the others take the healthy one and spoil its bytes or the
way they are sent. Stays out: spoilt candles in answers that are whole (`page_faults`).
"""

import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from math import ceil
from urllib.parse import urlencode, urlsplit

from data_platform.simulator.fault import Fault, Occasion, count, seconds
from data_platform.simulator.wire import HTML, TEXT, Answer, Sending

_MEGABYTE = 1_000_000


def _text(status: int, body: str) -> Callable[[Occasion], Answer]:
    return lambda _on: Answer(body, status, TEXT)


def _html(status: int, title: str) -> Callable[[Occasion], Answer]:
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return lambda _on: Answer(page, status, HTML)


def _sent(sending: Sending) -> Callable[[Occasion], Answer]:
    return lambda on: replace(on.healthy(), sending=sending)


def _body(body: str) -> Callable[[Occasion], Answer]:
    return lambda on: replace(on.healthy(), body=body)


def _too_many(on: Occasion) -> Answer:
    # As the exchange words it, whatever status it gives it elsewhere; without a time to wait.
    said = on.venue.dialect.excuses.too_many(1.0, on.venue.now_ms())
    return replace(said, status=429, headers={}, wait_seconds=0.0)


def _too_many_for(on: Occasion) -> Answer:
    wait = on.options["seconds"]
    return replace(_too_many(on), headers={"Retry-After": str(ceil(wait))}, wait_seconds=ceil(wait))


def _too_many_until(on: Occasion) -> Answer:
    wait = on.options["seconds"]
    # HTTP dates are whole seconds of the real clock: the end is rounded up.
    until = datetime.now(UTC) + timedelta(seconds=wait + 1)
    headers = {"Retry-After": format_datetime(until.replace(microsecond=0), usegmt=True)}
    return replace(_too_many(on), headers=headers, wait_seconds=wait)


def _banned(on: Occasion) -> Answer:
    return on.venue.refuse(on.ban(on.options["seconds"], 418))


def _redirect(on: Occasion) -> Answer:
    # The same machine by another name: who follows is given believable candles there.
    port = urlsplit(on.url).port
    path = f"_elsewhere/{on.venue.name}/{on.question.path}?{urlencode(on.question.query)}"
    return Answer("", 302, TEXT, headers={"Location": f"http://localhost:{port}/{path}"})


def _truncated(on: Occasion) -> Answer:
    healthy = on.healthy()
    return replace(healthy, body=healthy.payload[: len(healthy.payload) // 2])


def _dripping(on: Occasion) -> Answer:
    return replace(on.healthy(), sending="drip", pause_seconds=on.options["seconds"])


def _swollen(on: Occasion) -> Answer:
    healthy = on.healthy()
    body = _gzip_with_blanks(healthy.payload, on.options["megabytes"])
    return replace(healthy, body=body, headers={"Content-Encoding": "gzip"})


def _skewed(on: Occasion) -> Answer:
    off_ms = round(on.options["seconds"] * 1000)
    return on.answer_of(on.venue.with_clock(lambda: on.venue.now_ms() + off_ms))


def _gzip_with_blanks(body: bytes, megabytes: int) -> bytes:
    # JSON may end in blanks, so the answer stays valid. A flushed block of blanks can be repeated
    # as it is: 300 MB cost 0.1 s for the check sum instead of seconds of compression.
    blanks = b" " * _MEGABYTE
    check = zlib.crc32(body)
    for _ in range(megabytes):
        check = zlib.crc32(blanks, check)
    size = (len(body) + megabytes * _MEGABYTE) % 2**32
    header = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    tail = b"\x03\x00" + check.to_bytes(4, "little") + size.to_bytes(4, "little")
    return header + _deflated(body) + _deflated(blanks) * megabytes + tail


@lru_cache(maxsize=2)
def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)


_WAIT = {"seconds": seconds(2.0, "how long to wait")}

ANSWER_FAULTS: tuple[Fault, ...] = (
    Fault("http_500", "500, plain text", _text(500, "Internal Server Error")),
    Fault("http_502_html", "502, a gateway's HTML page", _html(502, "502 Bad Gateway")),
    Fault("http_503_html", "503, HTML page", _html(503, "503 Service Temporarily Unavailable")),
    Fault(
        "http_500_json",
        "500 and the exchange's own JSON error",
        lambda on: on.venue.dialect.excuses.server_error,
    ),
    Fault(
        "binance_500_code_1000",
        "500 and Binance's code -1000",
        lambda _on: Answer(
            '{"code":-1000,"msg":"An unknown error occurred while processing the request."}', 500
        ),
        dialects=("binance",),
    ),
    Fault("http_429", "429 in the exchange's words, without Retry-After", _too_many),
    Fault(
        "http_429_retry_after",
        "429 with Retry-After in seconds",
        _too_many_for,
        options=_WAIT,
    ),
    Fault(
        "http_429_retry_date",
        "429 with Retry-After as an HTTP date",
        _too_many_until,
        options=_WAIT,
    ),
    Fault(
        "http_418_ban",
        "418 with Retry-After, and so every request until the ban has passed",
        _banned,
        options={"seconds": seconds(120.0, "length of the ban")},
    ),
    Fault("http_403_html", "403, a firewall's HTML page", _html(403, "403 Forbidden")),
    Fault(
        "http_451",
        "451, not available in this country",
        _text(451, "Service unavailable from a restricted location"),
    ),
    Fault(
        "maintenance",
        "the exchange's answer during maintenance; with `since` and `until` a window of it",
        lambda on: on.venue.dialect.excuses.maintenance,
    ),
    Fault("redirect", "302 to another host, which answers believably", _redirect),
    Fault("truncated_json", "200, the first half of the JSON", _truncated),
    Fault("html_200", "200, an HTML page", _html(200, "Just a moment...")),
    Fault("empty_body", "200, no byte of body", _body("")),
    Fault("bare_nan", "200, the word NaN", _body("NaN")),
    Fault(
        "huge_gzip",
        "200, a valid gzip body that unpacks to hundreds of megabytes",
        _swollen,
        options={"megabytes": count(300, "blanks after the JSON, unpacked")},
    ),
    Fault("connection_reset", "RST instead of an answer", _sent("reset")),
    Fault("closed_without_answer", "the connection ends without a byte", _sent("close")),
    Fault("body_cut_short", "200, the connection ends before Content-Length", _sent("cut")),
    Fault(
        "slow_drip",
        "200, byte by byte",
        _dripping,
        options={"seconds": seconds(0.2, "between two bytes")},
    ),
    Fault("stall", "no answer until the client gives up", _sent("stall")),
    Fault(
        "skewed_clock",
        "the time is off; candles follow the true one",
        _skewed,
        options={"seconds": seconds(None, "how far it is ahead, or behind", may_be_negative=True)},
        endpoints=("time",),
    ),
)
