import math
import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.errors import SchemaErrors

from data_platform.domain.candles import CANDLE_SCHEMA, closed_before
from data_platform.domain.errors import StorageError
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe, to_timeframe
from data_platform.quality import schema
from data_platform.quality.schema import (
    CONFLICT,
    DUPLICATE,
    audit_candles,
    check_columns,
    prove_candles,
)
from data_platform_tests.factories import candles_at

START = datetime(2024, 1, 1, tzinfo=UTC)
END = datetime(2024, 2, 1, tzinfo=UTC)
ROW = 7
NOT_A_NUMBER = (None, math.nan, math.inf, -math.inf)

IMPOSSIBLE = [
    *((name, value) for name in ("open", "high", "low", "close") for value in NOT_A_NUMBER),
    *((name, value) for name in ("open", "high", "low", "close") for value in (0.0, -1.0)),
    *(("volume", value) for value in (*NOT_A_NUMBER, -0.5)),
    ("high", 1.0),
    ("low", 1e9),
    ("open", 1e9),
    ("open", 1e-3),
    ("close", 1e9),
    ("close", 1e-3),
]


def audit(frame: pl.DataFrame, closed_end: datetime = END) -> tuple[pl.DataFrame, pl.DataFrame]:
    return audit_candles(frame, to_timeframe("1m"), closed_end, START, END)


def planted(frame: pl.DataFrame, row: int, **values: object) -> pl.DataFrame:
    here = pl.int_range(pl.len()) == row
    return frame.with_columns(
        pl.when(here)
        .then(pl.lit(value, dtype=CANDLE_SCHEMA[name]))
        .otherwise(pl.col(name))
        .alias(name)
        for name, value in values.items()
    )


def test_a_good_month_passes_whole(month: pl.DataFrame) -> None:
    good, refused = audit(month)
    assert good.equals(month)
    assert refused.is_empty()
    assert refused.schema == pl.Schema({**CANDLE_SCHEMA, "reason": pl.String()})


def test_no_rows_pass_as_no_rows() -> None:
    good, refused = audit(CANDLE_SCHEMA.to_frame())
    assert (good.schema, good.height, refused.height) == (CANDLE_SCHEMA, 0, 0)


@pytest.mark.parametrize(("column", "value"), IMPOSSIBLE)
def test_r22_an_impossible_value_is_refused_and_nothing_else(
    hour: pl.DataFrame, column: str, value: float | None
) -> None:
    broken = planted(hour, ROW, **{column: value})
    good, refused = audit(broken)
    assert refused["open_time"].to_list() == [hour["open_time"][ROW]]
    assert refused["reason"][0]
    assert good.equals(hour.filter(pl.int_range(pl.len()) != ROW))


@pytest.mark.parametrize("is_lazy", [False, True], ids=["eager", "lazy"])
@pytest.mark.parametrize(("column", "value"), IMPOSSIBLE)
def test_r22_pandera_alone_refuses_the_same(
    hour: pl.DataFrame, column: str, value: float | None, *, is_lazy: bool
) -> None:
    broken = planted(hour, ROW, **{column: value})
    if is_lazy:
        prove_candles(hour.lazy())
        with pytest.raises(SchemaErrors):
            prove_candles(broken.lazy())
        return
    prove_candles(hour)
    with pytest.raises(SchemaErrors):
        prove_candles(broken)


def test_a_row_without_time_is_refused(hour: pl.DataFrame) -> None:
    good, refused = audit(planted(hour, ROW, open_time=None))
    assert (good.height, refused["open_time"].to_list()) == (59, [None])


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        (START + timedelta(minutes=90, seconds=1), "off the grid"),
        (START - timedelta(minutes=1), "outside the period"),
        (END, "outside the period"),
    ],
)
def test_r19_a_time_that_does_not_belong_here_is_refused(
    hour: pl.DataFrame, moment: datetime, reason: str
) -> None:
    _, refused = audit(planted(hour, ROW, open_time=moment), closed_end=END + timedelta(days=1))
    assert refused["open_time"].to_list() == [moment]
    assert reason in refused["reason"][0]


