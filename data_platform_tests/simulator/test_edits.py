import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.markets import Market, Pair
from data_platform.domain.synthetic_markets import market_profile
from data_platform.domain.synthetic_minutes import minutes_of_day
from data_platform.domain.timeframes import to_timeframe
from data_platform.simulator.edits import (
    UNCHANGED,
    Correction,
    Gap,
    Late,
    Standing,
    edit_frame,
    edit_minutes,
    to_minute,
    touching,
)
from data_platform_tests.simulator.simulated import at, ms

MINUTE, FIVE, HOUR = (to_timeframe(name) for name in ("1m", "5m", "1h"))
DAY = minutes_of_day(3, market_profile(Market("kraken", Pair("LINK/USD"))), 19_800)
FIRST = int(DAY.time[0])


def minute(number: int) -> int:
    return FIRST + number * 60_000


def frame(count: int = 4, length: int = 60) -> pl.DataFrame:
    rows = [[at(2024, 3, 14), 10.0, 12.0, 9.0, 11.0, 5.0] for _ in range(count)]
    times = [ms(at(2024, 3, 14)) + index * length * 1000 for index in range(count)]
    frame = pl.DataFrame(rows, schema=CANDLE_SCHEMA, orient="row")
    time = pl.Series(times).cast(CANDLE_SCHEMA["open_time"])
    return frame.with_columns(open_time=time)


def test_a_gap_takes_its_minutes_and_no_others() -> None:
    left = edit_minutes(DAY, (Gap(minute(10), minute(13)),))
    assert left.time.tolist() == [minute(n) for n in range(1440) if n not in (10, 11, 12)]


def test_a_gap_takes_only_coarse_candles_that_it_covers() -> None:
    start = ms(at(2024, 3, 14))
    gap = Gap(start + 60_000, start + 11 * 60_000)
    left = edit_frame(frame(3, 300), FIVE, (gap,))
    assert left["open_time"].to_list() == [at(2024, 3, 14), at(2024, 3, 14, 0, 10)]


def test_a_correction_multiplies_whole_ticks_and_keeps_a_candle_possible() -> None:
    changed = edit_minutes(DAY, (Correction(minute(7), minute(9), 1.013),))
    untouched = [n for n in range(1440) if n not in (7, 8)]
    for name in ("open", "high", "low", "close", "volume"):
        old, new = getattr(DAY, name), getattr(changed, name)
        assert new[untouched].tolist() == old[untouched].tolist()
        for n in (7, 8):
            assert 0 <= new[n] - old[n] * 1.013 < 1 or (old[n] == 0 and new[n] == 1)
    high = changed.high[7:9]
    assert (high >= changed.open[7:9]).all()
    assert (high >= changed.close[7:9]).all()
    assert (changed.low[7:9] <= changed.close[7:9]).all()


def test_a_corrected_quiet_minute_has_traded() -> None:
    [quiet, *_] = [n for n in range(1440) if DAY.volume[n] == 0]
    changed = edit_minutes(DAY, (Correction(minute(quiet), minute(quiet + 1), 1.01),))
    assert (changed.volume[quiet], changed.trades[quiet]) == (1, 1)


def test_a_correction_of_a_frame_changes_the_candles_that_hold_it() -> None:
    start = ms(at(2024, 3, 14))
    changed = edit_frame(frame(3, 300), FIVE, (Correction(start + 360_000, start + 420_000, 2.0),))
    assert changed["close"].to_list() == [11.0, 22.0, 11.0]
    assert changed["volume"].to_list() == [5.0, 10.0, 5.0]
    assert changed.schema == CANDLE_SCHEMA


def test_edits_follow_one_another() -> None:
    twice = (Correction(minute(0), minute(1), 2.0), Correction(minute(0), minute(1), 3.0))
    assert edit_minutes(DAY, twice).close[0] == DAY.close[0] * 6


def test_only_edits_that_touch_a_range_matter_to_it() -> None:
    gap = Gap(minute(10), minute(20))
    assert touching((gap,), minute(0), minute(10)) == ()
    assert touching((gap,), minute(20), minute(30)) == ()
    assert touching((gap,), minute(19), minute(20)) == (gap,)
    assert Standing(edits=(gap,)).edits_of(minute(0), minute(11)) == (gap,)


def test_every_candle_is_late_until_its_delay_has_passed() -> None:
    standing = Standing(late=(Late(150_000),))
    now = minute(600) + 30_000
    assert standing.hidden(MINUTE, now) == {minute(n) for n in (598, 599, 600)}
    assert standing.hidden(MINUTE, now - 1) == {minute(n) for n in (597, 598, 599, 600)}
    assert standing.hidden(HOUR, now) == {minute(540), minute(600)}
    assert UNCHANGED.hidden(MINUTE, now) == frozenset()


def test_one_candle_is_late_in_every_timeframe_that_holds_it() -> None:
    standing = Standing(late=(Late(60_000, minute_ms=minute(63)),))
    assert standing.hidden(MINUTE, minute(64) + 59_999) == {minute(63)}
    assert standing.hidden(MINUTE, minute(65)) == frozenset()
    assert standing.hidden(FIVE, minute(65)) == {minute(60)}
    assert standing.hidden(FIVE, minute(66)) == frozenset()


def test_a_pair_is_called_by_its_new_name_or_by_none() -> None:
    old, new = Pair("OLD/USD"), Pair("NEW/USD")
    assert UNCHANGED.name_of(old) == old
    assert Standing(renamed=new).name_of(old) == new
    assert Standing(renamed=new, is_delisted=True).name_of(old) is None


def test_a_moment_belongs_to_its_minute() -> None:
    assert to_minute(minute(5) + 59_999) == minute(5)
