from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from data_platform.config.models import BackupsEntry
from data_platform.definitions import build_definitions
from data_platform.domain.candles import merge_candles
from data_platform.domain.layers import Partition
from data_platform.domain.periods import to_period
from data_platform.operations.retention import apply_retention, find_leaving
from data_platform.storage.journal import CommitNote
from data_platform.storage.ledger import Gap, Status
from data_platform_tests.small_line import BTC, ETH, NOW, SOL, SmallLine, series

RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


def nightly(line: SmallLine) -> list[dg.RunRequest] | str:
    definitions = line.definitions
    schedule = definitions.get_repository_def().get_schedule_def("nightly_binance_schedule")
    context = dg.build_schedule_context(
        instance=line.instance, scheduled_execution_time=datetime(2024, 3, 3, 0, 17, tzinfo=UTC)
    )
    found = schedule.evaluate_tick(context)
    return list(found.run_requests or []) or str(found.skip_message)


def only_request(found: list[dg.RunRequest] | str) -> dg.RunRequest:
    assert not isinstance(found, str), found
    assert len(found) == 1
    return found[0]


def ranges(found: list[dg.RunRequest] | str) -> list[tuple[str, str]]:
    assert not isinstance(found, str), found
    return [(one.tags[RANGE[0]], one.tags[RANGE[1]]) for one in found]


def test_night_with_nothing_missing_is_skipped_and_says_why(stored_line: SmallLine) -> None:
    assert nightly(stored_line) == "every month is stored and no derived layer is stale"
    assert stored_line.simulator.candle_requests == {"binance": 0}


def test_everything_is_asked_for_in_one_range_when_nothing_is_stored(empty_line: SmallLine) -> None:
    found = nightly(empty_line)
    assert ranges(found) == [("BTC-USDT|2024-02", "SOL-USDT|2024-03")]
    assert not isinstance(found, str)
    assert found[0].tags["backfill"] == "binance"
    assert found[0].run_key == "binance-2024-03-03-0"


def test_month_that_grew_is_asked_for_alone(stored_line: SmallLine) -> None:
    stored_line.clock[0] = NOW + timedelta(hours=1)
    assert ranges(nightly(stored_line)) == [("BTC-USDT|2024-03", "SOL-USDT|2024-03")]


def test_derived_layers_that_fell_behind_are_asked_for(stored_line: SmallLine) -> None:
    stored_line.clock[0] = NOW + timedelta(hours=1)
    march = ("2024-03", "2024-03")
    assert stored_line.materialize((BTC,), ("ohlcv",), ("1h",), march).success
    assert stored_line.materialize((ETH, SOL), months=march).success
    assert ranges(nightly(stored_line)) == [("BTC-USDT|2024-03", "BTC-USDT|2024-03")]


def test_requested_range_brings_the_line_up_to_date(stored_line: SmallLine) -> None:
    stored_line.clock[0] = NOW + timedelta(hours=1)
    request = only_request(nightly(stored_line))
    job = stored_line.definitions.resolve_job_def("materialize_binance_line_job")
    assert job.execute_in_process(instance=stored_line.instance, tags=request.tags).success
    assert isinstance(nightly(stored_line), str)


def test_what_was_computed_again_and_came_out_the_same_is_not_asked_for_again(
    stored_line: SmallLine,
) -> None:
    # A newer commit of an earlier month makes later ones suspect; they come out as they were.
    one = Partition("ohlcv", series(BTC, "1d"), to_period("2024-02"))
    with stored_line.lake() as lake:
        stored = lake.store.read(one)
        assert stored is not None
        first = pl.col("open_time") == pl.col("open_time").min()
        changed = stored.frame.with_columns(
            volume=pl.when(first).then(pl.col("volume") + 1).otherwise(pl.col("volume"))
        )
        lake.store.commit(
            one,
            changed,
            merge=merge_candles,
            audit=lambda frame: (frame, frame.clear()),
            note=CommitNote(source="test", fetched_at=datetime.now(tz=UTC)),
        )
    request = only_request(nightly(stored_line))
    job = stored_line.definitions.resolve_job_def("materialize_binance_line_job")
    assert job.execute_in_process(instance=stored_line.instance, tags=request.tags).success
    assert isinstance(nightly(stored_line), str)


