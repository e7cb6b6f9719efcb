from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.timeframes import to_timeframe
from data_platform.features.feature_set import FeatureSet
from data_platform.operations.grid import gather_filled
from data_platform.operations.journal_book import to_input
from data_platform.operations.lake import Lake
from data_platform.operations.recipes import (
    features_recipe,
    filled_recipe,
    indicators_recipe,
    layer_version,
)
from data_platform.storage.journal import ABSENT
from data_platform_tests.damage import damage
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    journal_of,
    month_of,
    partition_of,
    plant_gaps,
    series_of,
    store_candles,
    stored,
    time,
)
from data_platform_tests.operations.lines import contents, derive_line, from_scratch, written
from data_platform_tests.operations.scripted import ScriptedSource

MINUTES = series_of("coinbase", "BTC/USD", "1m")
JAN, FEB, MAR = MONTHS = [month_of(f"2024-0{number}") for number in (1, 2, 3)]


def without(times: list[datetime], start: str, end: str) -> list[datetime]:
    return [at for at in times if not time(start) <= at < time(end)]


def filled_times(lake: Lake) -> list[datetime]:
    rows = stored(lake, MINUTES, "filled")
    return rows.filter(pl.col("is_filled"))["open_time"].to_list()


def test_gap_of_five_across_months_is_carried_whole(lake: Lake) -> None:
    times = grid("2024-01-31 23:00", "2024-02-01 01:00", "1m")
    gone = ("2024-01-31 23:57", "2024-02-01 00:02")
    store_candles(lake, MINUTES, candles_at(without(times, *gone)))
    derive_line(lake, MINUTES, [JAN, FEB], [filled_recipe()])
    assert filled_times(lake) == grid(*gone, "1m")
    rows = stored(lake, MINUTES, "filled")
    assert rows["open_time"].to_list() == times
    assert rows["segment"].unique().to_list() == [time("2024-01-31 23:00")]
    carried = rows.filter(pl.col("is_filled"))
    close = candles_at([time("2024-01-31 23:56")])["close"][0]
    assert carried.select("open", "high", "low", "close").unique().row(0) == (close,) * 4
    assert carried["volume"].to_list() == [0.0] * 5


def test_gap_of_fifteen_across_months_breaks_after_ten(lake: Lake) -> None:
    times = grid("2024-01-31 23:00", "2024-02-01 01:00", "1m")
    gone = ("2024-01-31 23:54", "2024-02-01 00:09")
    store_candles(lake, MINUTES, candles_at(without(times, *gone)))
    derive_line(lake, MINUTES, [JAN, FEB], [filled_recipe()])
    assert filled_times(lake) == grid("2024-01-31 23:54", "2024-02-01 00:04", "1m")
    rows = stored(lake, MINUTES, "filled")
    assert rows["open_time"].to_list() == without(times, "2024-02-01 00:04", "2024-02-01 00:09")
    segments = rows.group_by("segment", maintain_order=True).agg(pl.len())
    assert segments.rows() == [(time("2024-01-31 23:00"), 64), (time("2024-02-01 00:09"), 51)]


def test_time_without_trades_is_carried_at_any_length_across_months(lake: Lake) -> None:
    times = grid("2024-01-31 20:00", "2024-02-01 01:00", "1m")
    gone = ("2024-01-31 22:00", "2024-02-01 00:30")
    store_candles(lake, MINUTES, candles_at(without(times, *gone)))
    plant_gaps(lake, gap_of(MINUTES, *gone, "no_trades", confirmed=True))
    derive_line(lake, MINUTES, [JAN, FEB], [filled_recipe()])
    assert filled_times(lake) == grid(*gone, "1m")
    rows = stored(lake, MINUTES, "filled")
    assert rows["segment"].unique().to_list() == [time("2024-01-31 20:00")]


