"""The backup's candles in the grid; what the grid does without one stands in `test_recipes.py`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.candles import CANDLE_SCHEMA, TimeRange, content_hash
from data_platform.domain.exchanges import exchange_row
from data_platform.domain.markets import Series
from data_platform.operations.backlog import Scope, find_backlog
from data_platform.operations.coarser import coarser_recipe
from data_platform.operations.lake import Lake
from data_platform.operations.plan import UpdateRules
from data_platform.operations.recipe import Recipe
from data_platform.operations.recipes import filled_recipe, indicators_recipe
from data_platform.operations.stale import count_stale, find_stale
from data_platform.quality.standards import Standards
from data_platform.storage.journal import ABSENT
from data_platform.storage.ledger import Status
from data_platform_tests.damage import damage
from data_platform_tests.factories import (
    GRACE,
    candles_at,
    files_of,
    gap_of,
    grid,
    lake_at,
    month_of,
    partition_of,
    plant_gaps,
    series_of,
    store_candles,
    stored,
    time,
)
from data_platform_tests.operations.lines import contents, derive_line
from data_platform_tests.operations.venues import Venues, market

OWN = series_of()
OKX = series_of("okx")
MONTHS = JAN, FEB, MAR = [month_of(f"2024-0{number}") for number in (1, 2, 3)]
TIMES = grid("2024-01-20", "2024-03-05")
GAP = ("2024-02-10 03:00", "2024-02-11 06:00")
"""27 hours: 17 more than are carried."""
LINE = [filled_recipe("okx"), indicators_recipe(("sma_5", "rsi_14"))]
NOW = time("2024-03-05 00:30")


def without(times: Sequence[datetime], start: str, end: str) -> list[datetime]:
    return [at for at in times if not time(start) <= at < time(end)]


def scope_of(line: Sequence[Recipe] = LINE) -> Scope:
    starts = {OWN.pair: TIMES[0]}
    return Scope("binance", starts, [], GRACE, {OWN.timeframe: line}, ())


def with_gap(lake: Lake, start: str, end: str, status: Status = "outage") -> None:
    """Store the own candles but for one gap, and say in the ledger what it is."""
    store_candles(lake, OWN, candles_at(without(TIMES, start, end)))
    plant_gaps(lake, gap_of(OWN, start, end, status, confirmed=status in ("outage", "no_trades")))


def filled_rows(lake: Lake, series: Series = OWN) -> pl.DataFrame:
    return stored(lake, series, "filled").filter(pl.col("is_filled"))


def in_gap(lake: Lake) -> pl.DataFrame:
    inside = pl.col("open_time").is_between(time(GAP[0]), time(GAP[1]), closed="left")
    return stored(lake, OWN, "filled").filter(inside)


def methods(frame: pl.DataFrame) -> list[str | None]:
    return frame["fill_method"].unique(maintain_order=True).to_list()


@pytest.mark.parametrize("status", ["open", "refused", "outage", "unavailable"])
def test_over_an_open_gap_stands_the_candle_of_the_backup_bit_by_bit(
    lake: Lake, status: Status
) -> None:
    with_gap(lake, *GAP, status)
    theirs = candles_at(grid("2024-02-01", "2024-02-20"), 0.1 + 0.2)
    store_candles(lake, OKX, theirs)
    derive_line(lake, OWN, MONTHS, LINE)
    rows, names = in_gap(lake), CANDLE_SCHEMA.names()
    expected = theirs.filter(pl.col("open_time").is_in(grid(*GAP)))
    assert content_hash(rows.select(names)) == content_hash(expected)
    assert (methods(rows), rows["is_filled"].all()) == (["backup:okx"], True)
    # No other row is theirs, nothing breaks, and the stored candles are the exchange's own.
    assert filled_rows(lake).equals(rows)
    assert stored(lake, OWN, "filled")["segment"].unique().to_list() == [TIMES[0]]
    assert stored(lake, OWN)["open_time"].to_list() == without(TIMES, *GAP)
    assert stored(lake, OKX).equals(theirs)


@pytest.mark.parametrize("status", ["no_trades", "before_listing", "after_delisting"])
def test_where_no_candle_is_the_truth_the_backup_is_not_asked(lake: Lake, status: Status) -> None:
    with_gap(lake, *GAP, status)
    store_candles(lake, OKX, candles_at(TIMES, 500.0))
    derive_line(lake, OWN, MONTHS, LINE)
    assert methods(filled_rows(lake)) == ["carry"]


def test_what_nobody_has_asked_for_is_not_taken_before_somebody_has(lake: Lake) -> None:
    store_candles(lake, OWN, candles_at(without(TIMES, *GAP)))
    store_candles(lake, OKX, candles_at(TIMES, 500.0))
    derive_line(lake, OWN, MONTHS, LINE)
    assert methods(filled_rows(lake)) == ["carry"]
    plant_gaps(lake, gap_of(OWN, *GAP, "open"))
    assert set(find_stale(lake, scope_of(), NOW)) == {(OWN.pair, FEB)}
    derive_line(lake, OWN, MONTHS, LINE)
    assert methods(filled_rows(lake)) == ["backup:okx"]


@pytest.mark.parametrize("pair", ["BTC/USD", "BTC/USDT:USDT", "ETH/USDT"])
def test_another_quote_or_pair_is_no_backup(lake: Lake, pair: str) -> None:
    with_gap(lake, *GAP)
    store_candles(lake, series_of("okx", pair), candles_at(TIMES, 500.0))
    derive_line(lake, OWN, MONTHS, LINE)
    assert methods(filled_rows(lake)) == ["carry"]


def test_an_absent_backup_is_recorded_and_leaves_the_grid_as_without_one(
    lake: Lake,
) -> None:
    with_gap(lake, *GAP)
    derive_line(lake, OWN, MONTHS, [filled_recipe()])
    alone = contents(lake, OWN, MONTHS, [filled_recipe()])
    derive_line(lake, OWN, MONTHS, LINE)
    assert contents(lake, OWN, MONTHS, LINE[:1]) == alone
    inputs = lake.store.inputs(partition_of(OWN, "2024-02", "filled"))
    [theirs] = [it for it in inputs if it.series == OKX and it.layer == "ohlcv"]
    assert (theirs.content_hash, theirs.first) == (ABSENT, None)


def test_the_rows_taken_are_recorded_as_an_input(lake: Lake) -> None:
    with_gap(lake, *GAP)
    store_candles(lake, OKX, candles_at(TIMES, 500.0))
    derive_line(lake, OWN, MONTHS, LINE)
    inputs = lake.store.inputs(partition_of(OWN, "2024-02", "filled"))
    [theirs] = [it for it in inputs if it.series == OKX and it.layer == "ohlcv"]
    taken = grid(*GAP)
    assert (theirs.first, theirs.last) == (taken[0], taken[-1])
    assert theirs.content_hash == content_hash(candles_at(taken, 500.0))


def test_a_backup_that_comes_later_makes_exactly_the_gap_s_months_stale(lake: Lake) -> None:
    with_gap(lake, *GAP)
    derive_line(lake, OWN, MONTHS, LINE)
    assert methods(in_gap(lake)) == ["carry"]
    assert find_backlog(lake, scope_of(), NOW) == set()
    store_candles(lake, OKX, candles_at(TIMES, 500.0))
    assert set(find_stale(lake, scope_of(), NOW)) == {(OWN.pair, FEB)}
    derive_line(lake, OWN, MONTHS, LINE)
    assert (methods(in_gap(lake)), in_gap(lake).height) == (["backup:okx"], 27)
    assert (count_stale(lake, scope_of(), NOW), find_backlog(lake, scope_of(), NOW)) == ({}, set())


def test_the_own_candle_comes_back_once_the_gap_is_repaired(lake: Lake) -> None:
    with_gap(lake, *GAP)
    store_candles(lake, OKX, candles_at(TIMES, 500.0))
    derive_line(lake, OWN, MONTHS, LINE)
    own = candles_at(grid(*GAP))
    store_candles(lake, OWN, own)
    # RSI of March looks back into the gap: found with February's at one look.
    assert set(find_stale(lake, scope_of(), NOW)) == {(OWN.pair, FEB), (OWN.pair, MAR)}
    derive_line(lake, OWN, MONTHS, LINE)
    rows = in_gap(lake)
    assert rows.select(CANDLE_SCHEMA.names()).equals(own)
    assert (methods(rows), rows["is_filled"].any()) == ([None], False)
    assert count_stale(lake, scope_of(), NOW) == {}


def test_a_correction_of_the_backup_counts_where_it_was_taken_alone(lake: Lake) -> None:
    with_gap(lake, *GAP)
    store_candles(lake, OKX, candles_at(TIMES, 500.0))
    derive_line(lake, OWN, MONTHS, LINE)
    for elsewhere in ("2024-01-25", "2024-02-05", "2024-03-02"):
        store_candles(lake, OKX, candles_at([time(elsewhere)], 9.0))
    assert count_stale(lake, scope_of(), NOW) == {}
    store_candles(lake, OKX, candles_at([time("2024-02-11 05:00")], 9.0))
    assert count_stale(lake, scope_of(), NOW) == {OWN: 1}
    derive_line(lake, OWN, MONTHS, LINE)
    assert in_gap(lake)["close"][-1] == candles_at([time("2024-02-11 05:00")], 9.0)["close"][0]


def test_a_gap_that_turns_out_to_be_without_trades_is_given_back(lake: Lake) -> None:
    with_gap(lake, *GAP)
    store_candles(lake, OKX, candles_at(TIMES, 500.0))
    derive_line(lake, OWN, MONTHS, LINE)
    plant_gaps(lake, gap_of(OWN, *GAP, "no_trades", confirmed=True))
    assert set(find_stale(lake, scope_of(), NOW)) == {(OWN.pair, FEB)}
    derive_line(lake, OWN, MONTHS, LINE)
    assert (methods(in_gap(lake)), in_gap(lake).height) == (["carry"], 27)


def test_without_its_line_in_the_config_the_backup_is_dropped(lake: Lake) -> None:
    with_gap(lake, *GAP)
    store_candles(lake, OKX, candles_at(TIMES, 500.0))
    derive_line(lake, OWN, MONTHS, LINE)
    assert count_stale(lake, scope_of([filled_recipe()]), NOW) == {OWN: 3}
    derive_line(lake, OWN, MONTHS, [filled_recipe()])
    assert (methods(in_gap(lake)), in_gap(lake).height) == (["carry"], 10)


def test_a_part_of_the_gap_that_the_backup_lacks_is_carried_from_its_last_close(
    lake: Lake,
) -> None:
    with_gap(lake, *GAP)
    theirs = grid("2024-02-10 15:00", "2024-02-10 17:00")
    store_candles(lake, OKX, candles_at(theirs, 500.0))
    derive_line(lake, OWN, MONTHS, LINE)
    rows = in_gap(lake)
    first, second = rows.filter(pl.col("segment") == TIMES[0]), rows[10:]
    assert first["open_time"].to_list() == grid(GAP[0], "2024-02-10 13:00")
    assert second["open_time"].to_list() == grid("2024-02-10 15:00", "2024-02-11 03:00")
    assert second["segment"].unique().to_list() == [theirs[0]]
    close = candles_at(theirs, 500.0)["close"][-1]
    assert second.filter(pl.col("fill_method") == "carry")["close"].to_list() == [close] * 10


def test_a_gap_over_the_turn_of_a_month_is_one_whichever_month_is_made_first(
    lake: Lake,
) -> None:
    with_gap(lake, "2024-01-31 05:00", "2024-02-01 07:00")
    # The backup goes on until two hours after the turn; a break follows on its side, too.
    theirs = grid("2024-01-31 05:00", "2024-01-31 08:00")
    theirs += grid("2024-01-31 20:00", "2024-02-01 02:00")
    store_candles(lake, OKX, candles_at(theirs, 500.0))
    derive_line(lake, OWN, [FEB], [filled_recipe("okx")])
    alone = contents(lake, OWN, [FEB], LINE[:1])
    derive_line(lake, OWN, MONTHS, [filled_recipe("okx")])
    assert contents(lake, OWN, [FEB], LINE[:1]) == alone
    february = stored(lake, OWN, "filled").filter(pl.col("open_time") >= FEB.start)
    assert february["fill_method"][:2].to_list() == ["backup:okx"] * 2
    assert february["segment"].unique().to_list() == [time("2024-01-31 20:00")]


def test_the_grid_still_ends_with_the_last_own_candle(lake: Lake) -> None:
    times = [at for at in TIMES if at < time("2024-03-03")]
    store_candles(lake, OWN, candles_at(times))
    plant_gaps(lake, gap_of(OWN, "2024-03-03", "2024-03-05", "open"))
    store_candles(lake, OKX, candles_at(TIMES, 500.0))
    derive_line(lake, OWN, MONTHS, LINE)
    assert stored(lake, OWN, "filled")["open_time"][-1] == times[-1]
    assert filled_rows(lake).is_empty()


def test_a_damaged_backup_is_named_and_not_taken_for_absent(lake: Lake, root: Path) -> None:
    with_gap(lake, *GAP)
    store_candles(lake, OKX, candles_at(TIMES, 500.0))
    row = lake.store.journal(partition_of(OKX, "2024-02"))
    assert row is not None
    assert row.path is not None
    damage(root / row.path, "flipped")
    report = derive_line(lake, OWN, MONTHS, LINE)["filled"]
    words = report.failures[partition_of(OWN, "2024-02", "filled")]
    assert "exchange=okx" in words


def test_candles_made_of_finer_ones_have_their_gaps_covered_too(lake: Lake) -> None:
    coarse, rules = (
        series_of(timeframe="4h"),
        UpdateRules(exchange_row("binance"), GRACE, {OWN.pair: TIMES[0]}, Standards()),
    )
    with_gap(lake, "2024-02-10 04:00", "2024-02-11 04:00")
    theirs = candles_at(grid("2024-02-01", "2024-02-20", "4h"), 500.0)
    store_candles(lake, series_of("okx", timeframe="4h"), theirs)
    line = [coarser_recipe(OWN.timeframe, rules), filled_recipe("okx")]
    derive_line(lake, coarse, MONTHS, line)
    rows = filled_rows(lake, coarse)
    gap = grid("2024-02-10 04:00", "2024-02-11 04:00", "4h")
    assert rows.select(CANDLE_SCHEMA.names()).equals(candles_at(gap, 500.0))
    assert methods(rows) == ["backup:okx"]


def test_ticks_of_both_exchanges_in_any_order_make_what_one_computation_makes(
    root: Path, tmp_path: Path
) -> None:
    lake = lake_at(root)
    own, theirs = candles_at(without(TIMES, *GAP)), candles_at(TIMES[200:], 500.0)
    for day in range(0, 46, 3):
        since, until = TIMES[0] + timedelta(days=day), TIMES[0] + timedelta(days=day + 3)
        tick = pl.col("open_time").is_between(since, until, closed="left")
        late = pl.col("open_time").is_between(
            since - timedelta(days=9), until - timedelta(days=9), closed="left"
        )
        # The exchange is down in the gap, and its backup lags nine days behind.
        store_candles(lake, OWN, own.filter(tick))
        plant_gaps(lake, gap_of(OWN, *GAP, "open"))
        store_candles(lake, OKX, theirs.filter(late))
        derive_line(lake, OWN, MONTHS, LINE)
    store_candles(lake, OKX, theirs)
    derive_line(lake, OWN, MONTHS, LINE)
    whole = lake_at(_fresh(tmp_path))
    store_candles(whole, OWN, own)
    plant_gaps(whole, gap_of(OWN, *GAP, "open"))
    store_candles(whole, OKX, theirs)
    derive_line(whole, OWN, MONTHS, LINE)
    assert contents(lake, OWN, MONTHS, LINE) == contents(whole, OWN, MONTHS, LINE)
    assert (methods(in_gap(lake)), in_gap(lake).height) == (["backup:okx"], 27)
    before = files_of(root)
    derive_line(lake, OWN, MONTHS, LINE)
    assert files_of(root) == before
    for each in (lake, whole):
        each.state.close()


def _fresh(folder: Path) -> Path:
    root = folder / "whole"
    root.mkdir()
    return root


def test_outage_on_the_wire_is_covered_by_the_backup_until_the_exchange_mends_it(
    venues: Venues, lake: Lake
) -> None:
    own, theirs = market("binance"), market("okx")
    start, gone = time("2024-03-10"), TimeRange(time("2024-03-12 04:00"), time("2024-03-12 20:00"))
    line = [filled_recipe("okx")]
    order = venues.simulator.faults.add("gap", exchange="binance", start=gone.start, end=gone.end)
    try:
        for series in (own, theirs):
            venues.update(lake, [partition_of(series, "2024-03")], start=start)
    finally:
        venues.simulator.faults.remove(order)
    derive_line(lake, own, [MAR], line)
    rows = filled_rows(lake, own)
    assert rows.select(CANDLE_SCHEMA.names()).equals(venues.truth(theirs, gone.start, gone.end))
    assert methods(rows) == ["backup:okx"]
    # An hour later the exchange is asked again, and holds the candles now.
    venues.clock.now += timedelta(hours=2)
    venues.update(lake, [partition_of(own, "2024-03")], start=start)
    derive_line(lake, own, [MAR], line)
    assert filled_rows(lake, own).is_empty()
    mended = stored(lake, own, "filled").select(CANDLE_SCHEMA.names())
    assert mended.equals(stored(lake, own))
