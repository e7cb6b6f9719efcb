from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from data_platform.domain.candles import TimeRange
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.backlog import Scope
from data_platform.operations.lake import Lake
from data_platform.operations.recipes import filled_recipe
from data_platform.operations.silences import Market, Silences, reach_of, read_silences
from data_platform.operations.stale import find_stale
from data_platform.storage.ledger_months import LedgerMonths
from data_platform.storage.ledger_silences import Silence
from data_platform_tests.factories import (
    GRACE,
    candles_at,
    gap_of,
    gaps_in,
    grid,
    lake_at,
    month_of,
    partition_of,
    plant_gaps,
    series_of,
    store_candles,
    stored,
    time,
)
from data_platform_tests.operations.lines import derive_line
from data_platform_tests.operations.scripted import ScriptedSource
from data_platform_tests.operations.venues import Venues, market

START, END = "2024-02-10", "2024-02-11"
DOWN = ("2024-02-10 12:00", "2024-02-10 12:20")
MARKETS = BTC, ETH, DOGE = [
    series_of("coinbase", f"{base}/USD", "1m") for base in ("BTC", "ETH", "DOGE")
]
EVERYWHERE = {series: [DOWN] for series in MARKETS}
ALL = "3 of 3 markets of coinbase miss these times"


def without(times: Sequence[datetime], *gone: tuple[str, str]) -> list[datetime]:
    return [at for at in times if not any(time(a) <= at < time(b) for a, b in gone)]


def source_of(
    gone: Mapping[Series, Sequence[tuple[str, str]]] | None = None, end: str = END
) -> ScriptedSource:
    """An exchange that is down for 20 minutes in every market, unless told otherwise."""
    missing = gone or EVERYWHERE
    frames = {
        series: candles_at(without(grid(START, end, "1m"), *missing.get(series, ())))
        for series in MARKETS
    }
    return ScriptedSource(frames, clock=time(end) + timedelta(seconds=30))


def fetch(lake: Lake, source: ScriptedSource, *markets: Series) -> None:
    asked = [partition_of(series, "2024-02") for series in markets]
    source.update(lake, asked, start=time(START))


def said(lake: Lake, series: Series) -> list[tuple[str, str]]:
    gaps = lake.ledger.gaps(series, time(START), time(END))
    return [(gap.status, gap.evidence) for gap in gaps]


def statuses(lake: Lake) -> list[list[str]]:
    return [[status for status, _ in said(lake, series)] for series in MARKETS]


def test_silence_of_every_market_is_an_outage_and_says_so(lake: Lake) -> None:
    fetch(lake, source_of(), *MARKETS)
    for series in MARKETS:
        [(status, evidence)] = said(lake, series)
        assert (status, evidence.endswith(f"; {ALL}")) == ("outage", True)


def test_silence_of_one_market_is_a_time_without_trades(lake: Lake) -> None:
    fetch(lake, source_of({DOGE: [DOWN]}), *MARKETS)
    assert statuses(lake) == [[], [], ["no_trades"]]


@pytest.mark.parametrize("order", list(permutations(MARKETS)), ids=str)
def test_markets_fetched_one_after_another_judge_the_earlier_ones_anew(
    lake: Lake, order: Sequence[Series]
) -> None:
    source = source_of()
    fetch(lake, source, order[0])
    assert [status for status, _ in said(lake, order[0])] == ["no_trades"]
    for series in order[1:]:
        fetch(lake, source, series)
    assert statuses(lake) == [["outage"]] * 3
    assert all(said(lake, series)[0][1].endswith(f"; {ALL}") for series in MARKETS)


