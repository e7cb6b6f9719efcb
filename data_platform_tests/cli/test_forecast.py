from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from data_platform.cli.forecast import foretell, to_table
from data_platform.cli.main import main
from data_platform.cli.orders import Wish, to_orders
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import period_of
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.estimate import Cost
from data_platform.settings import load_settings
from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
from data_platform.simulator.server import run_simulator
from data_platform_tests.cli.conftest import StoreCandles

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
    assert not Path("data").exists()
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
        assert not lake.exists()
        assert not Path(".dagster").exists()
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        made = simulator.candle_requests["okx"]
    (row,) = [line.split("│") for line in told.stdout.splitlines() if line.startswith("│ okx")]
    assert int(row[2]) == made
    assert made > 4


@pytest.mark.usefixtures("lake")
def test_damaged_month_is_named_and_the_others_are_told(
    lake: Path, store_candles: StoreCandles
) -> None:
    Path("configs/platform.yaml").write_text(
        "exchanges:\n"
        "  coinbase: {pairs: [BTC/USD], timeframes: [1h, 4h], start: 2024-01-01}\n"
        "  okx: {pairs: [BTC/USDT], timeframes: [1d], start: 2024-01-01}\n"
    )
    months = [datetime(2024, month, 1, tzinfo=UTC) for month in (1, 2)]
    for month in months:
        for name, hours in (("1h", 24), ("4h", 6)):
            count = period_of(month).end - month
            series = Series("coinbase", Pair("BTC/USD"), to_timeframe(name))
            store_candles(series, month, count.days * hours)
    torn = sorted(lake.rglob("period=2024-01/candles.parquet"))
    assert len(torn) == 2
    for path in torn:
        path.write_bytes(b"torn")
    kept = {path: path.stat().st_mtime_ns for path in lake.rglob("*.parquet")}
    done = CliRunner().invoke(main, ["download", "--dry-run", "--end", "2024-03-02"])
    assert done.exit_code == 1
    assert kept == {path: path.stat().st_mtime_ns for path in lake.rglob("*.parquet")}
    rows = {
        line.split()[1]: line.split("│")
        for line in done.stdout.splitlines()
        if line.startswith("│")
    }
    # March alone, but the damaged month; of okx everything.
    assert int(rows["coinbase"][2]) == 3
    assert int(rows["okx"][5]) == 31 + 29 + 31
    assert done.stderr.count("\n") == 2
    for name in ("1h", "4h"):
        assert f"data-platform: coinbase/ohlcv_{name} BTC-USD|2024-01: " in done.stderr
    assert done.stderr.count("It is not counted above.") == 2
