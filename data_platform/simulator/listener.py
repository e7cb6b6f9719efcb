"""The simulator's addresses: the exchanges below their prefixes, and its own below `/_`.

`/<our exchange name>/<path as on the real exchange>` is an exchange. `GET /_score` and
`GET /_log?exchange=&last=` tell what was asked; `GET`, `POST` and `DELETE /_faults` and
`DELETE /_faults/<id>` tell, place and take back faults. Stays out: what is answered, how it is
sent.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Protocol

from aiohttp import web

from data_platform.domain.errors import WrongUseError
from data_platform.simulator.fault_board import FaultBoard
from data_platform.simulator.fault_orders import FaultOrder, to_order
from data_platform.simulator.score import Scorer, Visit
from data_platform.simulator.sending import send
from data_platform.simulator.wire import Answer, whole_number

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Desk(Protocol):
    """What is served."""

    faults: FaultBoard
    scorer: Scorer
    latency_seconds: float

    def arrive(self, exchange: str, path: str, query: Mapping[str, str]) -> Visit | None:
        """Judge and answer a request; None: nothing is simulated there."""
        ...

    def leave(self, visit: Visit) -> None:
        """Note that a request has its answer."""
        ...

    def elsewhere(self, exchange: str, path: str, query: Mapping[str, str]) -> Answer | None:
        """Answer in the place of the host that redirects name."""
        ...


@asynccontextmanager
async def listening(desk: Desk, host: str, port: int) -> AsyncIterator[str]:
    """Serve until the block ends; give the URL.

    Args:
        desk: what to serve.
        host: an address of this machine.
        port: 0 takes a free one.

    Raises:
        OSError: the address cannot be listened on.
    """
    runner = web.AppRunner(
        build_app(desk), access_log=None, shutdown_timeout=1, handler_cancellation=True
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def build_app(desk: Desk) -> web.Application:
    """Return all addresses of a simulator."""
    app = web.Application(middlewares=[_refuse])
    app.router.add_get("/_score", _tell(lambda _request: _scores(desk)))
    app.router.add_get("/_log", _tell(lambda request: _log(desk, request)))
    app.router.add_get("/_faults", _tell(lambda _request: desk.faults.orders()))
    app.router.add_post("/_faults", _placing(desk))
    app.router.add_delete("/_faults", _tell(lambda _request: desk.faults.clear()))
    app.router.add_delete("/_faults/{id}", _tell(lambda request: _remove(desk, request)))
    app.router.add_get("/_elsewhere/{exchange}/{path:.*}", _elsewhere(desk))
    app.router.add_get("/{exchange}/{path:.*}", _exchange(desk))
    return app


@web.middleware
async def _refuse(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except WrongUseError as error:
        return web.json_response({"error": str(error)}, status=400)


def _exchange(desk: Desk) -> _Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        info = request.match_info
        visit = desk.arrive(info["exchange"], info["path"], dict(request.query))
        if visit is None:
            return _nothing(request.path)
        try:
            # Without latency too: requests that came meanwhile are in flight beside this one.
            await asyncio.sleep(desk.latency_seconds)
            return await send(request, visit.answer)
        finally:
            desk.leave(visit)

    return handle


def _elsewhere(desk: Desk) -> _Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        info = request.match_info
        answer = desk.elsewhere(info["exchange"], info["path"], dict(request.query))
        return await send(request, answer) if answer else _nothing(request.path)

    return handle


def _placing(desk: Desk) -> _Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            wishes = json.loads(await request.text())
        except ValueError as error:
            raise WrongUseError(f"expected JSON, found {error}.") from error
        orders = [_order(wish) for wish in (wishes if isinstance(wishes, list) else [wishes])]
        return web.json_response({"ids": desk.faults.place(*orders)})

    return handle


def _order(wish: object) -> FaultOrder:
    if not isinstance(wish, dict):
        raise WrongUseError('expected orders like {"name": "http_500", "first": 3}.')
    return to_order(wish)


def _tell(what: Callable[[web.Request], object]) -> _Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.json_response(what(request))

    return handle


def _scores(desk: Desk) -> dict[str, object]:
    return {name: asdict(score) for name, score in desk.scorer.scores().items()}


def _log(desk: Desk, request: web.Request) -> list[dict[str, object]]:
    last = whole_number(request.query.get("last", "1000"))
    if last is None or last < 1:
        raise WrongUseError("last: expected a whole number from 1.")
    return desk.scorer.log(last, request.query.get("exchange", ""))


def _remove(desk: Desk, request: web.Request) -> None:
    desk.faults.remove(whole_number(request.match_info["id"]) or 0)


def _nothing(path: str) -> web.StreamResponse:
    return web.json_response({"simulator": f"nothing is simulated at {path}"}, status=404)
