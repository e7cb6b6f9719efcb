"""The simulator as an HTTP server: one process, a path prefix per exchange.

`<url>/<our exchange name>/<path as on the real exchange>`. `GET /_score` counts the requests for
candles. `run_simulator` serves from a thread for tests and demos, `serve` blocks for the command
line. Point ccxt at `<url>/<exchange>` by replacing scheme and host in `exchange.urls["api"]`; no
other option is needed. Stays out: what is answered (`venue` and the dialects).
"""

import asyncio
import json
import signal
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import Series
from data_platform.simulator.config import SimulatorConfig, build_venues, to_ms
from data_platform.simulator.venue import Answer

if TYPE_CHECKING:
    from aiohttp import web

HOST = "127.0.0.1"


class Simulator:
    """Simulated exchanges and what they were asked."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._venues = build_venues(config)
        self._requests: Counter[str] = Counter()
        self.url = ""
        """Where it listens; empty before it does."""

    @property
    def candle_requests(self) -> dict[str, int]:
        """Return how many requests for candles each exchange had so far, by our name."""
        return {name: self._requests[name] for name in self._venues}

    def candles(self, series: Series, start: datetime, end: datetime) -> pl.DataFrame:
        """Return the truth: what this exchange serves of a series, to the last bit.

        Args:
            series: a simulated series; any timeframe, also one that ccxt does not know there.
            start: first opening time, UTC.
            end: exclusive.

        Returns:
            `CANDLE_SCHEMA`, sorted; closed candles only by the exchange's clock. All of them,
            also those that are out of the reach of an exchange with a short history.

        Raises:
            WrongUseError: the series is not simulated.
        """
        venue = self._venues.get(series.exchange)
        markets = venue.markets if venue else []
        market = next((market for market in markets if market.pair == series.pair), None)
        if venue is None or market is None:
            known = ", ".join(
                f"{name}/{market.pair.key}"
                for name, venue in self._venues.items()
                for market in venue.markets
            )
            raise WrongUseError(f"{series.market} is not simulated. Known: {known}.")
        end_ms = min(to_ms(end), venue.closed_end(series.timeframe))
        return market.tape.candles(series.timeframe, to_ms(start), end_ms)

    def answer(self, exchange: str, path: str, query: dict[str, str]) -> Answer:
        """Return the answer to one GET below an exchange's prefix, and count it."""
        venue = self._venues.get(exchange)
        found = venue.dialect.answer(venue, path, query) if venue else None
        if found is None:
            body = {"simulator": f"nothing is simulated at /{exchange}/{path}"}
            return Answer(json.dumps(body), 404)
        if found.is_candles:
            self._requests[exchange] += 1
        return found


@contextmanager
def run_simulator(config: SimulatorConfig, port: int = 0) -> Iterator[Simulator]:
    """Serve from a thread of this process until the block ends.

    Args:
        config: what to simulate.
        port: on 127.0.0.1; 0 takes a free one.
    """
    simulator = Simulator(config)
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    failures: list[OSError] = []
    stop = asyncio.Event()

    async def listen() -> None:
        try:
            async with _listening(simulator, port):
                ready.set()
                await stop.wait()
        except OSError as error:
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(
        target=lambda: loop.run_until_complete(listen()), name="simulator", daemon=True
    )
    thread.start()
    ready.wait()
    try:
        if failures:
            raise failures[0]
        yield simulator
    finally:
        if not failures:
            loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def serve(config: SimulatorConfig, port: int) -> None:
    """Serve until SIGTERM or SIGINT; print one line with the URL when ready.

    Args:
        config: what to simulate.
        port: on 127.0.0.1; 0 takes a free one.
    """
    asyncio.run(_serve(Simulator(config), port))


async def _serve(simulator: Simulator, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with _listening(simulator, port):
        sys.stdout.write(f"simulator listening on {simulator.url}\n")
        sys.stdout.flush()
        await stop.wait()


def _listening(simulator: Simulator, port: int) -> AbstractAsyncContextManager[None]:
    from aiohttp import web

    async def handle(request: "web.Request") -> "web.Response":
        info = request.match_info
        answer = simulator.answer(info["exchange"], info["path"], dict(request.query))
        return web.Response(
            body=answer.body.encode(), status=answer.status, content_type="application/json"
        )

    async def score(_request: "web.Request") -> "web.Response":
        return web.json_response(simulator.candle_requests)

    @asynccontextmanager
    async def listen() -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_get("/_score", score)
        app.router.add_get("/{exchange}/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, HOST, port)
            await site.start()
            simulator.url = f"http://{HOST}:{runner.addresses[0][1]}"
            yield
        finally:
            await runner.cleanup()

    return listen()
