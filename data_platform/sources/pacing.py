"""When the next request may go out: even steps at a rate, and pauses that an exchange asks for.

Holds one pacer for one source in one process; knows neither URLs nor ccxt. ccxt's own limiter is
not used: its weights differ by endpoint and version, and waiting inside it would count against a
request's deadline.
"""

import asyncio

from data_platform.domain.errors import RefusedError


class Pacer:
    """Lets callers through one by one, in the order they came."""

    def __init__(self, per_minute: float, longest_pause: float) -> None:
        """Take the rate, and the seconds of a pause beyond which nobody waits."""
        self._step = 60 / per_minute
        self._longest_pause = longest_pause
        self._next = 0.0
        self._paused_until = 0.0

    async def turn(self) -> None:
        """Wait until the next request may go out.

        Raises:
            RefusedError: a pause lasts longer than anybody should wait for. Nothing was sent:
                asking before a ban ends prolongs it.
        """
        loop = asyncio.get_running_loop()
        while True:
            pause = self._paused_until - loop.time()
            if pause > self._longest_pause:
                raise RefusedError(f"asked to be left alone for {pause:.0f} s more")
            slot = max(loop.time(), self._next)
            self._next = slot + self._step
            await asyncio.sleep(slot - loop.time())
            # A pause asked for meanwhile holds whoever already had a slot inside it.
            if self._paused_until <= loop.time():
                return

    def pause(self, seconds: float) -> None:
        """Let no one through for so many seconds from now on."""
        until = asyncio.get_running_loop().time() + seconds
        self._paused_until = max(self._paused_until, until)
        self._next = max(self._next, self._paused_until)
