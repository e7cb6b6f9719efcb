from dataclasses import asdict

from data_platform.simulator.limits import Limit, Window
from data_platform.simulator.score import LOG_LENGTH, LogEntry, Scorer, Visit
from data_platform.simulator.wire import Answer, Endpoint, Question

LIMIT = Limit(
    (Window("weight", 10, 60, "tumbling"), Window("heavy", 2, 2, paths=frozenset({"heavy"}))),
    weights={"heavy": 4},
)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def scorer(clock: Clock) -> Scorer:
    return Scorer({"okx": LIMIT, "kraken": LIMIT}, clock)


def arrive(score: Scorer, path: str = "light", endpoint: Endpoint = "ohlcv") -> LogEntry:
    return score.arrive("okx", Question(path, {}, endpoint, "X", "1m", 5, 7), "BTC/USDT")


def leave(score: Scorer, entry: LogEntry, answer: Answer | None = None, fault: str = "") -> None:
    score.leave(Visit(entry, answer or Answer("[]"), fault))


def test_requests_and_those_for_candles_are_counted_by_exchange() -> None:
    score = scorer(Clock())
    for endpoint in ("ohlcv", "time", "ohlcv"):
        leave(score, arrive(score, endpoint=endpoint))
    assert score.ohlcv_requests() == {"okx": 2, "kraken": 0}
    scores = score.scores()
    assert (scores["okx"].requests, scores["kraken"].requests) == (3, 0)


def test_the_most_in_flight_is_kept() -> None:
    score = scorer(Clock())
    entries = [arrive(score) for _ in range(3)]
    for entry in entries[:2]:
        leave(score, entry)
    arrive(score)
    found = score.scores()["okx"]
    assert (found.in_flight, found.max_in_flight) == (2, 3)


def test_refusals_bans_and_requests_that_did_not_wait_are_counted() -> None:
    clock = Clock()
    score = scorer(clock)
    leave(score, arrive(score), Answer("", 429, refusal="rejected", wait_seconds=5))
    clock.now += 4.9
    leave(score, arrive(score), Answer("", 418, refusal="banned", wait_seconds=10))
    clock.now += 9.9
    leave(score, arrive(score))
    clock.now += 0.2
    leave(score, arrive(score))
    found = score.scores()["okx"]
    assert (found.rejected, found.banned, found.early) == (1, 1, 2)


def test_requests_in_flight_when_a_refusal_is_sent_are_not_early() -> None:
    score = scorer(Clock())
    first, second = arrive(score), arrive(score)
    leave(score, first, Answer("", 429, refusal="rejected", wait_seconds=5))
    leave(score, second, Answer("", 429, refusal="rejected", wait_seconds=5))
    assert score.scores()["okx"].early == 0


def test_the_most_within_any_stretch_of_a_window_is_kept() -> None:
    clock = Clock()
    score = scorer(clock)
    for step in (0, 30, 29, 2, 200):
        clock.now += step
        leave(score, arrive(score, "heavy"))
    windows = score.scores()["okx"].windows
    assert (windows["weight"].most, windows["weight"].allowed, windows["weight"].seconds) == (
        12,
        20,
        60,
    )
    assert windows["heavy"].most == 4
    leave(score, arrive(score, "light"))
    assert score.scores()["okx"].windows["heavy"].most == 4


def test_an_entry_says_all_about_a_request() -> None:
    clock = Clock()
    score = scorer(clock)
    entry = arrive(score)
    clock.now += 0.5
    leave(score, entry, Answer("", 500), "http_500")
    assert score.log() == [
        {
            "time": 100.0,
            "exchange": "okx",
            "endpoint": "ohlcv",
            "path": "light",
            "symbol": "BTC/USDT",
            "timeframe": "1m",
            "since": 5,
            "limit": 7,
            "in_flight": 1,
            "status": 500,
            "fault": "http_500",
            "seconds": 0.5,
        }
    ]


def test_a_request_without_an_answer_has_no_status() -> None:
    score = scorer(Clock())
    leave(score, arrive(score), Answer("[]", sending="reset"), "connection_reset")
    assert score.log()[0]["status"] is None


def test_the_log_keeps_the_newest_and_can_be_asked_for_fewer() -> None:
    clock = Clock()
    score = scorer(clock)
    for _ in range(LOG_LENGTH + 5):
        clock.now += 1
        leave(score, arrive(score))
    assert len(score.log()) == LOG_LENGTH
    assert [entry["time"] for entry in score.log(2)] == [clock.now - 1, clock.now]
    assert score.log(exchange="kraken") == []
    assert score.scores()["okx"].requests == LOG_LENGTH + 5


def test_a_score_that_was_given_out_does_not_change() -> None:
    score = scorer(Clock())
    before = score.scores()["okx"]
    copy = asdict(before)
    leave(score, arrive(score, "heavy"))
    score.follow("okx")
    assert asdict(before) == copy
    assert score.scores()["okx"].followed == 1
