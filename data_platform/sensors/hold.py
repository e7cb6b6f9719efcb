"""What every sensor shares: whether it starts running, and what holds its runs back."""

from datetime import datetime

import dagster as dg

from data_platform.assets.candles import TICK_TAG
from data_platform.operations.lake import Lake
from data_platform.runs import BACKFILL_TAG, HEAL_TAG, STALE_TAG, is_busy
from data_platform.settings import Settings

WORDS = {
    TICK_TAG: "a tick",
    STALE_TAG: "a recomputation",
    HEAL_TAG: "a healing",
    BACKFILL_TAG: "a backfill",
}
"""What people call the runs that carry a tag."""


def default_status(settings: Settings) -> dg.DefaultSensorStatus:
    """Return whether sensors run from the beginning, by the config."""
    is_running = settings.automation == "running"
    return dg.DefaultSensorStatus.RUNNING if is_running else dg.DefaultSensorStatus.STOPPED


def spell_hold(
    instance: dg.DagsterInstance, lake: Lake, exchange: str, now: datetime
) -> str | None:
    """Return why no tick of an exchange may start now; None when one may."""
    breaker = lake.breakers.read(exchange)
    if breaker.is_open(now):
        return breaker.spell(exchange)
    return spell_busy(instance, exchange, TICK_TAG)


def spell_busy(instance: dg.DagsterInstance, exchange: str, *tags: str) -> str | None:
    """Return which run of an exchange is awaited, of those that carry one of the tags."""
    busy = (WORDS[tag] for tag in tags if is_busy(instance, exchange, tag))
    word = next(busy, None)
    return f"{word} is still queued or running" if word else None