def test_old_answer_that_is_doubted_is_asked_for_alone(stored_line: SmallLine) -> None:
    one, day = series(ETH, "1d"), datetime(2024, 2, 9, tzinfo=UTC)
    gap = Gap(one, day, day + timedelta(days=1), 1, "outage", True, "planted", 1, NOW)
    with stored_line.lake() as lake, lake.state.write() as connection:
        lake.ledger.record(connection, one, gap.start, gap.end, [gap])
    request = only_request(nightly(stored_line))
    assert ranges([request]) == [("ETH-USDT|2024-02", "ETH-USDT|2024-02")]
    selected = {key.to_user_string() for key in request.asset_selection or ()}
    assert selected == {"binance/ohlcv_1h", "binance/ohlcv_1d"}


@pytest.mark.parametrize("status", ["open", "outage"])
@pytest.mark.parametrize("place", ["here", "away"])
def test_archived_month_with_a_due_gap_is_asked_for_only_while_its_file_is_here(
    stored_line: SmallLine, place: str, status: Status
) -> None:
    one, day = series(ETH, "1h"), datetime(2024, 2, 9, tzinfo=UTC)
    is_believed = status == "outage"
    gap = Gap(one, day, day + timedelta(hours=1), 1, status, is_believed, "planted", 1, NOW)
    with stored_line.lake() as lake:
        with lake.state.write() as connection:
            lake.ledger.record(connection, one, gap.start, gap.end, [gap])
        keep, later = {"1h": timedelta(days=30)}, datetime(2024, 4, 1, tzinfo=UTC)
        assert apply_retention(lake, find_leaving(lake, keep, later)) == []
    if place == "here":
        assert ranges(nightly(stored_line)) == [("ETH-USDT|2024-02", "ETH-USDT|2024-02")]
        return
    (stored_line.settings.data_root / "archive").rename(stored_line.root / "elsewhere")
    assert nightly(stored_line) == "every month is stored and no derived layer is stale"


def evening(line: SmallLine, name: str, **changes: object) -> tuple[list[str | None], str | None]:
    """Return the run keys that a schedule of the house asks for, or why it does not."""
    settings = replace(line.settings, **changes)  # type: ignore[arg-type]
    definitions = build_definitions(settings, clock=lambda: line.clock[0])
    schedule = definitions.get_repository_def().get_schedule_def(name)
    context = dg.build_schedule_context(
        instance=line.instance, scheduled_execution_time=datetime(2024, 4, 5, 4, 17, tzinfo=UTC)
    )
    found = schedule.evaluate_tick(context)
    return [it.run_key for it in found.run_requests or []], found.skip_message


def test_nothing_is_backed_up_by_itself_unless_the_config_says_where(
    empty_line: SmallLine, tmp_path: Path
) -> None:
    requests, reason = evening(empty_line, "back_up_schedule")
    assert requests == []
    assert "there is no `backups` in the platform config" in str(reason)
    backups = BackupsEntry.model_validate({"folder": str(tmp_path / "backup")})
    assert evening(empty_line, "back_up_schedule", backups=backups) == (
        ["backup-2024-04-05"],
        None,
    )


def test_old_months_leave_only_where_the_config_says_so_and_some_are_old_enough(
    stored_line: SmallLine,
) -> None:
    name = "retention_schedule"
    assert evening(stored_line, name) == ([], "no timeframe has a `retention` in thresholds.yaml")
    keep = replace(stored_line.settings.thresholds, retention={"1h": timedelta(days=30)})
    young = evening(stored_line, name, thresholds=keep)
    assert young == ([], "no month is old enough that no snapshot pins")
    stored_line.clock[0] = datetime(2024, 4, 5, 5, 7, tzinfo=UTC)
    assert evening(stored_line, name, thresholds=keep) == (["retention-2024-04-05"], None)


def recheck(line: SmallLine, day: datetime) -> list[dg.RunRequest] | str:
    schedule = line.definitions.get_repository_def().get_schedule_def("recheck_binance_schedule")
    context = dg.build_schedule_context(instance=line.instance, scheduled_execution_time=day)
    found = schedule.evaluate_tick(context)
    return list(found.run_requests or []) or str(found.skip_message)


SUNDAY = datetime(2024, 3, 3, 2, 37, tzinfo=UTC)
MONDAY = SUNDAY + timedelta(days=1)


