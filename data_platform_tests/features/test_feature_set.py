import polars as pl
import pytest

from data_platform.domain.errors import WrongUseError
from data_platform.domain.timeframes import Timeframe, to_timeframe
from data_platform.features.feature_set import (
    KEPT,
    MASK,
    Beside,
    FeatureSet,
    build_features,
    feature_columns,
    feature_schema,
    history_rows,
)
from data_platform.indicators.columns import output_columns

MINUTE, FIVE, HOUR = to_timeframe("1m"), to_timeframe("5m"), to_timeframe("1h")
SET = FeatureSet(
    name="trial",
    version=2,
    returns=(1, 5, 20),
    volatility=(10, 30),
    indicators=("rsi_14", "macd_12_26_9"),
    joins={MINUTE: {FIVE: ("sma_20",), HOUR: ("rsi_14",)}},
)

Coarse = dict[Timeframe, pl.DataFrame]


def known_at(frame: pl.DataFrame, timeframe: Timeframe, row: pl.DataFrame) -> pl.DataFrame:
    """Return the coarser candles that have closed by the close of a row of 1m."""
    close = row["open_time"][0] + MINUTE.duration
    return frame.filter(pl.col("open_time") + timeframe.duration <= close)


def test_the_result_has_the_announced_schema(fine: pl.DataFrame, coarse: Coarse) -> None:
    result = build_features(SET, fine, Beside(coarse), MINUTE)
    assert result.schema == feature_schema(SET, MINUTE)
    assert result.select(KEPT).equals(fine.select(KEPT))
    assert build_features(SET, fine.clear(), Beside(), MINUTE).schema == feature_schema(SET, MINUTE)


@pytest.mark.parametrize("row", [0, 19, 58, 59, 299, 1010, 1999, 2009, 2010, 3400])
def test_no_feature_changes_when_the_future_is_cut_off(
    fine: pl.DataFrame, coarse: Coarse, row: int
) -> None:
    now = fine.slice(row, 1)
    past = {timeframe: known_at(frame, timeframe, now) for timeframe, frame in coarse.items()}
    expected = build_features(SET, fine, Beside(coarse), MINUTE).head(row + 1)
    assert build_features(SET, fine.head(row + 1), Beside(past), MINUTE).equals(expected)


@pytest.mark.parametrize("row", [0, 59, 1010, 2010, 3000])
def test_no_feature_changes_with_another_future(
    fine: pl.DataFrame, coarse: Coarse, row: int
) -> None:
    def other(frame: pl.DataFrame, kept: int) -> pl.DataFrame:
        numbers = [name for name, dtype in frame.schema.items() if dtype == pl.Float64]
        wild = pl.when(pl.int_range(pl.len()) >= kept)
        return frame.with_columns(
            wild.then(pl.col(name) * 7 + 1).otherwise(name).alias(name) for name in numbers
        )

    now = fine.slice(row, 1)
    futures = {
        timeframe: other(frame, known_at(frame, timeframe, now).height)
        for timeframe, frame in coarse.items()
    }
    expected = build_features(SET, fine, Beside(coarse), MINUTE).head(row + 1)
    found = build_features(SET, other(fine, row + 1), Beside(futures), MINUTE).head(row + 1)
    assert found.equals(expected)


@pytest.mark.parametrize("start", [50, 700, 2005, 2030, 3300])
def test_the_result_does_not_depend_on_where_history_is_cut(
    fine: pl.DataFrame, coarse: Coarse, start: int
) -> None:
    history = history_rows(SET)
    whole = build_features(SET, fine, Beside(coarse), MINUTE).slice(start)
    cut = build_features(SET, fine.slice(start - history), Beside(coarse), MINUTE).slice(history)
    assert cut.equals(whole)


def test_less_history_would_change_the_result(fine: pl.DataFrame, coarse: Coarse) -> None:
    history = history_rows(SET) - 1
    whole = build_features(SET, fine, Beside(coarse), MINUTE).slice(500)
    cut = build_features(SET, fine.slice(500 - history), Beside(coarse), MINUTE).slice(history)
    assert not cut.equals(whole)


def test_masks_say_what_is_known(fine: pl.DataFrame, coarse: Coarse) -> None:
    result = build_features(SET, fine, Beside(coarse), MINUTE)
    groups = {
        "returns": [f"{kind}_{rows}" for kind in ("return", "log_return") for rows in SET.returns],
        "volatility": ["volatility_10", "volatility_30"],
        "indicators": list(output_columns(SET.indicators)),
        "5m": ["sma_20_5m"],
        "1h": ["rsi_14_1h"],
    }
    for group, columns in groups.items():
        known = pl.all_horizontal(pl.col(columns).is_not_null())
        assert result[f"has_{group}"].equals(result.select(known).to_series(), check_names=False)
    everything = [name for columns in groups.values() for name in columns]
    complete = result.filter("is_complete").select(everything)
    assert complete.height > 1000
    assert sum(complete.null_count().row(0)) == 0
    assert result.filter(~pl.col("is_complete")).height > 100


