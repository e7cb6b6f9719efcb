import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_platform.domain.breaker import CLOSED, BreakerState
from data_platform.domain.errors import StorageError
from data_platform.storage.breakers import Breakers
from data_platform.storage.state import State

NOON = datetime(2024, 3, 1, 12, 0, 0, 7000, tzinfo=UTC)
OPEN = BreakerState("open", 3, NOON, NOON + timedelta(minutes=1), "okx: HTTP 503")


def url(root: Path) -> str:
    return f"sqlite:///{root / 'state.db'}"


def test_nothing_known_is_closed(root: Path) -> None:
    assert Breakers(State(url(root))).read("okx") == CLOSED


def test_change_is_seen_by_others_and_concerns_one_exchange(root: Path) -> None:
    assert Breakers(State(url(root))).change("okx", lambda _: OPEN) == (CLOSED, OPEN)
    others = Breakers(State(url(root)))
    assert others.read("okx") == OPEN
    assert others.read("binance") == CLOSED
    assert others.change("okx", lambda _: CLOSED) == (OPEN, CLOSED)
    assert Breakers(State(url(root))).read("okx") == CLOSED


def test_change_that_fails_leaves_what_was(root: Path) -> None:
    breakers = Breakers(State(url(root)))
    breakers.change("okx", lambda _: OPEN)
    with pytest.raises(ZeroDivisionError):
        breakers.change("okx", lambda before: replace(before, failures=1 // 0))
    assert breakers.read("okx") == OPEN


def count_up(where: str) -> None:
    breakers = Breakers(State(where))
    for _ in range(50):
        breakers.change("okx", lambda before: replace(before, failures=before.failures + 1))


def test_no_change_of_four_processes_is_lost(root: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(4, mp_context=context) as pool:
        list(pool.map(count_up, [url(root)] * 4))
    assert Breakers(State(url(root))).read("okx").failures == 200


def test_database_that_cannot_be_read_is_named(root: Path) -> None:
    breakers = Breakers(State(url(root)))
    (root / "state.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StorageError, match=r"state\.db"):
        breakers.read("okx")
