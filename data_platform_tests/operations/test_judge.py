import json
from datetime import UTC, datetime

import polars as pl
import pytest

from data_platform.domain.errors import StorageError
from data_platform.operations.judge import (
    CANDLE_RULES,
    SERIES_FETCHED,
    judge_candles,
    note_completion,
    to_json_rows,
)
from data_platform.operations.lake import Lake
from data_platform.operations.report import LayerReport, report_of
from data_platform.quality.rule import RuleInput
from data_platform.quality.standards import Change, Override, Standards
from data_platform_tests.damage import fill_disk
from data_platform_tests.factories import candles_at, grid, partition_of, series_of

SERIES = series_of()
HOUR = SERIES.timeframe
END = datetime(2024, 1, 2, tzinfo=UTC)


def noted(lake: Lake) -> list[tuple[str, int, str]]:
    found = lake.verdicts.newest("binance", "ohlcv", HOUR)
    return found.filter(rule=SERIES_FETCHED).select("period", "count", "rows_json").rows()


def note(lake: Lake, reason: str | None) -> None:
    partition = partition_of()
    report = report_of(lake, partition, None, "failed" if reason else "unchanged")
    failures = {partition: reason} if reason else {}
    note_completion(lake, SERIES_FETCHED, LayerReport([report], failures))


def test_clean_candles_break_no_rule() -> None:
    candles = candles_at(grid("2024-01-01", "2024-01-02"), price=10_000)
    verdicts = judge_candles(RuleInput(candles, candles.clear(), HOUR, END), SERIES, Standards())
    assert {it.rule: it.count for it in verdicts} == {it.name: 0 for it in CANDLE_RULES}


def test_a_broken_candle_is_named_by_its_rule_and_time() -> None:
    candles = candles_at(grid("2024-01-01", "2024-01-02"), price=10_000)
    at_seven = pl.col("open_time") == datetime(2024, 1, 1, 7, tzinfo=UTC)
    broken = candles.with_columns(high=pl.when(at_seven).then(1.0).otherwise("high"))
    verdicts = judge_candles(RuleInput(broken, broken.clear(), HOUR, END), SERIES, Standards())
    found = [it for it in verdicts if it.count]
    assert [(it.rule, it.count) for it in found] == [("high_not_below_low", 1)]
    assert json.loads(found[0].rows_json)[0]["open_time"] == "2024-01-01 07:00:00"


def test_a_failure_is_noted_until_the_partition_is_completed(lake: Lake) -> None:
    note(lake, None)
    assert noted(lake) == []
    note(lake, "451: not here")
    assert noted(lake) == [("2024-01", 1, '[{"reason": "451: not here"}]')]
    note(lake, None)
    assert noted(lake) == [("2024-01", 0, "[]")]


def test_a_failure_that_cannot_be_noted_is_told_with_its_partition(lake: Lake) -> None:
    note(lake, "451: not here")
    fill_disk(lake.state, "read-only")
    with pytest.raises(
        StorageError, match=r"^binance/ohlcv_1h .*-01: 403: not you; nor .* cannot write .*db"
    ):
        note(lake, "403: not you")
    with pytest.raises(
        StorageError, match=r"^binance/ohlcv_1h BTC-USDT\|2024-01: cannot write .*db"
    ):
        note(lake, None)


def test_nothing_to_note_writes_nothing(lake: Lake) -> None:
    fill_disk(lake.state, "read-only")
    note(lake, None)
    assert noted(lake) == []


def test_a_series_is_judged_by_what_the_config_says_of_it() -> None:
    candles = candles_at(grid("2024-01-01", "2024-01-02"), price=10_000)
    strict = Change({"1h": 0.0001}, "error")
    own = Override("binance", SERIES.pair, None, {"no_price_jumps": strict})
    for series, found in ((SERIES, True), (series_of("kraken"), False)):
        given = RuleInput(candles, candles.clear(), HOUR, END)
        verdicts = judge_candles(given, series, Standards(overrides=(own,)))
        verdict = next(it for it in verdicts if it.rule == "no_price_jumps")
        assert (verdict.count > 0, verdict.severity == "error") == (found, found)
        assert json.loads(verdict.threshold_json)["1h"] == (0.0001 if found else 0.2)


def test_a_finding_shows_its_first_ten_rows() -> None:
    frame = candles_at(grid("2024-01-01", "2024-01-02"), price=10_000).select("open_time", "close")
    rows = to_json_rows(frame)
    assert len(rows) == 10
    assert rows[0]["open_time"] == "2024-01-01 00:00:00"
