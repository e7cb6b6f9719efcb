"""What every sensor shares: whether it starts running, and what holds its runs back."""

from datetime import datetime

import dagster as dg

from data_platform.operations.lake import Lake
from data_platform.runs import is_busy
from data_platform.settings import Settings


def default_status(settings: Settings) -> dg.DefaultSensorStatus:
    """Return whether sensors run from the beginning, by the config."""
    is_running = settings.automation == "running"
    return dg.DefaultSensorStatus.RUNNING if is_running else dg.DefaultSensorStatus.STOPPED


def spell_hold(
    instance: dg.DagsterInstance, lake: Lake, exchange: str, now: datetime
) -> str | None:
    """Return why no run of an exchange may start now; None when one may."""
    breaker = lake.breakers.read(exchange)
    if breaker.is_open(now):
        return breaker.spell(exchange)
    return "a tick is still queued or running" if is_busy(instance, exchange) else None
