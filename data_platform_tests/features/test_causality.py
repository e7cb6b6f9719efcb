"""The engine that proves causality: every bait is caught and named, what is causal passes."""

import itertools
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.timeframes import to_timeframe
from data_platform.features.causality import Leak, Table, find_leaks
from data_platform.features.fill import fill_candles
from data_platform.features.moments import telling_moments
from data_platform_tests.features.conftest import START, candles_of

MINUTE, HOUR = to_timeframe("1m"), to_timeframe("1h")
CLOSE = pl.col("close")

Frames = Mapping[str, pl.DataFrame]


@pytest.fixture(scope="session")
def tables(minutes: pl.DataFrame) -> dict[str, Table]:
    """Return 1m candles with a hole of 5 (from row 1000) and one of 40 (from 2000), and 1h."""
    hours = candles_of(HOUR, 60)
    return {"1m": Table(minutes, MINUTE), "1h": Table(hours, HOUR)}


def with_column(values: pl.Expr) -> Callable[[Frames], pl.DataFrame]:
    return lambda frames: frames["1m"].select("open_time", bait=values)


def joined_on_open(frames: Frames) -> pl.DataFrame:
    hours = frames["1h"].select(hour="open_time", bait="close")
    rows = frames["1m"].select("open_time", hour=pl.col("open_time").dt.truncate("1h"))
    return rows.join(hours, on="hour", how="left").select("open_time", "bait")


def joined_on_close(frames: Frames) -> pl.DataFrame:
    hours = frames["1h"].select(hour="open_time", bait="close")
    known = (pl.col("open_time") + MINUTE.duration).dt.truncate("1h") - HOUR.duration
    rows = frames["1m"].select("open_time", hour=known)
    return rows.join(hours, on="hour", how="left").select("open_time", "bait")


def on_the_grid(frames: Frames) -> pl.DataFrame:
    candles = frames["1m"].select("open_time", "close")
    return candles.upsample("open_time", every="1m")


def interpolated(frames: Frames) -> pl.DataFrame:
    return on_the_grid(frames).select("open_time", bait=CLOSE.interpolate())


def carried(frames: Frames) -> pl.DataFrame:
    return on_the_grid(frames).select("open_time", bait=CLOSE.forward_fill())


def back_filled_holes(frames: Frames) -> pl.DataFrame:
    return on_the_grid(frames).select("open_time", bait=CLOSE.backward_fill())


def unfinished_hours(frames: Frames) -> pl.DataFrame:
    """The hour's close beside each of its minutes, made of those minutes."""
    hour = pl.col("open_time").dt.truncate("1h")
    return frames["1m"].select("open_time", bait=CLOSE.last().over(hour))


BAITS: dict[str, Callable[[Frames], pl.DataFrame]] = {
    "shift(-1)": with_column(CLOSE.shift(-1)),
    "the last return's sign, one row ahead": with_column((CLOSE.shift(-1) > CLOSE).cast(pl.Int8)),
    "a centred window": with_column(CLOSE.rolling_mean(5, center=True)),
    "a reversed window": with_column(CLOSE.reverse().rolling_min(3).reverse()),
    "a join on open time": joined_on_open,
    "an hour before it has closed": unfinished_hours,
    "linear interpolation": interpolated,
    "a mean of the full sample": with_column((CLOSE - CLOSE.mean()) / CLOSE.std()),
    "a range of the full sample": with_column((CLOSE - CLOSE.min()) / (CLOSE.max() - CLOSE.min())),
    "a rank in the full sample": with_column(CLOSE.rank() / pl.len()),
    "quantiles of the full sample": with_column(CLOSE.quantile(0.9) < CLOSE),
    "back-filled warm-up": with_column(CLOSE.rolling_mean(20).backward_fill()),
    "back-filled holes": back_filled_holes,
    "a smoothing from the end": with_column(CLOSE.reverse().ewm_mean(span=9).reverse()),
    "a lead of 60 rows": with_column(CLOSE.shift(-60)),
}


