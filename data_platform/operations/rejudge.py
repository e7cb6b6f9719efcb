"""Months that were judged by other rules or limits than those of today: judged again.

Rules are evaluated when candles are written. A rule that is new since, or a limit that the config
has changed, is brought to the months that were written before by reading them once more; nothing
but their verdicts is written.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from time import monotonic

from data_platform.domain.candles import closed_before
from data_platform.domain.errors import StorageError
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import Period, to_period
from data_platform.operations.agreement import Renewal
from data_platform.operations.judge import CANDLE_RULES, judge_candles, judged_by, read_history
from data_platform.operations.lake import Lake
from data_platform.quality.rule import RuleInput
from data_platform.quality.standards import Standards
from data_platform.storage.contents import read_contents

_log = logging.getLogger(__name__)

_ONE_OF_THEM = CANDLE_RULES[0].name
"""All rules of a month are judged at once, so one tells of all by what they were judged."""


def judge_by_new_limits(
    lake: Lake,
    own: Sequence[Series],
    limits: Standards,
    now: datetime,
    budget: timedelta | None,
    since: Period | None = None,
) -> Renewal:
    """Judge again the months whose verdicts rest on other rules or limits than those of now.

    Args:
        lake: where candles lie.
        own: series of one exchange.
        limits: what the config says of every rule.
        now: the clock, UTC.
        budget: how long it may take; None: as long as it takes. At least one month is judged, the
            newest first, and what is left is found the next time.
        since: only this month and later ones; None: all.

    Raises:
        StorageError: the state database refuses.
    """
    waiting = sorted(
        find_outdated(lake, own, limits, since), key=lambda it: it.period, reverse=True
    )
    end = None if budget is None else monotonic() + budget.total_seconds()
    judged = 0
    for partition in waiting:
        if judged and end is not None and monotonic() >= end:
            break
        try:
            _judge(lake, partition, limits, now)
        except StorageError as error:
            # A damaged file has its own check; it must not keep the others from being judged.
            _log.warning("%s is not judged again: %s", partition, error)
        judged += 1
    return Renewal(judged, len(waiting) - judged)


def find_outdated(
    lake: Lake, own: Sequence[Series], limits: Standards, since: Period | None = None
) -> Iterator[Partition]:
    """Yield the months with candles that were judged otherwise than now, or by no rule at all.

    Reads the journal and the verdicts; no file. Arguments as `judge_by_new_limits`.
    """
    if not own:
        return
    exchange = own[0].exchange
    series = {(it.timeframe.name, it.pair.key): it for it in own}
    wanted = {key: judged_by(it, limits) for key, it in series.items()}
    noted = {
        (timeframe, pair, month): basis
        for timeframe, pair, month, _, basis, _ in lake.verdicts.bases(
            exchange, [_ONE_OF_THEM], since
        ).rows()
    }
    for _, timeframe, pair, month, rows, _ in read_contents(lake.state, [exchange], since).rows():
        key = (timeframe, pair)
        if rows and key in series and noted.get((*key, month)) != wanted[key]:
            yield Partition("ohlcv", series[key], to_period(month))


def _judge(lake: Lake, partition: Partition, limits: Standards, now: datetime) -> None:
    series, row = partition.series, lake.store.journal(partition)
    held = lake.store.read(partition)
    if held is None:
        return
    closed = closed_before(now, series.timeframe, timedelta(0))
    given = RuleInput(held.frame, read_history(lake, partition), series.timeframe, closed)
    verdicts = judge_candles(given, series, limits)
    with lake.state.write() as connection:
        # Who has committed in between has judged what is stored now.
        if lake.store.journal(partition) == row:
            lake.verdicts.record(connection, partition, verdicts)
