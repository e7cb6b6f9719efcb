"""How an answer is put on the wire: whole, cut short, byte by byte, or not at all.

One function each, by the name in `Answer.sending`. Stays out: what is answered.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from data_platform.simulator.wire import Answer


async def send(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Send an answer in its way."""
    return await SENDERS[answer.sending](request, answer)


async def _whole(_request: web.Request, answer: Answer) -> web.StreamResponse:
    return web.Response(body=answer.payload, status=answer.status, headers=_headers(answer))


async def _cut(request: web.Request, answer: Answer) -> web.StreamResponse:
    response = await _begin(request, answer)
    await response.write(answer.payload[: len(answer.payload) // 2])
    _transport(request).close()
    return response


async def _drip(request: web.Request, answer: Answer) -> web.StreamResponse:
    response = await _begin(request, answer)
    for byte in answer.payload:
        await response.write(bytes((byte,)))
        await asyncio.sleep(answer.pause_seconds)
    return response


async def _stall(_request: web.Request, _answer: Answer) -> web.StreamResponse:
    # Ends by cancellation when the client leaves.
    await asyncio.Event().wait()
    return web.Response()


async def _close(request: web.Request, _answer: Answer) -> web.StreamResponse:
    _transport(request).close()
    return web.Response()


async def _reset(request: web.Request, _answer: Answer) -> web.StreamResponse:
    transport = _transport(request)
    connection = transport.get_extra_info("socket")
    # Without lingering, closing sends RST in place of FIN.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    return web.Response()


SENDERS: Mapping[str, Callable[[web.Request, Answer], Awaitable[web.StreamResponse]]] = {
    "whole": _whole,
    "cut": _cut,
    "drip": _drip,
    "stall": _stall,
    "close": _close,
    "reset": _reset,
}


async def _begin(request: web.Request, answer: Answer) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=_headers(answer))
    response.content_length = len(answer.payload)
    await response.prepare(request)
    return response


def _headers(answer: Answer) -> dict[str, str]:
    return {"Content-Type": answer.content_type, **answer.headers}


def _transport(request: web.Request) -> asyncio.Transport:
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has left")
    return transport
