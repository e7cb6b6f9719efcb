"""The listing of a market, found by days where pages before it are empty.

On an exchange whose answers end with their window, the years before a listing are thousands of
empty pages of minutes, and three of days. How the pages after it are walked is the walk's business.
"""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from data_platform.domain.errors import SourceError
from data_platform.domain.markets import Series
from data_platform.domain.timeframes import Timeframe, to_timeframe
from data_platform.sources.ccxt_client import CcxtClient
from data_platform.sources.pages import Page, inside, next_page

DAY = to_timeframe("1d")


@dataclass(frozen=True, slots=True)
class KnownHole:
    """A stretch that holds no candle, as answers to other requests have told."""

    page: Page
    seen_at: datetime
    """When the first of those requests was sent, by the exchange's clock."""
    evidence: str
    """What tells so, for people."""


def is_worth_looking_for(page: Page, timeframe: Timeframe, page_size: int) -> bool:
    """Tell whether days would tell cheaper than its own pages where a stretch has candles."""
    own = timeframe.count(page.start, page.end)
    days = DAY.count(DAY.floor(page.start), DAY.ceil(page.end))
    # Each page of days without a candle is asked for twice.
    return -(-own // page_size) > 2 * -(-days // page_size) + 1


async def find_listing(client: CcxtClient, series: Series, stretch: Page) -> KnownHole | None:
    """Return the part of a stretch, from its start on, that lies before the first day with candles.

    Days are walked forward, page after page without leaving one out, up to the first that holds a
    candle: so a gap cannot be taken for the listing, since candles lie before a gap and would have
    been met first. A candle of a finer timeframe lies in a day that has one, too. A page of days
    without a candle is believed when it was told twice.

    Args:
        client: of the exchange, which knows the pair.
        series: whose candles are wanted.
        stretch: where to look; nothing is known of it.

    Returns:
        None where the exchange has no days, does not answer, or the stretch begins with a candle.
    """
    days, sent_at = series.at(DAY), client.clock.estimate()
    page_size, end = client.access.exchange.page_size, DAY.ceil(stretch.end)
    cursor, first = DAY.floor(stretch.start), None
    try:
        client.check(days)
        while cursor < end and first is None:
            page = next_page(cursor, end, DAY, page_size)
            for _ in range(2):
                rows = inside((await client.candles(days, page)).candles, page)
                first = _first_time(rows)
                if first is not None:
                    break
            cursor = page.end
    except SourceError:
        return None
    reach = stretch.end if first is None else min(series.timeframe.floor(first), stretch.end)
    if reach <= stretch.start:
        return None
    word = f"before {first:%Y-%m-%d}" if first else f"up to {end:%Y-%m-%d}"
    evidence = f"asked by days, there is no candle {word}"
    return KnownHole(Page(stretch.start, reach), sent_at, evidence)


def _first_time(rows: pl.DataFrame) -> datetime | None:
    return rows["open_time"][0] if rows.height else None
