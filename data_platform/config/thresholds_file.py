"""What may stand in `configs/thresholds.yaml`, key by key.

Stays out: what the values mean (`standards.py`, `thresholds.py`, `scores.py`, `alerts.py`).
"""

from datetime import timedelta
from typing import Annotated

from pydantic import ConfigDict, Field

from data_platform.config.models import StrictModel
from data_platform.config.values import DurationField, KeepField, LimitField, NameField
from data_platform.quality.rule import Severity


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


class CheckEntry(StrictModel):
    """How severe one check is, and its limits by the name that the check gives each."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, LimitField] = Field(init=False)

    severity: Severity | None = Field(
        default=None, description="What the check is when it does not pass: warn or error."
    )

    @property
    def limits(self) -> dict[str, float | timedelta]:
        """Return the limits that are given."""
        return self.__pydantic_extra__


class ThresholdsFile(StrictModel):
    """The limits of the checks, how long candles stay among the tables, and how scores are made."""

    checks: dict[str, CheckEntry] = Field(description="By check, for every series.")
    series: dict[str, dict[str, CheckEntry]] = Field(
        default={},
        description="By series, as exchange/pair/timeframe with `*` for any; then by check. What "
        "names more parts beats what names fewer.",
    )
    retention: dict[str, KeepField] = Field(
        default={}, description="How long candles stay; a timeframe left out stays for ever."
    )
    scores: ScoresEntry = Field(default=ScoresEntry(), description="How scores are weighed.")
    alerts: AlertsEntry = Field(default=AlertsEntry(), description="When somebody is told.")
