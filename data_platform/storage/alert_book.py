"""The book of alarms: which ring, and which messages about them have yet to go out.

Holds the tables `alarms` and `alert_outbox`; whether something is wrong is decided elsewhere. An
alarm gives one message when it begins, one when it grows worse and one when it is over, whoever
looks and however often. A message stays due until it has gone out by each way, so that neither a
crash nor a network that is away loses one; after a crash between going out and being noted it goes
out twice.
"""

import json
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa

from data_platform.domain.alerts import Alarm, Alert, is_worse
from data_platform.storage.state import State
from data_platform.storage.tables import ALARMS, ALERT_OUTBOX, to_ms, to_time

_FACTS = (
    "type",
    "severity",
    "exchange",
    "market",
    "subject",
    "message",
    "action_taken",
    "escalate",
)
_IS_OPEN = ALARMS.c.ended_at.is_(None)


@dataclass(frozen=True, slots=True)
class Message:
    """An alert that has yet to go out by some way."""

    id: int
    content_json: str
    """Of `Alert.to_object`."""

    @property
    def content(self) -> dict[str, Any]:
        """Return the alert as an object."""
        found: dict[str, Any] = json.loads(self.content_json)
        return found


@dataclass(frozen=True, slots=True)
class Ringing:
    """An alarm that rings, or rang."""

    alert_id: str
    alarm: Alarm
    began_at: datetime
    seen_at: datetime
    """When it was last found."""
    ended_at: datetime | None
    """None: it rings."""


class AlertBook:
    """The alarms in one state database."""

    def __init__(self, state: State) -> None:
        self._state = state

    def note(
        self, found: Iterable[Alarm], now: datetime, quiet: timedelta, ways: Collection[str]
    ) -> list[Alert]:
        """Compare what is found with what rings; note what has changed and the messages due.

        Args:
            found: all alarms that hold now.
            now: the clock, UTC.
            quiet: how long an alarm must not be found until it is over, so that one that comes
                and goes gives no message each time.
            ways: names of the ways by which messages go out.

        Returns:
            The new messages, already noted as due by every way.

        Raises:
            StorageError: the database cannot be written; nothing was noted.
        """
        alarms = {alarm.key: alarm for alarm in found}
        with self._state.write() as connection:
            ringing = {it.alarm.key: it for it in _read(connection, _IS_OPEN)}
            alerts = [
                *(_begin(connection, alarms[key], now) for key in alarms.keys() - ringing.keys()),
                *(
                    _go_on(connection, ringing[key], alarms[key], now)
                    for key in alarms.keys() & ringing.keys()
                ),
                *(
                    _end(connection, it, now, quiet)
                    for key, it in ringing.items()
                    if key not in alarms
                ),
            ]
            news = sorted((it for it in alerts if it), key=lambda it: it.alarm.key)
            _post(connection, news, ways)
        return news

    def ringing(self) -> list[Ringing]:
        """Return the alarms that ring, in the order in which they began."""
        with self._state.read() as connection:
            return _read(connection, _IS_OPEN)

    def newest(self, limit: int) -> list[Ringing]:
        """Return the alarms that began last, over or not, the newest first."""
        with self._state.read() as connection:
            return _read(connection, sa.true(), limit)

    def due(self, way: str) -> list[Message]:
        """Return the messages that have yet to go out by a way, in their order."""
        own = sa.select(ALERT_OUTBOX.c.id, ALERT_OUTBOX.c.content_json)
        query = own.where(ALERT_OUTBOX.c.way == way).order_by(ALERT_OUTBOX.c.id)
        with self._state.read() as connection:
            return [Message(*row) for row in connection.execute(query)]

    def done(self, messages: Sequence[Message]) -> None:
        """Forget messages that have gone out."""
        with self._state.write() as connection:
            own = ALERT_OUTBOX.c.id.in_([message.id for message in messages])
            connection.execute(ALERT_OUTBOX.delete().where(own))

    def drop_ways(self, known: Collection[str]) -> int:
        """Forget what is due by ways that are configured no more; return how many messages."""
        with self._state.write() as connection:
            gone = ALERT_OUTBOX.c.way.not_in(sorted(known))
            return connection.execute(ALERT_OUTBOX.delete().where(gone)).rowcount


def _post(connection: sa.Connection, news: Sequence[Alert], ways: Collection[str]) -> None:
    contents = [json.dumps(alert.to_object()) for alert in news]
    rows = [{"way": way, "content_json": content} for content in contents for way in ways]
    if rows:
        connection.execute(ALERT_OUTBOX.insert(), rows)


def _begin(connection: sa.Connection, alarm: Alarm, now: datetime) -> Alert:
    alert_id = uuid.uuid4().hex
    times = {"began_at": to_ms(now), "seen_at": to_ms(now), "ended_at": None}
    row = {"alert_id": alert_id, "key": alarm.key, **_facts(alarm), **times}
    connection.execute(ALARMS.insert().values(row))
    return Alert(alert_id, now, alarm)


def _go_on(connection: sa.Connection, before: Ringing, alarm: Alarm, now: datetime) -> Alert | None:
    grew = is_worse(alarm.severity, before.alarm.severity)
    # What is told is the worst it was: growing better and worse again is no news.
    kept = alarm if grew else replace(alarm, severity=before.alarm.severity)
    own = ALARMS.c.alert_id == before.alert_id
    connection.execute(ALARMS.update().where(own).values(**_facts(kept), seen_at=to_ms(now)))
    return Alert(before.alert_id, now, alarm) if grew else None


def _end(connection: sa.Connection, it: Ringing, now: datetime, quiet: timedelta) -> Alert | None:
    if now - it.seen_at < quiet:
        return None
    own = ALARMS.c.alert_id == it.alert_id
    connection.execute(ALARMS.update().where(own).values(ended_at=to_ms(now)))
    lasted = timedelta(seconds=round((it.seen_at - it.began_at).total_seconds()))
    over = replace(
        it.alarm,
        severity="info",
        message=f"Over, after {lasted}: {it.alarm.message}",
        action_taken="none needed any more",
        escalate=False,
    )
    return Alert(it.alert_id, now, over)


def _facts(alarm: Alarm) -> dict[str, Any]:
    return {name: getattr(alarm, name) for name in _FACTS}


def _read(
    connection: sa.Connection, condition: "sa.ColumnElement[bool]", limit: int | None = None
) -> list[Ringing]:
    query = sa.select(ALARMS).where(condition)
    began = ALARMS.c.began_at
    query = query.order_by(began.desc() if limit else began, ALARMS.c.key).limit(limit)
    return [_ringing(row) for row in connection.execute(query).mappings()]


def _ringing(row: sa.RowMapping) -> Ringing:
    began_at, seen_at = (cast("datetime", to_time(row[name])) for name in ("began_at", "seen_at"))
    alarm = Alarm(**{name: row[name] for name in _FACTS})
    return Ringing(row["alert_id"], alarm, began_at, seen_at, to_time(row["ended_at"]))
