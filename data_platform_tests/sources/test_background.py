import asyncio
import threading
from collections.abc import Iterator

import pytest

from data_platform.sources.background import Background, Outlet


@pytest.fixture
def background() -> Iterator[Background]:
    running = Background("under-test")
    yield running
    running.close(nothing)


async def nothing() -> None:
    return


async def count_to_ten(outlet: Outlet[int]) -> None:
    for number in range(10):
        await outlet.take_place()
        outlet.put(number)


def test_items_come_in_order(background: Background) -> None:
    assert list(background.stream(count_to_ten, 3)) == list(range(10))


def test_producer_runs_ahead_no_further_than_its_places(background: Background) -> None:
    made: list[int] = []

    async def produce(outlet: Outlet[int]) -> None:
        for number in range(100):
            await outlet.take_place()
            made.append(number)
            outlet.put(number)

    items = background.stream(produce, 5)
    assert [next(items), next(items)] == [0, 1]
    threading.Event().wait(0.1)
    assert len(made) <= 7
    assert list(items) == list(range(2, 100))


def test_place_given_back_is_free_again(background: Background) -> None:
    async def produce(outlet: Outlet[int]) -> None:
        for number in range(20):
            await outlet.take_place()
            if number % 2:
                outlet.give_back()
            else:
                outlet.put(number)

    assert list(background.stream(produce, 1)) == list(range(0, 20, 2))


def test_error_of_the_producer_comes_after_its_items(background: Background) -> None:
    async def produce(outlet: Outlet[int]) -> None:
        await outlet.take_place()
        outlet.put(1)
        raise ZeroDivisionError

    items = background.stream(produce, 2)
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError):
        next(items)


def test_leaving_early_waits_until_the_producer_has_cleaned_up(background: Background) -> None:
    cleaned = threading.Event()

    async def produce(outlet: Outlet[int]) -> None:
        try:
            await count_to_ten(outlet)
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            cleaned.set()

    items = background.stream(produce, 20)
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert cleaned.is_set()


def test_error_while_nobody_reads_any_more_is_not_reported_twice(background: Background) -> None:
    async def produce(outlet: Outlet[int]) -> None:
        await outlet.take_place()
        outlet.put(1)
        raise ZeroDivisionError

    items = background.stream(produce, 2)
    next(items)
    items.close()  # type: ignore[attr-defined]


async def silent(_outlet: Outlet[int]) -> None:
    await asyncio.sleep(60)


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.01, 0.05] * 5)
def test_closing_from_another_thread_ends_a_waiting_reader(delay: float) -> None:
    background = Background("to-close")
    timer = threading.Timer(delay, background.close, [nothing])
    timer.start()
    with pytest.raises(RuntimeError, match="closed"):
        list(background.stream(silent, 1))
    timer.join()
    assert "to-close" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("delay", [0.0, 0.0005, 0.001] * 5)
def test_leaving_while_another_thread_closes_waits_for_nothing(delay: float) -> None:
    background = Background("to-leave")
    items = background.stream(count_to_ten, 2)
    next(items)
    timer = threading.Timer(delay, background.close, [nothing])
    timer.start()
    items.close()  # type: ignore[attr-defined]
    timer.join()


def test_closed_thread_runs_nothing_more(background: Background) -> None:
    closed = Background("closed")
    closed.close(nothing)
    closed.close(nothing)
    with pytest.raises(RuntimeError, match="closed"):
        closed.run(nothing())
    background.run(nothing())


def test_iterator_that_dies_in_the_loop_itself_does_not_block_it(background: Background) -> None:
    kept = [background.stream(count_to_ten, 2)]
    next(kept[0])

    async def forget() -> None:
        kept.clear()

    background.run(forget())
    background.run(nothing())


def test_two_streams_at_once_do_not_mix(background: Background) -> None:
    first, second = background.stream(count_to_ten, 2), background.stream(count_to_ten, 2)
    assert list(zip(first, second, strict=True)) == [(n, n) for n in range(10)]
