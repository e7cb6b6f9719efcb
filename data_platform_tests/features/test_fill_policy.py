from datetime import timedelta

import polars as pl
import pytest

from data_platform.domain.candles import FILLED_SCHEMA
from data_platform.domain.errors import WrongUseError
from data_platform.domain.timeframes import to_timeframe
from data_platform.features.causality import Table, find_leaks
from data_platform.features.fill import fill_candles
from data_platform.features.fill_policy import POLICIES, to_honest_policy, to_policy
from data_platform.features.moments import telling_moments
from data_platform_tests.features.conftest import START
from data_platform_tests.features.test_fill import at, stored

MINUTE = to_timeframe("1m")


def grid(minutes: list[int]) -> pl.DataFrame:
    start = at(0)
    end = at(max(minutes) + 1)
    return fill_candles(stored(minutes), None, [], MINUTE, start, end)


def closes(minutes: list[int], policy: str) -> dict[int, float]:
    rows = to_policy(policy).apply(grid(minutes), MINUTE)
    assert rows.schema == FILLED_SCHEMA
    numbers = [(time - at(0)) // timedelta(minutes=1) for time in rows["open_time"]]
    return dict(zip(numbers, rows["close"], strict=True))


def test_the_policy_of_the_grid_leaves_it_alone() -> None:
    frame = grid([0, 1, 5])
    assert to_policy("carry_10").apply(frame, MINUTE).equals(frame)


def test_without_filling_only_what_was_sent_remains_in_segments_of_its_own() -> None:
    assert closes([0, 1, 3, 4, 30], "none") == {0: 15.0, 1: 16.0, 3: 18.0, 4: 19.0, 30: 45.0}
    rows = to_policy("none").apply(grid([0, 1, 3, 4, 30]), MINUTE)
    assert rows["segment"].to_list() == [at(0), at(0), at(3), at(3), at(30)]


def test_a_line_is_drawn_over_three_missing_candles_and_not_over_four() -> None:
    # The close of minute n is 15 + n: a line over 1 to 3 hits 16, 17 and 18.
    assert closes([0, 4], "linear_3") == {0: 15.0, 1: 16.0, 2: 17.0, 3: 18.0, 4: 19.0}
    assert closes([0, 5], "linear_3") == {0: 15.0, **dict.fromkeys(range(1, 5), 15.0), 5: 20.0}
    rows = to_policy("linear_3").apply(grid([0, 4]), MINUTE)
    assert rows["fill_method"].to_list() == [None, "linear", "linear", "linear", None]
    assert rows["volume"].to_list() == [3.0, 0.0, 0.0, 0.0, 3.0]
    assert rows.filter(pl.col("high") < pl.col("low")).is_empty()


def test_a_line_never_reaches_over_a_break() -> None:
    found = closes([0, 40, 42], "linear_3")
    assert {minute: found[minute] for minute in (1, 10, 40, 41, 42)} == {
        1: 15.0,
        10: 15.0,
        40: 55.0,
        41: 56.0,
        42: 57.0,
    }
    assert 11 not in found


@pytest.mark.parametrize("policy", POLICIES, ids=lambda it: it.name)
def test_a_policy_says_truly_whether_it_sees_the_future(
    minutes: pl.DataFrame, policy: object
) -> None:
    chosen = to_policy(policy.name)  # type: ignore[attr-defined]
    row = pl.int_range(pl.len())
    tables = {"1m": Table(minutes.filter(~row.is_between(500, 501)), MINUTE)}

    def filled(frames):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        candles = frames["1m"]
        end = candles["open_time"][-1] + MINUTE.duration
        return chosen.apply(fill_candles(candles, None, [], MINUTE, START, end), MINUTE)

    leaks = find_leaks(filled, tables, "1m", telling_moments(tables, "1m", 24))
    assert bool(leaks) == chosen.sees_future
    assert {leak.column for leak in leaks} <= {"open", "high", "low", "close", "fill_method"}


def test_features_get_no_policy_that_sees_the_future() -> None:
    assert {it.name for it in POLICIES if not it.sees_future} == {"carry_10", "none"}
    assert to_honest_policy("none").name == "none"
    with pytest.raises(WrongUseError, match=r"charts and exports only.*: carry_10, none"):
        to_honest_policy("linear_3")
    with pytest.raises(WrongUseError, match=r"unknown fill policy 'x'\. Accepted: carry_10, none"):
        to_policy("x")
