"""The checks: their names, which are statements that should be true, and which asset has which.

Stays out: whether they are true now (`verdicts.py`).
"""

from dataclasses import dataclass, field

from data_platform.domain.layers import LAYERS_BY_NAME
from data_platform.indicators.comparison import TOLERANCE
from data_platform.operations.judge import CANDLE_RULES, SERIES_DERIVED, SERIES_FETCHED
from data_platform.operations.prove_exports import BARS_EQUAL
from data_platform.quality import agreement
from data_platform.quality.agreement import AgreementRule
from data_platform.quality.continuity import GAP_RULES
from data_platform.quality.freshness import FRESHNESS_RULES
from data_platform.quality.rule import FreshnessRule, GapRule, Limits, Rule, Severity


@dataclass(frozen=True, slots=True)
class Statement:
    """A check's name and what it claims."""

    name: str
    severity: Severity
    description: str
    limits: Limits = field(default_factory=dict)
    """Its thresholds, where the config says nothing else."""


def to_statement(rule: Rule | GapRule | AgreementRule | FreshnessRule) -> Statement:
    """Return a rule as a check."""
    return Statement(rule.name, rule.severity, rule.description, rule.limits)


FETCHED = Statement(
    SERIES_FETCHED,
    "error",
    "The newest fetch of each partition was answered completely, and no candle of it refused.",
)
DERIVED = Statement(
    SERIES_DERIVED, "error", "Each partition was computed from what its inputs hold now."
)

FILES = Statement(
    "files_are_as_written",
    "error",
    "Each stored file has the size and sha256 with which it was written, and none lies beside "
    "them. Hashed are the files of the run's partitions and those that were touched since their "
    "last hash; a run of the check alone, without partitions, hashes all.",
)

ANSWERS = Statement(
    "exchange_answers",
    "error",
    "The exchange answers. After failures in a row it is left alone for a while, then one request "
    "tries again; how long, is told by the ticks of its sensor and by `data-platform status`.",
)

CANDLE_STATEMENTS: tuple[Statement, ...] = (
    FETCHED,
    *(to_statement(rule) for rule in CANDLE_RULES),
    *(to_statement(rule) for rule in agreement.RULES),
    *(to_statement(rule) for rule in GAP_RULES),
    *(to_statement(rule) for rule in FRESHNESS_RULES),
    ANSWERS,
    FILES,
)
"""The checks of a candle asset."""

DERIVED_STATEMENTS: tuple[Statement, ...] = (DERIVED, FILES)
"""The checks of a derived asset."""

BARS = Statement(
    BARS_EQUAL,
    "error",
    "Each file holds the stored candles, bar for bar and bit for bit: none is missing, invented "
    "or changed. Compared are the files that a run has carried; a run of the check alone compares "
    "all.",
)

EXPORT_STATEMENTS: tuple[Statement, ...] = (DERIVED, BARS, FILES)
"""The checks of an exported asset."""

EQUALS_REFERENCE = Statement(
    "equals_reference",
    "error",
    "A window of a stored partition a day, drawn by date and name, equals what the library ta "
    "makes of the same candles, or the textbook where ta is not followed. A failure names column "
    "and time, and stays until all of that partition passes.",
    {"tolerance": TOLERANCE},
)

INDICATOR_STATEMENTS: tuple[Statement, ...] = (*DERIVED_STATEMENTS, EQUALS_REFERENCE)
"""The checks of an indicator asset."""

NO_FUTURE = Statement(
    "features_see_no_future",
    "error",
    "A stored partition a day, drawn by date and name, comes out the same when its history ends "
    "earlier and when later candles are others. A failure names column, time and probe, and stays "
    "until that partition passes.",
)
FRESH = Statement(
    "features_fresh",
    "error",
    "Features have come as far as their candles, but for the refresh that the config allows.",
)

FEATURE_STATEMENTS: tuple[Statement, ...] = (*DERIVED_STATEMENTS, NO_FUTURE, FRESH)
"""The checks of a feature asset."""


def statements_of(layer: str) -> tuple[Statement, ...]:
    """Return the checks of a layer's assets."""
    own = {
        "ohlcv": CANDLE_STATEMENTS,
        "indicators": INDICATOR_STATEMENTS,
        "features": FEATURE_STATEMENTS,
    }
    if layer in own:
        return own[layer]
    return EXPORT_STATEMENTS if LAYERS_BY_NAME[layer].refresh == "exports" else DERIVED_STATEMENTS