def test_across_a_break_nothing_is_known(fine: pl.DataFrame, coarse: Coarse) -> None:
    result = build_features(SET, fine, Beside(coarse), MINUTE)
    begins = result.filter(pl.col("open_time") == pl.col("segment"))
    assert begins.height == 2
    own = begins.select(pl.col("^(return|log_return|volatility|rsi_14$|macd).*$"))
    assert own.width > 8
    assert own.null_count().row(0) == (2,) * own.width


def test_a_timeframe_that_is_not_stored_is_unknown_throughout(
    fine: pl.DataFrame, coarse: Coarse
) -> None:
    result = build_features(SET, fine, Beside({HOUR: coarse[HOUR]}), MINUTE)
    assert result.schema == feature_schema(SET, MINUTE)
    assert result["sma_20_5m"].null_count() == result.height
    assert not result["has_5m"].any()
    assert not result["is_complete"].any()


def test_a_timeframe_without_joins_has_none(coarse: Coarse) -> None:
    result = build_features(SET, coarse[HOUR], Beside(), HOUR)
    assert "has_5m" not in result.columns
    assert result["is_complete"].any()


def test_nothing_is_nan_or_infinite(fine: pl.DataFrame, coarse: Coarse) -> None:
    # The smallest and the largest float64 make ratios that overflow.
    wild = fine.with_columns(
        close=pl.when(pl.int_range(pl.len()) % 7 == 0).then(1e-300).otherwise(1e300)
    )
    result = build_features(SET, wild, Beside(coarse), MINUTE)
    for name, dtype in result.schema.items():
        assert dtype != pl.Float64 or result[name].is_finite().all()


def test_a_column_that_is_not_stored_is_refused_by_name(fine: pl.DataFrame) -> None:
    with pytest.raises(WrongUseError, match=r"trial-v2 needs rsi_14 of 1m.*`indicators`"):
        build_features(SET, fine.drop("rsi_14"), Beside(), MINUTE)


def test_a_coarser_column_that_is_not_stored_is_refused_by_name(
    fine: pl.DataFrame, coarse: Coarse
) -> None:
    with pytest.raises(WrongUseError, match="needs sma_20 of 5m"):
        build_features(SET, fine, Beside({FIVE: coarse[FIVE].drop("sma_20")}), MINUTE)


def test_columns_are_described_once_each() -> None:
    columns = feature_columns(SET, MINUTE)
    names = [column.name for column in columns]
    assert len(set(names)) == len(names)
    assert all(column.unit and column.description.endswith(".") for column in columns)
    assert [name for name in names if name.startswith("has_")] == [
        "has_returns",
        "has_volatility",
        "has_indicators",
        "has_5m",
        "has_1h",
    ]
    assert [column.name for column in columns if column.unit == MASK][-1] == "is_complete"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"returns": (1, 1)}, "returns"),
        ({"returns": (0,)}, "returns"),
        ({"volatility": (1,)}, "volatility"),
        ({"volatility": (1001,)}, "volatility"),
        ({"joins": {HOUR: {MINUTE: ("sma_20",)}}}, "1m is not coarser than 1h"),
        ({"joins": {HOUR: {HOUR: ("sma_20",)}}}, "1h is not coarser than 1h"),
    ],
)
def test_an_impossible_set_is_refused_by_key(values: dict[str, object], named: str) -> None:
    with pytest.raises(WrongUseError, match=named):
        FeatureSet(name="x", version=1, **values)  # type: ignore[arg-type]


def test_an_empty_set_carries_only_the_candle(fine: pl.DataFrame) -> None:
    result = build_features(FeatureSet("bare", 1), fine, Beside(), MINUTE)
    assert result.columns == [*KEPT, "is_complete"]
    assert result["is_complete"].all()
    assert history_rows(FeatureSet("bare", 1)) == 0


def test_the_key_names_set_and_version() -> None:
    assert SET.key == "trial-v2"


def test_coarser_candle_that_was_only_carried_is_unknown(
    fine: pl.DataFrame, coarse: Coarse
) -> None:
    # Of 20 missing candles of 5m, ten are carried; live, nobody knows yet that more will come.
    carried = coarse[FIVE].filter("is_filled")["open_time"]
    assert carried.len() == 10
    result = build_features(SET, fine, Beside(coarse), MINUTE)
    behind = pl.col("open_time").dt.offset_by("1m").dt.truncate("5m").dt.offset_by("-5m")
    beside = result.filter(behind.is_in(carried.implode()))
    assert beside.height == 50
    assert beside["sma_20_5m"].null_count() == 50
    came = result.filter(
        behind.is_in(coarse[FIVE].filter(~pl.col("is_filled"))["open_time"].implode())
    )
    assert came["sma_20_5m"].is_not_null().any()
