import dagster as dg

from data_platform_tests.small_line import SmallLine


def test_catalogue_is_built_and_its_place_is_told(read_line: SmallLine) -> None:
    job = read_line.definitions.resolve_job_def("rebuild_catalog_job")
    assert job.execute_in_process(instance=read_line.instance).success
    event = read_line.instance.get_latest_materialization_event(dg.AssetKey("catalog"))
    assert event is not None
    assert event.asset_materialization is not None
    path = event.asset_materialization.metadata["path"].value
    assert path == str(read_line.root / "data/catalog.duckdb")
