"""Everything that `configs/thresholds.yaml` sets: checks, retention, scores, alarms.

Stays out: how each part is written (`standards.py`, `scores.py`, `alerts.py`), what a rule does
with its limits (`quality/`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

from data_platform.config.alerts import read_alarm_limits
from data_platform.config.models import read_model
from data_platform.config.scores import read_profiles
from data_platform.config.standards import read_standards, refuse_unknown_exchanges
from data_platform.config.strict_yaml import Document
from data_platform.config.thresholds_file import ThresholdsFile
from data_platform.domain.alerts import AlarmLimits
from data_platform.domain.errors import WrongUseError
from data_platform.domain.timeframes import to_timeframe
from data_platform.quality.score import Profiles
from data_platform.quality.standards import Standards


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Limits of checks and policies."""

    limits: Standards
    """What the file says of every rule; times in seconds."""
    retention: Mapping[str, timedelta]
    """How long candles stay among the tables, by timeframe; of those left out for ever."""
    profiles: Profiles
    """How scores are weighed."""
    alarms: AlarmLimits
    """When something is bad enough that somebody is told."""


def read_thresholds(document: Document, exchanges: Collection[str]) -> Thresholds:
    """Return what `configs/thresholds.yaml` sets.

    Args:
        document: the file.
        exchanges: names of those that are configured.

    Raises:
        ConfigError: an unknown key, or a value out of range; names file and line.
    """
    refuse_unknown_exchanges(document, exchanges)
    return Thresholds(
        limits=read_standards(document),
        retention=read_retention(document),
        profiles=read_profiles(document),
        alarms=read_alarm_limits(document),
    )


def read_retention(document: Document) -> dict[str, timedelta]:
    """Return how long candles stay among the tables, by timeframe; of the others for ever.

    Raises:
        ConfigError: an unknown timeframe, or no duration; names file and line.
    """
    found: dict[str, timedelta] = {}
    for text, keep in read_model(document, ThresholdsFile).retention.items():
        try:
            name = to_timeframe(text).name
        except WrongUseError as error:
            raise document.error(("retention", text), str(error)) from error
        if name in found:
            raise document.error(("retention", text), f"{name} stands twice.")
        found[name] = keep
    return {name: keep for name, keep in found.items() if keep != timedelta.max}
