"""Scores as people read them."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from data_platform.operations.due import FreshnessLimits, series_status
from data_platform.operations.lake import Lake
from data_platform.operations.missing import History
from data_platform.operations.score import ScoreRules, note_scores
from data_platform.operations.score_view import (
    MonthScore,
    SeriesScore,
    mean_scores,
    score_now,
    score_trend,
)
from data_platform.quality.score import Profiles
from data_platform.quality.standards import Standards
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    month_of,
    partition_of,
    plant_gaps,
    score_row,
    series_of,
    store_candles,
    time,
)

SERIES = series_of()
NOW = time("2024-03-02")
LIMIT = timedelta(hours=1, minutes=5, seconds=5)
FRESH = FreshnessLimits(timedelta(seconds=5), timedelta(minutes=5), Standards())
RULES = ScoreRules(History("flat", {SERIES.pair: time("2024-01-01")}), FRESH, Profiles())
ABSENT = "consistency, accuracy, timeliness"
ROW = score_row(
    expected=744,
    stored=744,
    completeness=1.0,
    validity=1.0,
    score_five=1.0,
    score_four=0.5,
    absent=ABSENT,
    checked_at=NOW,
)


def note(lake: Lake, month: str, day: str, score: float | None) -> None:
    row = replace(ROW, day=date.fromisoformat(day), score_five=score)
    with lake.state.write() as connection:
        lake.scores.record(connection, [(partition_of(SERIES, month), row)])


def now(lake: Lake, at: str = "2024-03-02", rules: ScoreRules = RULES) -> SeriesScore | None:
    statuses = series_status(lake, [SERIES], FRESH, time(at))
    return score_now(lake, statuses, rules, time(at)).get(SERIES)


def test_the_newest_month_tells_how_good_a_series_is_and_the_worst_stands_beside(
    lake: Lake,
) -> None:
    hours = grid("2024-01-01", "2024-03-02")
    # 744 hours of January, of which 93 are missing.
    store_candles(lake, SERIES, candles_at(hours[:100] + hours[193:]))
    plant_gaps(lake, gap_of(SERIES, "2024-01-05 04:00", "2024-01-09 01:00", "outage"))
    note_scores(lake, series_status(lake, [SERIES], FRESH, NOW), RULES, NOW)
    found = now(lake)
    assert found is not None
    running = {"completeness": 1.0, "validity": 1.0, "timeliness": 1.0}
    assert found.newest == MonthScore("2024-03", 1.0, running, "consistency, accuracy")
    # (0.30 x 651 / 744 + 0.10 x 1) / 0.40
    assert found.worst.value == pytest.approx(0.90625)
    shares = {"completeness": 0.875, "validity": 1.0}
    assert found.worst == MonthScore("2024-01", found.worst.value, shares, ABSENT)


def test_the_clock_tells_upon_a_score_that_nobody_has_noted_since(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-01", "2024-03-02")))
    note_scores(lake, series_status(lake, [SERIES], FRESH, NOW), RULES, NOW)
    before = lake.scores.history("binance")
    late = NOW + timedelta(hours=1) + 2 * LIMIT
    found = score_now(lake, series_status(lake, [SERIES], FRESH, late), RULES, late)[SERIES]
    assert found.newest.components["timeliness"] == 0.5
    assert found.worst == found.newest
    assert lake.scores.history("binance").equals(before)


def test_the_profile_of_the_config_is_the_one_that_is_told(lake: Lake) -> None:
    note(lake, "2024-01", "2024-01-31", 0.9)
    four = replace(RULES, profiles=Profiles(default="four_dimensions"))
    found = now(lake, rules=four)
    assert found is not None
    assert found.worst.value == 0.0
    (old,) = lake.scores.newest("binance").to_dicts()
    assert old["score_four"] == 0.5


def test_a_series_of_which_nothing_is_known_has_no_score(lake: Lake) -> None:
    plant_gaps(lake, gap_of(SERIES, "2024-01-01", "2024-03-02", "after_delisting", confirmed=True))
    assert now(lake) is None
    assert score_now(lake, [], RULES, NOW) == {}


def trend(lake: Lake) -> list[tuple[str, str, float | None]]:
    return score_trend(lake, "binance").select("day", "period", "score_five").rows()


def test_a_trend_follows_the_newest_month(lake: Lake) -> None:
    note(lake, "2024-01", "2024-01-30", 0.9)
    note(lake, "2024-01", "2024-01-31", 0.8)
    note(lake, "2024-01", "2024-02-01", 0.85)
    note(lake, "2024-02", "2024-02-01", 1.0)
    # That an old month is mended tells nothing of how good the series is now.
    note(lake, "2024-01", "2024-02-02", 1.0)
    note(lake, "2024-02", "2024-02-03", 0.95)
    assert trend(lake) == [
        ("2024-01-30", "2024-01", 0.9),
        ("2024-01-31", "2024-01", 0.8),
        ("2024-02-01", "2024-02", 1.0),
        ("2024-02-03", "2024-02", 0.95),
    ]


def test_each_series_has_its_own_trend(lake: Lake) -> None:
    note(lake, "2024-02", "2024-02-01", 1.0)
    other = series_of(pair="ETH/USDT")
    with lake.state.write() as connection:
        lake.scores.record(connection, [(partition_of(other, "2024-01"), ROW)])
    names = score_trend(lake, "binance").select("pair", "period").rows()
    assert names == [("BTC-USDT", "2024-02"), ("ETH-USDT", "2024-01")]
    assert score_trend(lake, "okx").is_empty()


def test_an_asset_is_as_good_as_its_pairs_are_on_average(lake: Lake) -> None:
    note(lake, "2024-01", "2024-01-31", 0.2)
    note(lake, "2024-02", "2024-02-28", 0.9)
    for pair, score in (("ETH/USDT", 0.6), ("OLD/USDT", 0.0)):
        row = replace(ROW, score_five=score)
        with lake.state.write() as connection:
            part = partition_of(series_of(pair=pair), "2024-02")
            lake.scores.record(connection, [(part, row)])
    pairs = dict.fromkeys([SERIES.pair, series_of(pair="ETH/USDT").pair], time("2024-01-01"))
    rules = replace(RULES, history=History("flat", pairs))
    found = mean_scores(lake, "binance", rules, month_of("2024-01"))
    assert found == {"1h": pytest.approx(0.75)}
    assert mean_scores(lake, "binance", rules, month_of("2024-03")) == {}
