from data_platform_tests.small_line import SmallLine
from data_platform_tests.ticks import tick


def test_catalogue_is_rebuilt_when_config_or_layers_change(stored_line: SmallLine) -> None:
    first = tick(stored_line, None, "catalog_sensor")
    assert first.run_requests
    job = stored_line.definitions.resolve_job_def("rebuild_catalog_job")
    assert job.execute_in_process(instance=stored_line.instance).success
    assert (stored_line.root / "data/catalog.duckdb").exists()

    assert not tick(stored_line, first.cursor, "catalog_sensor").run_requests
    with stored_line.settings.config_path.open("a") as config:
        config.write("# changed\n")
    assert tick(stored_line, first.cursor, "catalog_sensor").run_requests
