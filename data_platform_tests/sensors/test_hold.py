from datetime import timedelta

import pytest
from dagster import DagsterRunStatus

from data_platform.domain.breaker import BreakerState
from data_platform.sensors.hold import spell_busy, spell_hold
from data_platform_tests.small_line import NOW, SmallLine, waiting_run


def hold(line: SmallLine) -> str | None:
    with line.lake() as lake:
        return spell_hold(line.instance, lake, "binance", NOW)


def test_nothing_holds_a_run_back_when_nothing_runs(empty_line: SmallLine) -> None:
    assert hold(empty_line) is None


@pytest.mark.parametrize(("exchange", "held"), [("binance", True), ("okx", False)])
def test_only_a_tick_of_the_same_exchange_holds_back(
    empty_line: SmallLine, exchange: str, held: bool
) -> None:
    empty_line.instance.add_run(waiting_run(tick=exchange))
    expected = "a tick is still queued or running" if held else None
    assert hold(empty_line) == expected


def test_open_breaker_is_told_in_its_own_words(empty_line: SmallLine) -> None:
    opened = BreakerState("open", 5, NOW, NOW + timedelta(minutes=5), "HTTP 503")
    with empty_line.lake() as lake:
        lake.breakers.change("binance", lambda _: opened)
    assert hold(empty_line) == opened.spell("binance")


@pytest.mark.parametrize(
    ("tag", "word"),
    [
        ("tick", "a tick"),
        ("stale", "a recomputation"),
        ("heal", "a healing"),
        ("backfill", "a backfill"),
    ],
)
def test_run_that_is_awaited_is_told_by_its_kind(
    empty_line: SmallLine, tag: str, word: str
) -> None:
    tags = ("tick", "stale", "heal", "backfill")
    assert spell_busy(empty_line.instance, "binance", *tags) is None
    empty_line.instance.add_run(waiting_run(DagsterRunStatus.QUEUED, **{tag: "binance"}))
    told = spell_busy(empty_line.instance, "binance", *tags)
    assert told == f"{word} is still queued or running"
    others = [each for each in tags if each != tag]
    assert spell_busy(empty_line.instance, "binance", *others) is None
