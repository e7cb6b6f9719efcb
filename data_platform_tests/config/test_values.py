from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_platform.config.values import spell_value, to_base_url, to_date, to_duration, to_folder
from data_platform.domain.errors import WrongUseError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("1h", timedelta(hours=1)),
        ("1d", timedelta(days=1)),
        ("999999s", timedelta(seconds=999_999)),
    ],
)
def test_durations_are_a_number_and_a_unit(text: str, expected: timedelta) -> None:
    assert to_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "5", "m", "0s", "05m", "-5m", "1.5h", "5 m", "5M", "1w", "1h30m", "5m\n", "1٣s"]
)
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(WrongUseError, match=r"is no duration\. Accepted: a number and a unit"):
        to_duration(text)


def test_a_folder_is_named_in_full() -> None:
    assert to_folder("/mnt/backup") == Path("/mnt/backup")
    assert to_folder("~/backup") == Path.home() / "backup"


@pytest.mark.parametrize("text", ["", "backup", "./backup", "../backup", "/mnt/\0"])
def test_other_folders_are_refused(text: str) -> None:
    with pytest.raises(WrongUseError, match=r"is no full path\. Accepted: like /mnt/backup"):
        to_folder(text)


def test_a_date_is_the_first_instant_of_its_day_in_utc() -> None:
    assert to_date("2024-02-29") == datetime(2024, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "2023-02-29", "2024-2-9", "20240209", "2024-W01-1", "2024-02-09 00:00", "09.02.2024",
     "yesterday", "٢٠٢٤-٠٢-٠٩"],
)  # fmt: skip
def test_other_dates_are_refused(text: str) -> None:
    with pytest.raises(WrongUseError, match=r"is no date\. Accepted: a day in UTC"):
        to_date(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://127.0.0.1:9100", "http://127.0.0.1:9100"),
        ("http://[::1]:9100/kraken/", "http://[::1]:9100/kraken"),
        ("https://example.org/a/b", "https://example.org/a/b"),
    ],
)
def test_urls_lose_their_last_slash(text: str, expected: str) -> None:
    assert to_base_url(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "localhost:9100", "ftp://host", "http://", "http://user:pw@host", "http://host?x=1",
     "http://host#x", "http://host:99999", "http://ho st", "http://[::1"],
)  # fmt: skip
def test_other_urls_are_refused_unrepeated(text: str) -> None:
    with pytest.raises(WrongUseError, match="not an address of a server") as caught:
        to_base_url(text)
    assert "pw" not in str(caught.value)


def test_values_are_spelled_as_the_file_has_them() -> None:
    values: list[object] = [None, True, 5, 0.5, "x", {}, []]
    shown = [spell_value(value) for value in values]
    assert shown == ["nothing", "true", "5", "0.5", '"x"', "keys with values", "a list"]
