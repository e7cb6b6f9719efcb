import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from data_platform.cli.main import main
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform_tests.cli.conftest import StoreCandles

HOUR = to_timeframe("1h")
OKX = Series("okx", Pair("BTC/USDT"), HOUR)


def newest_hour() -> datetime:
    return HOUR.floor(datetime.now(UTC)) - HOUR.duration


def test_files_are_written_and_their_judgement_told(
    lake: Path, store_candles: StoreCandles
) -> None:
    store_candles(OKX, newest_hour(), 1)
    done = CliRunner().invoke(main, ["state"])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        f"6 files in {lake / 'state'}",
        # Nothing of kraken and no 1d of okx were ever fetched.
        "2 markets: critical, halt trading",
    ]
    found = json.loads((lake / "state/latest_ohlcv/okx/BTC-USDT.json").read_text())
    assert found["timeframes"]["1h"]["close"] == 100.0
    assert found["timeframes"]["1d"] is None


def test_a_market_that_left_the_config_is_told(lake: Path, store_candles: StoreCandles) -> None:
    store_candles(OKX, newest_hour() - timedelta(hours=1), 1)
    CliRunner().invoke(main, ["state"])
    config = Path("configs/platform.yaml")
    config.write_text("".join(config.read_text().splitlines(keepends=True)[:2]))
    done = CliRunner().invoke(main, ["state"])
    gone = lake / "state/latest_ohlcv/okx/BTC-USDT.json"
    assert f"removed {gone}: its market is not configured any more\n" in done.stdout
    assert not gone.exists()


def test_what_cannot_be_read_fails_the_command(lake: Path, store_candles: StoreCandles) -> None:
    store_candles(OKX, newest_hour(), 1)
    [file] = lake.rglob("exchange=okx/**/candles.parquet")
    file.write_bytes(file.read_bytes()[:-4])
    done = CliRunner().invoke(main, ["state"])
    assert done.exit_code == 1
    assert done.stderr.startswith("data-platform: okx/BTC-USDT 1h: okx/ohlcv_1h BTC-USDT|")
    assert (lake / "state/data_status.json").exists()


@pytest.mark.usefixtures("lake")
def test_no_lake_is_made_by_asking() -> None:
    done = CliRunner().invoke(main, ["state"])
    assert done.exit_code == 1
    assert "there is no lake" in done.stderr
    assert not Path("data").exists()
