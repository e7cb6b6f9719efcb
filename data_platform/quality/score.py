"""How good a partition of candles is: five components from 0 to 1, weighed by named profiles.

Holds the arithmetic only; what is counted, and when, is the business of who has the journal and the
ledger (`operations/score.py`). A component of which nothing is known is absent: its weight is
shared out among the others in proportion, and the score names it. Absent is not good: what was
never compared neither helps nor harms.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candles that were held against others."""

    count: int
    """Those that do not agree."""
    checked: int
    """Those looked at; 0: nothing could be compared."""


@dataclass(frozen=True, slots=True)
class Delay:
    """How late a series is."""

    late: timedelta
    """Since the close of the oldest closed candle that is awaited; 0 when none is."""
    limit: timedelta
    """What is allowed, above 0."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted of one partition."""

    expected: int
    """Closed grid times of which a candle should be there."""
    stored: int
    refused: int | None
    """Different rows that came and cannot be true; None: unknown."""
    coarser: Comparison | None = None
    """Its candles against the finer ones taken together; None: never compared."""
    exchanges: Comparison | None = None
    """Its candles against the median of the exchanges; None: never compared."""
    delay: Delay | None = None
    """None where no candle is awaited: a past month, a pair that has ended."""


@dataclass(frozen=True, slots=True)
class Components:
    """Each from 0, the worst, to 1; None: absent."""

    completeness: float | None
    """Stored candles in those expected; absent where none is expected."""
    validity: float | None
    """Rows that came and were not refused in all that came; absent where none came."""
    consistency: float | None
    """Coarser candles that equal the finer ones taken together."""
    accuracy: float | None
    """Candles within the allowed deviation from the median of the exchanges."""
    timeliness: float | None
    """1 while nothing is later than allowed, else limit / lateness. Also called freshness."""

    @property
    def known(self) -> dict[str, float]:
        """Return those that are not absent, by name."""
        found = {name: getattr(self, name) for name in COMPONENTS}
        return {name: share for name, share in found.items() if share is not None}

    @property
    def absent(self) -> tuple[str, ...]:
        """Return the names of those that are."""
        return tuple(name for name in COMPONENTS if getattr(self, name) is None)


COMPONENTS = tuple(field.name for field in fields(Components))


@dataclass(frozen=True, slots=True)
class Profile:
    """One way to weigh the components."""

    name: str
    version: int
    """Raised by hand when the weights change: scores of two versions are two measures."""
    weights: Mapping[str, float]
    """By component; they sum to 1."""

    @property
    def key(self) -> str:
        """Return its name and version: `five_dimensions-v1`."""
        return f"{self.name}-v{self.version}"


def to_components(tally: Tally) -> Components:
    """Return the components of what was counted.

    Returns:
        Each from 0 to 1, whatever was counted; it moves with its own counts alone.
    """
    return Components(
        completeness=_share(tally.stored, tally.expected),
        validity=_validity(tally),
        consistency=_agreeing(tally.coarser),
        accuracy=_agreeing(tally.exchanges),
        timeliness=_timeliness(tally.delay),
    )


def weigh(components: Components, profile: Profile) -> float | None:
    """Return the score of components by a profile.

    Returns:
        From 0 to 1; None when every component that the profile weighs is absent.
    """
    known = {name: share for name, share in components.known.items() if name in profile.weights}
    total = sum(profile.weights[name] for name in known)
    if not total:
        return None
    # Summed and divided, equal shares may come out a last digit above 1.
    return min(1.0, sum(share * profile.weights[name] for name, share in known.items()) / total)


def _share(part: int, whole: int) -> float | None:
    # More than expected is stored where a row of the ledger excuses a time that has a candle.
    return min(1.0, part / whole) if whole else None


def _validity(tally: Tally) -> float | None:
    return None if tally.refused is None else _share(tally.stored, tally.stored + tally.refused)


def _agreeing(compared: Comparison | None) -> float | None:
    return None if compared is None else _share(compared.checked - compared.count, compared.checked)


def _timeliness(delay: Delay | None) -> float | None:
    if delay is None:
        return None
    return 1.0 if delay.late <= delay.limit else delay.limit / delay.late


FIVE_DIMENSIONS = Profile(
    "five_dimensions",
    1,
    {
        "completeness": 0.30,
        "accuracy": 0.30,
        "consistency": 0.20,
        "timeliness": 0.10,
        "validity": 0.10,
    },
)
FOUR_DIMENSIONS = Profile(
    "four_dimensions",
    1,
    {"completeness": 0.30, "validity": 0.30, "timeliness": 0.25, "consistency": 0.15},
)


@dataclass(frozen=True, slots=True)
class Profiles:
    """The profiles by which everything is scored, and the one that is shown first."""

    five: Profile = FIVE_DIMENSIONS
    four: Profile = FOUR_DIMENSIONS
    default: str = FIVE_DIMENSIONS.name
    """Name of one of them."""

    @property
    def both(self) -> tuple[Profile, Profile]:
        """Return them."""
        return self.five, self.four

    @property
    def default_column(self) -> str:
        """Return the column in which the scores of the default profile are stored."""
        return "score_five" if self.default == self.five.name else "score_four"
