import pytest
from click.testing import CliRunner

from data_platform.cli.main import main


@pytest.mark.usefixtures("machines")
def test_exactly_what_the_candle_reaches_is_computed_again() -> None:
    found = CliRunner().invoke(main, ["demo-correction"])
    assert found.exit_code == 0, found.output
    first, *lines = found.output.splitlines()
    assert first == "The exchange corrects the candle 2024-02-29 20:00 of binance/BTC-USDT/1h."
    made = {line.strip().partition(":")[0] for line in lines if line.startswith("  ")}
    # The last hours of February: its own month, and by windows of 20 and 24 hours March. Features
    # of ETH join BTC's return of the same hour and of the next, both of February.
    assert made == {
        "binance/filled_1h BTC-USDT|2024-02",
        "binance/indicators_1h BTC-USDT|2024-02",
        "binance/indicators_1h BTC-USDT|2024-03",
        "binance/features[demo-v1]_1h BTC-USDT|2024-02",
        "binance/features[demo-v1]_1h BTC-USDT|2024-03",
        "binance/features[demo-v1]_1h ETH-USDT|2024-02",
    }
    assert all(" reads " in line for line in lines if line.startswith("  "))
    assert lines[-3:] == [
        "6 of 48 derived partitions computed again by one look.",
        "A second look finds 0.",
        "All made from scratch: the same content.",
    ]
