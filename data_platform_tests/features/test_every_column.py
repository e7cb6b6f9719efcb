"""Every column of every configured feature set and of every indicator, from candles on."""

import ast
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import data_platform
from data_platform.domain.markets import Pair
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe, to_timeframe
from data_platform.features.causality import Table, find_leaks
from data_platform.features.feature_set import Beside, FeatureSet, build_features, feature_schema
from data_platform.features.fill import fill_candles
from data_platform.features.fill_policy import to_honest_policy
from data_platform.features.markets import MarketColumns
from data_platform.features.moments import telling_moments
from data_platform.indicators.columns import INDICATORS, add_indicators, output_columns
from data_platform.settings import load_settings
from data_platform_tests.features.conftest import START, candles_of
from data_platform_tests.indicators.test_contract import NAMES

SETTINGS = load_settings({"DATA_PLATFORM_CONFIG": "configs/platform.yaml"})
MOMENTS = 10
ROWS = 700


def sparse(timeframe: Timeframe, rows: int) -> pl.DataFrame:
    """Return candles with a hole that is carried and one that breaks the segment."""
    row = pl.int_range(pl.len())
    holes = row.is_between(rows // 3, rows // 3 + 4) | row.is_between(rows // 2, rows // 2 + 24)
    return candles_of(timeframe, rows).filter(~holes)


def grid_of(candles: pl.DataFrame, timeframe: Timeframe) -> pl.DataFrame:
    end = candles["open_time"][-1] + timeframe.duration if candles.height else START
    return fill_candles(candles, None, [], timeframe, START, end)


def tables_of(feature_set: FeatureSet, timeframe: Timeframe) -> dict[str, Table]:
    """Return candles of a timeframe and of all that are joined to it, over the same time."""
    coarser = feature_set.joins.get(timeframe, {})
    seconds = ROWS * timeframe.seconds
    return {
        each.name: Table(sparse(each, max(60, seconds // each.seconds)), each)
        for each in (timeframe, *coarser)
    } | {
        joined.alias: Table(
            sparse(timeframe, ROWS).with_columns(pl.col("close") * factor), timeframe
        )
        for factor, joined in enumerate(feature_set.markets, 2)
    }


def features_of(
    frames: Mapping[str, pl.DataFrame], feature_set: FeatureSet, timeframe: Timeframe
) -> pl.DataFrame:
    """Carry candles down the whole line in memory: the grid, indicators, features."""
    named = {
        *SETTINGS.indicators,
        *feature_set.indicators,
        *(
            name
            for joined in feature_set.joins.values()
            for each in joined.values()
            for name in each
        ),
        *(name for joined in feature_set.markets for name in joined.indicators),
    }
    policy = to_honest_policy(feature_set.fill)
    aliases = {joined.alias for joined in feature_set.markets}
    columns = {}
    for name, frame in frames.items():
        each = timeframe if name in aliases else to_timeframe(name)
        grid = policy.apply(grid_of(frame, each), each)
        columns[name] = add_indicators(grid, sorted(named))
    own = columns.pop(timeframe.name)
    markets = {alias: columns.pop(alias) for alias in aliases}
    coarse = {to_timeframe(name): frame for name, frame in columns.items()}
    return build_features(feature_set, own, Beside(coarse, markets), timeframe)


WIDE = FeatureSet(
    "wide",
    1,
    returns=(1, 60),
    volatility=(5,),
    indicators=("sma_7", "ema_9"),
    joins={to_timeframe("1m"): {to_timeframe("5m"): ("sma_3", "rsi_7")}},
    markets=(
        MarketColumns("btc", Pair("BTC/USDT"), None, (1, 5), (10,), ("rsi_7",)),
        MarketColumns("okx", Pair("ETH/USDT"), "okx", (1,)),
    ),
)
"""What the shipped set does not use: indicators that are not stored, other markets."""

SETS = (*SETTINGS.feature_sets, WIDE, replace(WIDE, name="unfilled", fill="none"))
EVERY_SET = [
    (one, each)
    for one in SETS
    for each in TIMEFRAMES
    if one in SETTINGS.feature_sets or each.name == "1m"
]


@pytest.mark.parametrize(
    ("feature_set", "timeframe"), EVERY_SET, ids=[f"{one.key}-{each}" for one, each in EVERY_SET]
)
def test_no_column_of_any_feature_set_sees_the_future(
    feature_set: FeatureSet, timeframe: Timeframe
) -> None:
    tables = tables_of(feature_set, timeframe)
    moments = telling_moments(tables, timeframe.name, MOMENTS)
    seen: list[str] = []

    def compute(frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        result = features_of(frames, feature_set, timeframe)
        seen[:] = result.columns
        return result

    assert find_leaks(compute, tables, timeframe.name, moments) == []
    assert seen == feature_schema(feature_set, timeframe).names()


@pytest.mark.parametrize("name", dict.fromkeys((*SETTINGS.indicators, *NAMES)))
def test_no_column_of_any_indicator_sees_the_future(name: str) -> None:
    minute = to_timeframe("1m")
    tables = {"1m": Table(sparse(minute, ROWS), minute)}

    def compute(frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        grid = grid_of(frames["1m"], minute)
        return add_indicators(grid, (name,)).select("open_time", *output_columns((name,)))

    assert find_leaks(compute, tables, "1m", telling_moments(tables, "1m", MOMENTS)) == []


def test_every_indicator_row_is_among_them() -> None:
    names = {*SETTINGS.indicators, *NAMES}
    assert all(any(it.startswith(f"{row.name}") for it in names) for row in INDICATORS)


PACKAGE = Path(data_platform.__file__).parent


@pytest.mark.parametrize(
    "path",
    [it for room in ("features", "indicators") for it in sorted((PACKAGE / room).glob("*.py"))],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_no_formula_is_written_to_look_ahead(path: Path) -> None:
    # `linear_3` draws its lines here, and no feature set may name it (test_fill_policy.py).
    allowed = {"interpolate", "shift"} if path.name == "fill_policy.py" else set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr in allowed or not _looks_ahead(node), (
                f"{path.name}:{node.lineno} reads later rows"
            )


def _looks_ahead(call: ast.Call) -> bool:
    assert isinstance(call.func, ast.Attribute)
    centred = call.func.attr.startswith("rolling") and any(
        word.arg == "center" and not (isinstance(word.value, ast.Constant) and not word.value.value)
        for word in call.keywords
    )
    back = call.func.attr in {"backward_fill", "bfill", "interpolate", "reverse", "interpolate_by"}
    ahead = call.func.attr in {"shift", "diff", "pct_change"} and any(
        isinstance(word, ast.UnaryOp) and isinstance(word.op, ast.USub) for word in call.args
    )
    return centred or back or ahead


@pytest.mark.parametrize(
    "text",
    ["x.shift(-1)", "x.rolling_mean(5, center=True)", "x.backward_fill()", "x.interpolate()"],
)
def test_what_is_written_to_look_ahead_is_seen(text: str) -> None:
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    assert _looks_ahead(call)