def test_ticks_make_of_it_what_one_fetch_makes(lake: Lake) -> None:
    flapping = [DOWN, ("2024-02-10 15:00", "2024-02-10 15:09")]
    gone = dict.fromkeys(MARKETS, flapping)
    for hour in range(1, 25, 2):
        until = f"2024-02-10 {hour:02}:00"
        fetch(lake, source_of(gone, until), *MARKETS[hour % 4 // 2 :])
    fetch(lake, source_of(gone), *MARKETS)
    assert statuses(lake) == [["outage", "outage"]] * 3
    assert {evidence.split("; ")[-1] for it in MARKETS for _, evidence in said(lake, it)} == {ALL}


def test_a_silence_that_turns_out_to_be_usual_is_one_whichever_way_it_was_fetched(
    lake: Lake, tmp_path: Path
) -> None:
    # Each is silent by itself three times more, before the outage is due to be asked for again.
    own = {BTC: ("12:42", "13:01", "13:13"), ETH: ("12:48", "13:07", "13:19")}
    gone = {
        series: [
            DOWN,
            *((f"2024-02-10 {it}", f"2024-02-10 {it[:3]}{int(it[3:]) + 10}") for it in own),
        ]
        for series, own in own.items()
    }
    for end, expected in (("2024-02-10 12:40", "outage"), ("2024-02-10 13:32", "no_trades")):
        fetch(lake, source_of(gone, end), *MARKETS)
        assert statuses(lake)[0][0] == statuses(lake)[1][0] == expected
    whole = lake_at(fresh(tmp_path))
    fetch(whole, source_of(gone, "2024-02-10 13:32"), *MARKETS)
    assert [gaps_in(whole, it) for it in MARKETS] == [gaps_in(lake, it) for it in MARKETS]
    whole.state.close()


@pytest.mark.parametrize("seed", range(3))
def test_ticks_and_orders_of_chance_agree_with_one_fetch(
    lake: Lake, tmp_path: Path, seed: int
) -> None:
    random, times = np.random.default_rng(seed), np.array(grid(START, END, "1m"))
    frames = {}
    for series, share in zip(MARKETS, (0.003, 0.02, 0.2), strict=True):
        silent = random.random(1440) < share
        for start, length in ((200, 6), (500, 25), (511, 3), (900, 12)):
            silent[start : start + length] |= random.random() < 0.8
        frames[series] = candles_at(times[~silent].tolist())
    source = ScriptedSource(frames, clock=time(END) + timedelta(seconds=30))
    whole = lake_at(fresh(tmp_path))
    fetch(whole, source, *MARKETS)
    hours = np.sort(random.choice(np.arange(1, 24), 6, replace=False))
    for hour in hours:
        source.clock = time(START) + timedelta(hours=int(hour), seconds=30)
        for series in random.permutation(np.arange(3)):
            fetch(lake, source, MARKETS[series])
    source.clock = time(END) + timedelta(seconds=30)
    for series in random.permutation(np.arange(3)):
        fetch(lake, source, MARKETS[series])
    assert [gaps_in(lake, it) for it in MARKETS] == [gaps_in(whole, it) for it in MARKETS]
    assert "outage" in {gap[2] for it in MARKETS for gap in gaps_in(lake, it)}
    whole.state.close()


def fresh(folder: Path) -> Path:
    root = folder / "whole"
    root.mkdir()
    return root


def test_who_trades_shows_that_the_exchange_is_up(lake: Lake) -> None:
    # Two are silent and one trades: they outvote it. Where it is one to one, they do not.
    fetch(lake, source_of({BTC: [DOWN], ETH: [DOWN]}), *MARKETS)
    assert statuses(lake) == [["outage"], ["outage"], []]
    assert said(lake, BTC)[0][1].endswith("; 2 of 3 markets of coinbase miss these times")


def test_a_market_that_turns_out_to_have_traded_takes_the_outage_back(lake: Lake) -> None:
    fetch(lake, source_of({BTC: [DOWN], ETH: [DOWN]}), BTC, ETH)
    assert statuses(lake)[:2] == [["outage"]] * 2
    # Ethereum's answer was wrong.
    later = source_of({BTC: [DOWN]})
    later.clock += timedelta(hours=2)
    later.candles[ETH] = candles_at(grid(START, END, "1m"))
    fetch(lake, later, ETH)
    assert statuses(lake)[:2] == [["no_trades"], ["repaired"]]
    assert "miss these times" not in said(lake, BTC)[0][1]


def test_asking_again_for_an_outage_changes_neither_it_nor_its_month(lake: Lake) -> None:
    source = source_of()
    fetch(lake, source, *MARKETS)
    [before] = lake.ledger.gaps(BTC, time(START), time(END))
    changes = LedgerMonths(lake.state).of_series(BTC)[month_of("2024-02")]
    assert before.next_try == source.clock + timedelta(hours=1)
    source.clock += timedelta(hours=2)
    fetch(lake, source, *MARKETS)
    assert DOWN in [it[1:] for it in source.asked()]
    [after] = lake.ledger.gaps(BTC, time(START), time(END))
    assert (after.status, after.tries, after.evidence) == ("outage", 2, before.evidence)
    # It was never a time without trades in between, so nothing that is derived is suspected.
    assert LedgerMonths(lake.state).of_series(BTC)[month_of("2024-02")].quiet == changes.quiet


def test_the_grid_is_stale_once_a_quiet_time_is_an_outage(lake: Lake) -> None:
    source, february = source_of(), month_of("2024-02")
    fetch(lake, source, BTC)
    derive_line(lake, BTC, [february], [filled_recipe()])
    assert stored(lake, BTC, "filled")["is_filled"].sum() == 20
    recipes = {BTC.timeframe: [filled_recipe()]}
    scope = Scope("coinbase", {BTC.pair: time(START)}, [], GRACE, recipes, ())
    assert find_stale(lake, scope, time("2024-03-02")) == {}
    fetch(lake, source, ETH)
    assert set(find_stale(lake, scope, time("2024-03-02"))) == {(BTC.pair, february)}
    derive_line(lake, BTC, [february], [filled_recipe()])
    assert stored(lake, BTC, "filled")["is_filled"].sum() == 10
    assert find_stale(lake, scope, time("2024-03-02")) == {}


def test_outages_of_an_exchange_that_sends_quiet_candles_say_how_many_miss_them(
    lake: Lake,
) -> None:
    markets = [series_of("binance", f"{base}/USDT", "1m") for base in ("BTC", "ETH", "SOL")]
    times = grid(START, END, "1m")
    gone = dict(zip(markets, (without(times, DOWN), without(times, DOWN), times), strict=True))
    source = ScriptedSource(
        {series: candles_at(left) for series, left in gone.items()}, clock=time(END)
    )
    fetch(lake, source, markets[0])
    # With no other market there is nothing to compare it with.
    assert [it[1] for it in said(lake, markets[0])] == ["a valid answer held no candle"]
    fetch(lake, source, *markets[1:])
    for series in markets[:2]:
        [(status, evidence)] = said(lake, series)
        assert status == "outage"
        assert evidence.endswith("; 2 of 3 markets of binance miss these times")


def test_outage_of_an_exchange_over_its_own_wire_and_the_quiet_minutes_around_it(
    venues: Venues, lake: Lake
) -> None:
    pairs = [market("coinbase", "1m", base) for base in ("BTC", "DOGE", "NEW")]
    down = (time("2024-03-15 04:00"), time("2024-03-15 04:45"))
    order = venues.simulator.faults.add("gap", exchange="coinbase", start=down[0], end=down[1])
    try:
        for series in pairs:
            venues.update(lake, [partition_of(series, "2024-03")], start=time("2024-03-14"))
    finally:
        venues.simulator.faults.remove(order)
    for series in pairs:
        gaps = lake.ledger.gaps(series, time("2024-03-14"), down[1])
        [outage] = [gap for gap in gaps if gap.status == "outage"]
        assert outage.start <= down[0] < down[1] <= outage.end
        assert outage.evidence.endswith("; 3 of 3 markets of coinbase miss these times")
        if series == pairs[1]:
            assert sum(gap.status == "no_trades" for gap in gaps) > 20


MINUTE = to_timeframe("1m")


def made_up(rates: Sequence[float], days: int, down: Sequence[tuple[int, int]] = ()) -> Silences:
    """Markets that are silent by chance: nights are quiet for all, and so are some hours."""
    random, count = np.random.default_rng(7), days * 1440
    night = 1 + 7 * (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(count) % 1440) / 1440)) ** 4
    hours = np.exp(np.repeat(random.normal(0, 0.5, count // 60), 60))
    stored_times = TimeRange(time("2024-01"), time("2024-01") + count * MINUTE.duration)
    markets = {}
    for number, rate in enumerate(rates):
        silent = random.random(count) < np.minimum(0.95, rate * night * hours)
        for start, length in down:
            silent[start : start + length] = True
        edges = np.flatnonzero(np.diff([0, *silent.astype(int), 0]))
        spans = [
            (int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > 1
        ]
        found = [Silence(minutes(a, b), frozenset(["no_trades"]), ()) for a, b in spans]
        markets[Pair(f"P{number}/USD")] = Market(stored_times, found, ())
    return Silences("coinbase", MINUTE, markets)


def minutes(start: int, end: int) -> TimeRange:
    first = time("2024-01")
    return TimeRange(first + start * MINUTE.duration, first + end * MINUTE.duration)


def shared(silences: Silences) -> list[TimeRange]:
    return [
        it.times
        for pair, market in silences.markets.items()
        for it in market.silences
        if silences.is_shared(pair, it.times)
    ]


@pytest.mark.parametrize("rates", [[0.3] * 2, [0.1] * 2, [0.1] * 4, [0.03] * 4, [0.3, 0.1, 0.001]])
def test_thin_markets_that_are_quiet_at_night_are_hardly_ever_an_outage(
    rates: list[float],
) -> None:
    silences = made_up(rates, days=20)
    total = sum(len(market.silences) for market in silences.markets.values())
    together = sum(
        any(other is not market and other.same(it.times) for other in silences.markets.values())
        for market in silences.markets.values()
        for it in market.silences
    )
    # That several are quiet at once is common; that it is taken for an outage is not.
    assert together > 50
    assert len(shared(silences)) <= total / 500


def test_outage_is_seen_among_liquid_and_thin_markets_alike() -> None:
    down = [(1440 * day + 617 * day % 1300, 2 + 3 * day) for day in range(2, 18, 2)]
    silences = made_up([0.3, 0.1, 0.03, 0.003, 0.001, 0.0005], 20, down)
    found = shared(silences)
    outages = [minutes(start, start + length) for start, length in down]
    seen = [[it for it in found if it.start <= at.start and it.end >= at.end] for at in outages]
    # The liquid ones always, the thin ones where it is long enough to be unlike their quiet times.
    assert all(len(each) >= 3 for each in seen)
    assert sum(map(len, seen)) == len(found)


def test_as_much_is_read_as_tells_what_is_rare(lake: Lake) -> None:
    store_candles(lake, BTC, candles_at([time("2024-01"), time("2024-02")]))
    far = [f"2024-01-{day} 12:00" for day in ("07", "08", "09", "11", "12", "13")]
    ends = [it.replace(":00", ":10") for it in far]
    plant_gaps(
        lake,
        *(
            gap_of(BTC, start, end, "no_trades", confirmed=True)
            for start, end in zip(far, ends, strict=True)
        ),
    )
    around = TimeRange(time("2024-01-10 11:00"), time("2024-01-10 13:00"))
    [market] = read_silences(lake, "coinbase", MINUTE, around).markets.values()
    # A day on either side for its own neighbours, and a day for those of its witnesses.
    assert [it.times.start.day for it in market.silences] == [8, 9, 11, 12]


def test_single_missing_candles_that_fall_together_are_no_outage() -> None:
    silences = made_up([0.0, 0.0, 0.0], 5, [(3000, 2)])
    pair = next(iter(silences.markets))
    assert silences.is_shared(pair, minutes(3000, 3002))
    assert not silences.is_shared(pair, minutes(3000, 3001))


def test_what_nobody_knows_of_a_market_speaks_for_neither_side() -> None:
    hole, stored_times = minutes(3000, 3020), minutes(0, 9000)
    silent = Market(stored_times, [Silence(hole, frozenset(["no_trades"]), ())], ())
    unknown = Market(stored_times, [], [minutes(3010, 3015)])
    trading = Market(stored_times, [], [])
    later = Market(minutes(5000, 9000), [], [])
    pairs = [Pair(f"P{number}/USD") for number in range(4)]

    def judged(*markets: Market) -> tuple[bool, str]:
        found = Silences("coinbase", MINUTE, dict(zip(pairs, markets, strict=False)))
        doubt = found.ask(Series("coinbase", pairs[0], MINUTE), hole)
        return doubt.is_shared, doubt.words[:6]

    assert judged(silent) == (False, "")
    assert judged(silent, silent, unknown, later) == (True, "2 of 2")
    assert judged(silent, silent, trading, unknown) == (True, "2 of 3")
    assert judged(silent, silent, trading, trading) == (False, "2 of 4")
    assert judged(silent, trading) == (False, "1 of 2")


def test_reach_holds_a_night_of_minutes_and_a_hundred_of_longer_candles() -> None:
    assert reach_of(MINUTE) == timedelta(days=1)
    assert reach_of(to_timeframe("4h")) == timedelta(hours=400)


@pytest.fixture
def statements() -> Iterator[list[str]]:
    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        found.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield found
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


def test_thousands_of_quiet_times_cost_a_few_statements(lake: Lake, statements: list[str]) -> None:
    random = np.random.default_rng(3)
    times = np.array(grid(START, END, "1m"))
    frames = {it: candles_at(times[random.random(1440) > 0.5].tolist()) for it in MARKETS}
    source = ScriptedSource(frames, clock=time(END) + timedelta(seconds=30))
    fetch(lake, source, *MARKETS)
    assert all(len(gaps_in(lake, series)) > 300 for series in MARKETS)
    statements.clear()
    silences = read_silences(lake, "coinbase", MINUTE, TimeRange(time(START), time(END)))
    assert len([it for it in statements if it != "BEGIN"]) == 1 + len(MARKETS)
    assert not shared(silences)
