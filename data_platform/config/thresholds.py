"""The limits of checks, retention and alarms, as `configs/thresholds.yaml` sets them.

Stays out: what a rule does with its limits (`quality/`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from data_platform.config.alerts import read_alarm_limits
from data_platform.config.models import read_model
from data_platform.config.scores import read_profiles
from data_platform.config.strict_yaml import Document, ValuePath
from data_platform.config.thresholds_file import ThresholdsFile
from data_platform.domain.alerts import AlarmLimits
from data_platform.domain.errors import WrongUseError
from data_platform.domain.timeframes import to_timeframe
from data_platform.quality import agreement, continuity, freshness, ohlc, outliers, stillness
from data_platform.quality.agreement import AgreementRule
from data_platform.quality.rule import FreshnessRule, GapRule, Limits, Rule
from data_platform.quality.score import Profiles

_RULES: tuple[Rule | GapRule | AgreementRule | FreshnessRule, ...] = (
    *ohlc.RULES,
    *continuity.RULES,
    *outliers.RULES,
    *stillness.RULES,
    *continuity.GAP_RULES,
    *agreement.RULES,
    *freshness.FRESHNESS_RULES,
)

RULE_LIMITS: Mapping[str, Limits] = {
    **{rule.name: rule.limits for rule in _RULES if rule.limits},
    continuity.QUIET_TIMES: continuity.QUIET_LIMITS,
}
"""The rules that have limits, with the defaults that hold where the file is silent."""

_TIMES = {continuity.QUIET_TIMES, *(rule.name for rule in freshness.FRESHNESS_RULES)}
"""Those whose limits are times, in seconds."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Limits of checks and policies."""

    limits: Mapping[str, Mapping[str, float]]
    """Of every check that has some, by its name and the limit's; times in seconds."""
    retention: Mapping[str, timedelta]
    """How long candles stay among the tables, by timeframe; of those left out for ever."""
    profiles: Profiles
    """How scores are weighed."""
    alarms: AlarmLimits
    """When something is bad enough that somebody is told."""


def read_thresholds(document: Document) -> Thresholds:
    """Return what `configs/thresholds.yaml` sets.

    Raises:
        ConfigError: an unknown key, or a value out of range; names file and line.
    """
    return Thresholds(
        limits=read_limits(document),
        retention=read_retention(document),
        profiles=read_profiles(document),
        alarms=read_alarm_limits(document),
    )


def read_limits(document: Document) -> dict[str, dict[str, float]]:
    """Return the limits of every check that has some, by its name.

    Raises:
        ConfigError: an unknown check or limit, or a value out of range; names file and line.
    """
    limits = {name: dict(defaults) for name, defaults in RULE_LIMITS.items()}
    for name, given in read_model(document, ThresholdsFile).checks.items():
        if name not in limits:
            raise document.error(
                ("checks", name), f"unknown check. Accepted: {', '.join(sorted(limits))}."
            )
        seen: set[str] = set()
        for text, value in given.items():
            key = _limit_name(text, limits[name])
            if key is None:
                accepted = ", ".join(RULE_LIMITS[name])
                raise document.error(
                    ("checks", name, text), f"unknown limit. Accepted: {accepted}."
                )
            if key in seen:
                raise document.error(("checks", name, text), f"{key} stands twice.")
            seen.add(key)
            limits[name][key] = _to_number(document, ("checks", name, text), key, value)
    return limits


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


def _to_number(document: Document, place: ValuePath, key: str, value: float | timedelta) -> float:
    if isinstance(value, timedelta):
        if place[1] not in _TIMES:
            raise document.error(place, "expected a number, found a duration.")
        return value.total_seconds()
    if key == "share" and value > 1:
        raise document.error(place, f"expected a share from 0 to 1, found {value:g}.")
    return value


def _limit_name(text: str, known: Iterable[str]) -> str | None:
    """Return the limit that is meant; a timeframe may be spelled by its alias."""
    if text in known:
        return text
    try:
        alias = to_timeframe(text).name
    except WrongUseError:
        return None
    return alias if alias in known else None
