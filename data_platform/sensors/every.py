"""Every sensor, in the order of the UI's list."""

from collections.abc import Sequence

import dagster as dg

from data_platform.assets.line import Line
from data_platform.sensors.alerts import build_alert_sensor
from data_platform.sensors.catalog import build_catalog_sensor
from data_platform.sensors.failures import build_failure_sensor
from data_platform.sensors.gaps import build_gap_sensor
from data_platform.sensors.new_candles import build_new_candle_sensor
from data_platform.sensors.requests import build_request_sensor
from data_platform.sensors.stale import build_stale_sensor
from data_platform.settings import Settings


def build_sensors(settings: Settings, lines: Sequence[Line]) -> list[dg.SensorDefinition]:
    """Return every sensor: of the project, and of each exchange."""
    return [
        build_alert_sensor(settings, lines),
        build_catalog_sensor(settings),
        build_failure_sensor(settings),
        build_request_sensor(settings),
        *map(build_new_candle_sensor, lines),
        *map(build_stale_sensor, lines),
        *map(build_gap_sensor, lines),
    ]
