from datetime import UTC, datetime, timedelta

import pytest

from data_platform.rendering.words import (
    spell_count,
    spell_score,
    spell_share,
    spell_span,
    spell_time,
)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3661, "1 h 1 min"), (86400, "1 d"), (-5, "0 s")],
)
def test_a_span_is_told_by_its_two_largest_units(seconds: int, told: str) -> None:
    assert spell_span(timedelta(seconds=seconds)) == told


def test_only_what_is_perfect_reads_so() -> None:
    assert [spell_score(it) for it in (1.0, 0.99999, 0.7, 0.0)] == [
        "1.000",
        "0.999",
        "0.700",
        "0.000",
    ]
    assert [spell_share(it) for it in (1.0, 0.999999, 0.5)] == ["100 %", "99.99 %", "50.00 %"]


def test_what_is_unknown_is_a_dash() -> None:
    told = {spell_span(None), spell_time(None), spell_score(None), spell_share(None)}
    assert told == {"\u2013"}


def test_times_and_counts_read_plainly() -> None:
    assert spell_time(datetime(2024, 1, 2, 3, 4, 59, tzinfo=UTC)) == "2024-01-02 03:04"
    assert spell_count(1_234_567) == "1,234,567"