@pytest.mark.parametrize("bait", BAITS)
def test_bait_is_caught_and_named(tables: dict[str, Table], bait: str) -> None:
    found = find_leaks(BAITS[bait], tables, "1m", telling_moments(tables, "1m", 24))
    assert {leak.column for leak in found} == {"bait"}
    assert "repetition" not in {leak.probe for leak in found}
    assert "perturbation" in {leak.probe for leak in found}
    for leak in found:
        assert leak.time + MINUTE.duration <= leak.moment
        assert str(leak).startswith(f"bait sees the future: another value at {leak.time:%Y-%m-%d}")


@pytest.mark.parametrize(
    "honest",
    [
        with_column(CLOSE.shift(1)),
        with_column(CLOSE.rolling_mean(20)),
        with_column(CLOSE.ewm_mean(span=9)),
        with_column(CLOSE.cum_max()),
        with_column(pl.lit(1.0)),
        joined_on_close,
        carried,
    ],
)
def test_what_looks_back_is_found_innocent(
    tables: dict[str, Table], honest: Callable[[Frames], pl.DataFrame]
) -> None:
    assert find_leaks(honest, tables, "1m", telling_moments(tables, "1m", 24)) == []


def at(row: int) -> datetime:
    return START + row * MINUTE.duration


@pytest.mark.parametrize(
    ("bait", "first"),
    [
        # By hand, of a moment at which row 500 has just closed: a lead of one row is missing in
        # the last one, a centred window of five in the last two, the mean of all everywhere.
        ("shift(-1)", 500),
        ("a centred window", 499),
        ("a mean of the full sample", 0),
        ("a lead of 60 rows", 441),
        ("a join on open time", 480),
        ("an hour before it has closed", 480),
    ],
)
def test_leak_is_named_with_its_first_time_and_both_probes(
    tables: dict[str, Table], bait: str, first: int
) -> None:
    moment = at(501)
    found = find_leaks(BAITS[bait], tables, "1m", [moment])
    assert found == [
        Leak("bait", at(first), "perturbation", moment),
        Leak("bait", at(first), "truncation", moment),
    ]


def test_interpolation_is_caught_inside_the_hole(tables: dict[str, Table]) -> None:
    # The hole reaches from row 1000 to 1004; the candle after it is what leaks into it.
    found = find_leaks(interpolated, tables, "1m", [at(1003)])
    assert found == [Leak("bait", at(1000), "perturbation", at(1003))]


def test_one_leaking_column_among_many_is_named_alone(tables: dict[str, Table]) -> None:
    def columns(frames: Frames) -> pl.DataFrame:
        honest = {f"sma_{rows}": CLOSE.rolling_mean(rows) for rows in (2, 5, 9)}
        return frames["1m"].select("open_time", **honest, bait=CLOSE.shift(-1))

    found = find_leaks(columns, tables, "1m", [at(77), at(1500)])
    assert {(leak.column, leak.time) for leak in found} == {("bait", at(76))}


@pytest.mark.parametrize("bait", ["random", "counter", "memory"])
def test_what_cannot_be_reproduced_is_told_apart(tables: dict[str, Table], bait: str) -> None:
    calls, held = itertools.count(), list[float]()
    random = np.random.default_rng(1)

    def column(frames: Frames) -> pl.DataFrame:
        rows = frames["1m"]
        held.append(float(rows.height))
        values = {
            "random": pl.lit(pl.Series(random.uniform(size=rows.height))),
            "counter": CLOSE + next(calls),
            "memory": CLOSE - sum(held) / len(held),
        }[bait]
        return rows.select("open_time", "close", bait=values)

    found = find_leaks(column, tables, "1m", [at(500)])
    assert [(leak.column, leak.probe) for leak in found] == [("bait", "repetition")]
    assert "not reproducible" in str(found[0])


def test_rows_that_depend_on_the_future_are_a_leak(tables: dict[str, Table]) -> None:
    # Whoever drops what `shift(-1)` cannot know lets every other row tell that there was a next.
    def dropped(frames: Frames) -> pl.DataFrame:
        return frames["1m"].filter(CLOSE.shift(-1).is_not_null()).select("open_time", "close")

    found = find_leaks(dropped, tables, "1m", [at(500)])
    assert found == [Leak("open_time", at(499), "truncation", at(500))]


