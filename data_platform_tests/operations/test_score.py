"""Scores of stored candles: each fault planted, its own component seen to move."""

from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.layers import Partition
from data_platform.operations.due import FreshnessLimits, series_status
from data_platform.operations.lake import Lake
from data_platform.operations.missing import History
from data_platform.operations.report import LayerReport, PartitionScore
from data_platform.operations.report import report_of as report_of_partition
from data_platform.operations.score import (
    ScoreRules,
    add_scores,
    note_scores,
)
from data_platform.operations.score_sources import COARSER_AGREE, EXCHANGES_AGREE
from data_platform.quality.agreement import RULES as AGREEMENT_RULES
from data_platform.quality.score import COMPONENTS, Profile, Profiles
from data_platform.quality.standards import Standards
from data_platform.storage.quarantine import keep_refused
from data_platform.storage.verdicts import VerdictRow
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    month_of,
    partition_of,
    plant_gaps,
    series_of,
    store_candles,
    time,
)

HOUR = timedelta(hours=1)
SERIES = series_of()
LIMIT = HOUR + timedelta(minutes=5, seconds=5)
JANUARY = partition_of(SERIES)
FRESH = FreshnessLimits(timedelta(seconds=5), timedelta(minutes=5), Standards())
RULES = ScoreRules(History("flat", {SERIES.pair: time("2024-01-01")}), FRESH, Profiles())
HOURS = grid("2024-01-01", "2024-02-02")
NOW = time("2024-02-02")
"""A whole January, and one day of February."""


def noted(
    lake: Lake, now: datetime = NOW, since: str | None = None, rules: ScoreRules = RULES
) -> int:
    statuses = series_status(lake, [SERIES], FRESH, now)
    return note_scores(lake, statuses, rules, now, month_of(since) if since else None)


def components(lake: Lake, month: str = "2024-01") -> dict[str, float]:
    """The components that are not absent."""
    (row,) = lake.scores.newest("binance").filter(period=month).select(COMPONENTS).to_dicts()
    return {name: share for name, share in row.items() if share is not None}


def compare(lake: Lake, rule: str, count: int, checked: int, at: datetime = NOW) -> None:
    verdict = VerdictRow(rule, at.date(), "error", count, checked, "[]", "{}", at)
    with lake.state.write() as connection:
        lake.verdicts.record(connection, JANUARY, (verdict,))


def refuse(lake: Lake, rows: int, partition: Partition = JANUARY) -> None:
    bad = candles_at(HOURS[:rows]).with_columns(reason=pl.lit("a twin"))
    keep_refused(lake.store.layout, partition, bad)


@pytest.fixture
def sound(lake: Lake) -> Lake:
    """A lake without a fault, compared with everything."""
    store_candles(lake, SERIES, candles_at(HOURS))
    compare(lake, COARSER_AGREE, 0, 31)
    compare(lake, EXCHANGES_AGREE, 0, 744)
    return lake


def test_a_sound_month_scores_1_and_is_not_timed_once_it_is_past(sound: Lake) -> None:
    assert noted(sound) == 2
    past, running = sound.scores.newest("binance").to_dicts()
    assert {name: past[name] for name in COMPONENTS} == {
        "completeness": 1.0,
        "validity": 1.0,
        "consistency": 1.0,
        "accuracy": 1.0,
        "timeliness": None,
    }
    assert (past["expected"], past["stored"], past["absent"]) == (744, 744, "timeliness")
    assert (past["day"], past["checked_at"]) == ("2024-02-02", NOW)
    assert past["profiles"] == "five_dimensions-v1, four_dimensions-v1"
    assert (past["score_five"], past["score_four"]) == (1.0, 1.0)
    assert (running["expected"], running["stored"]) == (24, 24)
    assert running["timeliness"] == 1.0
    assert running["absent"] == "consistency, accuracy"


def test_a_hole_moves_completeness_alone(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(HOURS[:100] + HOURS[105:]))
    plant_gaps(lake, gap_of(SERIES, "2024-01-05 04:00", "2024-01-05 09:00", "outage"))
    noted(lake)
    assert components(lake) == {"completeness": 739 / 744, "validity": 1.0}


