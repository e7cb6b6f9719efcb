from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period
from data_platform.domain.timeframes import to_timeframe
from data_platform.features.feature_set import FeatureSet
from data_platform.features.markets import MarketColumns
from data_platform.operations import derive
from data_platform.operations.derive import derive_layer
from data_platform.operations.journal_book import JournalBook
from data_platform.operations.lake import Lake
from data_platform.operations.recipe import Gathered, Recipe, is_stale
from data_platform.operations.recipes import features_recipe, filled_recipe, indicators_recipe
from data_platform.operations.report import LayerReport
from data_platform.operations.watch import Progress, StoppedError, Watch, nobody_watches
from data_platform.storage import journal
from data_platform.storage.tables import COMMITS
from data_platform_tests.damage import DAMAGES, damage
from data_platform_tests.factories import (
    candles_at,
    files_of,
    gap_of,
    grid,
    journal_of,
    lake_at,
    month_of,
    partition_of,
    partitions_of,
    plant_gaps,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.lines import (
    SMALL,
    contents,
    derive_line,
    from_scratch,
    recipes_of,
    written,
)

SERIES = series_of(timeframe="4h")
JAN, FEB, MAR, APR = MONTHS = [month_of(f"2024-0{number}") for number in range(1, 5)]
TIMES = grid("2024-01-03", "2024-04-20", "4h")
TRUTH = candles_at(TIMES)


def with_volume(frame: pl.DataFrame, at: str, volume: float = 9.0) -> pl.DataFrame:
    return frame.filter(pl.col("open_time") == time(at)).with_columns(volume=pl.lit(volume))


def with_close(frame: pl.DataFrame, at: str) -> pl.DataFrame:
    return frame.filter(pl.col("open_time") == time(at)).with_columns(
        close=pl.col("open") + 0.5, high=pl.col("high") + 1
    )


def test_unchanged_inputs_write_nothing(lake: Lake, root: Path) -> None:
    store_candles(lake, SERIES, TRUTH)
    first = derive_line(lake, SERIES, MONTHS)
    assert len(written(first)) == 12
    before = files_of(root)
    with lake.state.read() as connection:
        rows = connection.execute(COMMITS.select()).all()
    assert written(derive_line(lake, SERIES, MONTHS)) == set()
    assert files_of(root) == before
    with lake.state.read() as connection:
        assert connection.execute(COMMITS.select()).all() == rows


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        # The candle in the middle of a month is out of the next one's reach.
        ("2024-02-15", {"filled 2024-02", "indicators 2024-02", "features 2024-02"}),
        # The last close of a month is in the next one's sma_5 and returns.
        (
            "2024-02-29 20:00",
            {
                "filled 2024-02",
                "indicators 2024-02",
                "features 2024-02",
                "indicators 2024-03",
                "features 2024-03",
            },
        ),
    ],
)
def test_corrected_candle_makes_exactly_the_affected_partitions_again(
    lake: Lake, root: Path, at: str, expected: set[str]
) -> None:
    line = [
        filled_recipe(),
        indicators_recipe(("sma_5",)),
        features_recipe(PLAIN, SERIES.timeframe),
    ]
    store_candles(lake, SERIES, TRUTH)
    derive_line(lake, SERIES, MONTHS, line)
    store_candles(lake, SERIES, with_close(TRUTH, at))
    before = files_of(root)
    assert written(derive_line(lake, SERIES, MONTHS, line)) == expected
    after = files_of(root)
    changed = [name for name in after if after[name] != before.get(name)]
    replaced = [name for name in changed if name.startswith("history/")]
    assert len(changed) - len(replaced) == len(replaced) == len(expected)
    # A second look finds nothing: what was read again and found the same is known to be.
    book = JournalBook(lake)
    for recipe in line:
        for part in partitions_of(SERIES, "2024-01", "2024-04", recipe.layer):
            assert not is_stale(replace(part, feature_set=recipe.feature_set), recipe, book)


PLAIN = FeatureSet("plain", 1, returns=(1,), indicators=("sma_5",))


def test_corrected_volume_reaches_only_what_holds_it(lake: Lake) -> None:
    store_candles(lake, SERIES, TRUTH)
    derive_line(lake, SERIES, MONTHS)
    store_candles(lake, SERIES, with_volume(TRUTH, "2024-02-29 20:00"))
    # Features hold neither volume nor an indicator of it: recomputed, but the same.
    assert written(derive_line(lake, SERIES, MONTHS)) == {"filled 2024-02", "indicators 2024-02"}


