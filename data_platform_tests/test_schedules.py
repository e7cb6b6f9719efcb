from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl
import pytest

from data_platform.domain.candles import merge_candles
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair
from data_platform.domain.periods import to_period
from data_platform.schedules import to_blocks
from data_platform.storage.journal import CommitNote
from data_platform.storage.ledger import Gap
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


@pytest.mark.parametrize(
    ("backlog", "expected"),
    [
        ([], []),
        ([(ETH, "2024-02")], [("ETH-USDT|2024-02", "ETH-USDT|2024-02")]),
        (
            [(BTC, "2024-02"), (SOL, "2024-02")],
            [("BTC-USDT|2024-02", "BTC-USDT|2024-02"), ("SOL-USDT|2024-02", "SOL-USDT|2024-02")],
        ),
        (
            [(BTC, "2024-01"), (BTC, "2024-03"), (ETH, "2024-03"), (ETH, "2024-01")],
            [("BTC-USDT|2024-01", "ETH-USDT|2024-03")],
        ),
    ],
    ids=["nothing", "one", "not neighbours", "a month between"],
)
def test_neighbours_that_lack_the_same_months_share_a_range(
    backlog: list[tuple[Pair, str]], expected: list[tuple[str, str]]
) -> None:
    cells = [(pair, to_period(month)) for pair, month in backlog]
    blocks = to_blocks(cells, (BTC, ETH, SOL))
    assert [(block.tags[RANGE[0]], block.tags[RANGE[1]]) for block in blocks] == expected
