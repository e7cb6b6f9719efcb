from datetime import UTC, datetime

import pytest

from data_platform.domain.timeframes import to_timeframe
from data_platform.simulator.wire import Answer, Reader, to_ms, whole_number, whole_number_or

READER = Reader(
    ("ohlc",),
    {"clock": "time", "pairs": "markets"},
    {"60": to_timeframe("1h")},
    "pair",
    "interval",
    "since",
    "limit",
    since_unit_ms=1000,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [(None, None), ("", None), ("12", 12), ("-3", -3), ("1.5", None), ("ten", None), ("²", None)],
)
def test_query_numbers_are_whole_or_nothing(text: str | None, number: int | None) -> None:
    assert whole_number(text) == number


def test_an_absent_number_has_its_default_and_a_wrong_one_has_none() -> None:
    assert [whole_number_or(text, 7) for text in (None, "", "12", "x")] == [7, 7, 12, None]


def test_a_question_for_candles_is_read_in_our_terms() -> None:
    query = {"pair": "XBTUSD", "interval": "60", "since": "5", "limit": "10"}
    question = READER.read("ohlc", query)
    assert (question.endpoint, question.wire_name, question.timeframe) == ("ohlcv", "XBTUSD", "1h")
    assert (question.since_ms, question.limit) == (5000, 10)


def test_what_cannot_be_read_is_kept_as_it_was_asked() -> None:
    question = READER.read("ohlc", {"interval": "7", "since": "soon"})
    assert (question.wire_name, question.timeframe) == ("", "7")
    assert (question.since_ms, question.limit) == (None, None)


def test_other_paths_are_known_by_what_they_tell() -> None:
    assert [READER.read(path, {}).endpoint for path in ("clock", "pairs", "x")] == [
        "time",
        "markets",
        "other",
    ]


def test_a_body_is_sent_as_utf_8() -> None:
    assert Answer("ä").payload == b"\xc3\xa4"
    assert Answer(b"\xff").payload == b"\xff"


def test_milliseconds_count_from_1970() -> None:
    assert to_ms(datetime(2024, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)) == 1_709_294_400_250
