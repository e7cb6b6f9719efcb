from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from data_platform.domain.timeframes import TIMEFRAMES, Timeframe, to_timeframe
from data_platform.simulator.config import build_venues
from data_platform.simulator.venue import FAR_FUTURE_MS, Venue, VenueMarket
from data_platform_tests.simulator.simulated import LISTED, NOW, at, config, ms

MINUTE = to_timeframe("1m")
OPEN = ms(NOW) // 60_000 * 60_000


@pytest.fixture(scope="module")
def venue() -> Venue:
    return build_venues(config())["binance"]


def market(venue: Venue, name: str = "LINKUSDT") -> VenueMarket:
    found = venue.market(name)
    assert found is not None
    return found


@pytest.mark.parametrize("timeframe", TIMEFRAMES, ids=str)
def test_pages_from_either_side_agree(venue: Venue, timeframe: Timeframe) -> None:
    link = market(venue)
    everything = venue.oldest(link, timeframe, 0, FAR_FUTURE_MS, 10**6)
    assert everything.times[0] == ms(timeframe.floor(LISTED))
    assert everything.times[-1] == ms(timeframe.floor(NOW))
    assert everything.times == list(
        range(everything.times[0], everything.times[-1] + 1, timeframe.ms)
    )
    assert venue.newest(link, timeframe, 0, FAR_FUTURE_MS, 10**6) == everything
    for limit in (1, 2, 7):
        first = venue.oldest(link, timeframe, 0, FAR_FUTURE_MS, limit)
        last = venue.newest(link, timeframe, 0, FAR_FUTURE_MS, limit)
        assert (first.times, first.texts) == (everything.times[:limit], everything.texts[:limit])
        assert (last.times, last.texts) == (everything.times[-limit:], everything.texts[-limit:])


def test_pages_joined_across_midnight_equal_one_page(venue: Venue) -> None:
    start, end = ms(at(2024, 3, 13, 22)), ms(at(2024, 3, 15, 2))
    whole = venue.oldest(market(venue), MINUTE, start, end, 5000)
    parts = [
        venue.oldest(market(venue), MINUTE, begin, min(begin + 97 * 60_000, end), 5000)
        for begin in range(start, end, 97 * 60_000)
    ]
    assert [time for part in parts for time in part.times] == whole.times
    assert [text for part in parts for text in part.texts] == whole.texts
    assert len(whole.times) == 28 * 60


@pytest.mark.parametrize("limit", [0, 1, 5])
def test_a_page_never_exceeds_its_limit(venue: Venue, limit: int) -> None:
    for find in (venue.oldest, venue.newest):
        assert len(find(market(venue), MINUTE, 0, FAR_FUTURE_MS, limit).times) == limit


def test_the_open_candle_is_in_a_page_only_when_its_time_is(venue: Venue) -> None:
    page = venue.oldest(market(venue), MINUTE, OPEN - 60_000, OPEN, 10)
    assert page.times == [OPEN - 60_000]
    assert venue.oldest(market(venue), MINUTE, OPEN, OPEN + 1, 10).times == [OPEN]
    assert venue.oldest(market(venue), MINUTE, OPEN + 1, FAR_FUTURE_MS, 10).times == []


def test_a_running_clock_opens_and_closes_candles() -> None:
    def ticking() -> Iterator[datetime]:
        now = at(2024, 3, 14, 12, 0, 59)
        while True:
            yield now
            now += timedelta(seconds=1)

    clock = ticking()
    venue = build_venues(config(clock=lambda: next(clock)))["binance"]
    pages = [venue.newest(market(venue), MINUTE, 0, FAR_FUTURE_MS, 2) for _ in range(3)]
    noon = ms(at(2024, 3, 14, 12))
    assert [page.times[-1] for page in pages] == [noon, noon + 60_000, noon + 60_000]
    assert pages[1].texts[0] == pages[2].texts[0], "closed: does not change"
    assert pages[0].texts[1] != pages[1].texts[0], "was open: changed until it closed"


def test_an_unknown_name_is_no_market(venue: Venue) -> None:
    assert venue.market("LINK/USDT") is None
