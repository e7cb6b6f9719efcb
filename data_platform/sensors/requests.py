"""Requests: one sensor that has the request files answered which programs have dropped."""

import time

import dagster as dg

from data_platform.jobs import REQUEST_JOB
from data_platform.operations.requests import requests_folder, spell_state, waiting_requests
from data_platform.sensors.hold import default_status
from data_platform.settings import Settings

LOOK_SECONDS = 10
"""Seconds between two looks."""


def build_request_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that has the files in `requests/` answered, once each.

    A file that is still being written waits for the next look. One run answers all that wait.
    """

    @dg.sensor(
        name="request_sensor",
        job_name=REQUEST_JOB,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=default_status(settings),
        description="Answers request files dropped into requests/ below the lake's root.",
    )
    def request_sensor() -> dg.RunRequest | dg.SkipReason:
        paths = waiting_requests(requests_folder(settings.data_root), time.time())
        if not paths:
            return dg.SkipReason("no request waits")
        return dg.RunRequest(run_key=spell_state(paths))

    return request_sensor
