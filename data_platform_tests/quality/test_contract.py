"""What every rule owes: silence about clean candles, and a planted defect at its exact time."""

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.candles import TIME, empty_candles
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe, to_timeframe
from data_platform.operations.judge import CANDLE_RULES
from data_platform.quality import freshness
from data_platform.quality.continuity import GAP_RULES
from data_platform.quality.rule import FreshnessRule, GapRule, Rule, RuleInput
from data_platform.quality.schema import PRICES
from data_platform_tests.quality.conftest import END

RULES: tuple[Rule, ...] = CANDLE_RULES
EVERY_RULE: tuple[Rule | GapRule | FreshnessRule, ...] = (
    *RULES,
    *GAP_RULES,
    *freshness.FRESHNESS_RULES,
)
MINUTE = to_timeframe("1m")
ROW = 1000
CLOSED = END


def still(candles: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    here = pl.int_range(pl.len()).is_between(ROW, ROW + candles - 1)
    price = pl.col("close").get(ROW - 1)
    return lambda frame: frame.with_columns(
        pl.when(here).then(price).otherwise(pl.col(name)).alias(name)
        for name in ("open", "high", "low", "close")
    )


def silent(candles: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """The last of so many silent candles is the one too many, all before it have traded."""
    here = pl.int_range(pl.len()).is_between(ROW - candles + 1, ROW)
    traded = pl.when(pl.col("volume") == 0).then(1.0).otherwise("volume")
    return lambda frame: frame.with_columns(volume=pl.when(here).then(0.0).otherwise(traded))


def changed(**values: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    here = pl.int_range(pl.len()) == ROW
    return lambda frame: frame.with_columns(
        pl.when(here).then(value).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


# Several ways to break each statement; row 1000 is the culprit each time.
DEFECTS: dict[str, Sequence[Callable[[pl.DataFrame], pl.DataFrame]]] = {
    "high_not_below_low": [
        changed(high=pl.col("low") / 2),
        changed(low=pl.col("high") * 2),
        changed(close=pl.col("high") * 2),
        changed(open=pl.col("low") / 2),
        changed(high=pl.lit(math.nan), low=pl.lit(None, pl.Float64)),
    ],
    "prices_above_zero": [
        changed(close=pl.lit(value, pl.Float64)) for value in (0.0, -1.0, math.nan, math.inf, None)
    ],
    "volume_not_negative": [
        changed(volume=pl.lit(value, pl.Float64)) for value in (-1.0, math.nan, math.inf, None)
    ],
    "times_increasing": [changed(open_time=pl.col("open_time") - timedelta(minutes=5))],
    "times_unique": [changed(open_time=pl.col("open_time") - timedelta(minutes=1))],
    "times_on_grid": [changed(open_time=pl.col("open_time") + timedelta(milliseconds=1))],
    "candles_closed": [
        changed(open_time=pl.lit(END, TIME)),
        changed(open_time=pl.lit(END + timedelta(days=900), TIME)),
    ],
    "no_price_jumps": [
        changed(high=pl.col("high") * 1.11),
        changed(low=pl.col("low") * 0.89),
        changed(**{name: pl.col(name) * 1.12 for name in PRICES}),
        changed(**{name: pl.col(name) * 0.5 for name in PRICES}),
        lambda frame: frame.with_columns(
            pl.when(pl.int_range(pl.len()) >= ROW).then(pl.col(name) * 1.2).otherwise(name)
            for name in PRICES
        ),
    ],
    "no_volume_spikes": [changed(volume=61 * pl.col("volume").head(ROW).mean())],
    "no_outlying_returns": [
        changed(close=pl.col("close").shift(1) * 1.035),
        changed(close=pl.col("close").shift(1) * 0.965),
    ],
    "prices_move": [still(61), still(100)],
    "zero_volume_as_usual": [silent(16)],
}


def judge(rule: Rule, candles: pl.DataFrame, before: pl.DataFrame | None = None) -> pl.DataFrame:
    known = empty_candles() if before is None else before
    return rule.find(RuleInput(candles, known, MINUTE, CLOSED), rule.limits)


def test_every_rule_has_a_planted_defect() -> None:
    assert set(DEFECTS) == {rule.name for rule in RULES}


def test_names_are_unique_statements_and_described() -> None:
    names = [rule.name for rule in EVERY_RULE]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z_]+", name) for name in names)
    assert all(rule.description.endswith(".") for rule in EVERY_RULE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_clean_candles_pass(rule: Rule, month: pl.DataFrame) -> None:
    found = judge(rule, month.tail(-100), month.head(100))
    assert found.is_empty()
    assert found.columns[0] == "open_time"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_no_candles_pass(rule: Rule, month: pl.DataFrame) -> None:
    assert judge(rule, empty_candles()).is_empty()
    assert judge(rule, empty_candles(), month.head(3)).is_empty()


@pytest.mark.parametrize(
    ("rule", "plant"), [(rule, plant) for rule in RULES for plant in DEFECTS[rule.name]]
)
def test_a_planted_defect_is_found_at_its_exact_time(
    rule: Rule, plant: Callable[[pl.DataFrame], pl.DataFrame], month: pl.DataFrame
) -> None:
    broken = plant(month.head(2 * ROW))
    found = judge(rule, broken)
    assert found["open_time"].to_list() == [broken["open_time"][ROW]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_given_candles_are_left_alone(rule: Rule, month: pl.DataFrame) -> None:
    broken = DEFECTS[rule.name][0](month.head(2 * ROW))
    kept = broken.clone()
    judge(rule, broken)
    assert broken.equals(kept)


@pytest.mark.parametrize("rule", GAP_RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("timeframe", TIMEFRAMES, ids=str)
def test_a_gap_rule_counts_faults_only(rule: GapRule, timeframe: Timeframe) -> None:
    def ledger(status: str) -> pl.DataFrame:
        start = datetime(2024, 1, 3, tzinfo=UTC)
        end = start + 20 * timeframe.duration
        columns = {"pair": ["BTC/USDT"], "start": [start], "end": [end], "missing": [20]}
        return pl.DataFrame({**columns, "status": [status]}).cast(
            {"start": pl.Datetime("ms", "UTC"), "end": pl.Datetime("ms", "UTC")}
        )

    for status in ("no_trades", "before_listing", "after_delisting", "unavailable", "repaired"):
        assert rule.find(ledger(status), timeframe, rule.limits).is_empty()
    for status in ("open", "refused", "outage"):
        found = rule.find(ledger(status), timeframe, rule.limits)
        assert found["open_time"][0] == datetime(2024, 1, 3, tzinfo=UTC)
        assert found["pair"][0] == "BTC/USDT"
    assert rule.find(ledger("open").clear(), timeframe, rule.limits).is_empty()
