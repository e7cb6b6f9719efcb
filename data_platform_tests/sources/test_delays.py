from datetime import UTC, datetime, timedelta

from data_platform.sources.base import AnswerTimes
from data_platform.sources.delays import Delays


def test_nothing_is_known_before_the_first_answer() -> None:
    assert Delays().times == AnswerTimes(None, None)


def test_the_median_of_the_newest_answers_is_told() -> None:
    delays, before = Delays(), datetime.now(UTC)
    for seconds in (0.1, 9.0, 0.3):
        delays.note(seconds)
    assert delays.times.usual == timedelta(seconds=0.3)
    assert delays.times.last is not None
    assert before <= delays.times.last <= datetime.now(UTC)
    for _ in range(500):
        delays.note(0.2)
    assert delays.times.usual == timedelta(seconds=0.2)


def test_an_answer_of_unknown_delay_counts_as_one_all_the_same() -> None:
    delays = Delays()
    delays.note(None)
    assert delays.times.last is not None
    assert delays.times.usual is None
