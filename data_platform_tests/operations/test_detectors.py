from datetime import timedelta

import polars as pl
import pytest

from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.detectors import AUDIT, Detectors, Stretch
from data_platform.operations.scorecard import clean_market
from data_platform.quality.standards import Change, Standards

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def clean() -> tuple[pl.DataFrame, Stretch]:
    ground, stretch = clean_market(0, to_timeframe("1m"))
    return ground.candles, stretch


def test_clean_candles_are_left_in_peace(clean: tuple[pl.DataFrame, Stretch]) -> None:
    assert Detectors().detect(*clean).is_empty()


def test_what_the_audit_refuses_is_named_by_reason_and_leaves_a_hole(
    clean: tuple[pl.DataFrame, Stretch],
) -> None:
    rows, stretch = clean
    broken = rows.with_columns(
        close=pl.when(pl.int_range(pl.len()) == 7).then(-1.0).otherwise("close")
    )
    found = Detectors().detect(broken, stretch)
    assert found["open_time"].unique().to_list() == [stretch.start + 7 * MINUTE]
    assert {AUDIT + "price not above zero", "prices_above_zero", "history_complete"} <= set(
        found["check"]
    )


def test_the_config_s_limits_are_used(clean: tuple[pl.DataFrame, Stretch]) -> None:
    rows, stretch = clean
    strict = Standards({"no_price_jumps": Change({"1m": 0.0001})})
    assert "no_price_jumps" in set(Detectors(strict).detect(rows, stretch)["check"])
