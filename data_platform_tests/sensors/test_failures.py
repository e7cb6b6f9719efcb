import dagster as dg
import pytest

from data_platform_tests.small_line import SmallLine


def test_failed_run_is_told_in_one_line(
    empty_line: SmallLine, caplog: pytest.LogCaptureFixture
) -> None:
    definitions = empty_line.definitions
    job = definitions.resolve_job_def("fetch_binance_candles_job")
    tags = {
        "dagster/asset_partition_range_start": "SOL-USDT|2024-02",
        "dagster/asset_partition_range_end": "BTC-USDT|2024-02",
    }
    result = job.execute_in_process(instance=empty_line.instance, raise_on_error=False, tags=tags)
    event = next(it for it in result.all_events if it.event_type_value == "PIPELINE_FAILURE")
    context = dg.build_run_status_sensor_context(
        sensor_name="run_failure_sensor",
        dagster_instance=empty_line.instance,
        dagster_run=result.dagster_run,
        dagster_event=event,
    ).for_run_failure()
    sensor = definitions.get_repository_def().get_sensor_def("run_failure_sensor")
    context.log.addHandler(caplog.handler)
    sensor(context)
    (line,) = [it.getMessage() for it in caplog.records if result.run_id in it.getMessage()]
    assert "\n" not in line
    assert "SOL-USDT|2024-02...BTC-USDT|2024-02" in line
    assert "fetch_binance_candles_job" in line
    assert line.count("the run carries no partition") == 2
