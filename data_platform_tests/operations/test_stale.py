from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from data_platform.converters import CONVERTERS
from data_platform.converters.converter import Converter
from data_platform.domain.exchanges import exchange_row
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import to_period
from data_platform.features.feature_set import FeatureSet
from data_platform.operations.backlog import Scope, find_backlog
from data_platform.operations.coarser import coarser_recipe
from data_platform.operations.export import export_layer
from data_platform.operations.journal_book import JournalBook
from data_platform.operations.lake import Lake
from data_platform.operations.plan import UpdateRules
from data_platform.operations.recipe import may_have_moved
from data_platform.operations.stale import count_stale, find_stale
from data_platform.operations.watch import nobody_watches
from data_platform.quality.standards import Standards
from data_platform.storage.tables import COMMITS
from data_platform_tests.damage import damage
from data_platform_tests.factories import (
    GRACE,
    candles_at,
    files_of,
    gap_of,
    grid,
    partitions_of,
    plant_gaps,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.lines import INDICATORS, derive_line, recipes_of

SERIES = series_of()
NOW = time("2024-03-05 00:30")
START = time("2024-01-15")


@pytest.fixture
def complete(lake: Lake) -> Lake:
    store_candles(lake, SERIES, candles_at(grid("2024-01-15", "2024-03-05")))
    return lake


FOUR_HOURS = series_of(timeframe="4h")
JOINED = FeatureSet(
    "joined",
    1,
    returns=(1,),
    volatility=(),
    indicators=INDICATORS,
    joins={SERIES.timeframe: {FOUR_HOURS.timeframe: ("sma_5",)}},
)
MONTHS = [to_period(key) for key in ("2024-01", "2024-02", "2024-03")]
RECIPES = {each.timeframe: recipes_of(each, feature_set=JOINED) for each in (SERIES, FOUR_HOURS)}


def joined(*converters: Converter, now: datetime = NOW) -> tuple[Scope, datetime]:
    """The scope of both timeframes, the coarser joined to the finer one's features."""
    return Scope("binance", {SERIES.pair: START}, [], GRACE, RECIPES, converters), now


def derive(lake: Lake, series: Series) -> None:
    derive_line(lake, series, MONTHS, RECIPES[series.timeframe])


@pytest.fixture
def late(complete: Lake) -> Lake:
    """Give a lake whose hours are derived, and whose four hours have come later."""
    derive(complete, SERIES)
    derive(complete, FOUR_HOURS)
    assert find_backlog(complete, *joined()) == set()
    four = candles_at(grid("2024-01-15", "2024-03-05", "4h"))
    store_candles(complete, FOUR_HOURS, four)
    derive(complete, FOUR_HOURS)
    return complete


def test_coarser_candles_that_come_later_make_the_finer_features_stale(late: Lake) -> None:
    assert count_stale(late, *joined()) == {SERIES: 3}
    assert find_backlog(late, *joined()) == {(SERIES.pair, month) for month in MONTHS}
    derive(late, SERIES)
    assert count_stale(late, *joined()) == {}
    assert find_backlog(late, *joined()) == set()


def test_growth_of_the_running_month_is_not_stale_and_a_correction_is(late: Lake) -> None:
    derive(late, SERIES)
    store_candles(late, SERIES, candles_at(grid("2024-03-05", "2024-03-05 01:00")))
    assert count_stale(late, *joined()) == {}
    derive(late, SERIES)
    store_candles(late, SERIES, candles_at(grid("2024-03-04", "2024-03-04 01:00"), 500.0))
    # The grid, and what is computed from it.
    assert count_stale(late, *joined()) == {SERIES: 3}


def test_candles_made_of_finer_ones_wait_for_their_refresh_too(complete: Lake) -> None:
    rules = UpdateRules(exchange_row("binance"), GRACE, {SERIES.pair: START}, Standards())
    recipe = coarser_recipe(SERIES.timeframe, rules)
    recipes = {FOUR_HOURS.timeframe: [recipe]}
    scope = Scope("binance", {SERIES.pair: START}, [], GRACE, recipes, ())
    derive_line(complete, FOUR_HOURS, MONTHS, [recipe])
    store_candles(complete, SERIES, candles_at(grid("2024-03-05", "2024-03-05 01:00")))
    assert count_stale(complete, scope, NOW) == {}
    store_candles(complete, SERIES, candles_at(grid("2024-02-05", "2024-02-05 01:00"), 500.0))
    assert count_stale(complete, scope, NOW) == {FOUR_HOURS: 1}


def test_a_month_that_is_over_is_stale_when_it_grows(late: Lake) -> None:
    derive(late, SERIES)
    april = time("2024-04-02")
    store_candles(late, SERIES, candles_at(grid("2024-03-05", "2024-03-06")))
    assert count_stale(late, *joined(now=april)) == {SERIES: 1}


def test_what_was_never_computed_is_missing_and_not_stale(complete: Lake) -> None:
    assert count_stale(complete, *joined(*CONVERTERS)) == {}


@pytest.mark.parametrize("converter", CONVERTERS, ids=lambda it: it.name)
def test_files_of_other_programs_are_stale_after_a_correction_alone(
    complete: Lake, converter: Converter
) -> None:
    scope = Scope("binance", {SERIES.pair: START}, [], GRACE, {SERIES.timeframe: []}, [converter])
    months = partitions_of(SERIES, "2024-01", "2024-03", layer=converter.name)
    export_layer(complete, months, converter, nobody_watches())
    assert count_stale(complete, scope, NOW) == {}
    store_candles(complete, SERIES, candles_at(grid("2024-03-05", "2024-03-05 01:00")))
    assert count_stale(complete, scope, NOW) == {}
    export_layer(complete, months, converter, nobody_watches())
    store_candles(complete, SERIES, candles_at(grid("2024-02-04", "2024-02-04 01:00"), 500.0))
    assert count_stale(complete, scope, NOW) == {SERIES: 1}


YEAR = [to_period(f"2024-{month:02}") for month in range(1, 13)]
YEAR_SCOPE = Scope(
    "binance",
    {SERIES.pair: time("2024-01")},
    [],
    GRACE,
    {SERIES.timeframe: recipes_of(SERIES)},
    CONVERTERS,
)
AFTER = time("2025-01-10")


@pytest.fixture
def year(lake: Lake) -> Lake:
    """Give a lake with everything that is made of a year of hours, which is over."""
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2025-01-01")))
    make(lake)
    assert find_stale(lake, YEAR_SCOPE, AFTER) == {}
    return lake


def make(lake: Lake, *months: str) -> None:
    chosen = [to_period(month) for month in months] or YEAR
    derive_line(lake, SERIES, chosen)
    for converter in CONVERTERS:
        parts = [Partition(converter.name, SERIES, month) for month in chosen]
        export_layer(lake, parts, converter, nobody_watches())


def correct(lake: Lake, start: str, end: str, price: float = 500.0) -> None:
    store_candles(lake, SERIES, candles_at(grid(start, end), price))


def stale(lake: Lake) -> list[str]:
    return sorted(period.key for _, period in find_stale(lake, YEAR_SCOPE, AFTER))


def versions(lake: Lake, layer: str) -> list[int]:
    """How often each month of a layer was committed with other content."""
    return [sum(row["changed"] > 0 for row in rows_of(lake, layer, month.key)) for month in YEAR]


def rows_of(lake: Lake, layer: str, month: str) -> list[sa.RowMapping]:
    query = sa.select(COMMITS).where(COMMITS.c.layer == layer, COMMITS.c.period == month)
    with lake.state.read() as connection:
        return list(connection.execute(query).mappings())


def test_r18_candle_in_the_middle_of_a_month_makes_that_month_stale_alone(year: Lake) -> None:
    # Indicators of June look back 29 days at most.
    correct(year, "2024-05-01 05:00", "2024-05-01 06:00")
    assert stale(year) == ["2024-05"]
    make(year, "2024-05")
    assert stale(year) == []


def test_what_reads_across_the_end_of_the_month_is_found_in_turn_and_made_once(
    year: Lake,
) -> None:
    correct(year, "2024-05-31 23:00", "2024-06-01")
    rounds = []
    while found := stale(year):
        rounds.append(found)
        make(year, *found)
    assert rounds == [["2024-05", "2024-06"]]
    for layer in ("filled", "indicators", "features"):
        assert sum(versions(year, layer)) <= 2, layer
    assert versions(year, "indicators") == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0]


