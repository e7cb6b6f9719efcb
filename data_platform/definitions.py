"""What Dagster loads: every asset, check, job, schedule and sensor, built from the settings."""

import gc
from functools import cache

import dagster as dg

from data_platform.assets.catalog import build_catalog_asset
from data_platform.assets.graph import build_line
from data_platform.assets.line import Clock, Line, utc_now
from data_platform.checks import build_checks
from data_platform.jobs import build_jobs
from data_platform.operations.watch import Watch, nobody_watches
from data_platform.partitions import build_partitions
from data_platform.resources import build_resources
from data_platform.schedules import build_schedules
from data_platform.sensors.every import build_sensors
from data_platform.settings import Settings, load_settings, warn_without_home


def build_definitions(
    settings: Settings, watch: Watch | None = None, clock: Clock = utc_now
) -> dg.Definitions:
    """Return the whole project for the given settings.

    Args:
        settings: what is configured.
        watch: hears of progress and may stop; None: nobody does.
        clock: gives the time, UTC, by which automation and checks judge.
    """
    lines = [
        Line(exchange, settings, build_partitions(exchange), watch or nobody_watches(), clock)
        for exchange in settings.exchanges.values()
    ]
    return dg.Definitions(
        assets=[build_catalog_asset(), *(asset for line in lines for asset in build_line(line))],
        asset_checks=[build_checks(line) for line in lines],
        jobs=build_jobs(settings, lines, clock),
        schedules=build_schedules(settings, lines, clock),
        sensors=build_sensors(settings, lines),
        resources=build_resources(settings),
        executor=dg.in_process_executor,
    )


@dg.definitions
@cache
def defs() -> dg.Definitions:
    """Return the project as the environment configures it, for as long as the process lives."""
    # Dagster asks six times to materialize one asset; each building costs as much as importing it.
    warn_without_home()
    gc.disable()
    try:
        return build_definitions(load_settings())
    finally:
        # Never garbage: looking through it again and again costs a sixth of a short run.
        gc.freeze()
        gc.enable()
