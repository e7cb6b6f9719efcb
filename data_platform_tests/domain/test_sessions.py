from datetime import timedelta

import pytest

from data_platform.domain.sessions import KILLZONES, SESSIONS, moment_of
from data_platform.settings import PROJECT_ROOT
from data_platform_tests.factories import time


@pytest.mark.parametrize(
    ("at", "session", "minutes", "killzone"),
    [
        # 2024-01-31 is a Wednesday.
        ("2024-01-31 00:00", "asia", 0, True),
        ("2024-01-31 03:59:59", "asia", 239, True),
        ("2024-01-31 04:00", "asia", 240, False),
        ("2024-01-31 06:59:59", "asia", 419, False),
        ("2024-01-31 07:00", "london", 0, True),
        ("2024-01-31 09:59:59", "london", 179, True),
        ("2024-01-31 10:00", "london", 180, False),
        ("2024-01-31 11:59:59", "london", 299, False),
        ("2024-01-31 12:00", "new_york", 0, True),
        ("2024-01-31 16:59:59", "new_york", 299, True),
        ("2024-01-31 17:00", "new_york", 300, False),
        ("2024-01-31 20:59:59", "new_york", 539, False),
        ("2024-01-31 21:00", "after_hours", 0, False),
        ("2024-01-31 23:59:59", "after_hours", 179, False),
        ("2024-02-01 00:00", "asia", 0, True),
        ("2024-02-02 23:59:59", "after_hours", 179, False),
        ("2024-02-03 00:00", "weekend", 0, False),
        ("2024-02-04 12:30", "weekend", 2190, False),
        ("2024-02-04 23:59:59", "weekend", 2879, False),
        ("2024-02-05 00:00", "asia", 0, True),
    ],
)
def test_a_session_begins_and_ends_at_its_second(
    at: str, session: str, minutes: int, killzone: bool
) -> None:
    moment = moment_of(time(at))
    assert (moment.session, moment.minutes, moment.is_killzone) == (session, minutes, killzone)


@pytest.mark.parametrize("day", ["2024-03-10", "2024-03-31", "2024-10-27", "2024-11-03"])
def test_no_clock_of_a_city_moves_a_boundary(day: str) -> None:
    # Days after the clocks of New York and London change: Mondays.
    monday = time(day) + timedelta(days=1)
    assert moment_of(monday + timedelta(hours=7)).session == "london"
    assert moment_of(monday + timedelta(hours=6, minutes=59)).session == "asia"


def test_every_hour_of_a_weekday_is_in_exactly_one_session() -> None:
    hours = [hour for part in SESSIONS for hour in range(part.start, part.end)]
    assert hours == list(range(24))


def test_a_killzone_lies_inside_the_session_of_its_name() -> None:
    sessions = {part.name: part for part in SESSIONS}
    for zone in KILLZONES:
        session = sessions[zone.name]
        assert session.start <= zone.start < zone.end <= session.end


def test_the_document_has_the_same_table() -> None:
    text = (PROJECT_ROOT / "docs/state_files.md").read_text()
    zones = {zone.name: f"{zone.start:02d}:00 to {zone.end:02d}:00" for zone in KILLZONES}
    for part in SESSIONS:
        bounds = f"| {part.start:02d}:00 | {part.end:02d}:00 |"
        assert f"| `{part.name}` {bounds} {zones.get(part.name, 'none')} |" in text
