"""Gaps from being found in what is stored to their end, against simulated exchanges over HTTP."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.candles import TimeRange
from data_platform.domain.errors import TransientError, WrongUseError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import period_of, to_period
from data_platform.domain.timeframes import TIMEFRAMES
from data_platform.operations.heal import (
    Hole,
    Look,
    due_months,
    find_due,
    plan_look,
    read_holes,
    spell_holes,
)
from data_platform.operations.lake import Lake
from data_platform.operations.missing import History
from data_platform.operations.report import LayerReport
from data_platform.storage.archive import archive
from data_platform.storage.ledger import Gap, Status
from data_platform_tests.damage import damage
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    gaps_in,
    grid,
    partition_of,
    partitions_of,
    plant_gaps,
    punch,
    series_of,
    store_candles,
    stored,
    time,
)
from data_platform_tests.operations.scripted import ScriptedSource
from data_platform_tests.operations.venues import NOW, Venues, market

HOUR = timedelta(hours=1)
SERIES = series_of()
PAGE = 1000


@dataclass
class Patient:
    """One series in a lake, whose holes are found and asked for as automation does."""

    venues: Venues
    lake: Lake
    series: Series
    start: datetime

    def __post_init__(self) -> None:
        months = partitions_of(self.series, f"{self.start:%Y-%m}", f"{NOW:%Y-%m}")
        assert not self.venues.update(self.lake, months, start=self.start).failures
        assert self.is_whole()
        self.venues.asked(self.series.exchange)

    @property
    def history(self) -> History:
        return History("flat", {self.series.pair: self.start})

    def due(self) -> pl.DataFrame:
        return find_due(self.lake, self.history, [self.series], PAGE, self.venues.clock())

    def look(self) -> Look:
        return plan_look(self.lake, self.series.exchange, self.due(), self.venues.clock())

    def heal(self, holes: Sequence[Hole]) -> int:
        """Ask for holes as a sensor's run does; return the requests."""
        months = sorted({hole.period for hole in holes})
        partitions = [Partition("ohlcv", self.series, month) for month in months]
        only = read_holes(spell_holes(holes), self.series.exchange)
        self.venues.update(self.lake, partitions, start=self.start, only=only)
        return self.asked()

    def cycle(self) -> int:
        """Ask for all that is due as the job does; return the requests."""
        months = due_months(self.due(), self.series.exchange, self.series.timeframe)
        if months:
            self.venues.update(self.lake, months, start=self.start)
        return self.asked()

    def asked(self) -> int:
        return self.venues.asked(self.series.exchange)

    def punch(self, start: str, candles: int) -> TimeRange:
        first = time(start)
        end = first + candles * self.series.timeframe.duration
        assert punch(self.lake, self.series, first, end) == candles
        return TimeRange(first, end)

    def is_whole(self) -> bool:
        truth = self.venues.truth(self.series, self.start, self.venues.clock())
        return stored(self.lake, self.series).equals(truth)