def test_earlier_history_makes_later_months_as_if_it_had_always_been_there(
    lake: Lake, tmp_path: Path
) -> None:
    later = TRUTH.filter(pl.col("open_time") >= time("2024-03"))
    store_candles(lake, SERIES, later)
    derive_line(lake, SERIES, MONTHS)
    alone = contents(lake, SERIES, MONTHS)
    assert [alone[f"filled {month}"] for month in (JAN, FEB)] == [None, None]
    store_candles(lake, SERIES, TRUTH)
    changed = written(derive_line(lake, SERIES, MONTHS))
    assert {"filled 2024-03", "indicators 2024-03", "features 2024-03"} <= changed
    assert contents(lake, SERIES, MONTHS) == from_scratch(tmp_path / "b", SERIES, TRUTH, MONTHS)


@pytest.mark.parametrize("order", [(FEB, JAN, MAR), (MAR, FEB, JAN), (MAR, JAN, FEB)])
def test_month_by_month_in_any_order_equals_all_at_once(
    lake: Lake, tmp_path: Path, order: tuple[Period, ...]
) -> None:
    hole = pl.col("open_time").is_between(time("2024-01-28"), time("2024-02-04"))
    candles = TRUTH.filter(~hole)
    for month in order:
        own = pl.col("open_time").dt.strftime("%Y-%m") == str(month)
        store_candles(lake, SERIES, candles.filter(own))
        derive_line(lake, SERIES, [month])
    derive_line(lake, SERIES, MONTHS[:3])
    expected = from_scratch(
        tmp_path / "b", SERIES, candles.filter(pl.col("open_time") < time("2024-04")), MONTHS[:3]
    )
    assert contents(lake, SERIES, MONTHS[:3]) == expected
    assert written(derive_line(lake, SERIES, MONTHS[:3])) == set()


def test_tick_by_tick_equals_all_at_once(lake: Lake, tmp_path: Path) -> None:
    few = TRUTH.filter(pl.col("open_time").is_between(time("2024-01-28"), time("2024-02-03")))
    for number in range(2, few.height, 9):
        store_candles(lake, SERIES, few.head(number))
        derive_line(lake, SERIES, [JAN, FEB])
    store_candles(lake, SERIES, few)
    derive_line(lake, SERIES, [JAN, FEB])
    expected = from_scratch(tmp_path / "b", SERIES, few, [JAN, FEB])
    assert contents(lake, SERIES, [JAN, FEB]) == expected


def test_other_code_computes_again(lake: Lake) -> None:
    store_candles(lake, SERIES, TRUTH)
    derive_line(lake, SERIES, MONTHS)
    newer = [replace(it, code_version=f"{it.code_version}9") for it in recipes_of(SERIES)]
    before = [journal_of(lake, it).id for it in partitions_of(SERIES, layer="filled")]
    reports = derive_line(lake, SERIES, [JAN], newer)
    # The same content: no file, but a row that says by which code it was made.
    assert written(reports) == set()
    after = journal_of(lake, partition_of(SERIES, layer="filled"))
    assert [after.id] != before
    assert (after.code_version, after.reason) == (newer[0].code_version, "recomputed")


def test_other_parameters_compute_again(lake: Lake) -> None:
    store_candles(lake, SERIES, TRUTH)
    derive_line(lake, SERIES, MONTHS, [filled_recipe(), indicators_recipe(("sma_5",))])
    changed = derive_line(lake, SERIES, MONTHS, [filled_recipe(), indicators_recipe(("sma_6",))])
    assert written(changed) == {f"indicators {month}" for month in MONTHS}


def test_two_feature_sets_do_not_make_one_another_stale(lake: Lake) -> None:
    store_candles(lake, SERIES, TRUTH)
    line = recipes_of(SERIES)
    derive_line(lake, SERIES, MONTHS, line)
    both = [line[-1], features_recipe(PLAIN, SERIES.timeframe)]
    derive_layer(
        lake, partitions_of(SERIES, "2024-01", "2024-04", "features"), both, nobody_watches()
    )
    book = JournalBook(lake)
    for recipe in both:
        part = replace(partition_of(SERIES, layer="features"), feature_set=recipe.feature_set)
        assert not is_stale(part, recipe, book)


