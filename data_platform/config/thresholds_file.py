"""What may stand in `configs/thresholds.yaml`, key by key.

Stays out: what the values mean (`thresholds.py`, `scores.py`, `alerts.py`).
"""

from typing import Annotated

from pydantic import Field

from data_platform.config.models import StrictModel
from data_platform.config.values import DurationField, KeepField, LimitField, NameField


class ProfileEntry(StrictModel):
    """One profile of scores."""

    version: Annotated[int, Field(ge=1)]
    weights: dict[str, Annotated[float, Field(ge=0, le=1)]]
    """By component."""


class ScoresEntry(StrictModel):
    """How scores are weighed."""

    default: NameField | None = None
    five_dimensions: ProfileEntry | None = None
    four_dimensions: ProfileEntry | None = None


class AlertsEntry(StrictModel):
    """When something is bad enough that somebody is told."""

    source_away: DurationField | None = Field(
        default=None, description="How long an exchange may give no answer (default 5m)."
    )
    recent: DurationField | None = Field(
        default=None, description="How young a gap must be to ring (default 24h)."
    )
    run_times_usual: Annotated[float, Field(gt=1, le=1000)] | None = Field(
        default=None, description="How many times its usual time a run may take (default 2)."
    )
    error_share: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="Failed attempts of all requests of an hour (default 0.2)."
    )
    latency_times_usual: Annotated[float, Field(gt=1, le=1000)] | None = Field(
        default=None, description="How many times its usual time an answer may take (default 3)."
    )
    latency_least_ms: Annotated[float, Field(ge=0, le=60_000)] | None = Field(
        default=None, description="An answer that takes no longer is never late (default 150)."
    )
    quiet: DurationField | None = Field(
        default=None, description="How long an alarm must not be found until it is over (2m)."
    )


class ThresholdsFile(StrictModel):
    """The limits of the checks, how long candles stay among the tables, and how scores are made."""

    checks: dict[str, dict[str, LimitField]]
    """By check, and the name that the check gives each limit."""
    retention: dict[str, KeepField] = Field(default={})
    """By timeframe; one that is left out stays for ever."""
    scores: ScoresEntry = ScoresEntry()
    alerts: AlertsEntry = AlertsEntry()
