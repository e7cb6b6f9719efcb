from data_platform.domain.layers import Partition
from data_platform.operations.lake import Lake
from data_platform.operations.report import (
    LayerReport,
    PartitionReport,
    find_refused,
    note_step,
    report_of,
    spell_causes,
)
from data_platform.storage.state_frames import state_frames
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    partition_of,
    partitions_of,
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


def test_only_refused_rows_that_cost_a_candle_are_a_loss(lake: Lake) -> None:
    plant_gaps(
        lake,
        gap_of(SERIES, "2024-02-10", "2024-02-11", "refused"),
        gap_of(SERIES, "2024-03-10", "2024-03-11", "outage", confirmed=True),
    )
    asked = partitions_of(SERIES, "2024-01", "2024-03")
    assert [str(it) for it in find_refused(lake, asked)] == ["binance/ohlcv_1h BTC-USDT|2024-02"]


def refusal(partition: Partition) -> str:
    """What a source says of a page of its own: series and time first."""
    return f"{partition.series} from {partition.period}-07 13:00 UTC: Binance had an error. Later."


def test_one_cause_is_told_once_for_all_that_it_stopped() -> None:
    year = partitions_of(SERIES, "2024-01", "2024-12")
    assert spell_causes({it: refusal(it) for it in year}) == [
        "12 partitions of binance/ohlcv_1h BTC/USDT: Binance had an error. Later."
    ]


def test_one_cause_over_many_series_names_the_first_and_counts_the_others() -> None:
    asked = [
        partition
        for pair in ("BTC/USDT", "ETH/USDT", "SOL/USDT")
        for timeframe in ("1h", "1d")
        for partition in partitions_of(series_of(pair=pair, timeframe=timeframe), last="2024-03")
    ]
    (line,) = spell_causes(dict.fromkeys(asked, "unreachable"))
    assert line == (
        "18 partitions of binance/ohlcv_1h BTC/USDT, binance/ohlcv_1d BTC/USDT, "
        "binance/ohlcv_1h ETH/USDT, binance/ohlcv_1d ETH/USDT, 2 more series: unreachable"
    )


def test_a_cause_that_names_each_file_is_one_all_the_same() -> None:
    year = partitions_of(SERIES, "2024-01", "2024-12", layer="filled")
    full = {it: f"cannot write /lake/period={it.period}/candles.parquet: disk full" for it in year}
    (line,) = spell_causes(full)
    assert line == (
        "12 partitions of binance/filled_1h BTC/USDT: cannot write "
        "/lake/period=2024-01/candles.parquet: disk full (The others alike.)"
    )


def test_damaged_file_that_stops_other_months_too_is_one_cause() -> None:
    month = partitions_of(SERIES, "2024-02", "2024-02")
    stopped = [*month, *partitions_of(SERIES, "2024-01", "2024-03", layer="vectorbt")]
    (line,) = spell_causes(dict.fromkeys(stopped, f"{month[0]}: the file is damaged"))
    assert line == (
        "4 partitions of binance/ohlcv_1h BTC/USDT, binance/vectorbt_1h BTC/USDT: "
        "binance/ohlcv_1h BTC-USDT|2024-02: the file is damaged"
    )


def test_causes_are_told_apart_and_a_lone_one_keeps_its_words() -> None:
    first, second, third = partitions_of(SERIES, "2024-01", "2024-03")
    reasons = {first: "timed out", second: refusal(second), third: "timed out"}
    assert spell_causes(reasons) == [
        "2 partitions of binance/ohlcv_1h BTC/USDT: timed out",
        f"binance/ohlcv_1h BTC-USDT|2024-02: {refusal(second)}",
    ]
    assert spell_causes({}) == []
    damaged = f"{first}: the file is damaged"
    assert spell_causes({first: damaged}) == [damaged]


def test_lag_of_a_step_is_that_of_the_newest_months_it_wrote(lake: Lake) -> None:
    months = [
        PartitionReport(
            partition=partition_of(series, month),
            outcome="written",
            rows=1,
            first=None,
            last=time(last),
            path=None,
            committed_at=time("2024-03-10 12:00"),
        )
        for series in (series_of(), series_of(pair="ETH/USDT"))
        for month, last in (("2024-03", "2024-03-10 10:00"), ("2024-02", "2024-02-29 23:00"))
    ]
    note_step(lake, "binance", "backfill", LayerReport(partitions=months))
    assert state_frames(lake.state)["runs"]["lag_ms"].to_list() == [3_600_000]
