"""The ways of sending; what each puts on the wire is held by the faults that use it."""

import asyncio
import json
from typing import get_args

import pytest
from aiohttp import web

from data_platform.simulator.sending import SENDERS, send
from data_platform.simulator.wire import TEXT, Answer, Sending
from data_platform_tests.simulator.raw_http import RawAnswer, get


def sent(answer: Answer, timeout: float = 0.5) -> RawAnswer:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await send(request, answer)

    async def ask() -> RawAnswer:
        app = web.Application()
        app.router.add_get("/", handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        try:
            return await asyncio.to_thread(get, f"http://127.0.0.1:{port}", "", timeout)
        finally:
            await runner.cleanup()

    return asyncio.run(ask())


def test_every_way_is_known() -> None:
    assert set(SENDERS) == set(get_args(Sending))


@pytest.mark.parametrize(
    ("sending", "ending", "body"),
    [
        ("whole", "whole", b'["candle"]'),
        ("cut", "closed", b'["can'),
        ("drip", "whole", b'["candle"]'),
        ("stall", "silent", b""),
        ("close", "closed", b""),
        ("reset", "reset", b""),
    ],
)
def test_an_answer_is_sent_in_its_way(sending: Sending, ending: str, body: bytes) -> None:
    answer = sent(Answer(json.dumps(["candle"]), sending=sending, pause_seconds=0.001))
    assert (answer.ending, answer.body) == (ending, body)


@pytest.mark.parametrize("sending", ["whole", "cut", "drip"])
def test_status_type_and_headers_are_the_answers(sending: Sending) -> None:
    answer = sent(Answer("later", 429, TEXT, {"Retry-After": "7"}, sending))
    assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    assert answer.headers["Content-Type"] == TEXT
    assert answer.headers["Content-Length"] == "5"
