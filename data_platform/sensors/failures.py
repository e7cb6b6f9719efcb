"""Failed runs: one clear line each in the daemon's log."""

import dagster as dg

from data_platform.partitions import RANGE_END_TAG, RANGE_START_TAG
from data_platform.runs import failure_reasons
from data_platform.sensors.hold import default_status
from data_platform.settings import Settings


def build_failure_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that logs one clear line for each run that failed."""

    @dg.run_failure_sensor(
        name="run_failure_sensor",
        default_status=default_status(settings),
        description="Logs one line for each run that failed: what, where and why.",
    )
    def run_failure(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        where = run.tags.get(RANGE_START_TAG, run.tags.get("dagster/partition", "no partition"))
        until = run.tags.get(RANGE_END_TAG, where)
        reasons = failure_reasons(context.get_step_failure_events())
        reason = "; ".join(dict.fromkeys(reasons)) or context.failure_event.message
        context.log.error(
            "run %s of %s failed for %s...%s: %s", run.run_id, run.job_name, where, until, reason
        )

    return run_failure
