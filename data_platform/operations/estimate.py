"""What a fetch would cost, told before it is made: requests, candles, bytes on disk.

Plans exactly as an update does and counts the pages; sends nothing and writes nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from data_platform.domain.candles import TimeRange, closed_before
from data_platform.domain.errors import StorageError
from data_platform.domain.exchanges import Exchange
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import periods_between
from data_platform.domain.timeframes import Timeframe
from data_platform.operations.lake import Lake
from data_platform.operations.plan import Need, UpdateRules, contiguous_ranges, plan_readable
from data_platform.sources.base import FetchRequest

BYTES_PER_CANDLE = {
    "ohlcv": 23,
    "filled": 23,
    "indicators": 155,
    "features": 126,
    "vectorbt": 23,
    "freqtrade": 32,
    "nautilus": 55,
}
"""By layer, as a year of 1m candles takes with the default indicators and features."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a selection of one exchange takes at most."""

    requests: int = 0
    """For candles; the exchange's clock and list of pairs come on top, a handful a process."""
    candles: int = 0
    """Not stored yet and not explained."""
    unread: Mapping[Partition, str] = field(default_factory=dict, hash=False)
    """What cannot be read and is not counted, and why."""

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.requests + other.requests,
            self.candles + other.candles,
            {**self.unread, **other.unread},
        )

    def duration(self, requests_per_minute: float) -> timedelta:
        """Return how long the exchange's limit makes the requests take."""
        return timedelta(minutes=self.requests / requests_per_minute)

    def stored_bytes(self, layers: Iterable[str]) -> int:
        """Return about how many bytes the candles take in these layers."""
        return self.candles * sum(BYTES_PER_CANDLE[layer] for layer in layers)


def estimate_update(
    lake: Lake, partitions: Sequence[Partition], rules: UpdateRules, now: datetime
) -> Cost:
    """Return what an update of candle partitions would take now.

    An upper bound: what an answer proves empty (the years before a listing) is not asked for.

    Args:
        lake: what is stored and known.
        partitions: of one exchange, at timeframes that it has itself, layer `ohlcv`.
        rules: starts, grace and mode.
        now: the clock, UTC.
    """
    cost, near = Cost(), set[Series]()
    for series, months in contiguous_ranges(partitions):
        closed = closed_before(now, series.timeframe, rules.grace)
        needs, unread = plan_readable(lake, series, months, rules, now)
        for part, error in unread:
            cost += _unread(series, part, error)
        for request, missing in _requests(needs, closed):
            cost += Cost(_pages(request, rules.exchange), missing)
            near |= {series} if _is_near(request, rules.exchange, closed) else set()
    # One answer holds all that an exchange gives of its newest candles.
    return cost + Cost(len(near))


def estimate_coarser(
    lake: Lake, partitions: Sequence[Partition], rules: UpdateRules, now: datetime
) -> Cost:
    """Return what deriving candle partitions from a finer timeframe takes: no request."""
    cost = Cost()
    for partition in partitions:
        series, period = partition.series, partition.period
        month = TimeRange(period.start, period.end)
        wanted = _closed_part(series, month, rules, now)
        if wanted is None:
            continue
        try:
            stored = len(lake.store.times("ohlcv", series, wanted.start, wanted.end))
        except StorageError as error:
            cost += _unread(series, month, error)
            continue
        cost += Cost(0, series.timeframe.count(wanted.start, wanted.end) - stored)
    return cost


def _unread(series: Series, part: TimeRange, error: StorageError) -> Cost:
    months = periods_between(part.start, part.end)
    return Cost(unread={Partition("ohlcv", series, month): str(error) for month in months})


def _closed_part(
    series: Series, months: TimeRange, rules: UpdateRules, now: datetime
) -> TimeRange | None:
    timeframe: Timeframe = series.timeframe
    start = max(months.start, timeframe.ceil(rules.starts[series.pair]))
    end = min(months.end, closed_before(now, timeframe, rules.grace))
    return TimeRange(start, end) if start < end else None


def _requests(needs: Sequence[Need], closed: datetime) -> Iterator[tuple[FetchRequest, int]]:
    for need in needs:
        request = need.to_request(closed)
        if request is not None:
            yield request, need.series.timeframe.count(need.missing.start, request.end)


def _is_near(request: FetchRequest, exchange: Exchange, closed: datetime) -> bool:
    """Tell whether a request is among those of a series that one answer serves."""
    depth = exchange.history_candles or exchange.page_size
    within = request.end > closed - depth * request.series.timeframe.duration
    return within and exchange.since_meaning == "newest_only"


def _pages(request: FetchRequest, exchange: Exchange) -> int:
    if exchange.since_meaning == "newest_only":
        return 0
    count = request.series.timeframe.count(request.start, request.end)
    return -(-count // exchange.page_size)