def test_column_that_is_there_only_sometimes_is_a_leak(tables: dict[str, Table]) -> None:
    def columns(frames: Frames) -> pl.DataFrame:
        rows = frames["1m"]
        name = "late" if rows.height > 2000 else "early"
        return rows.select("open_time", pl.lit(1.0).alias(name))

    found = find_leaks(columns, tables, "1m", [at(500)])
    assert found == [Leak("late", at(0), "truncation", at(500))]


def test_stored_rows_are_compared_with_history_that_ends_earlier(
    tables: dict[str, Table], minutes: pl.DataFrame
) -> None:
    def means(frames: Frames) -> pl.DataFrame:
        return frames["1m"].select("open_time", mean=CLOSE.rolling_mean(5))

    stored = means({"1m": minutes}).slice(300, 400)
    moments = [at(350), at(600)]
    assert find_leaks(means, tables, "1m", moments, whole=stored) == []
    wrong = stored.with_columns(
        mean=pl.when(pl.col("open_time") == at(400)).then(1.0).otherwise("mean")
    )
    found = find_leaks(means, tables, "1m", moments, whole=wrong)
    assert {(leak.column, leak.time, leak.moment) for leak in found} == {("mean", at(400), at(600))}
    assert find_leaks(means, tables, "1m", moments, whole=stored.filter(at(333) != CLOSE_ROW))


CLOSE_ROW = pl.col("open_time")


def test_tolerance_lets_rounding_pass_and_nothing_more(tables: dict[str, Table]) -> None:
    def rounded(frames: Frames) -> pl.DataFrame:
        return frames["1m"].select("open_time", bait=CLOSE * (1 + 1e-13 * pl.len()))

    assert find_leaks(rounded, tables, "1m", [at(500)], tolerance=1e-8) == []
    assert find_leaks(rounded, tables, "1m", [at(500)], tolerance=1e-12)
    assert find_leaks(rounded, tables, "1m", [at(500)])


def test_null_and_nan_are_values_of_their_own(tables: dict[str, Table]) -> None:
    honest = with_column(pl.when(CLOSE.is_not_null()).then(float("nan")))
    assert find_leaks(honest, tables, "1m", [at(500)]) == []
    late = with_column(pl.when(CLOSE.shift(-1).is_null()).then(None).otherwise(float("nan")))
    assert {leak.time for leak in find_leaks(late, tables, "1m", [at(500)])} == {at(499)}


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda frames: frames["1m"].select("close"), "expected a frame with `open_time`"),
        (lambda frames: pl.concat([frames["1m"]] * 2), "some twice"),
    ],
)
def test_result_that_cannot_be_compared_is_refused(
    tables: dict[str, Table], result: Callable[[Frames], pl.DataFrame], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        find_leaks(result, tables, "1m", [at(500)])


def test_another_future_leaves_the_past_and_keeps_candles_possible(
    tables: dict[str, Table],
) -> None:
    seen: list[Frames] = []

    def spy(frames: Frames) -> pl.DataFrame:
        seen.append(frames)
        return frames["1m"].select("open_time")

    find_leaks(spy, tables, "1m", [at(570)])
    *_, truncated, other = seen
    for name, table in tables.items():
        past = table.known_at(at(570))
        assert truncated[name].equals(past)
        assert other[name].head(past.height).equals(past)
        later = other[name].slice(past.height)
        assert 0.6 < later.height / (table.frame.height - past.height) < 0.95
        assert later.filter((pl.col("high") < pl.col("low")) | (pl.col("high") < CLOSE)).is_empty()
        both = later.join(table.frame, on="open_time", suffix="_was")
        assert both.filter(pl.col("close_was") == CLOSE).is_empty()
    assert truncated["1h"].height == 9
    assert list(CANDLE_SCHEMA) == other["1m"].columns


def test_the_grid_passes_wherever_history_ends(tables: dict[str, Table]) -> None:
    def filled(frames: Frames) -> pl.DataFrame:
        candles = frames["1m"]
        end = candles["open_time"][-1] + timedelta(minutes=1)
        return fill_candles(candles, None, [], MINUTE, START, end)

    moments = telling_moments(tables, "1m", 60)
    assert find_leaks(filled, tables, "1m", moments) == []
