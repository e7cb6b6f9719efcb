from datetime import UTC, datetime, timedelta, timezone

import pytest

from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import Pair
from data_platform.simulator.config import build_venues
from data_platform.simulator.fault import (
    Occasion,
    count,
    factor,
    moment,
    pair,
    seconds,
    to_count,
    to_moment,
)
from data_platform.simulator.limits import Limiter
from data_platform.simulator.wire import Question
from data_platform_tests.simulator.simulated import config


@pytest.mark.parametrize(
    "given",
    [
        "2024-03-01T12:00:00Z",
        "2024-03-01 12:00",
        "2024-03-01T13:00:00+01:00",
        datetime(2024, 3, 1, 12, tzinfo=UTC),
        datetime(2024, 3, 1, 14, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_moment_is_an_instant_in_utc(given: object) -> None:
    assert to_moment(given) == 1_709_294_400_000


@pytest.mark.parametrize("given", ["noon", 1_709_294_400, None])
def test_what_is_no_moment_is_refused(given: object) -> None:
    with pytest.raises(WrongUseError, match=r"is no time. Accepted: like 2024"):
        to_moment(given)


@pytest.mark.parametrize("given", [0, -1, 1.5, True, "3", None])
def test_what_is_no_count_is_refused(given: object) -> None:
    with pytest.raises(WrongUseError, match="is no whole number from 1"):
        to_count(given)


def test_options_read_their_values() -> None:
    assert seconds(1.0).read(3) == 3.0
    assert seconds(None, may_be_negative=True).read(-2.5) == -2.5
    assert count(1, "").read(4) == 4
    assert factor(1.01, "").read(0.5) == 0.5
    assert pair("").read("BTC/USDT") == Pair("BTC/USDT")
    assert moment("").read("1970-01-01") == 0


@pytest.mark.parametrize(
    ("read", "given"),
    [
        (seconds(1.0).read, 0),
        (seconds(1.0).read, -1),
        (seconds(1.0).read, float("nan")),
        (seconds(1.0).read, True),
        (seconds(1.0).read, "1"),
        (factor(1.01, "").read, 1),
        (pair("").read, "BTC"),
    ],
)
def test_options_refuse_what_cannot_be(read: object, given: object) -> None:
    with pytest.raises(WrongUseError):
        read(given)  # type: ignore[operator]


def test_an_option_without_a_default_must_be_given() -> None:
    assert seconds(None).is_required
    assert not seconds(1.0).is_required
    assert not moment("", is_required=False).is_required


def test_an_occasion_of_a_path_that_is_not_simulated_is_refused() -> None:
    venue = build_venues(config())["okx"]
    limiter = Limiter(None, lambda: 0.0)
    occasion = Occasion(venue, Question("nowhere", {}, "other"), "", {}, limiter.ban)
    with pytest.raises(WrongUseError, match="nothing is simulated at nowhere"):
        occasion.healthy()