@pytest.mark.parametrize(("until", "carried"), [("08:00", 6 * 60), ("08:01", 10)])
def test_silence_of_more_than_six_hours_is_an_outage_and_broken_off(
    lake: Lake, until: str, carried: int
) -> None:
    gone = ("2024-03-10 02:00", f"2024-03-10 {until}")
    times = without(grid("2024-03-10", "2024-03-10 12:00", "1m"), *gone)
    source = ScriptedSource({MINUTES: candles_at(times)}, clock=time("2024-03-10 12:00:30"))
    march = partition_of(MINUTES, "2024-03")
    source.update(lake, [march], start=time("2024-03-10"))
    derive_line(lake, MINUTES, [MAR], [filled_recipe()])
    assert filled_times(lake) == grid(*gone, "1m")[:carried]


def test_whole_month_without_trades_is_a_month_of_carried_rows(lake: Lake) -> None:
    series = series_of("coinbase", "BTC/USD", "1d")
    times = [*grid("2024-01-01", "2024-01-31", "1d"), *grid("2024-03-02", "2024-03-05", "1d")]
    store_candles(lake, series, candles_at(times))
    plant_gaps(lake, gap_of(series, "2024-01-31", "2024-03-02", "no_trades", confirmed=True))
    derive_line(lake, series, MONTHS, [filled_recipe()])
    rows = [journal_of(lake, partition_of(series, str(month), "filled")).rows for month in MONTHS]
    assert rows == [31, 29, 4]
    assert stored(lake, series, "filled")["segment"].unique().to_list() == [time("2024-01-01")]


def test_grid_ends_with_the_last_stored_candle(lake: Lake) -> None:
    store_candles(lake, MINUTES, candles_at(grid("2024-01-31 22:00", "2024-01-31 23:30", "1m")))
    derive_line(lake, MINUTES, [JAN, FEB], [filled_recipe()])
    assert stored(lake, MINUTES, "filled")["open_time"][-1] == time("2024-01-31 23:29")
    assert journal_of(lake, partition_of(MINUTES, "2024-02", "filled")).rows == 0
    # Once the series goes on, the hole at the end of the month is filled.
    store_candles(lake, MINUTES, candles_at(grid("2024-02-01 00:00", "2024-02-01 00:10", "1m")))
    derive_line(lake, MINUTES, [JAN, FEB], [filled_recipe()])
    assert filled_times(lake) == grid("2024-01-31 23:30", "2024-01-31 23:40", "1m")


def test_segment_is_found_in_candles_when_the_month_before_is_not_filled(lake: Lake) -> None:
    # More candles than one look back reads, so that the break lies beyond the first look.
    times = grid("2024-01-20", "2024-02-01 00:10", "1m")
    store_candles(lake, MINUTES, candles_at(without(times, "2024-01-25", "2024-01-25 01:00")))
    partition = partition_of(MINUTES, "2024-02", "filled")
    gathered = gather_filled(lake, [partition])
    (made,) = gathered.compute([partition])
    assert made["segment"].unique().to_list() == [time("2024-01-25 01:00")]
    inputs = gathered.ingredients[partition].inputs
    assert [it.content_hash for it in inputs if it.layer == "filled"] == [ABSENT]
    derive_line(lake, MINUTES, [JAN], [filled_recipe()])
    assert filled_recipe().make(lake, partition).equals(made)


@pytest.mark.parametrize("how", ["gone", "empty", "flipped"])
def test_damaged_grid_of_the_month_before_stops_no_grid(lake: Lake, how: str) -> None:
    times = grid("2024-01-31 20:00", "2024-02-01 04:00", "1m")
    store_candles(lake, MINUTES, candles_at(without(times, "2024-01-31 22:00", "2024-01-31 23:00")))
    derive_line(lake, MINUTES, [JAN, FEB], [filled_recipe()])
    [path] = lake.store.files("filled", MINUTES, [JAN])
    damage(path, how)
    store_candles(lake, MINUTES, candles_at(grid("2024-02-01 04:00", "2024-02-01 05:00", "1m")))
    [report] = derive_line(lake, MINUTES, [FEB], [filled_recipe()]).values()
    assert not report.failures
    made = lake.store.read(partition_of(MINUTES, "2024-02", "filled"))
    assert made is not None
    assert made.frame["segment"].unique().to_list() == [time("2024-01-31 23:00")]
    assert made.frame.height == 5 * 60


