from datetime import datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import Market, Pair
from data_platform.domain.synthetic_markets import market_profile
from data_platform.domain.timeframes import TIMEFRAMES, to_timeframe
from data_platform.simulator.edits import Correction, Gap
from data_platform.simulator.rows import WireRows
from data_platform.simulator.tapes import ReplayTape, SyntheticTape
from data_platform_tests.simulator.simulated import LISTED, at, ms

MINUTE, FIVE, HOUR, DAY = (to_timeframe(name) for name in ("1m", "5m", "1h", "1d"))
START = at(2024, 3, 14)
THIN = market_profile(Market("kraken", Pair("LINK/USD")))


def tape(*, omits_quiet: bool = False) -> SyntheticTape:
    return SyntheticTape(11, THIN, ms(LISTED), omits_quiet=omits_quiet)


def replayed(count: int = 20, skip: tuple[int, ...] = ()) -> pl.DataFrame:
    rows = [
        [START + timedelta(minutes=n), 10.0 + n, 12.0 + n, 9.0 + n, 11.0 + n, 0.1 * n]
        for n in range(count)
        if n not in skip
    ]
    return pl.DataFrame(rows, schema=CANDLE_SCHEMA, orient="row")


def read(rows: WireRows) -> list[list[float]]:
    names = ("open", "high", "low", "close", "volume")
    frame = rows.frame.select("time", *(rows.trimmed(name).alias(name) for name in names))
    return [[time, *map(float, numbers)] for time, *numbers in frame.rows()]


def aggregated(frame: pl.DataFrame, start: datetime) -> list[float]:
    return [
        ms(start),
        frame["open"][0],
        max(frame["high"]),
        min(frame["low"]),
        frame["close"][-1],
        round(sum(frame["volume"]), THIN.volume_decimals),
    ]


@pytest.mark.parametrize("omits_quiet", [False, True])
@pytest.mark.parametrize("timeframe", TIMEFRAMES, ids=str)
def test_every_timeframe_is_the_aggregate_of_the_minutes_served(
    timeframe: object, omits_quiet: bool
) -> None:
    synthetic = tape(omits_quiet=omits_quiet)
    start, end = ms(at(2024, 3, 11)), ms(at(2024, 3, 13))
    minutes = synthetic.candles(MINUTE, start, end)
    assert (minutes.height < 2 * 1440 - 817) == omits_quiet
    frame = next(row for row in TIMEFRAMES if row == timeframe)
    expected = [
        aggregated(group, opened)
        for (opened,), group in minutes.group_by(
            pl.col("open_time").dt.truncate(frame.name), maintain_order=True
        )
    ]
    coarse = synthetic.candles(frame, start, end)
    assert [[ms(row[0]), *row[1:]] for row in coarse.rows()] == expected
    assert read(synthetic.rows(frame, start, end)) == expected


def test_nothing_is_served_before_the_listing() -> None:
    assert tape().candles(MINUTE, 0, ms(LISTED)).is_empty()
    assert tape().candles(MINUTE, 0, ms(LISTED) + 1)["open_time"].to_list() == [LISTED]
    assert tape().span(DAY)[0] == ms(at(2024, 3, 11))


def test_an_open_candle_is_its_closed_minutes_and_a_part_of_the_current_one() -> None:
    synthetic = tape()
    opened, minute = at(2024, 3, 14, 10), at(2024, 3, 14, 10, 38)
    closed = synthetic.candles(MINUTE, ms(opened), ms(minute))
    ((time, first, high, low, close, volume),) = read(
        synthetic.unfinished(HOUR, ms(minute) + 30_000)
    )
    (current,) = read(synthetic.unfinished(MINUTE, ms(minute) + 30_000))
    assert (time, first, close) == (ms(opened), closed["open"][0], current[4])
    assert high == max([*closed["high"], current[2]])
    assert low == min([*closed["low"], current[3]])
    assert volume == round(sum(closed["volume"]) + current[5], THIN.volume_decimals)
    (final,) = read(synthetic.rows(MINUTE, ms(minute), ms(minute) + 1))
    assert current[5] < final[5]
    assert final[3] <= current[3] <= current[2] <= final[2]


def test_a_quiet_open_minute_is_flat_or_none() -> None:
    quiet = tape().candles(MINUTE, ms(START), ms(START) + 86_400_000).filter(pl.col("volume") == 0)
    now = ms(quiet["open_time"][0]) + 45_000
    (flat,) = read(tape().unfinished(MINUTE, now))
    assert len(set(flat[1:5])) == 1
    assert flat[5] == 0
    assert read(tape(omits_quiet=True).unfinished(MINUTE, now)) == []