def test_clock_that_goes_back_hides_no_change(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    store_candles(lake, SERIES, TRUTH)
    derive_line(lake, SERIES, MONTHS)

    class Yesterday(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # noqa: ARG003
            return datetime.now(UTC) - timedelta(days=1)

    monkeypatch.setattr(journal, "datetime", Yesterday)
    store_candles(lake, SERIES, with_close(TRUTH, "2024-02-15"))
    assert journal_of(lake, partition_of(SERIES, "2024-02")).committed_at < datetime.now(
        UTC
    ) - timedelta(hours=23)
    assert "filled 2024-02" in written(derive_line(lake, SERIES, MONTHS))


def test_input_committed_while_a_partition_is_computed_shows_next_time(lake: Lake) -> None:
    store_candles(lake, SERIES, TRUTH)
    recipe = filled_recipe()

    def gather_slowly(of: Lake, partitions: Sequence[Partition]) -> Gathered:
        gathered = recipe.gather(of, partitions)
        store_candles(of, SERIES, with_close(TRUTH, "2024-01-15"))
        return gathered

    slow = replace(recipe, gather=gather_slowly)
    derive_line(lake, SERIES, [JAN], [slow])
    assert is_stale(partition_of(SERIES, layer="filled"), recipe, JournalBook(lake))
    assert written(derive_line(lake, SERIES, [JAN], [recipe])) == {"filled 2024-01"}


def test_time_found_to_be_without_trades_later_makes_the_grid_again(
    lake: Lake, tmp_path: Path
) -> None:
    hole = pl.col("open_time").is_between(time("2024-02-10"), time("2024-02-14"))
    candles = TRUTH.filter(~hole)
    store_candles(lake, SERIES, candles)
    plant_gaps(lake, gap_of(SERIES, "2024-02-10", "2024-02-14 04:00", "open"))
    derive_line(lake, SERIES, MONTHS)
    plant_gaps(lake, gap_of(SERIES, "2024-02-10", "2024-02-14 04:00", "no_trades", confirmed=True))
    # The break is gone, so the months after it lie in the first segment, in the same run.
    changed = written(derive_line(lake, SERIES, MONTHS))
    assert {"filled 2024-02", "filled 2024-03", "filled 2024-04"} <= changed
    quiet = [("2024-02-10", "2024-02-14 04:00")]
    expected = from_scratch(tmp_path / "b", SERIES, candles, MONTHS, quiet)
    assert contents(lake, SERIES, MONTHS) == expected


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("layer", ["filled", "indicators", "features"])
def test_damaged_file_is_made_again_and_nothing_else(
    lake: Lake, root: Path, layer: str, how: str
) -> None:
    store_candles(lake, SERIES, TRUTH)
    derive_line(lake, SERIES, MONTHS)
    before = {name: content for name, (content, _) in files_of(root).items()}
    recipe = next(it for it in recipes_of(SERIES) if it.layer == layer)
    part = replace(partition_of(SERIES, "2024-02", layer), feature_set=recipe.feature_set)
    damage(root / str(journal_of(lake, part).path), how)
    # Without hashing every file, only what a disk does by itself goes unseen.
    assert is_stale(part, recipe, JournalBook(lake)) == (how != "rotten")
    assert is_stale(part, recipe, JournalBook(lake, is_thorough=True))
    assert written(derive_line(lake, SERIES, MONTHS)) == {f"{layer} 2024-02"}
    assert {name: content for name, (content, _) in files_of(root).items()} == before
    assert journal_of(lake, part).reason == "repair"
    assert written(derive_line(lake, SERIES, MONTHS)) == set()


def test_older_file_of_the_same_partition_is_not_taken_for_the_newest(lake: Lake) -> None:
    store_candles(lake, SERIES, TRUTH)
    derive_line(lake, SERIES, MONTHS)
    [path] = lake.store.files("filled", SERIES, [FEB])
    older = path.read_bytes()
    store_candles(lake, SERIES, with_close(TRUTH, "2024-02-15"))
    derive_line(lake, SERIES, MONTHS)
    newest = path.read_bytes()
    path.write_bytes(older)
    assert written(derive_line(lake, SERIES, MONTHS)) == {"filled 2024-02"}
    assert path.read_bytes() == newest


def test_file_in_the_place_of_an_empty_month_is_removed(lake: Lake, root: Path) -> None:
    derive_line(lake, SERIES, [JAN])
    part = partition_of(SERIES, layer="filled")
    strange = lake.store.layout.partition(part)
    strange.parent.mkdir(parents=True)
    strange.write_bytes(b"")
    assert is_stale(part, filled_recipe(), JournalBook(lake))
    assert written(derive_line(lake, SERIES, [JAN])) == {"filled 2024-01"}
    assert files_of(root) == {}
    assert written(derive_line(lake, SERIES, [JAN])) == set()


def test_damaged_input_fails_what_reads_it_and_nothing_else(lake: Lake) -> None:
    other = series_of(pair="ETH/USDT", timeframe="4h")
    for series in (SERIES, other):
        store_candles(lake, series, TRUTH)
    [path] = lake.store.files("ohlcv", SERIES, [FEB])
    path.write_bytes(b"torn")
    asked = [
        part
        for series in (SERIES, other)
        for part in partitions_of(series, "2024-01", "2024-04", "filled")
    ]
    report = derive_layer(lake, asked, [filled_recipe()], nobody_watches())
    # March reads the last candle before it, which lies in February; April its segment from March.
    assert list(report.failures) == partitions_of(SERIES, "2024-02", "2024-04", "filled")
    assert all(str(path) in reason for reason in report.failures.values())
    assert report.count("written") == 5
    noted = lake.verdicts.newest("binance", "filled", SERIES.timeframe)
    assert noted.select("period", "rule", "count").rows() == [
        ("2024-02", "series_derived", 1),
        ("2024-03", "series_derived", 1),
        ("2024-04", "series_derived", 1),
    ]


def test_month_without_candles_is_empty_in_every_layer(lake: Lake, root: Path) -> None:
    reports = derive_line(lake, SERIES, [JAN])
    for layer, report in reports.items():
        [part] = report.partitions
        assert (part.rows, part.path, part.outcome) == (0, None, "unchanged"), layer
        assert journal_of(lake, part.partition).rows == 0
    assert files_of(root) == {}


def test_stopping_leaves_what_was_committed(lake: Lake) -> None:
    store_candles(lake, SERIES, TRUTH)
    answers = iter([False, True])
    heard: list[Progress] = []
    watch = Watch(report=heard.append, should_stop=lambda: next(answers))
    asked = partitions_of(SERIES, "2024-01", "2024-02", "filled")
    with pytest.raises(StoppedError, match="2024-02"):
        derive_layer(lake, asked, [filled_recipe()], watch)
    assert [it.done for it in heard] == [1]
    assert journal_of(lake, asked[0]).rows > 0
    assert lake.store.journal(asked[1]) is None


def test_stopping_between_batches_leaves_what_was_committed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derive, "BATCH_ROWS", 1)
    store_candles(lake, SERIES, TRUTH)
    derive_line(lake, SERIES, MONTHS, [filled_recipe()])
    answers = iter([False, False, True])
    asked = partitions_of(SERIES, "2024-01", "2024-04", "indicators")
    watch = Watch(report=lambda _: None, should_stop=lambda: next(answers))
    with pytest.raises(StoppedError, match="2024-03"):
        derive_layer(lake, asked, [indicators_recipe(("sma_5",))], watch)
    # The next batch has been computed by then, and is thrown away.
    rows = [lake.store.journal(partition) for partition in asked]
    assert [row is None for row in rows] == [False, False, True, True]


def test_small_set_is_what_the_line_makes(lake: Lake) -> None:
    store_candles(lake, SERIES, TRUTH)
    derive_line(lake, SERIES, [JAN])
    part = replace(partition_of(SERIES, layer="features"), feature_set=SMALL.key)
    assert journal_of(lake, part).rows == 29 * 6


PAIRS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
JOINED = FeatureSet(
    "joined",
    1,
    returns=(1, 3),
    volatility=(4,),
    indicators=("sma_5", "rsi_14"),
    joins={to_timeframe("4h"): {to_timeframe("1d"): ("sma_5",)}},
    markets=(MarketColumns("btc", Pair("BTC/USDT"), returns=(2,), indicators=("rsi_14",)),),
)
SENT = FeatureSet("sent", 1, returns=(1,), indicators=("sma_5", "wma_9"), fill="none")
"""Computed from candles, over gaps that are not filled."""
NAMES = ("sma_5", "rsi_14")


def derived_pairs(lake: Lake) -> list[LayerReport]:
    """Derive pairs with gaps and one without candles; again, with candles and files that changed.

    The second look finds most of them as they were, and one whose candles are torn.
    """
    found = [
        Series("binance", Pair(pair), to_timeframe(timeframe))
        for timeframe in ("1d", "4h")
        for pair in PAIRS
    ]
    for number, series in enumerate(found):
        start, end = time(f"2024-01-{28 + number % 3}"), time(f"2024-02-0{2 + number % 3}")
        times = grid("2024-01-03", "2024-03-20", series.timeframe)
        candles = candles_at([it for it in times if not start <= it < end], 90 + number)
        if series.pair.key != "SOL-USDT":
            store_candles(lake, series, candles)
    reports = derive_pairs(lake, found)
    for series in found[3:5]:
        store_candles(lake, series, with_close(candles_at(TIMES), "2024-02-28"))
    damaged = [Partition("ohlcv", found[4], MAR), Partition("indicators", found[0], FEB)]
    for partition in damaged:
        lake.store.layout.partition(partition).write_bytes(b"torn")
    return reports + derive_pairs(lake, found)


def derive_pairs(lake: Lake, found: Sequence[Series]) -> list[LayerReport]:
    reports = []
    for layer in ("filled", "indicators", "features"):
        for timeframe in dict.fromkeys(it.timeframe for it in found):
            sets = [features_recipe(each, timeframe, NAMES) for each in (JOINED, SENT)]
            line = [filled_recipe(), indicators_recipe(NAMES), *sets]
            recipes = [it for it in line if it.layer == layer]
            asked = [
                Partition(layer, series, month)
                for series in found
                if series.timeframe == timeframe
                for month in (JAN, FEB, MAR)
            ]
            reports.append(derive_layer(lake, asked, recipes, nobody_watches()))
    return reports


def told(lake: Lake) -> dict[Partition, list[object]]:
    """All that the journal says of every derived commit, but for when it was."""
    found = {}
    for row in lake.store.journal_rows():
        if row.layer != "ohlcv":
            inputs = lake.store.inputs(row.partition)
            same = replace(row, id=0, rewrite_id=bool(row.rewrite_id), committed_at=JAN.start)
            found[row.partition] = [same, inputs]
    return found


def made_in_batches(root: Path, rows: int) -> tuple[Any, ...]:
    """What is reported, failed, journalled and on disk where so many rows are computed at once."""
    lake = lake_at(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(derive, "BATCH_ROWS", rows)
        reports = derived_pairs(lake)
    done = [sorted((str(it.partition), it.outcome) for it in one.partitions) for one in reports]
    failed = [
        {part: text.replace(str(root), "") for part, text in one.failures.items()}
        for one in reports
    ]
    contents = {path: content for path, (content, _) in files_of(root).items()}
    journalled = told(lake)
    lake.state.close()
    return done, failed, journalled, contents


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    return made_in_batches(tmp_path_factory.mktemp("alone"), 1)


@pytest.mark.parametrize("rows", [400, 100_000])
def test_batch_writes_what_one_by_one_writes(
    tmp_path: Path, one_by_one: tuple[Any, ...], rows: int
) -> None:
    done, failed, journalled, contents = made_in_batches(tmp_path, rows)
    assert (done, failed) == one_by_one[:2]
    assert journalled == one_by_one[2]
    assert contents == one_by_one[3]
    outcomes = Counter(outcome for report in done for _, outcome in report)
    assert outcomes == {"written": 61, "unchanged": 82, "failed": 1}


def test_what_fits_is_gathered_at_once_but_no_month_with_one_that_it_reads(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = series_of(pair="ETH/USDT", timeframe="4h")
    for series in (SERIES, other):
        store_candles(lake, series, TRUTH)
    asked = {
        layer: [
            part
            for series in (SERIES, other)
            for part in partitions_of(series, "2024-01", "2024-03", layer)
        ]
        for layer in ("filled", "indicators")
    }
    heard: list[list[str]] = []

    def derived(recipe: Recipe) -> list[list[str]]:
        def gather(of: Lake, partitions: Sequence[Partition]) -> Gathered:
            heard.append([f"{it.series.pair.base} {it.period}" for it in partitions])
            return recipe.gather(of, partitions)

        heard.clear()
        derive_layer(lake, asked[recipe.layer], [replace(recipe, gather=gather)], nobody_watches())
        return [*heard]

    waves = [[f"BTC {month}", f"ETH {month}"] for month in MONTHS[:3]]
    pairs = [[f"{base} {month}" for month in MONTHS[:3]] for base in ("BTC", "ETH")]
    assert derived(filled_recipe()) == waves
    assert derived(indicators_recipe(("sma_5",))) == [[*pairs[0], *pairs[1]]]
    # What needs all history is computed month by month, in the order of time.
    assert derived(indicators_recipe(("obv",))) == [[it] for each in pairs for it in each]
    monkeypatch.setattr(derive, "BATCH_ROWS", 4 * 31 * 6)
    in_fours = [[*pairs[0], pairs[1][0]], pairs[1][1:]]
    assert derived(indicators_recipe(("sma_6",))) == in_fours
