"""`data-platform alerts`, through the real command line."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from data_platform.cli.main import main
from data_platform.domain.alerts import Alarm
from data_platform.operations.lake import opened_lake
from data_platform_tests.factories import time
from data_platform_tests.receiver import receiver

NOON = time("2024-03-15 12:00")
ALARM = Alarm("source_away", "critical", "okx", None, "okx", "okx gives no answer", "asked again")


@pytest.fixture
def data(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATA_PLATFORM_DATA", str(root))
    return root


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["alerts", *words])


def note(data: Path, *alarms: Alarm, minute: int = 0) -> None:
    with opened_lake(data, f"sqlite:///{data}/state.db") as lake:
        now = NOON + timedelta(minutes=minute)
        lake.alerts.note(alarms, now, timedelta(minutes=1), ["lines"])


def test_nothing_rings(data: Path) -> None:
    found = run()
    assert (found.exit_code, found.output) == (0, "0 alarms ringing\n")
    assert data.exists()


def test_what_rings_is_shown_and_exits_1(data: Path) -> None:
    note(data, ALARM)
    found = run("--json")
    assert found.exit_code == 1
    [row] = json.loads(found.output)
    assert (row["began_at"], row["ended_at"]) == ("2024-03-15T12:00:00.000Z", None)
    assert (row["type"], row["affected"]) == ("source_away", {"market": None, "source": "okx"})
    assert run().output.endswith("1 alarm ringing\n")


def test_what_is_over_is_shown_when_asked_for(data: Path) -> None:
    note(data, ALARM)
    note(data, minute=5)
    assert run("--json").output == "[]\n"
    found = run("--all", "--json")
    assert found.exit_code == 0
    assert json.loads(found.output)[0]["ended_at"] == "2024-03-15T12:05:00.000Z"


def test_channels_are_tried(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as good, receiver() as bad:
        bad.status = 500
        monkeypatch.setenv("DATA_PLATFORM_ALERTS", f"{good.url} {bad.url}")
        found = run("test")
    assert found.exit_code == 1
    first, second = found.output.splitlines()
    assert first.endswith(": sent")
    assert second.endswith(": FAILED")
    assert len(good.got) == 1
    assert data.exists()


def test_without_a_channel_nothing_can_be_tried(data: Path) -> None:
    found = run("test")
    assert found.exit_code == 2
    assert "DATA_PLATFORM_ALERTS names no channel" in found.output
    assert data.exists()
