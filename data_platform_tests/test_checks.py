import json
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from dagster import DagsterRunStatus

from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair
from data_platform.domain.periods import to_period
from data_platform.partitions import PartitionRange
from data_platform.runs import failure_reasons
from data_platform.storage.journal import CommitNote
from data_platform.storage.verdicts import VerdictRow
from data_platform_tests.damage import damage
from data_platform_tests.small_line import (
    ALL_LAYERS,
    BTC,
    CONFIG,
    ETH,
    SOL,
    TIMEFRAMES,
    SmallLine,
    open_small_line,
    series,
)

CANDLES = dg.AssetKey(["binance", "ohlcv_1h"])
CANDLE_CHECKS = 21
"""Of a timeframe that is held against no finer one."""

DERIVED_CHECKS = 2
UNUSUAL = {"no_outlying_returns"}
"""The made-up SOL/USDT rose by 12 % in the hour from 2024-02-28 12:00, ten times its deviation."""


def plant(
    line: SmallLine, pair: Pair, month: str, rule: str, count: int, reason: str | None = None
) -> None:
    """Note that a stored month breaks a rule, as the write would have done."""
    rows: list[dict[str, object]] = [
        {"open_time": f"2024-02-{day + 1:02}", "high": 1.0} for day in range(count)
    ]
    rows = [{"reason": reason}] if reason else rows
    verdict = VerdictRow(
        rule=rule,
        day=date(2100, 1, 1),
        severity="error",
        count=count,
        checked=count,
        rows_json=json.dumps(rows[:10]),
        threshold_json="{}",
        checked_at=datetime(2100, 1, 1, tzinfo=UTC),
    )
    with line.lake() as lake, lake.state.write() as connection:
        partition = Partition("ohlcv", series(pair, "1h"), to_period(month))
        lake.verdicts.record(connection, partition, (verdict,))


def fetch_candles(line: SmallLine, key: str) -> dg.ExecuteInProcessResult:
    return line.definitions.resolve_job_def("fetch_binance_candles_job").execute_in_process(
        instance=line.instance,
        asset_selection=[CANDLES],
        partition_key=key,
        raise_on_error=False,
    )


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {it.check_name: it for it in result.get_asset_check_evaluations()}


def failed(found: dict[str, dg.AssetCheckEvaluation]) -> set[str]:
    return {name for name, it in found.items() if not it.passed}


def test_every_asset_is_judged_once_in_a_run_of_the_whole_line(stored_line: SmallLine) -> None:
    (run,) = stored_line.instance.get_runs()
    records = stored_line.instance.get_records_for_run(run.run_id).records
    events = [it.event_log_entry.dagster_event for it in records]
    counts = Counter(event.event_type_value for event in events if event)
    tables = len(ALL_LAYERS) * len(TIMEFRAMES)
    derived = tables - len(TIMEFRAMES)
    # Of 1h, 4h and 1d one is fetched and has a finer one that is fetched, too; features are held
    # against the future and the clock, indicators against `ta`, exports of three programs against
    # the lake.
    more = 1 + (2 + 1 + 3) * len(TIMEFRAMES)
    checks = CANDLE_CHECKS * len(TIMEFRAMES) + DERIVED_CHECKS * derived + more
    assert counts["ASSET_CHECK_EVALUATION"] == checks
    # Events are what a run costs: none beside those that carry something.
    assert counts["STEP_OUTPUT"] == tables
    assert counts["ASSET_MATERIALIZATION"] == tables * 6
    assert len(records) == 2 * tables * 6 + 2 * checks + tables + 2 * (tables + 1) + 7


def test_verdicts_of_a_clean_line_pass(stored_line: SmallLine) -> None:
    found = evaluations(fetch_candles(stored_line, "BTC-USDT|2024-03"))
    assert len(found) == CANDLE_CHECKS
    assert failed(found) == UNUSUAL
    assert found["no_outlying_returns"].severity == dg.AssetCheckSeverity.WARN
    for check in found.values():
        told = {"count", "first_rows", "threshold", "quality_score"}
        assert set(check.metadata) - {"measured"} == told
        assert check.metadata["quality_score"].value == 1.0


def test_old_broken_month_stays_red_when_a_fresh_one_passes(stored_line: SmallLine) -> None:
    plant(stored_line, ETH, "2024-02", "high_not_below_low", count=12)
    result = fetch_candles(stored_line, "BTC-USDT|2024-03")
    assert result.success
    found = evaluations(result)
    broken = found.pop("high_not_below_low")
    assert not broken.passed
    assert broken.severity == dg.AssetCheckSeverity.ERROR
    assert broken.metadata["count"].value == 12
    rows = broken.metadata["first_rows"].value
    assert isinstance(rows, list)
    assert len(rows) == 10
    assert {row["partition"] for row in rows} == {"ETH-USDT|2024-02"}
    assert failed(found) == UNUSUAL


