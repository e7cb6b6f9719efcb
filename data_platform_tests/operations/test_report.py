from data_platform.operations.lake import Lake
from data_platform.operations.report import LayerReport, report_of
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    partition_of,
    plant_gaps,
    series_of,
    store_candles,
    time,
)

SERIES = series_of()


def test_a_report_tells_rows_edges_file_and_what_is_missing_inside_the_month(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-10", "2024-01-11")))
    plant_gaps(lake, gap_of(SERIES, "2023-12-31 20:00", "2024-01-01 03:00", "outage"))
    partition = partition_of(SERIES)
    report = report_of(lake, partition, lake.store.journal(partition), "written")
    assert (report.rows, report.missing, report.outcome) == (24, 3, "written")
    assert (report.first, report.last) == (time("2024-01-10"), time("2024-01-10 23:00"))
    assert report.path is not None
    assert report.path.exists()


def test_a_partition_without_a_journal_row_holds_nothing(lake: Lake) -> None:
    report = report_of(lake, partition_of(SERIES), None, "failed")
    assert (report.rows, report.first, report.path) == (0, None, None)
    layer = LayerReport([report])
    assert (layer.count("failed"), layer.count("written")) == (1, 0)
