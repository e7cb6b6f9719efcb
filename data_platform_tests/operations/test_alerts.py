"""Alerts go out for real: over HTTP to a receiver on this machine, and into their file."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from data_platform.domain.alerts import Alarm, Channel
from data_platform.domain.errors import ConfigError
from data_platform.operations.alerts import Told, tell, try_channels
from data_platform.operations.lake import Lake
from data_platform_tests.factories import time
from data_platform_tests.receiver import Receiver, receiver

NOON = time("2024-03-15 12:00")
MINUTE = timedelta(minutes=1)
ALARM = Alarm(
    "source_away", "critical", "okx", None, "okx", "okx gives no answer", "asked again", True
)


def look(lake: Lake, minute: int, *alarms: Alarm, channels: tuple[Receiver, ...]) -> Told:
    urls = [Channel(it.url) for it in channels]
    return tell(lake, alarms, NOON + minute * MINUTE, 2 * MINUTE, urls)


def lines(lake: Lake, month: str = "2024-03") -> list[dict[str, Any]]:
    path = lake.store.root / f"state/alerts/{month}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_alert_is_received_once_and_so_is_its_recovery(lake: Lake) -> None:
    with receiver() as hook:
        for minute in range(3):
            look(lake, minute, ALARM, channels=(hook,))
        look(lake, 4, channels=(hook,))
        look(lake, 5, channels=(hook,))
    began, over = hook.got
    assert (began["type"], over["type"]) == ("failure", "success")
    assert began["title"] == "data_platform: critical source_away okx"
    assert (
        "[critical] okx gives no answer (Done: asked again. 2024-03-15T12:00:00.000Z"
        in (began["message"])
    )
    assert "[info] Over, after 0:02:00: okx gives no answer" in over["message"]
    first, second = lines(lake)
    assert (first["severity"], first["escalate"]) == ("critical", True)
    assert (second["severity"], second["alert_id"]) == ("info", first["alert_id"])


def test_channel_that_fails_gets_its_messages_later_and_keeps_none_from_another(
    lake: Lake,
) -> None:
    with receiver() as good, receiver() as bad:
        bad.status = 503
        told = look(lake, 0, ALARM, channels=(good, bad))
        assert told.failed == [Channel(bad.url).spelled]
        look(
            lake,
            1,
            ALARM,
            replace(ALARM, subject="kraken", exchange="kraken"),
            channels=(good, bad),
        )
        bad.status = 200
        assert look(lake, 2, ALARM, channels=(good, bad)).failed == []
        assert look(lake, 2, ALARM, channels=(good, bad)).failed == []
    assert len(good.got) == 2
    [late] = bad.got
    assert late["title"].endswith("and 1 more")
    assert len(late["message"].splitlines()) == 2


def test_alerts_without_a_channel_stand_in_their_file_of_the_month(lake: Lake) -> None:
    tell(lake, [ALARM], NOON, MINUTE, [])
    tell(lake, [], NOON + timedelta(days=20), MINUTE, [])
    assert [it["severity"] for it in lines(lake)] == ["critical"]
    assert [it["severity"] for it in lines(lake, "2024-04")] == ["info"]


def test_many_alerts_are_one_notification_that_counts_the_rest(lake: Lake) -> None:
    alarms = [replace(ALARM, subject=f"s{number:02}") for number in range(13)]
    with receiver() as hook:
        look(lake, 0, *alarms, channels=(hook,))
    [one] = hook.got
    assert len(one["message"].splitlines()) == 11
    assert one["message"].endswith("and 3 more, see the file of alerts")
    assert len(lines(lake)) == 13


def test_file_that_cannot_be_written_gets_its_lines_later(lake: Lake) -> None:
    folder = lake.store.root / "state"
    folder.write_text("in the way")
    with pytest.raises(Exception, match="alerts stay due"):
        tell(lake, [ALARM], NOON, MINUTE, [])
    folder.unlink()
    tell(lake, [ALARM], NOON + MINUTE, MINUTE, [])
    assert [it["message"] for it in lines(lake)] == ["okx gives no answer"]


def test_url_that_is_none_is_refused_without_its_words(lake: Lake) -> None:
    channel = Channel("nonsense://user:hunter2@host")
    with pytest.raises(ConfigError, match="DATA_PLATFORM_ALERTS: nonsense") as caught:
        tell(lake, [ALARM], NOON, MINUTE, [channel])
    assert "hunter2" not in str(caught.value)
    assert lake.alerts.ringing() == []


def test_channels_can_be_tried() -> None:
    with receiver() as good, receiver() as bad:
        bad.status = 500
        channels = [Channel(good.url), Channel(bad.url)]
        assert try_channels(channels, NOON) == [channels[1]]
    assert "A test by `data-platform alerts test`" in good.got[0]["message"]
