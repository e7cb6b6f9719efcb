from pathlib import Path

import pytest
from click.testing import CliRunner

from data_platform.cli.main import main


@pytest.mark.usefixtures("lake")
def test_the_configured_lake_is_described_without_a_lake(lake: Path) -> None:
    found = CliRunner().invoke(main, ["dictionary"])
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith("# Data dictionary\n")
    assert "| volume | Float64 | Traded amount, base currency. |" in found.stdout
    assert not lake.exists()
    assert CliRunner().invoke(main, ["dictionary", "--timeframe", "7x"]).exit_code == 2


def test_every_indicator_is_listed_without_a_config() -> None:
    found = CliRunner().invoke(main, ["dictionary", "--indicators"])
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith("# Indicators\n")
    assert "| `kama_10_2_30`: rows 10, fast rows 2, slow rows 30 |" in found.stdout
