"""Tell people what is wrong: note the alarms, then send what has changed by every way there is.

Ways are the file of alerts, always, and the channels that the environment names as Apprise URLs
(mail, Slack, Telegram, PagerDuty, a webhook and a hundred others; https://github.com/caronc/apprise,
read 2026-11-28). A channel that fails keeps its messages until it takes them, and keeps no other
from its own.
"""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from data_platform.domain.alerts import SEVERITIES, Alarm, Alert, Channel, Severity
from data_platform.domain.errors import ConfigError
from data_platform.operations.lake import Lake
from data_platform.storage.alert_book import Message
from data_platform.storage.alert_lines import alerts_file, append_lines
from data_platform.storage.layout import LOCKS
from data_platform.storage.locks import exclusive_lock

if TYPE_CHECKING:
    import apprise

LINES = "lines"
"""The way into the file of alerts."""

FIRST_MESSAGES = 10
"""Alerts that one notification spells out; the others are counted."""

_APPRISE_TYPES: dict[Severity, str] = {
    "info": "success",
    "medium": "info",
    "high": "warning",
    "critical": "failure",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """What one look has told."""

    alerts: Sequence[Alert]
    """The new ones."""
    failed: Sequence[str]
    """Channels that did not take what is due, for people."""


def tell(
    lake: Lake,
    found: Iterable[Alarm],
    now: datetime,
    quiet: timedelta,
    channels: Sequence[Channel],
) -> Told:
    """Note what is wrong now, and send what nobody has heard of yet.

    Args:
        lake: keeps the book and the file of alerts.
        found: all alarms that hold now, of every exchange.
        now: the clock, UTC.
        quiet: how long an alarm must not be found until it is over.
        channels: where messages go, besides the file.

    Raises:
        StorageError: neither book nor file can be written.
        ConfigError: a channel's URL is none.
    """
    ways = {channel.name: channel for channel in channels}
    senders = {name: _open(channel) for name, channel in ways.items()}
    alerts = lake.alerts.note(found, now, quiet, [LINES, *ways])
    with exclusive_lock(lake.store.root / LOCKS / "alerts.lock"):
        dropped = lake.alerts.drop_ways([LINES, *ways])
        if dropped:
            _log.warning("%s alerts were due by channels that are configured no more", dropped)
        lines = lake.alerts.due(LINES)
        if lines:
            append_lines(alerts_file(lake.store.root, now), [it.content_json for it in lines])
            lake.alerts.done(lines)
        failed = [
            ways[name].spelled for name, sender in senders.items() if not _send(lake, name, sender)
        ]
    return Told(alerts, failed)


def try_channels(channels: Sequence[Channel], now: datetime) -> list[Channel]:
    """Send one message that says it is a test; return the channels that did not take it.

    Raises:
        ConfigError: a channel's URL is none; nothing was sent.
    """
    alarm = Alarm(
        type="test",
        severity="info",
        exchange="none",
        market=None,
        subject="test",
        message="A test by `data-platform alerts test`: this channel gets alerts.",
        action_taken="none",
    )
    content = json.dumps(Alert("0" * 32, now, alarm).to_object())
    senders = [(channel, _open(channel)) for channel in channels]
    return [channel for channel, sender in senders if not _notify(sender, [Message(0, content)])]


def _open(channel: Channel) -> "apprise.Apprise":
    import apprise

    sender = apprise.Apprise()
    if not sender.add(channel.url):
        raise ConfigError(
            f"DATA_PLATFORM_ALERTS: {channel.spelled} is no URL that Apprise understands. See "
            "https://github.com/caronc/apprise for those it does; several are parted by spaces."
        )
    return sender


def _send(lake: Lake, way: str, sender: "apprise.Apprise") -> bool:
    messages = lake.alerts.due(way)
    if not messages:
        return True
    is_sent = _notify(sender, messages)
    if is_sent:
        lake.alerts.done(messages)
    return is_sent


def _notify(sender: "apprise.Apprise", messages: Sequence[Message]) -> bool:
    worst = max((it.content["severity"] for it in messages), key=SEVERITIES.index)
    return bool(
        sender.notify(
            title=_title(messages), body=_body(messages), notify_type=_APPRISE_TYPES[worst]
        )
    )


def _title(messages: Sequence[Message]) -> str:
    first = messages[0].content
    more = f" and {len(messages) - 1} more" if len(messages) > 1 else ""
    place = first["affected"]["market"] or first["affected"]["source"]
    return f"data_platform: {first['severity']} {first['type']} {place}{more}"


def _body(messages: Sequence[Message]) -> str:
    shown = [it.content for it in messages[:FIRST_MESSAGES]]
    lines = [
        f"[{it['severity']}] {it['message']} (Done: {it['action_taken']}. {it['timestamp']}, "
        f"alert {it['alert_id'][:8]})"
        for it in shown
    ]
    rest = len(messages) - len(shown)
    return "\n".join([*lines, *([f"and {rest} more, see the file of alerts"] if rest else [])])