def test_refused_twins_move_validity_alone(sound: Lake) -> None:
    noted(sound)
    refuse(sound, 6)
    assert noted(sound) == 1
    assert components(sound) == {
        "completeness": 1.0,
        "validity": 744 / 750,
        "consistency": 1.0,
        "accuracy": 1.0,
    }


def test_verdicts_of_agreement_move_their_own_component_alone(sound: Lake) -> None:
    noted(sound)
    later = NOW + timedelta(minutes=10)
    compare(sound, COARSER_AGREE, 4, 31, later)
    assert noted(sound, later) == 1
    assert components(sound)["consistency"] == 27 / 31
    compare(sound, EXCHANGES_AGREE, 93, 744, later)
    assert noted(sound, later) == 1
    found = components(sound)
    assert (found["consistency"], found["accuracy"]) == (27 / 31, 651 / 744)
    assert found["completeness"] == found["validity"] == 1.0


def test_a_verdict_that_looked_at_nothing_leaves_its_component_absent(sound: Lake) -> None:
    compare(sound, EXCHANGES_AGREE, 0, 0)
    noted(sound)
    assert set(components(sound)) == {"completeness", "validity", "consistency"}


def test_a_silent_line_gets_later_with_the_clock(sound: Lake) -> None:
    noted(sound)
    # The first candle that is missing closes at 01:00.
    within = NOW + HOUR + LIMIT
    assert noted(sound, within) == 0
    assert noted(sound, within + LIMIT) == 1
    found = components(sound, "2024-02")
    assert found["timeliness"] == pytest.approx(0.5)
    # The candles of 00:00 and 01:00 are overdue by then, that of 02:00 is not.
    assert found["completeness"] == 24 / 26


def test_the_score_is_worked_out_by_hand(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(HOURS[:372]))
    noted(lake, time("2024-01-31 23:59"))
    # Half of January is stored; those that closed at 23:00 and later may still come.
    completeness = 372 / 742
    late = timedelta(days=15, hours=11, minutes=59) - HOUR
    timeliness = LIMIT / late
    (row,) = lake.scores.newest("binance").to_dicts()
    assert row["timeliness"] == round(timeliness, 3) == 0.003
    assert row["score_five"] == pytest.approx((0.30 * completeness + 0.10 * 0.003 + 0.10) / 0.50)
    assert row["score_four"] == pytest.approx((0.30 * completeness + 0.25 * 0.003 + 0.30) / 0.85)


