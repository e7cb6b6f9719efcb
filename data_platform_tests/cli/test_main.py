import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from data_platform.cli.main import PlatformGroup, main
from data_platform.domain.errors import ConfigError, DataPlatformError, StorageError, WrongUseError


def group_that_raises(error: Exception) -> click.Group:
    group = PlatformGroup()

    @group.command()
    def fail() -> None:
        raise error

    return group


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WrongUseError("say\n  it  right"), 2),
        (ConfigError("say it right"), 2),
        (StorageError("say it right"), 1),
        (DataPlatformError("say it right"), 1),
    ],
)
def test_an_error_for_people_is_one_line(error: Exception, code: int) -> None:
    done = CliRunner().invoke(group_that_raises(error), ["fail"])
    assert (done.exit_code, done.stdout, done.stderr) == (
        code,
        "",
        "data-platform: say it right\n",
    )


def test_a_defect_keeps_its_traceback() -> None:
    done = CliRunner().invoke(group_that_raises(ZeroDivisionError()), ["fail"])
    assert isinstance(done.exception, ZeroDivisionError)


@pytest.mark.parametrize(
    "arguments", [["unknown"], ["query"], ["download", "--what"], ["simulate", "--port", "x"]]
)
def test_wrong_use_ends_with_two(arguments: list[str]) -> None:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert "Traceback" not in done.stderr


def test_every_command_has_help() -> None:
    assert {"demo", "download", "generate-sample", "query", "simulate", "status"} <= set(
        main.commands
    )
    for name, command in main.commands.items():
        done = CliRunner().invoke(main, [name, "--help"])
        assert done.exit_code == 0
        assert command.help


def test_a_config_typo_is_one_line_from_the_installed_command(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/platform.yaml").write_text("exchanges:\n  okx:\n    pair: [BTC/USDT]\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("data-platform"), "status"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PATH": ""},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(
        "data-platform: configs/platform.yaml:3: exchanges.okx.pair: unknown key."
    )
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; import data_platform.cli.main;"
        "print(*sorted({'ccxt', 'pandas', 'pandera', 'duckdb', 'dagster', 'alembic', 'aiohttp'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
