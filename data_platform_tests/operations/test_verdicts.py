import json
from datetime import UTC, date, datetime, timedelta

from data_platform.operations.due import SeriesStatus
from data_platform.operations.judge import SERIES_DERIVED, SERIES_FETCHED
from data_platform.operations.lake import Lake
from data_platform.operations.verdicts import (
    CANDLE_STATEMENTS,
    Judged,
    candle_verdicts,
    derived_verdict,
    freshness_verdict,
)
from data_platform.storage.verdicts import QualityRow
from data_platform_tests.factories import gap_of, partition_of, plant_gaps, series_of, time

BTC, ETH = series_of(pair="BTC/USDT"), series_of(pair="ETH/USDT")
HOUR = BTC.timeframe


def judged(layer: str = "ohlcv", *pairs: str) -> Judged:
    return Judged("binance", layer, HOUR, pairs or ("BTC-USDT", "ETH-USDT"), {})


def status(late: timedelta) -> SeriesStatus:
    limit = timedelta(hours=1)
    return SeriesStatus(BTC, None, time("2024-01-01"), 1, 0, 0, None, late, limit)


def plant(lake: Lake, rule: str, month: str, count: int, layer: str = "ohlcv") -> None:
    rows = json.dumps([{"reason": "planted"}] * count)
    now = datetime(2024, 3, 1, tzinfo=UTC)
    verdict = QualityRow(rule, date(2024, 3, 1), "error", count, rows, "{}", now)
    with lake.state.write() as connection:
        lake.verdicts.record(connection, partition_of(BTC, month, layer), (verdict,))


def failed(lake: Lake, wanted: Judged) -> dict[str, int]:
    return {it.name: it.count for it in candle_verdicts(lake, wanted, []) if it.count}


def test_every_statement_gets_a_verdict_and_an_empty_lake_breaks_none(lake: Lake) -> None:
    found = candle_verdicts(lake, judged(), [])
    assert [it.name for it in found] == [it.name for it in CANDLE_STATEMENTS]
    assert failed(lake, judged()) == {}


def test_an_old_broken_partition_stays_red_when_a_fresh_one_passes(lake: Lake) -> None:
    plant(lake, SERIES_FETCHED, "2024-01", 1)
    plant(lake, SERIES_FETCHED, "2024-02", 0)
    verdict = candle_verdicts(lake, judged(), [])[0]
    assert verdict.count == 1
    assert sorted(verdict.partitions) == ["BTC-USDT|2024-01"]
    assert verdict.rows == [{"partition": "BTC-USDT|2024-01", "reason": "planted"}]


def test_a_pair_that_is_no_longer_configured_is_not_judged(lake: Lake) -> None:
    plant(lake, SERIES_FETCHED, "2024-01", 1)
    plant_gaps(lake, gap_of(BTC, "2024-01-01", "2024-01-03", "outage"))
    assert failed(lake, judged("ohlcv", "ETH-USDT")) == {}


def test_gaps_that_count_break_the_three_gap_rules_and_quiet_times_none(lake: Lake) -> None:
    plant_gaps(lake, gap_of(BTC, "2024-01-01", "2024-01-01 05:00", "outage", confirmed=True))
    plant_gaps(lake, gap_of(ETH, "2024-01-01", "2024-01-05", "no_trades", confirmed=True))
    assert failed(lake, judged()) == {"no_long_gaps": 1, "days_complete": 1, "history_complete": 1}


def test_a_derived_asset_speaks_of_its_own_layer(lake: Lake) -> None:
    plant(lake, SERIES_DERIVED, "2024-01", 1, layer="filled")
    assert derived_verdict(lake, judged("filled")).count == 1
    assert derived_verdict(lake, judged("indicators")).count == 0


def test_freshness_names_the_late_pair_its_lateness_and_the_limit() -> None:
    assert freshness_verdict(judged(), [status(timedelta(minutes=59))]).count == 0
    late = freshness_verdict(judged(), [status(timedelta(minutes=61))])
    assert late.count == 1
    assert late.rows[0] == {
        "pair": "BTC-USDT",
        "late_seconds": 3660,
        "limit_seconds": 3600,
        "newest": "2024-01-01T00:00:00+00:00",
    }
