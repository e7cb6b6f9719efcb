from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.detectors import Detectors, audit_stretch
from data_platform.operations.scorecard import (
    Scorecard,
    clean_market,
    judge_files,
    score_detectors,
)
from data_platform.quality.rule import Limits, RuleInput
from data_platform_tests.factories import candles_at, grid

WHOLE = Detectors()


def crippled(rule: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Detectors:
    """The platform's detectors, but what one rule finds is changed."""
    own = next(it for it in WHOLE.rules if it.name == rule)

    def find(given: RuleInput, limits: Limits) -> pl.DataFrame:
        return change(own.find(given, limits))

    others = [it for it in WHOLE.rules if it is not own]
    return replace(WHOLE, rules=(*others, replace(own, find=find)))


@pytest.fixture(scope="module")
def card() -> Scorecard:
    return score_detectors([0, 3], WHOLE)


def test_everything_that_cannot_be_true_is_found_each_time(card: Scorecard) -> None:
    assert card.missed == []
    assert {it.recall for it in card.recalls} == {1.0}
    assert sum(it.planted for it in card.recalls if it.defect == "off-grid") == 20


def test_nothing_is_said_of_clean_candles_by_what_knows_errors(card: Scorecard) -> None:
    for check in ("high_not_below_low", "no_long_gaps", "no_copied_candles", "times_unique"):
        assert card.precision(check) == 1.0
    assert not [it for it in card.false_alarms if it.where.startswith("clean")]


def test_a_rule_that_is_blind_is_exposed() -> None:
    card = score_detectors([0], crippled("times_unique", lambda found: found.clear()))
    assert {(it.check, it.defect, it.found) for it in card.missed} == {
        ("times_unique", "duplicate", 0),
        ("times_unique", "contradicting duplicate", 0),
    }
    assert card.precision("times_unique") is None


def test_a_rule_that_is_one_candle_off_is_exposed() -> None:
    def late(found: pl.DataFrame) -> pl.DataFrame:
        return found.with_columns(pl.col("open_time") + timedelta(minutes=1))

    card = score_detectors([0], crippled("candles_closed", late))
    assert {(it.check, it.found) for it in card.missed} == {("candles_closed", 0)}
    assert card.precision("candles_closed") == 0.0


def test_a_rule_that_cries_wolf_loses_precision_and_no_recall() -> None:
    def wolf(found: pl.DataFrame) -> pl.DataFrame:
        other = found.head(1).with_columns(pl.col("open_time") + timedelta(minutes=7))
        return pl.concat([found, other])

    card = score_detectors([0], crippled("times_on_grid", wolf))
    assert card.missed == []
    precision = card.precision("times_on_grid")
    assert precision is not None
    assert precision < 1
    assert {it.where for it in card.false_alarms if it.check == "times_on_grid"} >= {"off-grid"}


def test_what_is_said_of_the_clean_candles_is_counted_once() -> None:
    at = datetime(2021, 1, 11, 5, 30, tzinfo=UTC)

    def always(found: pl.DataFrame) -> pl.DataFrame:
        fixed = pl.DataFrame({"open_time": [at]}, schema={"open_time": found.schema["open_time"]})
        return pl.concat([found.select("open_time"), fixed])

    card = score_detectors([0], crippled("candles_closed", always))
    alarms = [it for it in card.false_alarms if it.check == "candles_closed"]
    assert [(it.where, it.count) for it in alarms] == [
        ("clean 1h", 1), ("clean 1m", 1), ("clean 5m", 1)
    ]  # fmt: skip
    assert alarms[0].first == ("seed 0 2021-01-11 05:30:00",)


def test_an_audit_that_lets_negative_prices_in_is_exposed() -> None:
    def audit(rows: pl.DataFrame, stretch: object) -> tuple[pl.DataFrame, pl.DataFrame]:
        good, refused = audit_stretch(rows, stretch)  # type: ignore[arg-type]
        return good, refused.filter(~pl.col("reason").str.contains("price not above zero"))

    card = score_detectors([0], replace(WHOLE, audit=audit))
    assert ("audit: price not above zero", "negative price") in {
        (it.check, it.defect) for it in card.missed
    }


def test_a_clean_market_has_all_its_neighbours() -> None:
    ground, stretch = clean_market(4, to_timeframe("5m"))
    assert ground.candles["open_time"][0] == stretch.start
    assert ground.candles.height == 3 * 288
    assert ground.minutes.height == 3 * 1440
    assert stretch.before["open_time"][-1] == stretch.start - timedelta(minutes=5)
    assert set(stretch.others) == {"okx", "bybit", "kraken"}


def test_findings_in_files_are_listed_by_kind(tmp_path: Path) -> None:
    rows = candles_at(grid("2024-01-01", "2024-01-03"), price=10_000)
    holey = rows.filter(pl.col("open_time").dt.hour() != 5)
    holey.write_parquet(tmp_path / "some_BTC__1h.parquet")
    found = {it.check: it for it in judge_files(tmp_path, WHOLE)}
    assert set(found) == {"days_complete", "history_complete"}
    assert found["days_complete"].count == 2
    assert found["history_complete"].first == ("2024-01-01 05:00:00",)
    assert found["history_complete"].candles == 46
