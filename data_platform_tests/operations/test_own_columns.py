from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.errors import WrongUseError
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.own_columns import (
    LONG_HOLE,
    SHORT_HOLE,
    Library,
    Own,
    loader,
    made_up_candles,
    prove,
)

HOUR = to_timeframe("1h")
END = datetime(2024, 1, 1, tzinfo=UTC)
CLOSE = pl.col("close")


@pytest.fixture(scope="module")
def candles() -> pl.DataFrame:
    return made_up_candles(HOUR, END).tail(600)


def found(function: Own, candles: pl.DataFrame, library: Library = "polars") -> dict[str, set[str]]:
    """The probes that each column of a function falls to."""
    proof = prove(lambda: function, candles, HOUR, 16, library)
    return {
        column: {leak.probe for leak in proof.leaks if leak.column == column}
        for column in proof.columns
    }


def test_each_column_is_judged_by_itself(candles: pl.DataFrame) -> None:
    def columns(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(
            honest=CLOSE.rolling_mean(20),
            ahead=CLOSE.shift(-1),
            scaled=(CLOSE - CLOSE.mean()) / CLOSE.std(),
        )

    both = {"truncation", "perturbation"}
    assert found(columns, candles) == {"honest": set(), "ahead": both, "scaled": both}


def test_a_column_by_the_name_of_a_candles_own_is_proved_where_it_is_another(
    candles: pl.DataFrame,
) -> None:
    mean = found(lambda frame: frame["close"].rolling(5).mean(), candles, "pandas")
    assert mean == {"close": set()}
    both = {"truncation", "perturbation"}
    ahead = found(lambda frame: frame.with_columns(close=CLOSE.shift(-1), x=CLOSE), candles)
    assert ahead == {"close": both, "x": set()}


@pytest.mark.parametrize("unit", ["1mo", "1d", "1w"])
def test_a_leak_at_the_edge_of_a_calendar_period_alone_is_found(unit: str) -> None:
    period = pl.col("open_time").dt.truncate(unit)
    is_last = (period != period.shift(-1)).fill_null(value=False)
    column = pl.when(is_last).then(CLOSE.shift(-1) / CLOSE).otherwise(1.0).alias("edge")
    candles = made_up_candles(HOUR, END, 2000)
    proof = prove(lambda: lambda frame: frame.select(column), candles, HOUR, 32)
    assert {leak.probe for leak in proof.leaks} == {"truncation", "perturbation"}


def test_a_leak_of_long_histories_alone_is_found() -> None:
    candles = made_up_candles(HOUR, END)
    column = (CLOSE - CLOSE.mean()).alias("scaled")

    def scaled(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.select(column if frame.height > 10_000 else CLOSE.diff().alias("scaled"))

    assert prove(lambda: scaled, candles, HOUR, 32).leaks


@pytest.mark.parametrize("where", ["file", "module"])
def test_what_is_looked_up_by_date_outside_the_candles_is_named(
    tmp_path: Path, candles: pl.DataFrame, where: str
) -> None:
    kept = tmp_path / "kept.parquet"
    ahead = candles.select("open_time", ahead=CLOSE.shift(-1))
    ahead.write_parquet(kept)

    def column(frame: pl.DataFrame) -> pl.DataFrame:
        known = pl.read_parquet(kept) if where == "file" else ahead
        clock = pl.col("open_time").dt
        return frame.join(known, on="open_time", how="left").select(
            "open_time", "ahead", hour=clock.hour(), weekday=clock.weekday(), month=clock.month()
        )

    expected = {"ahead": {"dates"}, "hour": set(), "weekday": set(), "month": set()}
    assert found(column, candles) == expected


def test_what_a_module_beside_it_keeps_hides_no_leak(
    tmp_path: Path, candles: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fitted_beside.py").write_text("held = {}\n")
    (tmp_path / "scaling.py").write_text(
        "import fitted_beside\n"
        "def scaled(frame):\n"
        "    mean = fitted_beside.held.setdefault('mean', frame['close'].mean())\n"
        "    return (frame['close'] - mean).alias('scaled')\n"
    )
    monkeypatch.chdir(tmp_path)
    proof = prove(loader("scaling:scaled"), candles, HOUR, 8)
    assert {leak.probe for leak in proof.leaks} == {"truncation", "perturbation"}


def test_a_series_and_pandas_are_taken_too(candles: pl.DataFrame) -> None:
    assert found(lambda frame: frame["close"].shift(1).alias("back"), candles) == {"back": set()}
    pandas = found(lambda frame: frame["close"].rolling(5).mean().rename("mean"), candles, "pandas")
    assert pandas == {"mean": set()}
    ahead = found(lambda frame: frame.assign(next=frame["close"].shift(-1)), candles, "pandas")
    assert ahead == {"next": {"truncation", "perturbation"}}


def test_gaps_are_planted_so_that_leaks_into_them_show(candles: pl.DataFrame) -> None:
    def lines(frame: pl.DataFrame) -> pl.DataFrame:
        grid = frame.select("open_time", "close").upsample("open_time", every="1h")
        return grid.select("open_time", line=CLOSE.interpolate(), carried=CLOSE.forward_fill())

    assert found(lines, candles) == {"line": {"perturbation"}, "carried": set()}
    seen: list[int] = []

    def spy(frame: pl.DataFrame) -> pl.Series:
        seen.append(frame.height)
        return frame["close"].alias("own")

    found(spy, candles)
    assert max(seen) == candles.height - SHORT_HOLE - LONG_HOLE


def test_rounding_by_the_length_of_history_is_no_leak(candles: pl.DataFrame) -> None:
    assert found(
        lambda frame: (frame["close"] * (1 + 1e-14 * frame.height)).alias("x"), candles
    ) == {"x": set()}


@pytest.mark.parametrize("what", ["random", "counter"])
def test_state_and_chance_are_told_from_leaks(candles: pl.DataFrame, what: str) -> None:
    import numpy as np

    calls: list[int] = []

    def column(frame: pl.DataFrame) -> pl.DataFrame:
        calls.append(1)
        noise = np.random.default_rng().uniform(size=frame.height)
        odd = pl.Series(noise) if what == "random" else pl.lit(float(len(calls)))
        return frame.select("open_time", steady=CLOSE, odd=odd)

    assert found(column, candles) == {"steady": set(), "odd": {"repetition"}}


def test_what_is_kept_of_a_longer_history_hides_no_leak(
    tmp_path: Path, candles: pl.DataFrame
) -> None:
    # Fitted once, on whatever came first: asked again in one piece it looks steady.
    (tmp_path / "fitted.py").write_text(
        "held = {}\n"
        "def scaled(frame):\n"
        "    mean = held.setdefault('mean', frame['close'].mean())\n"
        "    return (frame['close'] - mean).alias('scaled')\n"
    )
    load = loader(f"{tmp_path}/fitted.py:scaled")
    proof = prove(load, candles, HOUR, 8)
    assert {leak.probe for leak in proof.leaks} == {"truncation", "perturbation"}


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda frame: frame["close"].mean(), "expected a frame or a series.*found float"),
        (lambda frame: frame.head(3).select("close"), "3 rows came"),
        (lambda frame: frame.head(3).select(x="close"), "3 rows came for 571 candles"),
        (lambda frame: frame, "no column came beside those of the candles"),
        (lambda frame: pl.concat([frame, frame]).with_columns(x=1), "came twice"),
        (lambda frame: frame.select("nothing"), "the function failed on 571 candles up to"),
        (lambda frame: frame.select(x=1 / 0), "ZeroDivisionError: division by zero"),
    ],
)
def test_what_cannot_be_proved_is_wrong_use(
    candles: pl.DataFrame, function: Own, message: str
) -> None:
    with pytest.raises(WrongUseError, match=message):
        prove(lambda: function, candles, HOUR, 8)


def test_too_few_candles_prove_nothing(candles: pl.DataFrame) -> None:
    with pytest.raises(WrongUseError, match="199 candles prove nothing; at least 200"):
        prove(lambda: lambda frame: frame, candles.tail(199), HOUR, 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "expected MODULE:FUNCTION"),
        (":f", "expected MODULE:FUNCTION"),
        ("m:", "expected MODULE:FUNCTION"),
        ("there_is_no_such_module:f", "no module 'there_is_no_such_module' here"),
        ("no.such.module:f", "no module 'no.such.module' here"),
        ("gone.py:f", "no module 'gone.py' here"),
        ("json:no_function", "module 'json' has no function 'no_function'"),
    ],
)
def test_a_function_that_is_not_there_is_named(text: str, message: str) -> None:
    with pytest.raises(WrongUseError, match=message):
        loader(text)
