"""Faults of candles: answers that are whole and valid, and hold rows that they should not.

One row each; they act on pages of candles only. Stays out: answers that are not whole
(`answer_faults`), candles that really are so at the exchange (`market_faults`).
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from data_platform.simulator.blocks import Page
from data_platform.simulator.fault import Fault, Occasion, Option, Options, count
from data_platform.simulator.venue import FAR_FUTURE_MS, Venue, Wanted
from data_platform.simulator.wire import Answer

_Spoil: TypeAlias = Callable[[Venue, Wanted, Page, Options], Page]

_YEAR_MS = 365 * 86_400_000
_OUTSIDE_ROWS = 3


def _pages(spoil: _Spoil) -> Callable[[Occasion], Answer]:
    return lambda on: on.with_pages(
        lambda venue, wanted, page: spoil(venue, wanted, page, on.options)
    )


def _with_price(value: object) -> _Spoil:
    def spoil(venue: Venue, _wanted: Wanted, page: Page, _options: Options) -> Page:
        fields = venue.dialect.fields
        return _middle_changed(page, lambda row: row.__setitem__(fields.close, value))

    return spoil


def _bad_timestamp(venue: Venue, _wanted: Wanted, page: Page, _options: Options) -> Page:
    fields = venue.dialect.fields
    return _middle_changed(page, lambda row: row.__setitem__(fields.time, "yesterday"))


def _off_grid(venue: Venue, wanted: Wanted, page: Page, _options: Options) -> Page:
    if not page.times:
        return page
    middle = len(page.times) // 2
    time = page.times[middle] + wanted.timeframe.ms // 2
    times = [*page.times[:middle], time, *page.times[middle + 1 :]]
    return Page(times, _middle_changed(page, lambda row: _set_time(venue, row, time)).texts)


def _unsorted(_venue: Venue, _wanted: Wanted, page: Page, _options: Options) -> Page:
    half = len(page.times) // 2
    return Page(page.times[half:] + page.times[:half], page.texts[half:] + page.texts[:half])


def _duplicated(_venue: Venue, wanted: Wanted, page: Page, _options: Options) -> Page:
    # A page holds no more rows than ever: the last one makes room.
    after = len(page.times) // 2 + 1
    again = Page(
        [*page.times[:after], *page.times[after - 1 :]],
        [*page.texts[:after], *page.texts[after - 1 :]],
    )
    return Page(again.times[: wanted.limit], again.texts[: wanted.limit])


def _outside(venue: Venue, wanted: Wanted, page: Page, _options: Options) -> Page:
    market, timeframe = wanted.market, wanted.timeframe
    first = page.times[0] if page.times else wanted.start_ms
    last = page.times[-1] + 1 if page.times else wanted.end_ms
    before = venue.newest(market, timeframe, 0, min(first, wanted.start_ms), _OUTSIDE_ROWS)
    after = venue.oldest(market, timeframe, max(last, 0), FAR_FUTURE_MS, _OUTSIDE_ROWS)
    return Page(before.times + page.times + after.times, before.texts + page.texts + after.texts)


def _half(_venue: Venue, _wanted: Wanted, page: Page, _options: Options) -> Page:
    half = -(-len(page.times) // 2)
    return Page(page.times[:half], page.texts[:half])


def _empty(_venue: Venue, _wanted: Wanted, _page: Page, _options: Options) -> Page:
    return Page([], [])


def _stale(venue: Venue, wanted: Wanted, page: Page, options: Options) -> Page:
    shift = (options["candles"] or wanted.limit) * wanted.timeframe.ms
    last = page.times[-1] + 1 if page.times else wanted.end_ms
    end = min(wanted.end_ms, last) - shift
    return venue.find(replace(wanted, start_ms=wanted.start_ms - shift, end_ms=end))


def _of_another_market(venue: Venue, wanted: Wanted, page: Page, _options: Options) -> Page:
    others = [each for each in venue.markets if each.first_pair != wanted.market.first_pair]
    # All others may be delisted by now.
    return venue.find(replace(wanted, market=others[0])) if others else page


def _future(venue: Venue, wanted: Wanted, page: Page, _options: Options) -> Page:
    newest = venue.newest(wanted.market, wanted.timeframe, 0, FAR_FUTURE_MS, 1)
    if not newest.times:
        return page
    time = (venue.now_ms() + _YEAR_MS) // wanted.timeframe.ms * wanted.timeframe.ms
    text = _changed(newest.texts[0], lambda row: _set_time(venue, row, time))
    return Page([*page.times, time], [*page.texts, text])


def _middle_changed(page: Page, change: Callable[[Any], None]) -> Page:
    if not page.texts:
        return page
    middle = len(page.texts) // 2
    text = _changed(page.texts[middle], change)
    return Page(page.times, [*page.texts[:middle], text, *page.texts[middle + 1 :]])


def _changed(text: str, change: Callable[[Any], None]) -> str:
    row = json.loads(text)
    change(row)
    return json.dumps(row, separators=(",", ":"))


def _set_time(venue: Venue, row: Any, time_ms: int) -> None:  # noqa: ANN401 - a list or an object
    fields = venue.dialect.fields
    time = time_ms // fields.time_unit_ms
    row[fields.time] = str(time) if isinstance(row[fields.time], str) else time


def _row(name: str, says: str, spoil: _Spoil, **options: Option) -> Fault:
    return Fault(name, says, _pages(spoil), options=options, endpoints=("ohlcv",))


PAGE_FAULTS: tuple[Fault, ...] = (
    _row("null_price", "the middle row's close is null", _with_price(None)),
    _row("text_price", "the middle row's close is a word", _with_price("n/a")),
    _row("nan_price", 'the middle row\'s close is "NaN"', _with_price("NaN")),
    _row("infinite_price", 'the middle row\'s close is "Infinity"', _with_price("Infinity")),
    _row("bad_timestamp", "the middle row's time is a word", _bad_timestamp),
    _row("off_grid_row", "the middle row opens half a timeframe late", _off_grid),
    _row("unsorted_rows", "the later half comes before the earlier one", _unsorted),
    _row("duplicate_rows", "the middle row stands twice", _duplicated),
    _row("rows_outside", "three rows too many on either side of what was asked", _outside),
    _row("half_page", "the later half of the rows is missing", _half),
    _row("empty_page", "no rows, although there are candles", _empty),
    _row(
        "stale_page",
        "the rows of another time",
        _stale,
        candles=replace(count(1, "how far back; a whole page by default"), default=None),
    ),
    replace(
        _row("wrong_symbol", "the rows of another pair", _of_another_market),
        needs_second_market=True,
    ),
    _row("future_candle", "one more row, a year from now", _future),
)