def test_before_its_listing_a_market_has_no_open_candle() -> None:
    assert read(tape().unfinished(MINUTE, ms(LISTED) - 1)) == []


def test_replayed_candles_come_back_as_they_were_with_their_gaps() -> None:
    given = replayed(skip=(3, 4, 9))
    assert ReplayTape({MINUTE: given}).candles(MINUTE, 0, 2**60).equals(given)


def test_replayed_rows_are_sorted_and_other_columns_left_out() -> None:
    given = replayed().with_columns(source=pl.lit("file"))
    replay = ReplayTape({MINUTE: given.reverse()})
    assert replay.candles(MINUTE, 0, 2**60).equals(replayed())


def test_coarser_timeframes_of_replayed_minutes_are_aggregated() -> None:
    replay = ReplayTape({MINUTE: replayed(7, skip=(0, 2))})
    assert replay.candles(FIVE, 0, 2**60).rows() == [
        (START, 11.0, 16.0, 10.0, 15.0, 0.1 + 0.1 * 3 + 0.1 * 4),
        (START + timedelta(minutes=5), 15.0, 18.0, 14.0, 17.0, 0.1 * 5 + 0.1 * 6),
    ]


def test_a_replay_without_minutes_has_only_what_was_given() -> None:
    replay = ReplayTape({HOUR: replayed(1)})
    assert replay.candles(HOUR, 0, 2**60).height == 1
    for timeframe in (MINUTE, DAY):
        assert replay.candles(timeframe, 0, 2**60).is_empty()
        assert replay.span(timeframe) == (0, 0)


def test_an_open_replayed_candle_shows_nothing_that_is_still_to_come() -> None:
    replay = ReplayTape({MINUTE: replayed()})
    now = ms(START + timedelta(minutes=7)) + 30_000
    assert read(replay.unfinished(MINUTE, now)) == [[now - 30_000, 17.0, 17.0, 17.0, 17.0, 0.0]]
    (five,) = read(replay.unfinished(FIVE, now))
    assert five[:5] == [ms(START + timedelta(minutes=5)), 15.0, 18.0, 14.0, 17.0]
    assert read(replay.unfinished(MINUTE, ms(START) + 86_400_000)) == []


@pytest.mark.parametrize("wrong", [None, float("nan"), float("inf")])
def test_a_replay_with_a_number_that_no_exchange_sends_is_refused(wrong: float | None) -> None:
    bad = replayed().with_columns(
        volume=pl.when(pl.int_range(pl.len()) == 5).then(wrong).otherwise(pl.col("volume"))
    )
    with pytest.raises(WrongUseError, match="found 1 rows that do not, the first at 2024-03-14"):
        ReplayTape({MINUTE: bad})


def test_a_replay_without_a_column_is_refused() -> None:
    with pytest.raises(WrongUseError, match="missing: volume"):
        ReplayTape({MINUTE: replayed().drop("volume")})


def test_edits_of_replayed_minutes_reach_every_coarser_timeframe() -> None:
    first = ms(START)
    gap, correction = Gap(first, first + 180_000), Correction(first + 420_000, first + 480_000, 2.0)
    replay = ReplayTape({MINUTE: replayed(10)})
    minutes = replay.candles(MINUTE, 0, 2**60, (gap, correction))
    assert minutes.height == 7
    assert minutes.row(4) == (START + timedelta(minutes=7), 34.0, 38.0, 32.0, 36.0, 1.4)
    fives = replay.candles(FIVE, 0, 2**60, (gap, correction))
    assert fives["open"].to_list() == [13.0, 15.0]
    assert fives["high"].to_list() == [16.0, 38.0]
    assert replay.candles(FIVE, 0, 2**60)["open"].to_list() == [10.0, 15.0]
    now = first + 8 * 60_000 + 30_000
    (open_five,) = read(replay.unfinished(FIVE, now, (gap, correction)))
    assert open_five[2] == 38.0


def test_edits_of_made_up_minutes_reach_the_open_candle() -> None:
    opened, now = ms(at(2024, 3, 14, 10)), ms(at(2024, 3, 14, 10, 38)) + 30_000
    (before,) = read(tape().unfinished(HOUR, now))
    gap = (Gap(opened, opened + 1_200_000),)
    (after,) = read(tape().unfinished(HOUR, now, gap))
    assert after[0] == before[0]
    assert after[5] < before[5]
    assert read(tape().unfinished(HOUR, now, (Gap(opened, now + 60_000),))) == []
