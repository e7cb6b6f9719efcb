import subprocess
import sys
from pathlib import Path

import pytest

from data_platform.cli.instance_home import TEMPLATE, prepare_home
from data_platform.domain.errors import StorageError


def test_a_new_home_gets_its_config_and_databases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    assert prepare_home() == tmp_path / "home"
    assert (tmp_path / "home/dagster.yaml").read_bytes() == TEMPLATE.read_bytes()
    for database in ("schedules/schedules.db", "history/runs.db", "history/runs/index.db"):
        assert (tmp_path / "home" / database).stat().st_size > 0


def test_a_home_that_is_ready_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("# mine\n")
    (tmp_path / "schedules").mkdir()
    (tmp_path / "schedules/schedules.db").touch()
    prepare_home()
    assert (tmp_path / "dagster.yaml").read_text() == "# mine\n"
    assert not (tmp_path / "history").exists()


def test_two_processes_prepare_the_same_home_without_harm(tmp_path: Path) -> None:
    code = "from data_platform.cli.instance_home import prepare_home; prepare_home()"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={"DAGSTER_HOME": str(tmp_path / "home")},
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    assert [(each.communicate()[1], each.returncode) for each in both] == [("", 0), ("", 0)]


def test_a_home_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "file/home"))
    with pytest.raises(
        StorageError, match=r"cannot prepare DAGSTER_HOME .*file/home: Not a directory"
    ):
        prepare_home()