@pytest.mark.parametrize("length", [5, 15])
def test_cut_into_months_does_not_show_in_indicators_or_features(
    lake: Lake, tmp_path: Path, length: int
) -> None:
    times = grid("2024-01-31 20:00", "2024-02-01 04:00", "1m")
    start = time("2024-02-01") - timedelta(minutes=length // 2)
    end = start + timedelta(minutes=length)
    candles = candles_at([at for at in times if not start <= at < end])
    for month in (JAN, FEB):
        own = pl.col("open_time").dt.strftime("%Y-%m") == month.key
        store_candles(lake, MINUTES, candles.filter(own))
        derive_line(lake, MINUTES, [JAN, FEB])
    expected = from_scratch(tmp_path / "b", MINUTES, candles, [JAN, FEB])
    assert contents(lake, MINUTES, [JAN, FEB]) == expected
    rows = stored(lake, MINUTES, "indicators")
    at_start = rows.filter(pl.col("open_time") == time("2024-02-01 00:08"))
    # A gap of 15 ends a segment: what looks back five candles is not known right after it.
    assert at_start["sma_5"].null_count() == (1 if length == 15 else 0)


def test_indicator_at_the_start_of_a_month_is_the_mean_of_candles_before(lake: Lake) -> None:
    series = series_of(timeframe="1d")
    candles = candles_at(grid("2024-01-20", "2024-02-03", "1d"))
    store_candles(lake, series, candles)
    derive_line(lake, series, [JAN, FEB])
    closes = dict(candles.select("open_time", "close").rows())
    last = [closes[at] for at in grid("2024-01-28", "2024-02-02", "1d")]
    rows = lake.store.read(partition_of(series, "2024-02", "indicators"))
    assert rows is not None
    assert rows.frame["open_time"].to_list() == grid("2024-02-01", "2024-02-03", "1d")
    assert rows.frame["sma_5"][0] == pytest.approx(sum(last) / 5, rel=1e-12)


def test_coarser_timeframe_joins_by_its_close_across_months(lake: Lake) -> None:
    hourly, daily = series_of(timeframe="1h"), series_of(timeframe="1d")
    store_candles(lake, hourly, candles_at(grid("2024-01-28", "2024-02-02")))
    store_candles(lake, daily, candles_at(grid("2024-01-20", "2024-02-02", "1d")))
    day = to_timeframe("1d")
    joined = FeatureSet("joined", 1, joins={hourly.timeframe: {day: ("sma_5",)}})
    line = [filled_recipe(), indicators_recipe(("sma_5",))]
    derive_line(lake, daily, [JAN, FEB], line)
    derive_line(lake, hourly, [JAN, FEB], [*line, features_recipe(joined, hourly.timeframe)])
    rows = lake.store.read_range(
        "features",
        hourly,
        time("2024-01-31 22:00"),
        time("2024-02-01 02:00"),
        feature_set="joined-v1",
    )
    daily_rows = dict(stored(lake, daily, "indicators").select("open_time", "sma_5").rows())
    before, after = daily_rows[time("2024-01-30")], daily_rows[time("2024-01-31")]
    assert before != after
    # 22:00 closes while the day is open; 23:00 closes with it.
    assert rows["sma_5_1d"].to_list() == [before, after, after, after]


def test_missing_coarser_timeframe_is_unknown_not_an_error(lake: Lake) -> None:
    series = series_of(timeframe="1h")
    store_candles(lake, series, candles_at(grid("2024-01-28", "2024-01-30")))
    day = to_timeframe("1d")
    joined = FeatureSet("joined", 1, joins={series.timeframe: {day: ("sma_5",)}})
    line = [filled_recipe(), indicators_recipe(()), features_recipe(joined, series.timeframe)]
    reports = derive_line(lake, series, [JAN], line)
    assert not reports["features"].failures
    rows = lake.store.read_range("features", series, JAN.start, JAN.end, feature_set="joined-v1")
    assert rows["sma_5_1d"].null_count() == 48
    assert rows["is_complete"].to_list() == [False] * 48


CUMULATIVE = (filled_recipe(), indicators_recipe(("obv", "sma_5")))


def broken_hours() -> pl.DataFrame:
    """Return candles of three months, with a gap in January that ends a segment."""
    times = without(grid("2024-01-01", "2024-04-01"), "2024-01-10", "2024-01-10 20:00")
    return candles_at(times)


def test_sum_over_all_history_goes_on_through_months_and_begins_after_a_break(lake: Lake) -> None:
    hours = series_of()
    candles = broken_hours()
    for month in MONTHS:
        own = pl.col("open_time").dt.strftime("%Y-%m") == month.key
        store_candles(lake, hours, candles.filter(own))
        derive_line(lake, hours, MONTHS, CUMULATIVE)
    rows = stored(lake, hours, "indicators")
    totals = dict(rows.select("open_time", "obv").rows())
    assert time("2024-01-10 19:00") not in totals
    total, before = 0.0, 0.0
    after = candles.filter(pl.col("open_time") >= time("2024-01-10 20:00"))
    for at, close in after.select("open_time", "close").rows():
        total += 1.5 if close > before else -1.5
        before = close
        assert totals[at] == total


@pytest.mark.parametrize(
    ("corrected", "rewritten"),
    [
        ("2024-02-10", {"indicators 2024-02", "indicators 2024-03"}),
        ("2024-01-20", {"indicators 2024-01", "indicators 2024-02", "indicators 2024-03"}),
        ("2024-01-05", {"indicators 2024-01"}),
    ],
)
def test_correction_makes_every_later_month_of_the_segment_stale(
    lake: Lake, corrected: str, rewritten: set[str]
) -> None:
    hours = series_of()
    candles = broken_hours()
    store_candles(lake, hours, candles)
    derive_line(lake, hours, MONTHS, CUMULATIVE)
    one = candles.filter(pl.col("open_time") == time(corrected)).with_columns(volume=pl.lit(99.0))
    store_candles(lake, hours, one)
    found = written(derive_line(lake, hours, MONTHS, CUMULATIVE))
    assert {it for it in found if it.startswith("indicators")} == rewritten
    assert not written(derive_line(lake, hours, MONTHS, CUMULATIVE))


def test_month_of_another_configuration_before_is_no_obstacle(lake: Lake) -> None:
    series = series_of(timeframe="1d")
    store_candles(lake, series, candles_at(grid("2024-01-01", "2024-03-01", "1d")))
    derive_line(lake, series, [JAN], [filled_recipe(), indicators_recipe(("rsi_14",))])
    returns = FeatureSet("plain", 1, returns=(1,), indicators=("sma_5",))
    line = [
        filled_recipe(),
        indicators_recipe(("sma_5",)),
        features_recipe(returns, series.timeframe),
    ]
    assert not derive_line(lake, series, [FEB], line)["features"].failures
    rows = lake.store.read_range("features", series, FEB.start, FEB.end, feature_set="plain-v1")
    assert rows["return_1"].null_count() == 0


def test_feature_set_that_names_what_is_not_stored_fails_with_words(lake: Lake) -> None:
    series = series_of(timeframe="1d")
    store_candles(lake, series, candles_at(grid("2024-01-01", "2024-02-01", "1d")))
    wanting = FeatureSet("wanting", 1, indicators=("ema_12",))
    line = [filled_recipe(), indicators_recipe(()), features_recipe(wanting, series.timeframe)]
    [reason] = derive_line(lake, series, [JAN], line)["features"].failures.values()
    assert "ema_12" in reason


def test_versions_tell_parameters_apart() -> None:
    assert layer_version("filled") == "1"
    assert layer_version("indicators", ("sma_5",)) == layer_version("indicators", ("sma_5",))
    assert layer_version("indicators", ("sma_5",)) != layer_version("indicators", ("sma_6",))
    assert layer_version("indicators", ()).startswith("3-")


def test_input_of_nothing_is_absent() -> None:
    series = series_of()
    absent = to_input("filled", series, candles_at([]))
    assert (absent.first, absent.last, absent.content_hash) == (None, None, ABSENT)
    rows = to_input("ohlcv", series, candles_at(grid("2024-01-01", "2024-01-02")))
    assert (rows.first, rows.last) == (time("2024-01-01"), time("2024-01-01 23:00"))
