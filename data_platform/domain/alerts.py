"""What somebody should know now: an alarm is a fact that holds, an alert the message about it.

Holds the shapes; when an alarm rings (`operations/alarms.py`), which message goes out
(`storage/alert_book.py`) and by which way is others' business.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

Severity = Literal["info", "medium", "high", "critical"]
"""`info`: an alarm is over. `medium` can wait for the next day, `high` for an hour, `critical` for
nothing."""

SEVERITIES: tuple[Severity, ...] = ("info", "medium", "high", "critical")
"""From the least to the worst."""

AlarmType = Literal[
    "feed_offline",
    "source_away",
    "score_low",
    "critical_gap",
    "run_slow",
    "error_rate",
    "latency",
    "test",
]


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that is wrong as long as it is found."""

    type: AlarmType
    severity: Severity
    exchange: str
    market: str | None
    """`binance/BTC-USDT`; None: the whole exchange is concerned."""
    subject: str
    """What exactly, for people: `binance/BTC-USDT 1m`. One alarm for each type and subject."""
    message: str
    """What is wrong, since when, and what to do; one line."""
    action_taken: str
    """What the platform has done or does by itself."""
    escalate: bool = False
    """Whether somebody who can decide must hear of it."""

    @property
    def key(self) -> str:
        """Return what makes two findings the same alarm."""
        return f"{self.type} {self.subject}"

    def to_object(self) -> dict[str, Any]:
        """Return the alarm as the fields that it has in JSON."""
        return {
            "severity": self.severity,
            "type": self.type,
            "message": self.message,
            "affected": {"market": self.market, "source": self.exchange},
            "action_taken": self.action_taken,
            "escalate": self.escalate,
        }


@dataclass(frozen=True, slots=True)
class Alert:
    """One message: that an alarm began, grew worse, or is over."""

    alert_id: str
    """The same for every message about one alarm, from its beginning to its end."""
    timestamp: datetime
    """UTC."""
    alarm: Alarm
    """`severity` is `info` where it is over."""

    def to_object(self) -> dict[str, Any]:
        """Return the alert as one object for JSON."""
        told = {"alert_id": self.alert_id, "timestamp": spell_time(self.timestamp)}
        return {**told, **self.alarm.to_object()}


@dataclass(frozen=True, slots=True)
class AlarmLimits:
    """When something is bad enough, from `configs/thresholds.yaml`."""

    source_away: timedelta = timedelta(minutes=5)
    """How long an exchange may give no answer."""
    recent: timedelta = timedelta(hours=24)
    """How young a gap must be to ring."""
    run_times_usual: float = 2.0
    """How many times its usual time a run may take."""
    error_share: float = 0.2
    """Failed attempts of all requests of the last hour."""
    latency_times_usual: float = 3.0
    """How many times its usual time an answer may take."""
    latency_least_ms: float = 150.0
    """An answer that takes no longer is never late; milliseconds."""
    quiet: timedelta = timedelta(minutes=2)
    """How long an alarm must not be found until it is over."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One Apprise URL; it may hold a password and is never shown."""

    url: str

    def __repr__(self) -> str:
        return f"Channel({self.name})"

    @property
    def name(self) -> str:
        """Return what tells it from others without telling what it is."""
        return f"channel {hashlib.sha256(self.url.encode()).hexdigest()[:8]}"

    @property
    def spelled(self) -> str:
        """Return it for people: the service and its name."""
        return f"{self.url.partition(':')[0]} ({self.name})"


def is_worse(new: Severity, old: Severity) -> bool:
    """Tell whether a severity stands above another."""
    return SEVERITIES.index(new) > SEVERITIES.index(old)


def spell_time(time: datetime) -> str:
    """Return a time as ISO 8601 in UTC, to the millisecond: `2024-01-01T12:00:00.000Z`."""
    text = time.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
