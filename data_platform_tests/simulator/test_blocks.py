from collections.abc import Callable

import pytest

from data_platform.domain.timeframes import TIMEFRAMES, Timeframe, to_timeframe
from data_platform.simulator.binance import DIALECT
from data_platform.simulator.blocks import Blocks, Page, View, block_ms
from data_platform.simulator.config import build_venues
from data_platform.simulator.edits import UNCHANGED, Gap, Late, Standing
from data_platform_tests.simulator.simulated import NOW, at, config, ms

MINUTE = to_timeframe("1m")
OPEN = ms(NOW) // 60_000 * 60_000


@pytest.fixture
def view() -> Callable[..., View]:
    market = build_venues(config())["binance"].markets[0]
    blocks = Blocks(DIALECT.encode)

    def make(start: int, end: int, standing: Standing = UNCHANGED) -> View:
        return View(blocks, market.tape, MINUTE, (start, end), (ms(NOW), standing))

    return make


@pytest.mark.parametrize("timeframe", TIMEFRAMES, ids=str)
def test_blocks_are_whole_days_of_about_a_thousand_rows_or_two_months(
    timeframe: Timeframe,
) -> None:
    length = block_ms(timeframe)
    assert length % 86_400_000 == 0
    assert 64 <= length // timeframe.ms <= 1440


def test_a_range_over_midnight_is_one_page_from_either_side(view: Callable[..., View]) -> None:
    start, end = ms(at(2024, 3, 13, 23, 58)), ms(at(2024, 3, 14, 0, 3))
    whole = view(start, end).oldest(100)
    assert whole.times == list(range(start, end, 60_000))
    assert view(start, end).newest(100) == whole
    assert view(start, end).newest(2) == Page(whole.times[-2:], whole.texts[-2:])


def test_edits_and_lateness_are_of_the_moment_and_not_kept(view: Callable[..., View]) -> None:
    start, end = OPEN - 300_000, OPEN + 60_000
    before = view(start, end).oldest(100)
    assert before.times == list(range(start, end, 60_000))
    gap = Standing(edits=(Gap(OPEN - 240_000, OPEN - 120_000),))
    assert view(start, end, gap).oldest(100).times == [
        time for time in before.times if time not in (OPEN - 240_000, OPEN - 180_000)
    ]
    late = Standing(late=(Late(120_000),))
    assert view(start, end, late).newest(100).times == before.times[:-3]
    assert view(start, end).oldest(100) == before


def test_a_limit_counts_rows_that_are_there(view: Callable[..., View]) -> None:
    late = Standing(late=(Late(1000 * 60_000, minute_ms=OPEN - 120_000),))
    page = view(OPEN - 180_000, OPEN, late).oldest(2)
    assert page.times == [OPEN - 180_000, OPEN - 60_000]
