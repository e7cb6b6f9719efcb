"""Facts come from a real lake: what rings is what is wrong in it."""

from datetime import timedelta

from data_platform.domain.alerts import AlarmLimits
from data_platform.operations.alarm_facts import Concern, Facts, RunTime, gather_facts
from data_platform.operations.due import FreshnessLimits
from data_platform.operations.lake import Lake
from data_platform.operations.missing import History
from data_platform.quality.standards import Standards
from data_platform.storage.run_log import Step
from data_platform_tests.factories import (
    GRACE,
    candles_at,
    gap_of,
    grid,
    partition_of,
    plant_gaps,
    score_row,
    series_of,
    store_candles,
    time,
)

SERIES = series_of(timeframe="1m")
NOW = time("2024-03-15 12:00:10")


def facts(lake: Lake, *running: RunTime, column: str = "score_five") -> Facts:
    concern = Concern(
        exchange=SERIES.exchange,
        series=[SERIES],
        history=History("flat", {SERIES.pair: time("2024-03-13")}),
        fresh=FreshnessLimits(GRACE, timedelta(minutes=5), Standards()),
        limits=AlarmLimits(),
        score_column=column,
    )
    return gather_facts(lake, concern, running, NOW)


def store(lake: Lake, *parts: tuple[str, str]) -> None:
    times = [it for start, end in parts for it in grid(start, end, "1m")]
    store_candles(lake, SERIES, candles_at(times))


def test_recent_long_gap_is_a_fact_and_an_old_or_short_one_is_none(lake: Lake) -> None:
    store(
        lake,
        ("2024-03-13 00:00", "2024-03-13 08:00"),
        ("2024-03-13 08:30", "2024-03-15 06:00"),
        ("2024-03-15 06:05", "2024-03-15 09:00"),
        ("2024-03-15 09:06", "2024-03-15 12:00"),
    )
    gap = gap_of(SERIES, "2024-03-15 09:00", "2024-03-15 09:06", "outage", confirmed=True)
    plant_gaps(lake, gap)
    [found] = facts(lake).gaps
    assert (found.series, found.missing, found.allowed) == (SERIES, 6, 5)
    assert (found.start, found.end) == (time("2024-03-15 09:00"), time("2024-03-15 09:06"))
    assert found.tries == gap.tries


def test_lateness_is_a_fact(lake: Lake) -> None:
    store(lake, ("2024-03-15 00:00", "2024-03-15 11:00"))
    [status] = facts(lake).statuses
    assert status.is_stale


def test_newest_delay_is_held_against_the_usual_one_of_before(lake: Lake) -> None:
    for minutes, delay in ((10, 300), (50, 90), (70, 40), (200, 60), (300, 50), (400, None)):
        began = NOW - timedelta(minutes=minutes)
        latency = None if delay is None else timedelta(milliseconds=delay)
        step = Step(f"r{minutes}", "binance", "tick", began, began, latency=latency)
        lake.runs.add(step)
    answers = facts(lake).answers
    assert answers.latency == timedelta(milliseconds=300)
    # Of 40, 50 and 60 ms: what this hour was like is no measure of itself.
    assert answers.usual_latency == timedelta(milliseconds=50)


def test_runs_and_their_requests_are_facts(lake: Lake) -> None:
    for minutes, requests, failed in ((10, 30, 3), (50, 10, 1), (300, 500, 400)):
        began = NOW - timedelta(minutes=minutes)
        ended = began + timedelta(seconds=20)
        name, errors = f"r{minutes}", {"transient": failed}
        lake.runs.add(Step(name, "binance", "tick", began, ended, requests=requests, errors=errors))
    other = RunTime("okx", "tick", "x", NOW, 1.0, is_running=True)
    own = RunTime("binance", "tick", "y", NOW, 1.0, is_running=True)
    found = facts(lake, other, own)
    assert (found.answers.requests, found.answers.failed) == (40, 4)
    assert [(it.run_id, it.seconds) for it in found.runs] == [
        ("r300", 20.0),
        ("r50", 20.0),
        ("r10", 20.0),
        ("y", 1.0),
    ]


def test_score_of_the_newest_month_by_the_profile_asked_for_is_a_fact(lake: Lake) -> None:
    for month, five, four in (("2024-02", 0.1, 0.2), ("2024-03", 0.6, 0.9)):
        row = score_row(
            day=NOW.date(),
            expected=10,
            stored=5,
            completeness=0.5,
            validity=1.0,
            timeliness=0.25,
            score_five=five,
            score_four=four,
            absent="consistency, accuracy",
            checked_at=NOW,
        )
        with lake.state.write() as connection:
            lake.scores.record(connection, [(partition_of(SERIES, month), row)])
    [found] = facts(lake).scores
    assert (found.series, found.score) == (SERIES, 0.6)
    assert found.why == "completeness 0.500, timeliness 0.250 in 2024-03"
    [found] = facts(lake, column="score_four").scores
    assert found.score == 0.9