def test_months_that_nobody_asked_for_score_nought_in_completeness(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-03-01", "2024-03-02")))
    assert noted(lake, time("2024-03-02")) == 3
    assert components(lake, "2024-02") == {"completeness": 0.0}
    scores = lake.scores.newest("binance")["score_five"].to_list()
    assert scores == [0.0, 0.0, 1.0]


def test_months_before_the_listing_have_no_score(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-02-01", "2024-02-02")))
    plant_gaps(lake, gap_of(SERIES, "2024-01-01", "2024-02-01", "before_listing", confirmed=True))
    noted(lake)
    before = lake.scores.newest("binance").to_dicts()[0]
    assert (before["expected"], before["score_five"], before["score_four"]) == (0, None, None)
    assert before["absent"] == "completeness, validity, consistency, accuracy, timeliness"


def test_nothing_new_is_written_once_and_each_move_of_a_source_again(sound: Lake) -> None:
    assert noted(sound) == 2
    assert noted(sound, NOW + timedelta(minutes=1)) == 0
    plant_gaps(sound, gap_of(SERIES, "2024-01-05 04:00", "2024-01-05 09:00", "outage"))
    assert noted(sound) == 1
    store_candles(sound, SERIES, candles_at(grid("2024-02-02", "2024-02-02 03:00")))
    assert noted(sound, time("2024-02-02 03:00")) == 1
    assert components(sound, "2024-02")["completeness"] == 1.0
    heavier = Profiles(four=Profile("four_dimensions", 2, {"completeness": 1.0}))
    rules = ScoreRules(RULES.history, FRESH, heavier)
    assert noted(sound, time("2024-02-02 03:00"), rules=rules) == 2


def test_a_month_that_is_over_loses_its_timeliness(sound: Lake) -> None:
    noted(sound, time("2024-01-31 12:00"))
    assert components(sound, "2024-01")["timeliness"] == 1.0
    noted(sound)
    assert "timeliness" not in components(sound, "2024-01")
    assert components(sound, "2024-02")["timeliness"] == 1.0


def test_at_most_one_row_is_kept_for_each_month_and_day(sound: Lake) -> None:
    for minutes in range(0, 400, 20):
        noted(sound, NOW + timedelta(minutes=minutes))
    noted(sound, NOW + timedelta(days=1))
    kept = sound.scores.history("binance").filter(period="2024-02")["day"].to_list()
    assert kept == ["2024-02-02", "2024-02-03"]


def test_a_look_may_begin_at_a_month(sound: Lake) -> None:
    assert noted(sound, since="2024-02") == 1
    assert sound.scores.newest("binance")["period"].to_list() == ["2024-02"]
    assert noted(sound, since="2024-02") == 0


def test_nobody_wanted_is_nothing_scored(lake: Lake) -> None:
    assert note_scores(lake, [], RULES, NOW) == 0


def report_of(lake: Lake, *parts: Partition, refused: int = 0) -> LayerReport:
    told = (report_of_partition(lake, part, lake.store.journal(part), "written") for part in parts)
    return LayerReport(partitions=[replace(it, refused=refused) for it in told])


def test_a_report_tells_the_score_of_each_of_its_partitions(sound: Lake) -> None:
    report = report_of(sound, JANUARY, partition_of(SERIES, "2024-02"))
    add_scores(sound, report, [SERIES], RULES, NOW)
    scores = [part.score for part in report.partitions]
    components = {"completeness": 1.0, "validity": 1.0}
    assert scores == [
        PartitionScore(1.0, {**components, "consistency": 1.0, "accuracy": 1.0}, "timeliness"),
        PartitionScore(1.0, {**components, "timeliness": 1.0}, "consistency, accuracy"),
    ]


def test_a_report_of_refused_rows_counts_them_again(sound: Lake) -> None:
    noted(sound)
    refuse(sound, 6)
    report = report_of(sound, JANUARY, refused=6)
    add_scores(sound, report, [SERIES], RULES, NOW)
    score = report.partitions[0].score
    assert score is not None
    assert score.components["validity"] == 744 / 750


def test_an_empty_report_scores_nothing(sound: Lake) -> None:
    add_scores(sound, LayerReport(), [SERIES], RULES, NOW)
    assert sound.scores.newest("binance").is_empty()


def test_the_compared_rules_are_rules() -> None:
    assert {COARSER_AGREE, EXCHANGES_AGREE} <= {rule.name for rule in AGREEMENT_RULES}


def test_a_line_that_stands_still_for_long_is_not_written_at_each_tick(sound: Lake) -> None:
    later = NOW + timedelta(days=3)
    noted(sound, later)
    # Ten seconds change its timeliness of 0.015 by less than a thousandth.
    assert noted(sound, later + timedelta(seconds=10)) == 0


def test_a_validity_that_could_not_be_told_is_told_once_it_can(sound: Lake) -> None:
    refuse(sound, 6)
    (file,) = sound.store.layout.find_quarantine(JANUARY)
    whole = file.read_bytes()
    file.write_bytes(b"torn")
    noted(sound)
    assert "validity" not in components(sound)
    file.write_bytes(whole)
    assert noted(sound) == 1
    assert components(sound)["validity"] == 744 / 750


def test_a_look_from_a_month_on_reaches_back_to_what_its_report_tells(sound: Lake) -> None:
    report = report_of(sound, JANUARY)
    add_scores(sound, report, [SERIES], RULES, NOW, month_of("2024-02"))
    assert [part.score is not None for part in report.partitions] == [True]
    assert sound.scores.newest("binance").height == 2
