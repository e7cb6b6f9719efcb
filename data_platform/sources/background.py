"""An asyncio loop in a thread of its own, and a bounded stream from it to a plain iterator.

Knows nothing about candles or exchanges.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Outlet(Generic[T]):
    """Where a producer puts items: one place per item, free again when the consumer took it.

    The producer takes a place *before* it starts to make an item, so that the items in the making
    and those waiting are bounded together.
    """

    def __init__(self, places: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._loop = asyncio.get_running_loop()
        self._items: queue.SimpleQueue[T | asyncio.Task[None]] = queue.SimpleQueue()

    async def take_place(self) -> None:
        """Wait for a free place."""
        await self._places.acquire()

    def give_back(self) -> None:
        """Free a place that was taken for an item that will not come."""
        self._places.release()

    def put(self, item: T) -> None:
        """Hand over an item; its place must have been taken."""
        self._items.put(item)

    def end(self, producer: asyncio.Task[None]) -> None:
        """Tell the consumer that the producer has ended, well or not."""
        self._items.put(producer)

    def take(self) -> T | asyncio.Task[None]:
        """Wait, in the consumer's thread, for an item or the producer that has ended."""
        item = self._items.get()
        if not isinstance(item, asyncio.Task):
            self._loop.call_soon_threadsafe(self._places.release)
        return item


class Background:
    """One daemon thread with a running asyncio loop."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._lock = threading.Lock()
        self._is_closed = False
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and wait for its result, from any other thread.

        Raises:
            RuntimeError: the thread was closed, before or meanwhile.
        """
        # Under the lock, so that nothing is handed to a loop that will not run it.
        with self._lock:
            if self._is_closed:
                coroutine.close()
                raise RuntimeError(f"{self._thread.name} is closed")
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except CancelledError as error:
            raise RuntimeError(f"{self._thread.name} was closed meanwhile") from error

    def stream(
        self, produce: Callable[[Outlet[T]], Coroutine[Any, Any, None]], places: int
    ) -> Iterator[T]:
        """Yield what a producer puts into its outlet, until it ends.

        An error of the producer is raised here. Leaving early cancels the producer and waits
        until it has cleaned up.

        Args:
            produce: runs in the loop.
            places: items in the making or waiting at most.
        """
        outlet, producer = self.run(_start(produce, places))
        try:
            while not isinstance(item := outlet.take(), asyncio.Task):
                yield item
            if item.cancelled():
                raise RuntimeError(f"{self._thread.name} was closed meanwhile")
            item.result()
        finally:
            self._leave(producer)

    def close(self, finish: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancel what still runs, run `finish` in the loop, and end the thread."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        asyncio.run_coroutine_threadsafe(_stop_others(), self._loop).result()
        asyncio.run_coroutine_threadsafe(finish(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _leave(self, producer: asyncio.Task[None]) -> None:
        if producer.done():
            return
        if threading.current_thread() is self._thread:
            # The garbage collector may end a forgotten iterator in this very thread.
            producer.cancel()
            return
        # Closed meanwhile: that has cancelled the producer too.
        with contextlib.suppress(RuntimeError):
            self.run(_stop([producer]))


async def _start(
    produce: Callable[[Outlet[T]], Coroutine[Any, Any, None]], places: int
) -> tuple[Outlet[T], asyncio.Task[None]]:
    outlet: Outlet[T] = Outlet(places)
    producer = asyncio.create_task(produce(outlet))
    producer.add_done_callback(outlet.end)
    return outlet, producer


async def _stop_others() -> None:
    await _stop([task for task in asyncio.all_tasks() if task is not asyncio.current_task()])


async def _stop(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    # Gathered, so that an error nobody waits for any more is not reported as never retrieved.
    await asyncio.gather(*tasks, return_exceptions=True)
