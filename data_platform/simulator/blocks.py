"""A market's candles encoded and cached in blocks of whole days, and the parts of a page in them.

Stays out: which market and which rows are asked for (`venue`), how a row is printed (dialects).
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from data_platform.domain.timeframes import Timeframe
from data_platform.simulator.edits import Edits, Standing
from data_platform.simulator.rows import WireRows
from data_platform.simulator.tapes import Tape

_DAY_MS = 86_400_000
_BLOCK_ROWS = 1000
_BLOCK_DAYS = 64
_CACHED_BLOCKS = 96


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one answer."""

    times: list[int]
    """Opening times, UTC ms, oldest first."""
    texts: list[str]
    """The rows as JSON, in the same order."""


class Blocks:
    """Encodes blocks once; makes views of them."""

    def __init__(self, encode: Callable[[WireRows, Timeframe, bool], pl.Series]) -> None:
        self.encode = encode
        self.block = lru_cache(maxsize=_CACHED_BLOCKS)(self._encode_block)

    def _encode_block(
        self, tape: Tape, timeframe: Timeframe, index: int, edits: Edits, hidden: frozenset[int]
    ) -> Page:
        length = block_ms(timeframe)
        rows = tape.rows(timeframe, index * length, (index + 1) * length, edits)
        return _page(rows, self.encode(rows, timeframe, True), hidden)  # noqa: FBT003


class View:
    """What a market shows of a half-open range at one moment."""

    def __init__(
        self,
        blocks: Blocks,
        tape: Tape,
        timeframe: Timeframe,
        between_ms: tuple[int, int],
        at: tuple[int, Standing],
    ) -> None:
        """Take the range and the moment: the clock in UTC ms and how the market stands then."""
        self._blocks = blocks
        self._tape = tape
        self._timeframe = timeframe
        self._now, self._standing = at
        self._hidden = self._standing.hidden(timeframe, self._now)
        self._open_ms = self._now - self._now % timeframe.ms
        self._wants_open = between_ms[0] <= self._open_ms < between_ms[1]
        first, last = tape.span(timeframe)
        self._start = max(between_ms[0], first)
        self._end = min(between_ms[1], last, self._open_ms)

    def oldest(self, limit: int) -> Page:
        """Return the first `limit` candles of the range, oldest first, the open one too."""
        page = Page([], [])
        for index in self._indices():
            missing = limit - len(page.times)
            if missing <= 0:
                break
            part = self._closed(index)
            page.times.extend(part.times[:missing])
            page.texts.extend(part.texts[:missing])
        last = self._open() if len(page.times) < limit else Page([], [])
        return Page(page.times + last.times, page.texts + last.texts)

    def newest(self, limit: int) -> Page:
        """Return the last `limit` candles of the range, oldest first, the open one too."""
        parts = [self._open()] if limit > 0 else []
        for index in reversed(self._indices()):
            missing = limit - sum(len(part.times) for part in parts)
            if missing <= 0:
                break
            part = self._closed(index)
            parts.append(Page(part.times[-missing:], part.texts[-missing:]))
        parts.reverse()
        return Page(
            [time for part in parts for time in part.times],
            [text for part in parts for text in part.texts],
        )

    def _indices(self) -> range:
        length = block_ms(self._timeframe)
        return range(self._start // length, -(-self._end // length))

    def _closed(self, index: int) -> Page:
        length = block_ms(self._timeframe)
        start, end = index * length, (index + 1) * length
        edits = self._standing.edits_of(start, end)
        hidden = frozenset(time for time in self._hidden if start <= time < end)
        page = self._blocks.block(self._tape, self._timeframe, index, edits, hidden)
        first = bisect_left(page.times, self._start)
        last = bisect_left(page.times, self._end)
        return Page(page.times[first:last], page.texts[first:last])

    def _open(self) -> Page:
        if not self._wants_open or self._open_ms in self._hidden:
            return Page([], [])
        rows = self._tape.unfinished(self._timeframe, self._now, self._standing.edits)
        return _page(rows, self._blocks.encode(rows, self._timeframe, False), frozenset())  # noqa: FBT003


def block_ms(timeframe: Timeframe) -> int:
    """Return the length of a block: about a thousand rows, or two months of days."""
    days = _BLOCK_ROWS * timeframe.ms // _DAY_MS
    return min(_BLOCK_DAYS, max(1, days)) * _DAY_MS


def _page(rows: WireRows, encoded: pl.Series, hidden: frozenset[int]) -> Page:
    times, texts = rows.frame["time"].to_list(), encoded.to_list()
    if not hidden:
        return Page(times, texts)
    kept = [index for index, time in enumerate(times) if time not in hidden]
    return Page([times[index] for index in kept], [texts[index] for index in kept])