def test_candles_from_the_closed_end_on_are_refused(hour: pl.DataFrame) -> None:
    good, refused = audit(hour, closed_end=START + timedelta(minutes=58))
    assert good.height == 58
    assert refused["reason"].to_list() == ["not closed yet"] * 2


def test_r20_no_unfinished_candle_of_100_000_is_stored() -> None:
    """For random clocks, graces and timeframes, and candles on both sides of the clock."""
    dice = random.Random(20)
    tried = unfinished = 0
    while tried < 100_000:
        timeframe = dice.choice(TIMEFRAMES)
        grace = timedelta(milliseconds=dice.choice([0, 1, 5_000, dice.randrange(3_600_000)]))
        now = START + timedelta(milliseconds=dice.randrange(40 * 86_400_000))
        if dice.random() < 0.5:
            # Within a millisecond of the instant at which a candle becomes a closed one.
            now = timeframe.floor(now) + grace + timedelta(milliseconds=dice.randint(-1, 1))
        first = timeframe.floor(now) - 250 * timeframe.duration
        rows = candles_at(first + number * timeframe.duration for number in range(500))
        begin, end = rows["open_time"][0], rows["open_time"][-1] + timeframe.duration
        closed = closed_before(now, timeframe, grace)
        good, refused = audit_candles(rows, timeframe, closed, begin, end)
        assert good.height + refused.height == 500
        done = pl.col("open_time") + timeframe.duration + grace <= now
        assert good.equals(rows.filter(done)), (now, timeframe, grace)
        tried += 500
        unfinished += refused.height
    assert unfinished > 40_000


def test_every_reason_of_a_row_is_named(hour: pl.DataFrame) -> None:
    _, refused = audit(planted(hour, ROW, low=math.nan, volume=-1.0))
    assert "not a finite number" in refused["reason"][0]
    assert "volume below zero" in refused["reason"][0]


def test_an_identical_twin_is_refused_and_the_first_kept(hour: pl.DataFrame) -> None:
    good, refused = audit(pl.concat([hour, hour.slice(3, 1)]))
    assert good.equals(hour)
    assert refused["open_time"].to_list() == [hour["open_time"][3]]
    assert refused["reason"].to_list() == [DUPLICATE]


def test_rows_that_contradict_one_another_are_all_refused(hour: pl.DataFrame) -> None:
    other = hour.slice(3, 1).with_columns(volume=pl.col("volume") + 1)
    good, refused = audit(pl.concat([hour, other]))
    assert hour["open_time"][3] not in good["open_time"].to_list()
    assert refused["reason"].to_list() == [CONFLICT] * 2


def test_a_broken_twin_does_not_taint_the_good_one(hour: pl.DataFrame) -> None:
    broken = hour.slice(3, 1).with_columns(high=pl.lit(math.nan))
    good, refused = audit(pl.concat([broken, hour]))
    assert good.equals(hour)
    assert refused.height == 1


def test_r19_rows_in_any_order_come_out_in_order_of_time(hour: pl.DataFrame) -> None:
    good, _ = audit(hour.sample(fraction=1, shuffle=True, seed=3))
    assert good.equals(hour)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda frame: frame.with_columns(vwap=1.0), "unexpected column: vwap"),
        (lambda frame: frame.drop("volume"), "missing column: volume"),
        (lambda frame: frame.with_columns(pl.col("open").cast(pl.Float32)), "dtype for open"),
        (lambda frame: frame.with_columns(pl.col("open_time").dt.replace_time_zone(None)), "dtype"),
        (lambda frame: frame.with_columns(pl.col("open_time").dt.cast_time_unit("us")), "dtype"),
        (lambda frame: frame.select(reversed(frame.columns)), "column order"),
    ],
)
def test_another_schema_is_refused_by_name(
    hour: pl.DataFrame, change: Callable[[pl.DataFrame], pl.DataFrame], named: str
) -> None:
    drifted = change(hour)
    with pytest.raises(StorageError, match=named):
        audit(drifted)
    with pytest.raises(SchemaErrors):
        prove_candles(drifted)


