"""What the config asks of each series: how severe a rule is there, and where its limits lie.

What the config does not say, the rule itself says. Stays out: how the config is written
(`config/standards.py`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe
from data_platform.quality.rule import Limits, Severity


class Ruled(Protocol):
    """Any kind of rule: a name, and what it is like where the config is silent."""

    @property
    def name(self) -> str:
        """Return the statement."""

    @property
    def severity(self) -> Severity:
        """Return how bad it is when it is not true."""

    @property
    def limits(self) -> Limits:
        """Return the thresholds."""


@dataclass(frozen=True, slots=True)
class Standard:
    """One rule as it is meant for one series."""

    severity: Severity
    limits: Limits


@dataclass(frozen=True, slots=True)
class Change:
    """What the config says of one rule, somewhere."""

    limits: Limits = field(default_factory=dict)
    """Those that differ."""
    severity: Severity | None = None
    """None: as elsewhere."""


@dataclass(frozen=True, slots=True)
class Override:
    """What the config says of the rules of some series: `kraken/*/1m`."""

    exchange: str | None
    """None: of every one, as below."""
    pair: Pair | None
    timeframe: Timeframe | None
    changes: Mapping[str, Change]
    """By rule."""

    @property
    def named(self) -> int:
        """Return how many of the three parts are named."""
        return sum(part is not None for part in (self.exchange, self.pair, self.timeframe))

    def meets(self, other: "Override") -> bool:
        """Return whether there can be a series that both mean."""
        parts = (
            (self.exchange, other.exchange),
            (self.pair, other.pair),
            (self.timeframe, other.timeframe),
        )
        return all(None in pair or pair[0] == pair[1] for pair in parts)

    def fits(self, series: Series) -> bool:
        """Return whether a series is meant."""
        return (
            self.exchange in (None, series.exchange)
            and self.pair in (None, series.pair)
            and self.timeframe in (None, series.timeframe)
        )


@dataclass(frozen=True, slots=True)
class Standards:
    """What the config says of every rule."""

    general: Mapping[str, Change] = field(default_factory=dict)
    """By rule, of every series."""
    overrides: tuple[Override, ...] = ()
    """Of some series; one that names more parts beats one that names fewer."""

    def of(self, rule: Ruled, series: Series) -> Standard:
        """Return a rule as it is meant for a series."""
        severity = rule.severity
        for change in self._changes(rule.name, series):
            severity = change.severity or severity
        return Standard(severity, self.limits_of(rule.name, rule.limits, series))

    def limits_of(self, name: str, own: Limits, series: Series) -> Limits:
        """Return limits that belong to no check, as they are meant for a series."""
        limits = dict(own)
        for change in self._changes(name, series):
            limits |= change.limits
        return limits

    def groups(
        self, rule: Ruled, series: Iterable[Series]
    ) -> list[tuple[Standard, frozenset[Series]]]:
        """Return series by what a rule is meant to be for them."""
        found: list[tuple[Standard, set[Series]]] = []
        for each in series:
            standard = self.of(rule, each)
            known = next((own for other, own in found if other == standard), None)
            if known is None:
                found.append((standard, {each}))
            else:
                known.add(each)
        return [(standard, frozenset(own)) for standard, own in found]

    def spoken(
        self, rule: Ruled, series: Sequence[Series], failing: Collection[Series]
    ) -> Standard:
        """Return what a check of several series of one timeframe shows.

        Args:
            rule: the check's.
            series: all it speaks of.
            failing: those of which it is not true.

        Returns:
            The worst severity among those that fail; the limits of most series, those of others
            as `<pair> <limit>`; other timeframes' left out.
        """
        groups = self.groups(rule, series)
        if not groups:
            return Standard(rule.severity, {})
        general = Standards(self.general).of(rule, series[0])
        usual = max(groups, key=lambda group: (len(group[1]), group[0] == general))[0]
        severities = {standard.severity for standard, own in groups if own & set(failing)}
        limits = _of_timeframe(usual.limits, series[0].timeframe)
        for standard, own in groups:
            for each in sorted(own, key=str) if standard is not usual else ():
                theirs = _of_timeframe(standard.limits, each.timeframe)
                limits |= {f"{each.pair.key} {name}": value for name, value in theirs.items()}
        severity: Severity = "error" if "error" in severities else "warn"
        return Standard(severity if severities else usual.severity, limits)

    def _changes(self, rule: str, series: Series) -> list[Change]:
        fitting = sorted((it for it in self.overrides if it.fits(series)), key=lambda it: it.named)
        found = [self.general.get(rule), *(it.changes.get(rule) for it in fitting)]
        return [change for change in found if change is not None]


def _of_timeframe(limits: Limits, timeframe: Timeframe) -> dict[str, float]:
    others = {row.name for row in TIMEFRAMES} - {timeframe.name}
    return {name: value for name, value in limits.items() if name not in others}