def test_day_that_is_not_what_its_hours_make_is_red_with_its_time(stored_line: SmallLine) -> None:
    days = Partition("ohlcv", series(ETH, "1d"), to_period("2024-02"))
    wrong = pl.col("open_time") == datetime(2024, 2, 10, tzinfo=UTC)
    with stored_line.lake() as lake:
        held = lake.store.read(days)
        assert held is not None
        high = pl.when(wrong).then(pl.col("high") * 2).otherwise("high")
        lake.store.commit(
            days,
            held.frame.with_columns(high=high),
            merge=None,
            audit=lambda given: (given, given.clear()),
            note=CommitNote(source="planted"),
        )
    daily = dg.AssetKey(["binance", "ohlcv_1d"])
    key = dg.AssetCheckKey(daily, "coarser_candles_agree")
    job = stored_line.definitions.resolve_implicit_job_def_def_for_assets([daily])
    assert job is not None
    result = job.execute_in_process(
        instance=stored_line.instance, asset_selection=[daily], partition_key="BTC-USDT|2024-03"
    )
    (found,) = [it for it in result.get_asset_check_evaluations() if it.asset_check_key == key]
    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.WARN
    rows = found.metadata["first_rows"].value
    assert isinstance(rows, list)
    assert (rows[0]["partition"], rows[0]["open_time"]) == (
        "ETH-USDT|2024-02",
        "2024-02-10 00:00:00",
    )
    # Three pairs, all of February and the first day of March.
    assert found.metadata["measured"].value == {"checked": 3 * 30, "not_compared": 0}
    with stored_line.lake() as lake:
        scores = lake.scores.newest("binance", days.series.timeframe)
    rotten = scores.filter(pair="ETH-USDT", period="2024-02")
    assert rotten["consistency"].to_list() == [28 / 29]


def test_month_that_nobody_fetched_fails_the_gap_checks_with_its_times(
    empty_line: SmallLine,
) -> None:
    found = evaluations(fetch_candles(empty_line, "BTC-USDT|2024-03"))
    assert failed(found) == {"no_long_gaps", "days_complete", "history_complete"}
    rows = found["no_long_gaps"].metadata["first_rows"].value
    assert rows == [
        {
            "pair": "BTC-USDT",
            "open_time": "2024-02-01 00:00:00",
            "end": "2024-03-01 00:00:00",
            "missing": 29 * 24,
        }
    ]
    found = evaluations(fetch_candles(empty_line, "BTC-USDT|2024-02"))
    assert all(it.passed for it in found.values())


def test_pair_that_is_no_longer_configured_is_not_judged(stored_line: SmallLine) -> None:
    plant(stored_line, ETH, "2024-02", "high_not_below_low", count=1)
    config = stored_line.settings.config_path
    config.write_text(config.read_text().replace("ETH/USDT, ", ""))
    found = evaluations(fetch_candles(stored_line, "BTC-USDT|2024-03"))
    assert found["high_not_below_low"].passed


def test_a_limit_of_the_config_is_brought_to_months_that_were_stored_before(
    stored_line: SmallLine,
) -> None:
    (stored_line.settings.config_path.parent / "thresholds.yaml").write_text(
        "checks: {}\nseries:\n  binance/ETH-USDT/1h:\n"
        "    no_price_jumps: {severity: error, 1h: 0.001}\n"
    )
    check = evaluations(fetch_candles(stored_line, "BTC-USDT|2024-03"))["no_price_jumps"]
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.ERROR
    assert check.metadata["threshold"].value == {"1h": 0.2, "ETH-USDT 1h": 0.001}
    rows = check.metadata["first_rows"].value
    assert isinstance(rows, list)
    assert {row["partition"].partition("|")[0] for row in rows} == {"ETH-USDT"}


def test_failed_fetch_of_an_earlier_run_does_not_fail_this_one(stored_line: SmallLine) -> None:
    plant(stored_line, ETH, "2024-02", "series_fetched", count=1)
    result = fetch_candles(stored_line, "BTC-USDT|2024-03")
    assert result.success
    assert not evaluations(result)["series_fetched"].passed


def test_failed_fetch_fails_its_run_after_all_verdicts_are_given(stored_line: SmallLine) -> None:
    plant(stored_line, ETH, "2024-02", "series_fetched", count=1)
    result = fetch_candles(stored_line, "ETH-USDT|2024-02")
    assert not result.success
    assert len(result.get_asset_check_evaluations()) == CANDLE_CHECKS


def test_the_failure_tells_each_cause_once(stored_line: SmallLine) -> None:
    for pair in (BTC, ETH):
        for month in ("2024-02", "2024-03"):
            plant(stored_line, pair, month, "series_fetched", 1, "Binance is busy.")
    plant(stored_line, SOL, "2024-02", "series_fetched", count=1)
    result = stored_line.definitions.resolve_job_def(
        "fetch_binance_candles_job"
    ).execute_in_process(
        instance=stored_line.instance,
        asset_selection=[CANDLES],
        tags=PartitionRange((BTC, ETH, SOL), to_period("2024-02"), to_period("2024-03")).tags,
        raise_on_error=False,
    )
    assert failure_reasons(result.all_events) == [
        "4 partitions of binance/ohlcv_1h BTC/USDT, binance/ohlcv_1h ETH/USDT: Binance is busy.",
        "binance/ohlcv_1h SOL-USDT|2024-02: see the check",
    ]


