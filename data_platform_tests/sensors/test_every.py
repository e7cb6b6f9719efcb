from data_platform.definitions import build_definitions
from data_platform_tests.small_line import SmallLine


def test_each_exchange_has_its_own_and_the_project_the_rest(empty_line: SmallLine) -> None:
    sensors = build_definitions(empty_line.settings).get_repository_def().sensor_defs
    assert {sensor.name for sensor in sensors} == {
        "alert_sensor",
        "binance_gap_sensor",
        "binance_new_candle_sensor",
        "binance_stale_sensor",
        "catalog_sensor",
        "request_sensor",
        "run_failure_sensor",
    }
