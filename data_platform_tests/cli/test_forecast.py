from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from data_platform.cli.forecast import foretell, to_table
from data_platform.cli.main import main
from data_platform.cli.orders import Wish, to_orders
from data_platform.domain.markets import Pair
from data_platform.operations.estimate import Cost
from data_platform.settings import load_settings
from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
from data_platform.simulator.server import run_simulator
from data_platform_tests.factories import files_of

BTC = Pair("BTC/USDT")
NOW = datetime(2024, 3, 2, 12, 0, 7, tzinfo=UTC)
CONFIG = """\
exchanges:
  coinbase: {pairs: [BTC/USD], timeframes: [1h, 4h], start: 2024-02-01, rate_limit: 30}
  okx: {pairs: [BTC/USDT], timeframes: [1m, 1d], start: 2024-02-01}
"""


@pytest.mark.usefixtures("lake")
def test_costs_are_of_what_each_exchange_is_asked_itself() -> None:
    Path("configs/platform.yaml").write_text(CONFIG)
    settings = load_settings()
    orders = to_orders(settings, Wish(), NOW)
    costs = foretell(settings, orders, NOW)
    hours, days = 29 * 24 + 36, 29 + 1
    minutes = hours * 60
    assert costs["coinbase"] == Cost(requests=3, candles=hours + hours // 4)
    assert costs["okx"] == Cost(requests=-(-minutes // 300) + 1, candles=minutes + days)
    table = to_table(settings, orders, costs)
    cells = [list(column.cells) for column in table.columns]
    assert [column[0] for column in cells][:4] == ["coinbase", "3", "30", "0.1"]
    only_derived = to_orders(settings, Wish(layers=("features",)), NOW)
    assert set(foretell(settings, only_derived, NOW).values()) == {Cost()}


def test_dry_run_tells_what_the_download_then_makes_and_writes_no_candle(lake: Path) -> None:
    simulated = SimulatorConfig({"okx": SimulatedExchange("okx", (BTC,))})
    with run_simulator(simulated) as simulator:
        Path("configs/platform.yaml").write_text(
            f"exchanges:\n  okx: {{base_url: '{simulator.url}/okx', pairs: [BTC/USDT],"
            " timeframes: [1h], history_days: 60}\n"
        )
        arguments = ["download", "--layer", "ohlcv"]
        told = CliRunner().invoke(main, [*arguments, "--dry-run"])
        assert told.exit_code == 0, told.output
        assert simulator.candle_requests["okx"] == 0
        assert not [name for name in files_of(lake) if name.endswith(".parquet")]
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        made = simulator.candle_requests["okx"]
    (row,) = [line.split("│") for line in told.stdout.splitlines() if line.startswith("│ okx")]
    assert int(row[2]) == made
    assert made > 4
