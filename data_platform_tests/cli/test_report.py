from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner, Result

from data_platform.cli.main import main
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform_tests.cli.conftest import StoreCandles

SERIES = Series("okx", Pair("BTC/USDT"), to_timeframe("1h"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["report", *arguments])


def test_the_page_tells_of_every_configured_series(lake: Path, store_candles: StoreCandles) -> None:
    store_candles(SERIES, datetime(2024, 1, 1, tzinfo=UTC), 48)
    done = run()
    assert done.exit_code == 0, done.output
    page = lake / "state/report.html"
    assert done.stdout.startswith(f"{page}: 0.0")
    text = page.read_text()
    assert "3 series, 48 candles" in text
    assert text.count('<details class="series"') == 3


def test_the_page_goes_to_another_file(lake: Path, store_candles: StoreCandles) -> None:
    store_candles(SERIES, datetime(2024, 1, 1, tzinfo=UTC), 5)
    out = lake.parent / "elsewhere/page.html"
    assert run("--out", str(out)).exit_code == 0
    assert out.read_text().startswith("<!doctype html>")
    assert not (lake / "state").exists()


def test_where_there_is_no_lake_none_is_made(lake: Path) -> None:
    done = run()
    assert done.exit_code == 1
    assert "there is no lake at" in done.stderr
    assert not lake.exists()
