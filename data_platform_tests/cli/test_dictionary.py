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
