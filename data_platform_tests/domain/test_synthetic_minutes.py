from dataclasses import replace

import numpy as np
import pytest

from data_platform.domain.markets import Market, Pair
from data_platform.domain.synthetic_markets import MarketProfile, market_profile
from data_platform.domain.synthetic_minutes import (
    DAY_MS,
    TickCandles,
    join_candles,
    minutes_of_day,
)

DAY = 19_787  # 2024-03-05
BITCOIN = market_profile(Market("binance", Pair("BTC/USDT")))
THIN = market_profile(Market("kraken", Pair("XRP/USD")))
PROFILES = [
    BITCOIN,
    THIN,
    market_profile(Market("coinbase", Pair("ETH/USD"))),
    market_profile(Market("okx", Pair("DOGE/USDT"))),
    market_profile(Market("okx", Pair("PEPE/USDT"))),
    market_profile(Market("binance", Pair("ETH/BTC"))),
    market_profile(Market("binance", Pair("USDC/USDT"))),
]


def days(first: int, count: int, profile: MarketProfile = BITCOIN, seed: int = 1) -> TickCandles:
    return join_candles([minutes_of_day(seed, profile, day) for day in range(first, first + count)])


def small() -> TickCandles:
    minute = 60_000
    return TickCandles(
        time=np.array([0, minute, 5 * minute, 6 * minute, 11 * minute]),
        open=np.array([10, 12, 9, 11, 20]),
        high=np.array([13, 15, 12, 11, 21]),
        low=np.array([9, 11, 8, 7, 19]),
        close=np.array([12, 14, 11, 8, 20]),
        volume=np.array([5, 6, 7, 0, 1]),
        trades=np.array([1, 2, 3, 0, 1]),
    )


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_every_minute_is_a_possible_candle(profile: MarketProfile) -> None:
    minutes = days(DAY, 20, profile)
    assert (minutes.low >= 1).all()
    assert (minutes.low <= np.minimum(minutes.open, minutes.close)).all()
    assert (minutes.high >= np.maximum(minutes.open, minutes.close)).all()
    assert (minutes.high < 10**15).all()
    assert ((minutes.volume > 0) == (minutes.trades > 0)).all()
    assert (np.diff(minutes.time) == 60_000).all()
    assert minutes.time.size == 20 * 1440


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_a_candle_opens_about_where_the_last_one_closed(profile: MarketProfile) -> None:
    minutes = days(DAY, 5, profile)
    jumps = np.abs(minutes.open[1:] - minutes.close[:-1])
    assert (jumps <= np.maximum(2, minutes.close[:-1] * 1e-3)).all()


def test_a_quiet_minute_repeats_the_last_close_without_volume() -> None:
    minutes = days(DAY, 3, THIN)
    quiet = np.flatnonzero(minutes.trades[1:] == 0) + 1
    assert quiet.size > 100
    for column in (minutes.open, minutes.high, minutes.low, minutes.close):
        assert (column[quiet] == minutes.close[quiet - 1]).all()
    assert (minutes.volume[quiet] == 0).all()


def test_the_share_of_quiet_minutes_is_about_the_profiles() -> None:
    minutes = days(DAY, 100, THIN)
    share = np.mean(minutes.trades == 0)
    assert THIN.quiet_share * 0.7 < share < THIN.quiet_share * 1.6


def test_a_day_is_the_same_whatever_was_read_before() -> None:
    minutes_of_day.cache_clear()
    alone = minutes_of_day(7, BITCOIN, DAY)
    minutes_of_day.cache_clear()
    for day in range(DAY - 3, DAY + 3):
        minutes_of_day(7, BITCOIN, day)
    again = minutes_of_day(7, BITCOIN, DAY)
    for one, other in zip(alone.columns(), again.columns(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_seed_and_market_make_another_history() -> None:
    base = minutes_of_day(1, BITCOIN, DAY)
    assert (minutes_of_day(2, BITCOIN, DAY).close != base.close).mean() > 0.9
    elsewhere = minutes_of_day(1, replace(BITCOIN, name="okx/BTC-USDT"), DAY)
    assert (elsewhere.volume != base.volume).mean() > 0.9
    difference = np.abs(elsewhere.close / base.close - 1)
    assert difference.max() < 0.005, "the same asset has about the same price everywhere"


def test_no_step_between_blocks_of_days() -> None:
    edge = 1024 * 19  # the first day of a block of levels
    minutes = days(edge - 1, 2)
    before, after = minutes.close[1439], minutes.open[1440]
    assert abs(int(after) - int(before)) <= 2


def test_prices_stay_plausible_for_fifty_years() -> None:
    closes = np.array([minutes_of_day(3, BITCOIN, day).close[-1] for day in range(0, 18_000, 60)])
    prices = closes / 10**BITCOIN.price_decimals
    assert prices.min() > 60_000 / 30
    assert prices.max() < 60_000 * 30


def test_volatility_clusters_within_and_across_days() -> None:
    minutes = days(DAY, 120)
    moves = np.abs(np.diff(np.log(minutes.close)))

    def echo(lag: int) -> float:
        return float(np.corrcoef(moves[:-lag], moves[lag:])[0, 1])

    assert echo(1) > 0.15
    assert echo(60) > 0.1
    assert echo(1440) > 0.03
    shuffled = np.random.default_rng(0).permutation(moves)
    assert abs(np.corrcoef(shuffled[:-1], shuffled[1:])[0, 1]) < 0.02


def test_volume_follows_the_size_of_moves_and_tails_are_fat() -> None:
    minutes = days(DAY, 60)
    returns = np.diff(np.log(minutes.close))
    assert np.corrcoef(np.abs(returns), minutes.volume[1:])[0, 1] > 0.2
    assert np.mean(returns**4) / np.mean(returns**2) ** 2 > 6
    assert abs(np.corrcoef(returns[:-1], returns[1:])[0, 1]) < 0.1


def test_resample_takes_first_open_last_close_extremes_and_sums() -> None:
    fives = small().resample(300_000)
    assert fives.time.tolist() == [0, 300_000, 600_000]
    assert fives.open.tolist() == [10, 9, 20]
    assert fives.high.tolist() == [15, 12, 21]
    assert fives.low.tolist() == [9, 7, 19]
    assert fives.close.tolist() == [14, 8, 20]
    assert fives.volume.tolist() == [11, 7, 1]
    assert fives.trades.tolist() == [3, 3, 1]


def test_resampling_in_two_steps_equals_one() -> None:
    minutes = minutes_of_day(1, THIN, DAY).traded()
    hours = minutes.resample(3_600_000)
    for one, other in zip(
        hours.resample(DAY_MS).columns(), minutes.resample(DAY_MS).columns(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_between_is_half_open_and_traded_drops_quiet_rows() -> None:
    assert small().between(60_000, 360_000).time.tolist() == [60_000, 300_000]
    assert small().traded().time.tolist() == [0, 60_000, 300_000, 660_000]


def test_nothing_joined_or_resampled_is_no_rows() -> None:
    nothing = join_candles([])
    assert nothing.time.size == 0
    assert nothing.resample(60_000).time.size == 0


def test_the_cached_day_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        minutes_of_day(1, BITCOIN, DAY).close[0] = 1