def test_the_right_columns_pass_silently(hour: pl.DataFrame) -> None:
    check_columns(hour)


def truthful(row: dict[str, object]) -> bool:
    numbers = [row[name] for name in ("open", "high", "low", "close", "volume")]
    if not all(isinstance(number, float) and math.isfinite(number) for number in numbers):
        return False
    opened, high, low, close, volume = (float(str(number)) for number in numbers)
    return 0 < low <= min(opened, close) <= max(opened, close) <= high and volume >= 0


values = st.one_of(st.none(), st.floats(), st.sampled_from([0.0, -0.0, 1.0, 1.5, 2.0, 3.0]))
rows = st.lists(
    st.tuples(st.integers(-2, 12), values, values, values, values, values), min_size=1, max_size=12
)


@settings(deadline=None, max_examples=150)
@given(rows)
def test_r19_no_row_is_lost_and_only_truthful_ones_are_stored(
    rows: list[tuple[object, ...]],
) -> None:
    # Every other one lies between two minutes.
    times = [START + timedelta(seconds=30 * int(str(row[0]))) for row in rows]
    frame = pl.DataFrame(
        [(time, *row[1:]) for time, row in zip(times, rows, strict=True)],
        schema=CANDLE_SCHEMA,
        orient="row",
    )
    good, refused = audit(frame)
    assert good.height + refused.height == frame.height
    assert all(truthful(row) for row in good.iter_rows(named=True))
    assert good["open_time"].to_list() == sorted(set(good["open_time"]))
    assert all(it.second == 0 for it in good["open_time"])
    lost = refused.filter(~pl.col("reason").is_in([DUPLICATE, CONFLICT]))
    assert not any(
        truthful(row) and row["open_time"] >= START and row["open_time"].second == 0
        for row in lost.iter_rows(named=True)
    )


def holds_for_pandera(frame: pl.DataFrame) -> bool:
    try:
        prove_candles(frame)
    except SchemaErrors:
        return False
    return True


@pytest.mark.parametrize(("column", "value"), IMPOSSIBLE)
@pytest.mark.parametrize("row", [0, ROW, 59])
def test_the_audit_and_pandera_agree_on_every_defect(
    hour: pl.DataFrame, row: int, column: str, value: float | None
) -> None:
    broken = planted(hour, row, **{column: value})
    good, refused = audit(broken)
    assert (refused.height, holds_for_pandera(broken)) == (1, False)
    assert holds_for_pandera(good)


@settings(deadline=None, max_examples=150)
@given(rows)
def test_the_audit_and_pandera_agree_on_any_rows(rows: list[tuple[object, ...]]) -> None:
    # Times that belong to the month and differ: what is left to refuse is a candle by itself.
    times = [START + timedelta(minutes=number) for number in range(len(rows))]
    frame = pl.DataFrame(
        [(time, *row[1:]) for time, row in zip(times, rows, strict=True)],
        schema=CANDLE_SCHEMA,
        orient="row",
    )
    good, refused = audit(frame)
    assert refused.is_empty() == holds_for_pandera(frame)
    assert holds_for_pandera(good)


def test_pandera_is_asked_only_where_a_row_was_refused(
    hour: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def prove(frame: pl.DataFrame) -> pl.DataFrame:
        asked.append(frame.height)
        return frame

    monkeypatch.setattr(schema, "prove_candles", prove)
    audit(hour)
    assert asked == []
    audit(planted(hour, ROW, close=math.nan))
    assert asked == [59]


def test_a_month_of_minutes_is_audited_within_60_ms(month: pl.DataFrame, minute: Timeframe) -> None:
    audit(month)
    times = []
    for _ in range(7):
        begin = time.perf_counter()
        audit_candles(month, minute, END, START, END)
        times.append(time.perf_counter() - begin)
    assert month.height == 44_640
    assert min(times) < 0.060


def test_importing_the_audit_does_not_import_pandera() -> None:
    code = "import data_platform.quality.schema, sys; sys.exit('pandera' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
