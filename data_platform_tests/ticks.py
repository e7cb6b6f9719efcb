"""Sensors and schedules as the daemon evaluates them, and the runs that they ask for."""

import dagster as dg

from data_platform_tests.small_line import SmallLine


def tick(
    line: SmallLine, cursor: str | None = None, name: str = "binance_new_candle_sensor"
) -> dg.SensorResult:
    """Evaluate a sensor as the daemon would, and record its events."""
    definitions = line.definitions
    sensor = definitions.get_repository_def().get_sensor_def(name)
    context = dg.build_sensor_context(
        instance=line.instance, cursor=cursor, definitions=definitions
    )
    found = sensor.evaluate_tick(context)
    for event in found.asset_events:
        line.instance.report_runless_asset_event(event)
    return dg.SensorResult(
        run_requests=found.run_requests,
        skip_reason=None if found.run_requests else found.skip_message,
        cursor=found.cursor,
        asset_events=found.asset_events,
    )


def run(line: SmallLine, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    job = line.definitions.resolve_job_def("materialize_binance_line_job")
    return job.execute_in_process(
        instance=line.instance,
        tags=dict(request.tags),
        asset_selection=request.asset_selection,
        raise_on_error=False,
    )


def only_request(found: dg.SensorResult) -> dg.RunRequest:
    requests = list(found.run_requests or [])
    assert len(requests) == 1
    return requests[0]
