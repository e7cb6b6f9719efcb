"""Alerts: one sensor that looks whether something is wrong, and tells what has changed."""

from collections.abc import Sequence

import dagster as dg

from data_platform.assets.line import Line
from data_platform.checks import freshness_limits, history_of
from data_platform.operations.alarm_facts import Concern, gather_facts
from data_platform.operations.alarms import find_alarms
from data_platform.operations.alerts import tell
from data_platform.operations.lake import opened_lake
from data_platform.runs import find_running
from data_platform.sensors.hold import default_status
from data_platform.settings import Settings

LOOK_SECONDS = 30
"""Seconds between two looks."""


def build_alert_sensor(settings: Settings, lines: Sequence[Line]) -> dg.SensorDefinition:
    """Return the sensor that tells people what is wrong, once, and when it is over.

    It starts no run. Alerts go into `data/state/alerts/` and to the Apprise URLs of
    DATA_PLATFORM_ALERTS; a channel that does not take them gets them at a later look.
    """

    @dg.sensor(
        name="alert_sensor",
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=default_status(settings),
        description="Tells what is wrong: feeds, scores, gaps, runs, errors; and when it is over.",
    )
    def alert_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        if not lines:
            return dg.SkipReason("no exchange is configured")
        now = lines[0].clock()
        running = find_running(context.instance, now)
        with opened_lake(settings.data_root, settings.state_url) as lake:
            facts = [gather_facts(lake, to_concern(line), running, now) for line in lines]
            alarms = [it for each in facts for it in find_alarms(each, settings.thresholds.alarms)]
            quiet = settings.thresholds.alarms.quiet
            told = tell(lake, alarms, now, quiet, settings.channels)
        for alert in told.alerts:
            context.log.warning("%s: %s", alert.alarm.severity, alert.alarm.message)
        for channel in told.failed:
            context.log.error("%s did not take what is due; it is tried again", channel)
        return dg.SkipReason(f"{len(alarms)} alarms ring, {len(told.alerts)} messages are new")

    return alert_sensor


def to_concern(line: Line) -> Concern:
    """Return an exchange as its alarms need it."""
    return Concern(
        exchange=line.exchange.name,
        series=line.exchange.series,
        history=history_of(line),
        fresh=freshness_limits(line),
        limits=line.settings.thresholds.alarms,
        score_column=line.settings.thresholds.profiles.default_column,
    )