def test_r18_making_what_is_stale_touches_no_other_file(year: Lake, root: Path) -> None:
    before = files_of(root)
    correct(year, "2024-05-10 05:00", "2024-05-10 06:00")
    while found := stale(year):
        make(year, *found)
    changed = {name for name, state in files_of(root).items() if before.get(name) != state}
    kept = {name for name in changed if not name.startswith(("history/", "exports/"))}
    assert kept
    assert all("2024-05" in name for name in kept)


def test_months_that_a_correction_cannot_reach_are_not_even_suspect(year: Lake) -> None:
    correct(year, "2024-05-10 05:00", "2024-05-10 06:00")
    book = JournalBook.of_exchange(year, "binance")
    suspects = {
        (recipe.layer, month.key)
        for recipe in recipes_of(SERIES)
        for month in YEAR
        if may_have_moved(Partition(recipe.layer, SERIES, month, recipe.feature_set), recipe, book)
    }
    assert suspects == {("filled", "2024-05"), ("filled", "2024-06")}


def test_same_content_after_a_look_again_is_not_stale_for_ever(year: Lake) -> None:
    # There and back: the hash of the month is what it was, the rows are too.
    correct(year, "2024-05-10 05:00", "2024-05-10 06:00")
    correct(year, "2024-05-10 05:00", "2024-05-10 06:00", 100.0)
    assert stale(year) == []