def random_holes(start: datetime, end: datetime, series: Series) -> list[TimeRange]:
    """Twenty holes apart from one another: at edges and over a month's border, short and long."""
    step = series.timeframe.duration
    slots = (end - start) // step // 21
    border = period_of(end).start
    found = [TimeRange(start, start + step), TimeRange(border - step, border + step)]
    chance = random.Random(series.timeframe.name)
    while len(found) < 20:
        at = start + chance.randrange(2, 21 * slots - 2) * step
        part = TimeRange(at, at + min(chance.choice((1, 1, 2, 7, 150)), slots // 2 or 1) * step)
        if part.end < end - step and all(
            part.end < other.start or other.end < part.start for other in found
        ):
            found.append(part)
    return found


STARTS = {"1m": "2024-02-27", "5m": "2024-02-20", "15m": "2024-02-01"}


@pytest.mark.parametrize("timeframe", [each.name for each in TIMEFRAMES[:6]])
def test_twenty_holes_are_refilled_bit_exactly_and_the_next_cycle_asks_for_nothing(
    venues: Venues, lake: Lake, timeframe: str
) -> None:
    start = time(STARTS.get(timeframe, "2024-01-01"))
    patient = Patient(venues, lake, market("binance", timeframe), start)
    holes = random_holes(start, patient.series.timeframe.floor(NOW), patient.series)
    for hole in holes:
        assert punch(lake, patient.series, hole.start, hole.end)
    assert not patient.is_whole()
    assert patient.due().height == 20
    assert patient.cycle() == 20
    assert patient.is_whole()
    assert patient.due().is_empty()
    assert patient.cycle() == 0
    assert gaps_in(lake, patient.series) == []


@pytest.mark.parametrize("exchange", ["coinbase", "okx", "bybit"])
def test_hole_is_asked_for_once_on_each_exchange(venues: Venues, lake: Lake, exchange: str) -> None:
    patient = Patient(venues, lake, market(exchange), time("2024-02-01"))
    patient.punch("2024-02-01 00:00", 2)
    patient.punch("2024-02-20 07:00", 1)
    patient.punch("2024-02-29 20:00", 8)
    assert patient.heal(patient.look().holes) == 3
    assert patient.is_whole()
    assert not patient.look().holes
    assert patient.cycle() == 0


def test_holes_within_reach_of_an_exchange_that_gives_only_its_newest_cost_one_request(
    venues: Venues, lake: Lake
) -> None:
    series, start = market("kraken"), time("2024-02-20")
    assert not venues.update(
        lake, partitions_of(series, "2024-02", "2024-03"), start=start
    ).failures
    venues.asked("kraken")
    whole = stored(lake, series)
    for day in range(1, 11):
        punch(lake, series, time(f"2024-03-{day:02} 07:00"), time(f"2024-03-{day:02} 09:00"))
    due = find_due(lake, History("flat", {series.pair: start}), [series], PAGE, NOW)
    holes = plan_look(lake, "kraken", due, NOW).holes
    assert len(holes) == 10
    only = read_holes(spell_holes(holes), "kraken")
    months = [Partition("ohlcv", series, period_of(NOW))]
    assert not venues.update(lake, months, start=start, only=only).failures
    assert venues.asked("kraken") == 1
    assert stored(lake, series).equals(whole)


def test_hole_of_250_candles_takes_three_looks_the_newest_first_and_one_job(
    venues: Venues, lake: Lake
) -> None:
    patient = Patient(venues, lake, market("binance"), time("2024-02-01"))
    hole = patient.punch("2024-02-22 00:00", 250)
    looks = []
    while holes := patient.look().holes:
        looks.append([(hole.part.start, hole.part.end) for hole in holes])
        assert patient.heal(holes) == 1
    marks = [hole.start, hole.start + 50 * HOUR, hole.start + 150 * HOUR, hole.end]
    border = time("2024-03-01")
    assert looks == [
        [(border, marks[3]), (marks[2], border)],
        [(marks[1], marks[2])],
        [(marks[0], marks[1])],
    ]
    assert patient.is_whole()
    patient.punch("2024-02-22 00:00", 250)
    assert patient.cycle() == 1
    assert patient.is_whole()


def test_look_takes_a_hundred_candles_of_all_holes_together(venues: Venues, lake: Lake) -> None:
    patient = Patient(venues, lake, market("binance"), time("2024-02-01"))
    for day in range(10, 20):
        patient.punch(f"2024-02-{day} 00:00", 12)
    holes = patient.look().holes
    counts = [patient.series.timeframe.count(it.part.start, it.part.end) for it in holes]
    assert counts == [12] * 8 + [4]
    assert [it.part.start.day for it in holes] == [19, 18, 17, 16, 15, 14, 13, 12, 11]
    assert holes[-1].part.start == time("2024-02-11 08:00")
    assert patient.heal(holes) == 9
    assert patient.heal(patient.look().holes) == 2
    assert patient.is_whole()


def test_month_missing_between_stored_ones_is_a_gap(venues: Venues, lake: Lake) -> None:
    series = market("binance")
    for month in ("2023-12", "2024-02"):
        venues.update(lake, partitions_of(series, month, month))
    patient_start = time("2023-11-01")
    history = History("flat", {series.pair: patient_start})
    due = find_due(lake, history, [series, market("binance", "4h")], PAGE, NOW)
    spans = [f"{start:%m-%d}..{end:%m-%d}" for start, end in due.select("start", "end").rows()]
    # The job asks for what lies before the first candle, too; of 4h nothing was ever asked for.
    assert spans == ["11-01..12-01", "01-01..02-01"]
    months = [it.period.key for it in due_months(due, "binance", series.timeframe)]
    assert months == ["2023-11", "2024-01"]
    look = plan_look(lake, "binance", due, NOW)
    [hole] = look.holes
    assert hole.part == TimeRange(time("2024-02-01") - 100 * HOUR, time("2024-02-01"))


@pytest.mark.parametrize(("candles", "holes", "too_long"), [(1000, 2, 0), (1001, 0, 1)])
def test_gap_that_would_take_more_than_ten_looks_is_left_to_a_backfill(
    lake: Lake, candles: int, holes: int, too_long: int
) -> None:
    end = time("2024-04-01 12:00")
    times = [at for at in grid("2024-01-01", "2024-05-01") if not end - candles * HOUR <= at < end]
    store_candles(lake, SERIES, candles_at(times))
    look = look_at(lake)
    assert (len(look.holes), look.too_long) == (holes, too_long)


def look_at(lake: Lake, now: str = "2024-06-01", start: str = "2024-01-01") -> Look:
    history = History("flat", {SERIES.pair: time(start)})
    due = find_due(lake, history, [SERIES], PAGE, time(now))
    return plan_look(lake, "binance", due, time(now))


DAY = ("2024-02-09", "2024-02-10")


def with_a_hole(lake: Lake) -> None:
    times = [at for at in grid("2024-01-01", "2024-03-01") if at.date() != time(DAY[0]).date()]
    store_candles(lake, SERIES, candles_at(times))


@pytest.mark.parametrize(
    ("status", "confirmed", "next_try", "is_due"),
    [
        ("open", False, None, True),
        ("open", False, "2024-05-31", True),
        # An order would ask for it; automation waits.
        ("open", False, "2024-06-02", False),
        ("refused", False, "2024-06-01", True),
        ("refused", False, "2024-06-02", False),
        ("outage", True, "2024-06-01", True),
        ("outage", True, "2024-06-02", False),
        ("no_trades", True, "2024-06-01", True),
        ("no_trades", True, "2024-06-02", False),
        ("no_trades", True, None, False),
        ("unavailable", True, None, False),
        ("repaired", True, None, True),
    ],
)
def test_gap_is_asked_for_when_its_time_has_come(
    lake: Lake, status: Status, confirmed: bool, next_try: str | None, is_due: bool
) -> None:
    with_a_hole(lake)
    when = time(next_try) if next_try else None
    plant_gaps(lake, gap_of(SERIES, *DAY, status, confirmed=confirmed, next_try=when))
    parts = [hole.part for hole in look_at(lake).holes]
    assert parts == ([TimeRange(time(DAY[0]), time(DAY[1]))] if is_due else [])


def test_a_month_that_was_archived_is_asked_for_only_while_its_file_is_here(
    lake: Lake, tmp_path: Path
) -> None:
    with_a_hole(lake)
    # It reaches into a month that is to leave the tables.
    plant_gaps(lake, gap_of(SERIES, "2024-01-31 22:00", "2024-02-01 02:00"))
    month = Partition("ohlcv", SERIES, to_period("2024-02"))
    assert archive(lake.store, month)
    history = History("flat", {SERIES.pair: time("2024-01-01")})
    whole = find_due(lake, history, [SERIES], PAGE, time("2024-06-01"))
    assert len(due_months(whole, "binance", SERIES.timeframe)) == 2
    (lake.store.root / "archive").rename(tmp_path / "elsewhere")
    due = find_due(lake, history, [SERIES], PAGE, time("2024-06-01"))
    assert due.select("start", "end", "missing").rows() == [
        (time("2024-01-31 22:00"), time("2024-02-01"), 2)
    ]
    assert due.schema == whole.schema


def test_what_lies_behind_the_newest_candle_is_a_ticks_work(lake: Lake) -> None:
    with_a_hole(lake)
    plant_gaps(lake, gap_of(SERIES, *DAY, "outage", confirmed=True))
    plant_gaps(lake, gap_of(SERIES, "2024-03-01", "2024-03-02"))
    assert not look_at(lake).holes


def test_what_lies_before_the_first_stored_month_is_a_downloads_work(lake: Lake) -> None:
    times = grid("2024-01-01", "2024-03-01")
    store_candles(lake, SERIES, candles_at(at for at in times if at >= time("2024-02-01 03:00")))
    # The month was asked for, so that every hour of it should be there; January never was.
    [hole] = look_at(lake).holes
    assert hole.part == TimeRange(time("2024-02-01"), time("2024-02-01 03:00"))
    [hole] = look_at(lake, start="2024-02-01 02:00").holes
    assert hole.part == TimeRange(time("2024-02-01 02:00"), time("2024-02-01 03:00"))


def test_series_that_was_never_asked_for_is_a_downloads_work(lake: Lake) -> None:
    assert look_at(lake) == Look((), 0)
    assert find_due(lake, History("flat", {}), [], PAGE, NOW).is_empty()


def test_month_whose_file_is_damaged_waits_and_keeps_no_other_waiting(
    lake: Lake, root: Path
) -> None:
    with_a_hole(lake)
    store_candles(lake, SERIES, candles_at(grid("2024-03-01", "2024-03-05")))
    punch(lake, SERIES, time("2024-01-09"), time("2024-01-10"))
    assert [hole.period.key for hole in look_at(lake).holes] == ["2024-02", "2024-01"]
    [path] = (root / "ohlcv").rglob("period=2024-02/*.parquet")
    damage(path, "torn")
    assert [hole.period.key for hole in look_at(lake).holes] == ["2024-01"]


def test_state_of_a_hole_moves_with_what_is_known_of_it(lake: Lake) -> None:
    def state() -> str:
        [hole] = look_at(lake).holes
        return hole.state

    with_a_hole(lake)
    states = [state(), state()]
    plant_gaps(lake, gap_of(SERIES, *DAY, "open", next_try=time("2024-05-01")))
    states.append(state())
    plant_gaps(lake, gap_of(SERIES, *DAY, "open", next_try=time("2024-05-01"), tries=2))
    states.append(state())
    punch(lake, SERIES, time("2024-02-20"), time("2024-02-21"))
    states.append(look_at(lake).holes[-1].state)
    assert states[0] == states[1]
    assert len(set(states)) == 4


def test_hole_that_the_exchange_confirms_is_asked_for_ever_more_rarely(
    venues: Venues, lake: Lake
) -> None:
    patient = Patient(venues, lake, market("okx"), time("2024-02-01"))
    spot = time("2024-02-09 05:00")
    order = venues.simulator.faults.add(
        "gap", exchange="okx", symbol="BTC/USDT", start=spot, end=spot + 150 * HOUR
    )
    patient.punch("2024-02-09 05:00", 150)
    seen = []
    try:
        for hours in (0.0, 0.1, 0.2, 0.9, 1.3, 24, 25.5):
            venues.clock.now = NOW + hours * HOUR
            requests = patient.heal(holes) if (holes := patient.look().holes) else 0
            [gap, *rest] = known(lake, patient.series)
            assert (gap.status, gap.confirmed, bool(gap.evidence), rest) == (
                "outage",
                True,
                True,
                [],
            )
            seen.append((requests > 0, gap.missing, gap.tries))
    finally:
        venues.simulator.faults.remove(order)
    # Two looks find it out; then a part of it stands for the whole.
    assert seen == [
        (True, 100, 1),
        (True, 150, 1),
        (False, 150, 1),
        (False, 150, 1),
        (True, 150, 2),
        (False, 150, 2),
        (True, 150, 3),
    ]


def known(lake: Lake, series: Series) -> list[Gap]:
    return lake.ledger.gaps(series, time("2024-01"), time("2025-01"))


def test_hole_that_is_there_after_all_keeps_its_row(venues: Venues, lake: Lake) -> None:
    patient = Patient(venues, lake, market("binance"), time("2024-02-01"))
    patient.punch("2024-02-09 05:00", 3)
    spot = ("2024-02-09 05:00", "2024-02-09 08:00")
    believed = gap_of(patient.series, *spot, "outage", confirmed=True, next_try=NOW)
    plant_gaps(lake, believed)
    assert patient.heal(patient.look().holes) == 1
    assert patient.is_whole()
    assert gaps_in(lake, patient.series) == [(*spot, "repaired", True)]


def failing_look(source: ScriptedSource, lake: Lake, now: datetime) -> LayerReport | None:
    source.clock = now
    history = History("flat", {SERIES.pair: time("2024-01-01")})
    look = plan_look(lake, "binance", find_due(lake, history, [SERIES], PAGE, now), now)
    if not look.holes:
        return None
    only = read_holes(spell_holes(look.holes), "binance")
    months = sorted({hole.period.key for hole in look.holes})
    partitions = [partition_of(SERIES, month) for month in months]
    return source.update(lake, partitions, start=time("2024-01-01"), only=only)


def test_hole_that_nobody_answers_waits_ever_longer_and_keeps_no_other_waiting(
    lake: Lake,
) -> None:
    candles = candles_at(grid("2024-01-01", "2024-03-01"))
    with_a_hole(lake)
    punch(lake, SERIES, time("2024-01-09"), time("2024-01-10"))
    source = ScriptedSource({SERIES: candles})
    source.fails_at = {time("2024-02-09 05:00"): TransientError("no answer")}
    asked = []
    for minutes in (0, 0.5, 2, 3, 11, 13, 60, 74):
        source.windows = 0
        failing_look(source, lake, NOW + timedelta(minutes=minutes))
        asked.append(source.windows)
    # With the other one; then after a minute, ten, an hour.
    assert asked == [2, 0, 1, 0, 0, 1, 0, 1]
    [gap] = known(lake, SERIES)
    assert (gap.status, gap.tries, gap.evidence) == ("open", 4, "no answer")
    # Somebody who orders it does not wait.
    source.fails_at = {}
    source.update(lake, [partition_of(SERIES, "2024-02")], start=time("2024-01-01"))
    assert known(lake, SERIES) == []
    assert stored(lake, SERIES).equals(candles)


def test_long_hole_of_which_a_part_fails_is_not_asked_for_at_every_look(lake: Lake) -> None:
    candles = candles_at(grid("2024-01-01", "2024-03-01"))
    store_candles(lake, SERIES, candles)
    punch(lake, SERIES, time("2024-02-09"), time("2024-02-19"))
    plant_gaps(lake, gap_of(SERIES, "2024-02-09", "2024-02-19", next_try=NOW))
    source = ScriptedSource({SERIES: candles})
    source.fails_at = {time("2024-02-18 05:00"): TransientError("no answer")}
    asked = []
    for minutes in (0, 1, 2, 9, 11):
        source.windows = 0
        failing_look(source, lake, NOW + timedelta(minutes=minutes))
        asked.append(source.windows)
    assert asked == [1, 0, 0, 0, 1]


def test_holes_are_told_as_text_and_back() -> None:
    eth = series_of(pair="ETH/USDT", timeframe="1d")
    holes = [
        Hole(SERIES, TimeRange(time("2024-02-12"), time("2024-02-12 01:00"))),
        Hole(eth, TimeRange(time("2024-02-09"), time("2024-02-11"))),
        Hole(SERIES, TimeRange(time("2024-02-10 05:00"), time("2024-02-10 08:00"))),
    ]
    text = spell_holes(holes)
    assert text == (
        "BTC-USDT/1h 2024-02-10T05:00+3 2024-02-12T00:00+1; ETH-USDT/1d 2024-02-09T00:00+2"
    )
    assert read_holes(text, "binance") == {
        SERIES: [holes[2].part, holes[0].part],
        eth: [holes[1].part],
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BTC-USDT/1h",
        "BTC-USDT 2024-02-10T05:00+3",
        "BTC-USDT/1h 2024-02-10T05:00",
        "BTC-USDT/1h 2024-02-10T05:00+0",
        "BTC-USDT/1h 2024-02-30T05:00+1",
        "BTC-USDT/3h 2024-02-10T05:00+1",
        "BTC-USDT/1h 2024-02-10T05:00+1; ",
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(WrongUseError):
        read_holes(text, "binance")
