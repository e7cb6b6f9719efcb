import asyncio
import time

import pytest

from data_platform.domain.errors import RefusedError
from data_platform.sources.pacing import Pacer


def test_requests_go_out_in_even_steps() -> None:
    async def run() -> list[float]:
        pacer, start = Pacer(per_minute=1200, longest_pause=1), time.monotonic()

        async def one() -> float:
            await pacer.turn()
            return time.monotonic() - start

        return await asyncio.gather(*(one() for _ in range(6)))

    times = asyncio.run(run())
    assert times == sorted(times)
    for index, at in enumerate(times):
        assert at >= index * 0.05 - 0.001


def test_idle_time_saves_up_no_burst() -> None:
    async def run() -> float:
        pacer = Pacer(per_minute=1200, longest_pause=1)
        await pacer.turn()
        await asyncio.sleep(0.2)
        start = time.monotonic()
        for _ in range(3):
            await pacer.turn()
        return time.monotonic() - start

    assert asyncio.run(run()) >= 0.099


def test_pause_holds_also_those_who_already_wait() -> None:
    async def run() -> float:
        pacer, start = Pacer(per_minute=600, longest_pause=1), time.monotonic()
        await pacer.turn()
        waiting = asyncio.create_task(pacer.turn())
        await asyncio.sleep(0)
        pacer.pause(0.3)
        await waiting
        return time.monotonic() - start

    assert asyncio.run(run()) >= 0.299


def test_pause_longer_than_the_longest_is_refused_at_once() -> None:
    async def run() -> None:
        pacer = Pacer(per_minute=600, longest_pause=1)
        pacer.pause(3600)
        await pacer.turn()

    with pytest.raises(RefusedError, match="3600 s"):
        asyncio.run(run())