def test_last_days_are_asked_for_again_and_compared(stored_line: SmallLine) -> None:
    stored_line.clock[0] = SUNDAY
    request = only_request(recheck(stored_line, SUNDAY))
    assert request.job_name is None
    assert ranges([request]) == [("BTC-USDT|2024-02", "SOL-USDT|2024-03")]
    assert request.tags["compare_from"] == "2024-02-29"
    assert request.tags["backfill"] == "binance"
    assert request.run_key == "binance-recheck-2024-03-03-0"
    # The four hours are computed from the hours: nobody can be asked for them.
    assert {key.path[-1] for key in request.asset_selection or []} == {"ohlcv_1h", "ohlcv_1d"}


def test_recheck_of_a_lake_without_candles_is_skipped(empty_line: SmallLine) -> None:
    assert recheck(empty_line, SUNDAY) == "nothing is stored that could be compared"


def test_months_that_are_over_are_asked_for_again_on_mondays(stored_line: SmallLine) -> None:
    stored_line.clock[0] = datetime(2024, 4, 8, 2, 37, tzinfo=UTC)
    monday = stored_line.clock[0]
    assert monday.weekday() == 0
    found = recheck(stored_line, monday)
    assert found == recheck(stored_line, monday)
    assert not isinstance(found, str)
    (old,) = found
    month = old.tags[RANGE[0]].split("|")[1]
    assert old.tags[RANGE[0]] == old.tags[RANGE[1]]
    assert old.tags["compare_from"] == f"{month}-01"
    assert recheck(stored_line, monday + timedelta(days=1)) == (
        "nothing is stored that could be compared"
    )


def test_recheck_asks_as_much_as_the_days_have_and_writes_nothing_that_is_the_same(
    stored_line: SmallLine,
) -> None:
    stored_line.clock[0] = NOW + timedelta(hours=1)
    before = stored_line.files()
    request = only_request(recheck(stored_line, SUNDAY))
    job = stored_line.definitions.resolve_job_def("fetch_binance_candles_job")
    result = job.execute_in_process(
        instance=stored_line.instance, tags=request.tags, asset_selection=request.asset_selection
    )
    assert result.success
    # One page for each of three pairs and two timeframes.
    assert stored_line.simulator.candle_requests == {"binance": 6}
    changed = {name for name, state in stored_line.files().items() if before.get(name) != state}
    assert all("timeframe=1h" in name and "period=2024-03" in name for name in changed)
    alerts = [
        event.step_materialization_data.materialization.metadata["alerts"].value
        for event in result.get_asset_materialization_events()
    ]
    assert alerts
    assert not any(alerts)


def judge(line: SmallLine) -> dg.RunRequest | str:
    schedule = line.definitions.get_repository_def().get_schedule_def("judge_binance_schedule")
    context = dg.build_schedule_context(
        instance=line.instance, scheduled_execution_time=datetime(2024, 3, 3, 1, 7, tzinfo=UTC)
    )
    found = schedule.evaluate_tick(context)
    return only_request(list(found.run_requests)) if found.run_requests else str(found.skip_message)


def test_what_came_in_another_run_is_judged_at_night_and_then_no_more(
    stored_line: SmallLine,
) -> None:
    assert judge(stored_line) == "every verdict rests on what is stored now"
    hours = Partition("ohlcv", series(SOL, "1h"), to_period("2024-02"))
    with stored_line.lake() as lake:
        held = lake.store.read(hours)
        assert held is not None
        lake.store.commit(
            hours,
            held.frame.with_columns(volume=pl.col("volume") + 1),
            merge=None,
            audit=lambda given: (given, given.clear()),
            note=CommitNote(source="planted"),
        )
    asked = judge(stored_line)
    assert isinstance(asked, dg.RunRequest)
    assert (asked.run_key, asked.tags["backfill"]) == ("binance-judge-2024-03-03", "binance")
    job = stored_line.definitions.resolve_job_def("judge_binance_candles_job")
    result = job.execute_in_process(instance=stored_line.instance, tags=asked.tags)
    assert result.success
    found = {(it.asset_key, it.check_name): it for it in result.get_asset_check_evaluations()}
    days = dg.AssetKey(["binance", "ohlcv_1d"])
    # One exchange, two timeframes that are fetched, one that is computed.
    assert len(found) == 3 + 3 + 1
    assert found[days, "coarser_candles_agree"].metadata["count"].value == 29
    assert judge(stored_line) == "every verdict rests on what is stored now"
