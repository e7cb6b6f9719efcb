import pytest

from data_platform.domain.errors import WrongUseError
from data_platform.simulator.limits import (
    BucketMeter,
    Limit,
    Limiter,
    SlidingMeter,
    TumblingMeter,
    Verdict,
    Window,
    adjust_limit,
)
from data_platform.simulator.wire import Question


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def question(path: str = "candles") -> Question:
    return Question(path, {}, "ohlcv")


def allowed(limiter: Limiter, count: int, path: str = "candles") -> int:
    return sum(limiter.judge(question(path)) is None for _ in range(count))


def limiter_of(clock: Clock, **limit: object) -> Limiter:
    row = {"windows": (Window("requests", 3, 10),), **limit}
    return Limiter(Limit(**row), clock)  # type: ignore[arg-type]


def test_a_sliding_window_allows_again_what_has_left_it() -> None:
    clock = Clock()
    limiter = limiter_of(clock)
    assert allowed(limiter, 2) == 2
    clock.now += 4
    assert allowed(limiter, 3) == 1
    assert limiter.judge(question()) == Verdict(wait_seconds=6)
    clock.now += 5.9
    assert allowed(limiter, 1) == 0
    clock.now += 0.1
    assert allowed(limiter, 5) == 2


def test_a_tumbling_window_begins_anew() -> None:
    clock = Clock()
    limiter = Limiter(Limit((Window("weight", 3, 10, "tumbling"),)), clock)
    assert allowed(limiter, 5) == 3
    clock.now += 9
    assert limiter.judge(question()) == Verdict(wait_seconds=1)
    clock.now += 1
    assert allowed(limiter, 5) == 3


def test_a_bucket_fills_evenly() -> None:
    clock = Clock()
    limiter = Limiter(Limit((Window("burst", 15, 1.5, "bucket"),)), clock)
    assert allowed(limiter, 20) == 15
    clock.now += 0.1
    assert allowed(limiter, 3) == 1
    clock.now += 100
    assert allowed(limiter, 20) == 15


def test_requests_weigh_and_one_too_heavy_is_refused() -> None:
    limiter = limiter_of(Clock(), weights={"heavy": 2})
    assert limiter.judge(question("heavy")) is None
    assert limiter.judge(question("heavy")) == Verdict(wait_seconds=10)
    assert limiter.judge(question("light")) is None


def test_every_window_must_allow_and_only_its_paths_count() -> None:
    windows = (Window("a", 2, 10, paths=frozenset({"a"})), Window("all", 3, 10))
    limiter = limiter_of(Clock(), windows=windows)
    assert allowed(limiter, 5, "a") == 2
    assert allowed(limiter, 5, "b") == 1


def test_a_refused_request_is_not_counted() -> None:
    clock = Clock()
    limiter = limiter_of(clock)
    allowed(limiter, 50)
    clock.now += 10
    assert allowed(limiter, 3) == 3


def test_who_keeps_asking_is_banned_and_longer_each_time() -> None:
    clock = Clock()
    limiter = limiter_of(clock, ban_after=2, ban_seconds=100, ban_growth=2, longest_ban_seconds=300)
    lengths = []
    for _ in range(4):
        allowed(limiter, 3)
        first, second = limiter.judge(question()), limiter.judge(question())
        assert first
        assert second
        assert (first.is_ban, second.is_ban) == (False, True)
        lengths.append(second.wait_seconds)
        clock.now += second.wait_seconds - 1
        assert limiter.judge(question()) == Verdict(1, is_ban=True)
        clock.now += 1
    assert lengths == [100, 200, 300, 300]


def test_refusals_before_a_request_that_is_allowed_do_not_add_up() -> None:
    clock = Clock()
    limiter = limiter_of(clock, ban_after=2, ban_seconds=100)
    for _ in range(3):
        allowed(limiter, 3)
        verdict = limiter.judge(question())
        assert verdict
        assert not verdict.is_ban
        clock.now += 10


def test_without_a_limit_only_an_ordered_ban_refuses() -> None:
    clock = Clock()
    limiter = Limiter(None, clock)
    assert allowed(limiter, 10_000) == 10_000
    assert limiter.ban(5, 418) == Verdict(5, is_ban=True, status=418)
    clock.now += 4
    assert limiter.judge(question()) == Verdict(1, is_ban=True, status=418)
    clock.now += 1
    assert limiter.judge(question()) is None
    assert limiter.headers() == {}


def test_what_is_used_is_told_where_the_exchange_tells_it() -> None:
    limiter = limiter_of(Clock(), weights={"candles": 1.5}, used_header="X-USED")
    allowed(limiter, 2)
    assert limiter.headers() == {"X-USED": "3"}


@pytest.mark.parametrize(
    ("window", "most"),
    [
        (Window("a", 20, 2), 20),
        (Window("a", 6000, 60, "tumbling"), 12_000),
        (Window("a", 15, 15, "bucket"), 30),
    ],
)
def test_the_most_that_passes_within_a_window_is_known(window: Window, most: float) -> None:
    assert window.allowed == most


def test_meters_agree_with_a_count_by_hand() -> None:
    window = Window("a", 2, 10)
    for meter in (SlidingMeter(window), TumblingMeter(window), BucketMeter(window)):
        assert meter.wait(0, 1) == 0
        meter.take(0, 1)
        meter.take(0, 1)
        assert meter.used == 2
        assert meter.wait(1, 1) > 0
        assert meter.wait(20, 1) == 0


def test_a_limit_takes_other_values_by_name() -> None:
    limit = Limit((Window("a", 3, 10), Window("b", 5, 20)), ban_after=1, ban_seconds=600)
    changed = adjust_limit(limit, {"a": 7, "seconds": 1, "ban_seconds": 30}, "x")
    assert changed.windows == (Window("a", 7, 1), Window("b", 5, 1))
    assert (changed.ban_after, changed.ban_seconds) == (1, 30)
    assert adjust_limit(limit, {}, "x") == limit


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"c": 1}, "limits of okx: unknown 'c'. Accepted: a, seconds, ban_after"),
        ({"a": 0}, "limits of okx: a must be above 0, found 0"),
    ],
)
def test_a_wrong_value_is_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(WrongUseError, match=message):
        adjust_limit(Limit((Window("a", 3, 10),)), values, "okx")
