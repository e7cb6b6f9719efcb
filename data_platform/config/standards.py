"""The checks and the exceptions for single series, as `configs/thresholds.yaml` sets them.

```yaml
checks:
  no_price_jumps: {severity: warn, 1m: 0.1, 5m: 0.1}
series:
  kraken/*/1m:
    no_price_jumps: {severity: error, 1m: 0.2}
```
Stays out: what a rule does with its limits (`quality/`), the other policies (`thresholds.py`).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import combinations

from data_platform.config.models import read_model
from data_platform.config.strict_yaml import Document, ValuePath
from data_platform.config.thresholds_file import CheckEntry, ThresholdsFile
from data_platform.domain.errors import WrongUseError
from data_platform.domain.exchanges import EXCHANGES
from data_platform.domain.markets import read_pair
from data_platform.domain.timeframes import TIMEFRAMES, to_timeframe
from data_platform.quality import agreement, continuity, freshness, ohlc, outliers, stillness
from data_platform.quality.agreement import AgreementRule
from data_platform.quality.rule import FreshnessRule, GapRule, Limits, Rule
from data_platform.quality.standards import Change, Override, Standards

AnyRule = Rule | GapRule | AgreementRule | FreshnessRule

RULES: tuple[AnyRule, ...] = (
    *ohlc.RULES,
    *continuity.RULES,
    *outliers.RULES,
    *stillness.RULES,
    *continuity.GAP_RULES,
    *agreement.RULES,
    *freshness.FRESHNESS_RULES,
)
"""Every rule that is a check."""

RULE_LIMITS: Mapping[str, Limits] = {
    **{rule.name: rule.limits for rule in RULES},
    continuity.QUIET_TIMES: continuity.QUIET_LIMITS,
}
"""What may stand in the file, with the defaults that hold where it is silent."""

TIMES = {continuity.QUIET_TIMES, *(rule.name for rule in freshness.FRESHNESS_RULES)}
"""Those whose limits are times, in seconds."""

_CHECKS = {rule.name for rule in RULES}
_ANY = "*"


def read_standards(document: Document) -> Standards:
    """Return what the file says of every rule.

    Raises:
        ConfigError: an unknown check, limit or series, a value out of range, or two exceptions
            that contradict one another; names file and line.
    """
    file = read_model(document, ThresholdsFile)
    general = _changes(document, ("checks",), file.checks)
    overrides = [(text, _override(document, text, checks)) for text, checks in file.series.items()]
    _refuse_contradictions(document, overrides)
    return Standards(general, tuple(override for _, override in overrides))


def refuse_unknown_exchanges(document: Document, configured: Collection[str]) -> None:
    """Refuse an exception for an exchange that is neither configured nor known to the platform.

    One file serves several configs, so what is not configured here may be meant for another.

    Raises:
        ConfigError: names file and line.
    """
    known = {*configured, *(row.name for row in EXCHANGES)}
    for text in read_model(document, ThresholdsFile).series:
        exchange = text.partition("/")[0]
        if exchange != _ANY and exchange not in known:
            raise document.error(
                ("series", text),
                f"exchange {exchange!r} is unknown. Accepted: {', '.join(sorted(known))} or `*`.",
            )


def _override(document: Document, text: str, checks: Mapping[str, CheckEntry]) -> Override:
    place = ("series", text)
    exchange, _, rest = text.partition("/")
    pair, _, timeframe = rest.rpartition("/")
    if not (exchange and pair and timeframe):
        raise document.error(
            place, "expected exchange/pair/timeframe, each a name or `*`: kraken/BTC-USD/1m."
        )
    changes = _changes(document, place, checks)
    try:
        override = Override(
            exchange=None if exchange == _ANY else exchange,
            pair=None if pair == _ANY else read_pair(pair),
            timeframe=None if timeframe == _ANY else to_timeframe(timeframe),
            changes=changes,
        )
    except WrongUseError as error:
        raise document.error(place, str(error)) from error
    if not override.named:
        raise document.error(place, "means every series: write it under `checks`.")
    own = override.timeframe
    others = {row.name for row in TIMEFRAMES if row != own} if own else set()
    for rule, change in override.changes.items():
        for name in change.limits.keys() & others:
            raise document.error((*place, rule, name), f"is of no series that {text} means.")
    return override


def _changes(
    document: Document, place: ValuePath, checks: Mapping[str, CheckEntry]
) -> dict[str, Change]:
    for name, entry in checks.items():
        if name not in RULE_LIMITS:
            raise document.error(
                (*place, name), f"unknown check. Accepted: {', '.join(sorted(RULE_LIMITS))}."
            )
        if entry.severity and name not in _CHECKS:
            raise document.error((*place, name, "severity"), "is no check and has no severity.")
    return {
        name: Change(dict(_limits(document, (*place, name), name, entry)), entry.severity)
        for name, entry in checks.items()
    }


def _limits(
    document: Document, place: ValuePath, rule: str, entry: CheckEntry
) -> Iterator[tuple[str, float]]:
    seen: set[str] = set()
    for text, value in entry.limits.items():
        key = _limit_name(text, RULE_LIMITS[rule])
        if key is None:
            accepted = ", ".join(["severity", *RULE_LIMITS[rule]])
            raise document.error((*place, text), f"unknown limit. Accepted: {accepted}.")
        if key in seen:
            raise document.error((*place, text), f"{key} stands twice.")
        seen.add(key)
        yield key, _to_number(document, (*place, text), rule, key, value)


def _to_number(
    document: Document, place: ValuePath, rule: str, key: str, value: float | timedelta
) -> float:
    if isinstance(value, timedelta):
        if rule not in TIMES:
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


def _refuse_contradictions(document: Document, overrides: list[tuple[str, Override]]) -> None:
    for (first, one), (second, other) in combinations(overrides, 2):
        if one.named != other.named or not one.meets(other):
            continue
        for rule in one.changes.keys() & other.changes.keys():
            said, again = one.changes[rule], other.changes[rule]
            both = {*(said.limits.keys() & again.limits.keys())}
            both |= {"severity"} if said.severity and again.severity else set()
            for name in sorted(both):
                raise document.error(
                    ("series", second, rule, name),
                    f"{first} says so too (line {document.line_of(('series', first))}), and "
                    "neither names more of the series: name the series that are meant by both.",
                )
