from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from data_platform.assets.agreement import judge_beside_others, renew_beside_others
from data_platform.assets.line import Line
from data_platform.domain.markets import Series
from data_platform.domain.periods import period_of
from data_platform.operations.agreement import Renewal
from data_platform.operations.lake import Lake
from data_platform.operations.report import LayerReport, report_of
from data_platform.operations.watch import nobody_watches
from data_platform.partitions import build_partitions
from data_platform.settings import load_settings
from data_platform_tests.assets.test_line import newest_metadata
from data_platform_tests.factories import lake_at, partition_of, series_of, store_candles, time
from data_platform_tests.quality.across import at, changed, month_of
from data_platform_tests.small_line import SmallLine

CONFIG = """\
exchanges:
  binance: {pairs: [SOL/USDT], timeframes: [1h], start: 2024-03-01}
  okx: {pairs: [SOL/USDT], timeframes: [1h], start: 2024-03-01}
"""
OURS, OKX = series_of("binance", "SOL/USDT", "1h"), series_of("okx", "SOL/USDT", "1h")
NO_TIME = timedelta(0)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    lake = lake_at(tmp_path)
    yield lake
    lake.state.close()


def line_at(tmp_path: Path, now: str) -> Line:
    path = tmp_path / "platform.yaml"
    path.write_text(CONFIG)
    settings = load_settings({}, config=path, now=time(now))
    exchange = settings.exchanges["binance"]
    partitions = build_partitions(exchange)
    return Line(exchange, settings, partitions, nobody_watches(), lambda: time(now))


def store(lake: Lake, series: Series) -> None:
    candles = month_of(series.exchange, "1h")
    wrong = changed(candles, at("05 12:00"), close=1.05)
    store_candles(lake, series, wrong if series == OURS else candles)


def test_the_score_of_a_written_month_knows_what_it_was_held_against(read_line: SmallLine) -> None:
    daily = newest_metadata(read_line, "ohlcv_1d", "BTC-USDT|2024-02")
    assert daily["consistency"] == 1.0
    hourly = newest_metadata(read_line, "ohlcv_1h", "BTC-USDT|2024-02")
    assert "consistency" in str(hourly["absent_components"])


def test_what_a_step_wrote_is_judged_by_it_unless_it_is_one_of_a_tick(
    tmp_path: Path, lake: Lake
) -> None:
    line = line_at(tmp_path, "2024-04-15")
    store(lake, OURS)
    store(lake, OKX)
    ours = partition_of(OURS, "2024-03")
    report = LayerReport([report_of(lake, ours, lake.store.journal(ours), "written")])
    judge_beside_others(line, lake, report, is_tick=True)
    assert lake.verdicts.newest("binance", "ohlcv", OURS.timeframe).is_empty()
    judge_beside_others(line, lake, report, is_tick=False)
    found = lake.verdicts.newest("binance", "ohlcv", OURS.timeframe)
    assert found.select("rule", "count", "checked").rows() == [
        ("exchanges_agree", 1, 744),
        ("no_copied_candles", 0, 744),
    ]


def test_an_exchange_that_comes_later_moves_the_verdict_on_the_first(
    tmp_path: Path, lake: Lake
) -> None:
    line = line_at(tmp_path, "2024-04-15")
    store(lake, OURS)
    assert renew_beside_others(line, lake, NO_TIME, is_tick=True) == Renewal(0, 0)
    store(lake, OKX)
    assert renew_beside_others(line, lake, NO_TIME, is_tick=True) == Renewal(1, 0)
    counts = lake.verdicts.counts("binance", ["exchanges_agree"])
    assert counts.select("period", "count", "checked").rows() == [("2024-03", 1, 744)]


def test_a_tick_leaves_older_months_to_the_other_runs(tmp_path: Path, lake: Lake) -> None:
    line = line_at(tmp_path, "2024-05-15")
    store(lake, OURS)
    store(lake, OKX)
    assert period_of(line.clock()).previous.key == "2024-04"
    assert renew_beside_others(line, lake, NO_TIME, is_tick=True) == Renewal(0, 0)
    assert renew_beside_others(line, lake, NO_TIME, is_tick=False) == Renewal(1, 0)
    assert renew_beside_others(line, lake, None, is_tick=False) == Renewal(0, 0)
