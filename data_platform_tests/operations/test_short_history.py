"""An exchange that has only its newest candles: what ticks gather, and what a pause costs."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from data_platform.domain.candles import closed_before
from data_platform.domain.layers import Refresh
from data_platform.domain.periods import periods_between
from data_platform.operations.backlog import Scope, find_backlog
from data_platform.operations.due import FreshnessLimits, SeriesStatus, series_status
from data_platform.operations.lake import Lake
from data_platform.operations.missing import GapCount, History, count_gaps
from data_platform.operations.tick import Pace, plan_tick
from data_platform.operations.verdicts import Judged, table_verdicts
from data_platform.quality.standards import Standards
from data_platform_tests.factories import GRACE, gaps_in, partition_of, stored, time
from data_platform_tests.operations.venues import Venues, market

MINUTE, FIVE = market("kraken", "1m"), market("kraken", "5m")
BOTH = (MINUTE, FIVE)
WANTED = time("2024-02-01")
"""The configured start, far out of reach."""
BEGUN = time("2024-02-29 23:30:07")
"""The first tick. The next ones find a new month begun."""
INTERVALS: dict[Refresh, timedelta] = {
    "candles": timedelta(minutes=5),
    "derived": timedelta(hours=1),
    "exports": timedelta(days=1),
}
HISTORY = History("flat", {MINUTE.pair: WANTED})


@pytest.fixture(autouse=True)
def first_tick(venues: Venues, lake: Lake) -> None:
    venues.clock.now = BEGUN
    tick(venues, lake)
    venues.asked("kraken")


def statuses(lake: Lake, now: datetime) -> list[SeriesStatus]:
    return series_status(lake, BOTH, FreshnessLimits(GRACE, INTERVALS["candles"], Standards()), now)


def tick(venues: Venues, lake: Lake) -> None:
    """Do at once what the sensor would ask a run for."""
    now = venues.clock.now
    planned = plan_tick(lake, statuses(lake, now), Pace(INTERVALS, {}, GRACE), now)
    assert planned is not None
    fetched = [timeframe for layer, timeframe in planned.tables if layer == "ohlcv"]
    for series in BOTH:
        if series.timeframe in fetched:
            months = periods_between(planned.first.start, planned.last.end)
            partitions = [partition_of(series, month.key) for month in months]
            report = venues.update(lake, partitions, start=WANTED)
            assert not report.failures


ASSET = Judged("kraken", "ohlcv", MINUTE.timeframe, HISTORY, Standards(), set())


def judged_missing(lake: Lake, now: datetime) -> dict[str, int]:
    found = table_verdicts(lake, ASSET, statuses(lake, now), set())
    return {it.name: it.count for it in found if it.count}


def told_beside(lake: Lake, now: datetime) -> Mapping[str, int]:
    [told] = {
        tuple(it.beside.items())
        for it in table_verdicts(lake, ASSET, statuses(lake, now), set())
        if it.beside
    }
    return dict(told)


def test_three_days_of_ticks_lose_no_candle(venues: Venues, lake: Lake) -> None:
    for _ in range(7):
        venues.clock.now += timedelta(hours=11, minutes=50)
        tick(venues, lake)
    assert venues.asked("kraken") == 2 * 7
    for series in BOTH:
        first = series.timeframe.floor(BEGUN) - 720 * series.timeframe.duration
        end = closed_before(venues.clock.now, series.timeframe, GRACE)
        assert end - BEGUN > timedelta(days=3)
        truth = venues.truth(series, first, end)
        assert truth.height == (end - first) / series.timeframe.duration
        assert stored(lake, series).equals(truth)
    assert judged_missing(lake, venues.clock.now) == {}
    assert count_gaps(lake, HISTORY, BOTH) == dict.fromkeys(BOTH, GapCount(0, 0, 0, 0))


def test_pause_beyond_the_reach_is_told_to_the_minute_and_never_asked_for_again(
    venues: Venues, lake: Lake
) -> None:
    venues.clock.now = now = BEGUN + timedelta(hours=13)
    tick(venues, lake)
    known = [
        ("2024-02-01 00:00", "2024-02-29 11:30", "unavailable", True),
        ("2024-02-29 23:30", "2024-03-01 00:30", "unavailable", True),
    ]
    assert gaps_in(lake, MINUTE) == known
    assert [status for *_, status, _ in gaps_in(lake, FIVE)] == ["unavailable"]
    # No check counts what nothing can bring back; what was lost since the beginning is told beside.
    lost, nothing = GapCount(0, 0, 0, 60), GapCount(0, 0, 0, 0)
    assert count_gaps(lake, HISTORY, BOTH) == {MINUTE: lost, FIVE: nothing}
    assert judged_missing(lake, now) == {}
    assert told_beside(lake, now) == {"unavailable": 28 * 1440 + 690 + 60, "lost": 60}

    venues.asked("kraken")
    partitions = [partition_of(MINUTE, month) for month in ("2024-02", "2024-03")]
    assert not venues.update(lake, partitions, start=WANTED).failures
    assert venues.asked("kraken") == 0
    scope = Scope(
        "kraken", HISTORY.starts, [MINUTE.timeframe, FIVE.timeframe], GRACE, {}, converters=()
    )
    assert find_backlog(lake, scope, now) == set()
    venues.clock.now += timedelta(minutes=1)
    assert not venues.update(lake, partitions, start=WANTED).failures
    assert venues.asked("kraken") == 1
    assert gaps_in(lake, MINUTE) == known
