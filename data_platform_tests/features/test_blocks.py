from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from data_platform.domain.candles import TIME, content_hash
from data_platform.domain.errors import StorageError, WrongUseError
from data_platform.domain.timeframes import Timeframe, to_timeframe
from data_platform.features.blocks import BLOCK, milliseconds, numbered, rows_at
from data_platform.features.feature_set import Beside, FeatureSet, build_features
from data_platform.features.fill_policy import POLICIES, FillPolicy, to_honest_policy
from data_platform.indicators.columns import add_indicators
from data_platform.indicators.windows import ROW
from data_platform_tests.features.conftest import candles_of
from data_platform_tests.features.test_every_column import SETTINGS, WIDE, grid_of, sparse
from data_platform_tests.features.test_fill import at
from data_platform_tests.features.test_fill_policy import grid

MINUTE = to_timeframe("1m")
ONE = SETTINGS.feature_sets[0]
TWO = replace(ONE, version=2, returns=(2, 60), volatility=(3, 30), indicators=("rsi_14", "sma_7"))
SETS = (ONE, TWO, WIDE, replace(WIDE, name="unfilled", fill="none"))
NAMES = tuple(
    {
        name: None
        for one in SETS
        for names in (
            one.indicators,
            *one.joins.get(MINUTE, {}).values(),
            *(market.indicators for market in one.markets),
        )
        for name in names
    }
)

# The first row of each block, and how many it has, of 3,000 minutes: the second and the third go
# on where the one before ended, within one segment; the fourth has the first one's times again.
BLOCKS = ((0, 980), (980, 1), (981, 400), (0, 980), (1200, 0), (1400, 1500))
ABSENT = {"1h": 2, "5m": 5, "1d": 2, "btc": 3, "okx": 0}
"""Which block each table beside knows nothing of."""


def stacked(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    numbers = (pl.lit(number, pl.UInt32).alias(BLOCK) for number in range(len(parts)))
    return pl.concat(part.with_columns(number) for part, number in zip(parts, numbers, strict=True))


def tables_of(feature_set: FeatureSet) -> dict[str, pl.DataFrame]:
    """Return the indicators layer of 3,000 minutes and of all that is joined to them."""
    policy = to_honest_policy(feature_set.fill)

    def layer(candles: pl.DataFrame, timeframe: Timeframe) -> pl.DataFrame:
        return add_indicators(policy.apply(grid_of(candles, timeframe), timeframe), NAMES)

    tables = {"1m": layer(sparse(MINUTE, 3000), MINUTE)}
    for each in feature_set.joins[MINUTE]:
        # From 120 days before, so that they are known.
        later = layer(sparse(each, 123 * 86_400 // each.seconds), each)
        tables[each.name] = later.with_columns(pl.col("open_time") - timedelta(days=120))
    for factor, market in enumerate(feature_set.markets, 2):
        other = candles_of(MINUTE, 3000).with_columns(pl.col("close") * factor)
        tables[market.alias] = layer(other.filter(pl.int_range(pl.len()) % 71 != 5), MINUTE)
    return tables


@pytest.mark.parametrize("feature_set", SETS, ids=lambda it: it.key)
def test_blocks_in_one_frame_have_the_bits_that_each_has_alone(feature_set: FeatureSet) -> None:
    tables = tables_of(feature_set)
    minutes = tables.pop("1m")
    own = [minutes.slice(first, rows) for first, rows in BLOCKS]
    blocks = [
        {
            name: table.slice(place * 7) if name in ("btc", "okx") else table
            for name, table in tables.items()
            if ABSENT[name] != place
        }
        for place in range(len(BLOCKS))
    ]
    coarse = feature_set.joins[MINUTE]

    def beside(tables: dict[str, pl.DataFrame]) -> Beside:
        joined = {each: tables[each.name] for each in coarse if each.name in tables}
        return Beside(joined, {name: tables[name] for name in ("btc", "okx") if name in tables})

    alone = [
        build_features(feature_set, frame, beside(block), MINUTE)
        for frame, block in zip(own, blocks, strict=True)
    ]
    together = {
        name: stacked([block.get(name, table.clear()) for block in blocks])
        for name, table in tables.items()
    }
    found = build_features(feature_set, stacked(own), beside(together), MINUTE)
    assert found["is_complete"].sum() > 100
    assert content_hash(found) == content_hash(pl.concat(alone))


@pytest.mark.parametrize("policy", POLICIES, ids=lambda it: it.name)
def test_a_policy_treats_each_block_as_if_it_stood_alone(policy: FillPolicy) -> None:
    frame = grid([0, 1, 4, 5, 10, 30, 32, 33])
    for cut in range(frame.height + 1):
        parts = [frame.head(cut), frame.slice(cut), frame, frame.slice(cut)]
        alone = stacked([policy.apply(part, MINUTE) for part in parts])
        assert policy.apply(stacked(parts), MINUTE).equals(alone)


def test_rows_are_numbered_anew_in_each_segment_and_in_each_block() -> None:
    frame = pl.DataFrame({BLOCK: [0, 0, 0, 1, 1, 1], "segment": [1, 1, 2, 2, 2, 3]})
    assert numbered(frame)[ROW].to_list() == [0, 1, 0, 0, 1, 0]
    assert numbered(frame.drop(BLOCK))[ROW].to_list() == [0, 1, 0, 1, 2, 0]
    assert numbered(frame.clear())[ROW].to_list() == []


OTHER = pl.DataFrame(
    {
        BLOCK: [0, 0, 2, 2],
        "open_time": pl.Series([at(0), at(1), at(0), at(2)], dtype=TIME),
        "is_filled": [False, True, False, False],
        "x": [1.0, 2.0, 3.0, None],
    }
)


def found_at(frame: pl.DataFrame, other: pl.DataFrame) -> list[float | None]:
    return rows_at(frame, milliseconds(frame["open_time"]), other, {"x": "y"})["y"].to_list()


def test_rows_are_found_in_their_own_block_and_not_where_they_were_filled() -> None:
    frame = pl.DataFrame(
        {
            BLOCK: [0, 0, 0, 1, 2, 2, 2],
            "open_time": pl.Series([at(it) for it in (0, 1, 2, 0, 0, 1, 2)], dtype=TIME),
        }
    )
    assert found_at(frame, OTHER) == [1.0, None, None, None, 3.0, None, None]
    assert found_at(frame, OTHER.clear()) == [None] * 7
    assert found_at(frame.clear(), OTHER) == []


def test_a_time_that_stands_twice_or_too_late_is_refused_by_its_name() -> None:
    twice, late = (pl.concat([OTHER[:2], OTHER[place : place + 1]]) for place in (1, 0))
    for wrong, time in ((twice, "23:01"), (late, "23:00")):
        with pytest.raises(StorageError, match=f"found 2024-01-31 {time} after itself"):
            found_at(OTHER, wrong)


def test_blocks_beside_none_are_refused() -> None:
    for frame, other in ((OTHER, OTHER[:2].drop(BLOCK)), (OTHER.drop(BLOCK), OTHER[:2])):
        with pytest.raises(WrongUseError, match="only one has the column `block`"):
            found_at(frame, other)
