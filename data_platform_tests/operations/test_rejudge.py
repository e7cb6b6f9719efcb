import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.layers import Partition
from data_platform.operations.judge import CANDLE_RULES, read_history
from data_platform.operations.lake import Lake
from data_platform.operations.rejudge import find_outdated, judge_by_new_limits
from data_platform.quality.standards import Change, Override, Standards
from data_platform_tests.damage import damage
from data_platform_tests.factories import (
    candles_at,
    grid,
    journal_of,
    partition_of,
    partitions_of,
    series_of,
    store_candles,
    time,
)

BTC, ETH = series_of(), series_of(pair="ETH/USDT")
NOW = time("2024-05-01")
PLAIN = Standards()
STRICT = Standards({"no_price_jumps": Change({"1h": 0.0001}, "error")})


@pytest.fixture
def stored(lake: Lake) -> Lake:
    """Two pairs of two months whose candles were stored before there were rules."""
    for series in (BTC, ETH):
        store_candles(lake, series, candles_at(grid("2024-01-30", "2024-02-03"), price=10_000))
    return lake


def jumps(lake: Lake, pair: str = "BTC-USDT") -> list[tuple[str, int]]:
    found = lake.verdicts.newest("binance", "ohlcv", BTC.timeframe)
    return found.filter(rule="no_price_jumps", pair=pair).select("period", "count").rows()


def test_months_without_a_verdict_are_judged_once(stored: Lake) -> None:
    assert len(list(find_outdated(stored, [BTC, ETH], PLAIN))) == 4
    done = judge_by_new_limits(stored, [BTC, ETH], PLAIN, NOW, None)
    assert (done.judged, done.left) == (4, 0)
    assert jumps(stored) == [("2024-01", 0), ("2024-02", 0)]
    rules = stored.verdicts.newest("binance", "ohlcv", BTC.timeframe)["rule"]
    assert set(rules) == {rule.name for rule in CANDLE_RULES}
    assert judge_by_new_limits(stored, [BTC, ETH], PLAIN, NOW, None).judged == 0


def test_another_limit_reaches_what_was_judged_before(stored: Lake) -> None:
    judge_by_new_limits(stored, [BTC, ETH], PLAIN, NOW, None)
    assert judge_by_new_limits(stored, [BTC, ETH], STRICT, NOW, None).judged == 4
    counts = dict(jumps(stored))
    # The first candle of all has none ahead of it; the first of February has.
    assert counts == {"2024-01": 47, "2024-02": 48}


def test_an_exception_judges_its_own_series_again_and_no_other(stored: Lake) -> None:
    judge_by_new_limits(stored, [BTC, ETH], PLAIN, NOW, None)
    own = Standards(overrides=(Override(None, ETH.pair, None, dict(STRICT.general)),))
    assert judge_by_new_limits(stored, [BTC, ETH], own, NOW, None).judged == 2
    assert dict(jumps(stored))["2024-02"] == 0
    assert dict(jumps(stored, "ETH-USDT"))["2024-02"] == 48


def test_a_budget_takes_the_newest_months_first_and_leaves_the_rest(stored: Lake) -> None:
    done = judge_by_new_limits(stored, [BTC, ETH], PLAIN, NOW, timedelta(0))
    assert (done.judged, done.left) == (1, 3)
    assert [month for month, _ in jumps(stored)] == ["2024-02"]
    done = judge_by_new_limits(
        stored, [BTC, ETH], PLAIN, NOW, None, partition_of(BTC, "2024-02").period
    )
    assert (done.judged, done.left) == (1, 0)


def test_a_damaged_month_does_not_keep_the_others_from_being_judged(
    stored: Lake, root: Path
) -> None:
    path = journal_of(stored, partition_of(BTC, "2024-02")).path
    damage(root / str(path), "torn")
    judge_by_new_limits(stored, [BTC], PLAIN, NOW, None)
    assert [month for month, _ in jumps(stored)] == ["2024-01"]


def test_what_is_judged_meanwhile_by_a_writer_is_left_alone(
    stored: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_meanwhile(lake: Lake, partition: Partition) -> pl.DataFrame:
        late = candles_at(grid("2024-02-03", "2024-02-03 01:00"), price=10_000)
        store_candles(lake, BTC, late)
        return read_history(lake, partition)

    monkeypatch.setattr("data_platform.operations.rejudge.read_history", write_meanwhile)
    only = partitions_of(BTC, "2024-02", "2024-02")[0]
    judge_by_new_limits(stored, [BTC], PLAIN, NOW, None, only.period)
    assert jumps(stored) == []


def test_the_verdict_tells_the_limit_by_which_it_was_judged(stored: Lake) -> None:
    judge_by_new_limits(stored, [BTC], STRICT, NOW, None)
    found = stored.verdicts.newest("binance", "ohlcv", BTC.timeframe)
    (row, *_) = found.filter(rule="no_price_jumps").to_dicts()
    assert row["severity"] == "error"
    assert json.loads(row["threshold_json"])["1h"] == 0.0001