def test_checks_run_alone_and_without_a_partition(stored_line: SmallLine) -> None:
    plant(stored_line, ETH, "2024-02", "series_fetched", count=1)
    checks = dg.AssetSelection.checks_for_assets(CANDLES)
    only = dg.define_asset_job("only_checks_job", selection=checks)
    definitions = dg.Definitions.merge(stored_line.definitions, dg.Definitions(jobs=[only]))
    result = definitions.resolve_job_def("only_checks_job").execute_in_process(
        instance=stored_line.instance, raise_on_error=False
    )
    assert result.dagster_run.status == DagsterRunStatus.SUCCESS
    found = evaluations(result)
    assert len(found) == CANDLE_CHECKS
    assert not found["series_fetched"].passed
    assert found["high_not_below_low"].passed
    assert BTC.key not in str(found["series_fetched"].metadata)


def path_of(line: SmallLine, layer: str, pair: Pair, month: str = "2024-02") -> Path:
    with line.lake() as lake:
        rows = lake.store.journal_rows(layer, "binance", series(pair, "1h").timeframe, pair)
    return line.root / "data" / next(str(row.path) for row in rows if str(row.period) == month)


@pytest.mark.parametrize("how", ["gone", "flipped"])
def test_damaged_candles_of_another_partition_are_red_and_fail_nothing(
    stored_line: SmallLine, how: str
) -> None:
    damage(path_of(stored_line, "ohlcv", ETH), how)
    result = fetch_candles(stored_line, "BTC-USDT|2024-03")
    assert result.success
    found = evaluations(result)["files_are_as_written"]
    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.ERROR
    assert found.metadata["count"].value == 1
    assert "pair=ETH-USDT/period=2024-02" in str(found.metadata["first_rows"].value)


@pytest.mark.parametrize("how", ["empty", "flipped"])
def test_damaged_candles_that_are_asked_for_fail_the_run_and_are_named_once(
    stored_line: SmallLine, how: str
) -> None:
    path = path_of(stored_line, "ohlcv", ETH)
    damage(path, how)
    before = path.read_bytes()
    outcome = stored_line.materialize((BTC, ETH), ALL_LAYERS, ("1h",))
    assert not outcome.success
    (failure,) = outcome.failures
    assert failure.count(path.name) == 1
    assert failure.startswith("binance/ohlcv_1h ETH-USDT|2024-02: ")
    assert "move the file away" in failure
    assert path.read_bytes() == before
    assert stored_line.simulator.candle_requests == {"binance": 0}


@pytest.mark.parametrize("layer", ["filled", "indicators", "features", "nautilus"])
def test_damaged_files_that_can_be_made_again_are_by_the_run_that_asks_for_them(
    stored_line: SmallLine, layer: str
) -> None:
    path = path_of(stored_line, layer, ETH)
    whole = path.read_bytes()
    damage(path, "flipped")
    assert stored_line.materialize((ETH,), (layer,), ("1h",)).success
    assert path.read_bytes() == whole


def test_strange_file_in_the_place_of_an_empty_month_fails_the_run_that_asks_for_it(
    tmp_path: Path,
) -> None:
    config = CONFIG.replace("start:", "pair_start: {ETH/USDT: 2024-03-01}\n    start:")
    what = (("ohlcv",), ("1h",), ("2024-02", "2024-02"))
    with open_small_line(tmp_path, config) as line:
        assert line.materialize((BTC, ETH), *what).success
        with line.lake() as lake:
            path = lake.store.layout.partition(
                Partition("ohlcv", series(ETH, "1h"), to_period("2024-02"))
            )
        path.parent.mkdir(parents=True)
        path.write_bytes(b"no candles")
        assert line.materialize((BTC,), *what).success
        outcome = line.materialize((ETH,), *what)
    assert not outcome.success
    (failure,) = outcome.failures
    assert "pair=ETH-USDT/period=2024-02/candles.parquet is damaged: no commit" in failure


def test_checks_run_alone_hash_every_file(stored_line: SmallLine) -> None:
    damage(path_of(stored_line, "features", ETH), "rotten")
    checks = dg.AssetSelection.checks_for_assets(dg.AssetKey(["binance", "features_1h"]))
    only = dg.define_asset_job("only_checks_job", selection=checks)
    definitions = dg.Definitions.merge(stored_line.definitions, dg.Definitions(jobs=[only]))
    result = definitions.resolve_job_def("only_checks_job").execute_in_process(
        instance=stored_line.instance, raise_on_error=False
    )
    assert result.success
    assert not evaluations(result)["files_are_as_written"].passed
