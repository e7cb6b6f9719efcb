"""The simulator: exchanges behind one URL, the truth behind them, and what they were asked.

`run_simulator` serves from a thread for tests and demos, `serve` blocks for the command line.
Point ccxt at `<url>/<our exchange name>` by replacing scheme and host in `exchange.urls["api"]`;
no other option is needed. Stays out: HTTP (`listener`), what is answered (`venue`, dialects).
"""

import asyncio
import json
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime

import polars as pl

from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import Series
from data_platform.simulator.config import SimulatorConfig, build_limits, build_venues
from data_platform.simulator.fault import Occasion
from data_platform.simulator.fault_board import FaultBoard, Known
from data_platform.simulator.limits import Limiter
from data_platform.simulator.score import Score, Scorer, Visit
from data_platform.simulator.venue import Venue
from data_platform.simulator.wire import Answer, Question, to_ms

HOST = "127.0.0.1"


class Simulator:
    """Simulated exchanges, what spoils their answers and what they were asked."""

    def __init__(self, config: SimulatorConfig) -> None:
        self.url = ""
        """Where it listens; empty before it does."""
        self.latency_seconds = config.latency_ms / 1000
        known = {
            name: Known(exchange.ccxt_id, frozenset(exchange.pairs))
            for name, exchange in config.exchanges.items()
        }
        self.faults = FaultBoard(known)
        """The faults in force; add and remove them at any time."""
        self._venues = build_venues(config, self.faults.standing)
        self.faults.place(*config.faults)
        enforced = build_limits(config)
        limits = {name: venue.dialect.limit for name, venue in self._venues.items()} | enforced
        self.scorer = Scorer(limits, time.monotonic)
        self._limiters = {
            name: Limiter(enforced.get(name), time.monotonic) for name in self._venues
        }

    @property
    def candle_requests(self) -> dict[str, int]:
        """Return how many requests for candles each exchange had so far, by our name."""
        return self.scorer.ohlcv_requests()

    def candles(self, series: Series, start: datetime, end: datetime) -> pl.DataFrame:
        """Return the truth: what this exchange serves of a series, to the last bit.

        Args:
            series: a simulated series; any timeframe, also one that ccxt does not know there.
            start: first opening time, UTC.
            end: exclusive.

        Returns:
            `CANDLE_SCHEMA`, sorted; closed candles only by the exchange's clock, with the changes
            to its market that are in force. All of them, also those that are out of the reach of
            an exchange with a short history, or not traded any more.

        Raises:
            WrongUseError: the series is not simulated.
        """
        venue = self._venues.get(series.exchange)
        market = venue.market_ever(series.pair) if venue else None
        if venue is None or market is None:
            known = ", ".join(
                f"{name}/{market.pair.key}"
                for name, venue in self._venues.items()
                for market in venue.markets
            )
            raise WrongUseError(f"{series.market} is not simulated. Known: {known}.")
        return venue.truth(market, series.timeframe, to_ms(start), to_ms(end))

    def answer(self, exchange: str, path: str, query: Mapping[str, str]) -> Answer:
        """Return the answer to one GET below an exchange's prefix, counted as over HTTP."""
        visit = self.arrive(exchange, path, query)
        if visit is None:
            body = {"simulator": f"nothing is simulated at /{exchange}/{path}"}
            return Answer(json.dumps(body), 404)
        self.leave(visit)
        return visit.answer

    def arrive(self, exchange: str, path: str, query: Mapping[str, str]) -> Visit | None:
        """Judge and answer a request; None: nothing is simulated there."""
        venue = self._venues.get(exchange)
        question = venue.dialect.read(path, query) if venue else None
        if venue is None or question is None or not _is_known(venue, question):
            return None
        pair = venue.pair_asked(question.wire_name)
        entry = self.scorer.arrive(exchange, question, str(pair or question.wire_name))
        limiter = self._limiters[exchange]
        verdict = limiter.judge(question)
        if verdict:
            return Visit(entry, _with(limiter.headers(), venue.refuse(verdict)), "")
        order = self.faults.strike(exchange, question, pair, venue.now_ms)
        options = order.options if order else {}
        occasion = Occasion(venue, question, self.url, options, limiter.ban)
        act = order.fault.act if order else None
        answer = act(occasion) if act else occasion.healthy()
        return Visit(entry, _with(limiter.headers(), answer), order.fault.name if order else "")

    def leave(self, visit: Visit) -> None:
        """Note that a request has its answer."""
        self.scorer.leave(visit)

    def elsewhere(self, exchange: str, path: str, query: Mapping[str, str]) -> Answer | None:
        """Answer in the place of the host that redirects name; None: nothing is there."""
        venue = self._venues.get(exchange)
        if venue is None:
            return None
        self.scorer.follow(exchange)
        return venue.dialect.answer(venue, venue.dialect.read(path, query))


def _is_known(venue: Venue, question: Question) -> bool:
    return question.endpoint != "other" or venue.dialect.answer(venue, question) is not None


def _with(headers: Mapping[str, str], answer: Answer) -> Answer:
    return replace(answer, headers={**headers, **answer.headers}) if headers else answer


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


def serve(config: SimulatorConfig, port: int) -> dict[str, Score]:
    """Serve until SIGTERM or SIGINT; print one line with the URL when ready.

    Args:
        config: what to simulate.
        port: on 127.0.0.1; 0 takes a free one.

    Returns:
        What each exchange was asked, by our name.
    """
    simulator = Simulator(config)
    asyncio.run(_serve(simulator, port))
    return simulator.scorer.scores()


async def _serve(simulator: Simulator, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with _listening(simulator, port):
        sys.stdout.write(f"simulator listening on {simulator.url}\n")
        sys.stdout.flush()
        await stop.wait()


@asynccontextmanager
async def _listening(simulator: Simulator, port: int) -> AsyncIterator[None]:
    # aiohttp takes a moment to import: tests that ask in process do without.
    from data_platform.simulator.listener import listening

    async with listening(simulator, HOST, port) as url:
        simulator.url = url
        yield