def test_digest_changes_only_with_what_is_stale(year: Lake) -> None:
    correct(year, "2024-05-10 05:00", "2024-05-10 06:00")
    first = find_stale(year, YEAR_SCOPE, AFTER)
    assert find_stale(year, YEAR_SCOPE, AFTER) == first
    correct(year, "2024-05-10 05:00", "2024-05-10 06:00", 600.0)
    second = find_stale(year, YEAR_SCOPE, AFTER)
    assert second.keys() == first.keys()
    assert not set(second.values()) & set(first.values())
    make(year, "2024-05")
    correct(year, "2024-05-10 05:00", "2024-05-10 06:00")
    third = find_stale(year, YEAR_SCOPE, AFTER)
    assert third[SERIES.pair, YEAR[4]] not in {*first.values(), *second.values()}


def test_time_found_to_be_without_trades_later_makes_its_month_stale(lake: Lake) -> None:
    whole = candles_at(grid("2024-01-01", "2025-01-01"))
    hole = pl.col("open_time").is_between(time("2024-03-05"), time("2024-03-06"), closed="left")
    store_candles(lake, SERIES, whole.filter(~hole))
    plant_gaps(lake, gap_of(SERIES, "2024-03-05", "2024-03-06", "outage", confirmed=True))
    make(lake)
    assert stale(lake) == []
    plant_gaps(lake, gap_of(SERIES, "2024-03-05", "2024-03-06", "no_trades", confirmed=True))
    assert stale(lake) == ["2024-03"]


def test_damaged_file_is_counted_and_left_to_the_backlog(year: Lake) -> None:
    [path] = year.store.files("indicators", SERIES, [YEAR[3]])
    damage(path, "gone")
    assert stale(year) == []
    assert count_stale(year, YEAR_SCOPE, AFTER) == {SERIES: 1}


def test_month_whose_candles_cannot_be_read_is_asked_for(year: Lake) -> None:
    correct(year, "2024-05-10 05:00", "2024-05-10 06:00")
    [path] = year.store.files("ohlcv", SERIES, [YEAR[4]])
    damage(path, "torn")
    assert "2024-05" in stale(year)


def test_other_parameters_make_every_month_stale(year: Lake) -> None:
    recipes = {SERIES.timeframe: recipes_of(SERIES, indicators=("sma_7",))}
    scope = Scope("binance", {SERIES.pair: time("2024-01")}, [], GRACE, recipes, ())
    found = find_stale(year, scope, AFTER)
    assert sorted(period.key for _, period in found) == [month.key for month in YEAR]


def test_one_look_asks_the_same_few_questions_whatever_the_history(year: Lake) -> None:
    asked: list[str] = []

    def note(_connection: object, _cursor: object, text: str, *_rest: object) -> None:
        asked.extend([text] if text != "BEGIN" else [])

    sa.event.listen(year.state._engine, "before_cursor_execute", note)
    assert find_stale(year, YEAR_SCOPE, AFTER) == {}
    # The journal, its inputs, the ledger, and the precision of its markets.
    assert len(asked) == 4
