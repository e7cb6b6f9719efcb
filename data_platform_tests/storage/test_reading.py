import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.candles import TIME
from data_platform.domain.errors import DamagedFileError, NewerVersionError
from data_platform.domain.periods import Period, period_of
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.reading import PartitionReader
from data_platform.storage.tables import COMMITS
from data_platform_tests.storage.lake import (
    DAY,
    JANUARY,
    at,
    candles,
    commit,
    everything,
    filled,
    open_store,
    partition,
    series,
    utc,
)

DECEMBER, FEBRUARY, MARCH = Period(2023, 12), Period(2024, 2), Period(2024, 3)


@pytest.fixture
def lake(store: PartitionStore) -> PartitionStore:
    """December 740 to 743, January empty, February 0 to 9, March 0 to 4."""
    commit(store, candles(range(740, 744), period=DECEMBER), partition(period=DECEMBER))
    commit(store, candles([]), partition())
    commit(store, candles(range(10), period=FEBRUARY), partition(period=FEBRUARY))
    commit(store, candles(range(5), period=MARCH), partition(period=MARCH))
    return store


def times(frame: pl.DataFrame) -> list[tuple[str, int]]:
    found = frame["open_time"].to_list()
    return [
        (period_of(time).key, (time - period_of(time).start) // series().timeframe.duration)
        for time in found
    ]


def test_nothing_stored_reads_as_none_or_empty(store: PartitionStore) -> None:
    assert store.read(partition()) is None
    assert store.journal(partition()) is None
    empty = store.read_range("ohlcv", series(), utc(2020), utc(2030))
    assert empty.equals(candles([]))
    assert store.read_before("ohlcv", series(), utc(2030), 5).equals(candles([]))
    assert store.read_range("filled", series(), utc(2020), utc(2030)).width == 9
    assert store.times("ohlcv", series(), utc(2020), utc(2030)).to_list() == []


def test_a_range_is_half_open_sorted_and_crosses_months(lake: PartitionStore) -> None:
    start, end = at(742, DECEMBER), at(2, FEBRUARY)
    found = lake.read_range("ohlcv", series(), start, end)
    expected = [("2023-12", 742), ("2023-12", 743), ("2024-02", 0), ("2024-02", 1)]
    assert times(found) == expected
    assert lake.read_range("ohlcv", series(), start, start).is_empty()
    stored = lake.times("ohlcv", series(), start, end)
    assert stored.to_list() == found["open_time"].to_list()
    assert stored.dtype == TIME


def test_columns_are_chosen(lake: PartitionStore) -> None:
    found = lake.read_range("ohlcv", series(), utc(2023), utc(2025), columns=["close", "low"])
    assert found.columns == ["close", "low"]
    assert found.height == 19
    one = lake.read(partition(period=MARCH), columns=["volume"])
    assert one is not None
    assert one.frame.columns == ["volume"]
    none = lake.read_range("ohlcv", series(), utc(2029), utc(2030), columns=["close"])
    assert none.columns == ["close"]


@pytest.mark.parametrize(
    ("time", "rows", "expected"),
    [
        (at(3, MARCH), 2, [("2024-03", 1), ("2024-03", 2)]),
        (at(1, MARCH), 3, [("2024-02", 8), ("2024-02", 9), ("2024-03", 0)]),
        (at(0, MARCH), 1, [("2024-02", 9)]),
        (at(1, FEBRUARY), 2, [("2023-12", 743), ("2024-02", 0)]),
        (at(0, DECEMBER), 5, []),
        (at(99, MARCH), 0, []),
    ],
)
def test_the_rows_before_a_time_are_the_newest_whatever_month_they_lie_in(
    lake: PartitionStore,
    time: object,
    rows: int,
    expected: list[tuple[str, int]],
) -> None:
    assert times(lake.read_before("ohlcv", series(), time, rows)) == expected  # type: ignore[arg-type]


def test_more_rows_than_stored_are_all_rows(lake: PartitionStore) -> None:
    assert lake.read_before("ohlcv", series(), utc(2030), 1000).height == 19


def test_only_as_many_files_are_opened_as_are_needed(
    lake: PartitionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    real = PartitionReader._vouched

    def noting(self: PartitionReader, row: object) -> bytes:
        opened.append(row.period.key)  # type: ignore[attr-defined]
        return real(self, row)  # type: ignore[arg-type]

    monkeypatch.setattr(PartitionReader, "_vouched", noting)
    lake.read_before("ohlcv", series(), at(3, MARCH), 4)
    assert opened == ["2024-02", "2024-03"]


def test_other_series_layers_and_sets_do_not_mix(store: PartitionStore) -> None:
    rows = filled(candles([1]))
    commit(store, candles([1]))
    commit(store, candles([2]), partition(series(exchange="okx")))
    for name in ("base-v1", "base-v2"):
        into = partition(layer="features", feature_set=name)
        commit(store, rows.with_columns(x=pl.lit(name[-1])), into, merge=None)
    found = store.read_range(
        "features", series(), utc(2024), utc(2025), feature_set="base-v2", columns=["x"]
    )
    assert found["x"].to_list() == ["2"]
    assert store.read_range("ohlcv", series(), utc(2024), utc(2025)).height == 1


def test_only_journalled_files_are_read(store: PartitionStore, root: Path) -> None:
    path = commit(store, candles([1])).path
    assert path
    for stray in ("period=2024-05", "period=2024-06"):
        folder = root / path.parent.parent.relative_to(root) / stray
        folder.mkdir()
        (folder / "candles.parquet").write_bytes(b"" if stray.endswith("5") else b"foreign")
    assert store.read_range("ohlcv", series(), utc(2020), utc(2030)).height == 1
    assert store.files("ohlcv", series(), [JANUARY, Period(2024, 5)]) == [path]


def test_files_are_listed_in_the_order_of_time(lake: PartitionStore) -> None:
    found = lake.files("ohlcv", series(), [MARCH, JANUARY, DECEMBER])
    assert [path.parent.name for path in found] == ["period=2023-12", "period=2024-03"]


def test_a_file_that_is_gone_is_an_error_for_readers_and_a_hole_for_planners(
    lake: PartitionStore,
) -> None:
    (path,) = lake.files("ohlcv", series(), [FEBRUARY])
    path.unlink()
    with pytest.raises(DamagedFileError, match=r"BTC-USDT\|2024-02.*gone; 10 rows"):
        lake.read_range("ohlcv", series(), utc(2023), utc(2025))
    with pytest.raises(DamagedFileError):
        lake.read_before("ohlcv", series(), utc(2025), 10)
    assert len(lake.times("ohlcv", series(), utc(2023), utc(2025))) == 9
    assert lake.read_range("ohlcv", series(), utc(2024, 3), utc(2025)).height == 5


def test_an_empty_or_truncated_file_is_never_skipped(lake: PartitionStore) -> None:
    (path,) = lake.files("ohlcv", series(), [FEBRUARY])
    whole = path.read_bytes()
    for torn in (b"", whole[:50], whole[:-1]):
        path.write_bytes(torn)
        with pytest.raises(DamagedFileError, match="2024-02"):
            lake.read_range("ohlcv", series(), utc(2023), utc(2025))
        with pytest.raises(DamagedFileError, match="2024-02"):
            lake.times("ohlcv", series(), utc(2023), utc(2025))


def test_a_version_changes_exactly_with_the_content(store: PartitionStore) -> None:
    def version() -> str:
        found = store.read(partition())
        assert found is not None
        return found.version

    commit(store, candles([1]))
    first = version()
    commit(store, candles([1]))
    assert version() == first
    commit(store, candles([2]))
    assert version() != first


OVERWRITER = """
import sys
from pathlib import Path
from data_platform_tests.storage.lake import candles, commit, open_store
store = open_store(Path(sys.argv[1]))
price = 0
while not Path(sys.argv[2]).exists():
    price += 10
    commit(store, candles(range(3), price=price))
"""


def test_r6_10_000_reads_among_overwrites_see_the_old_or_the_new(
    root: Path, tmp_path: Path
) -> None:
    """Every read is one of the states that were committed, whole and in their order."""
    store, stop = open_store(root), tmp_path / "stop"
    commit(store, candles(range(3), price=0))
    writer = subprocess.Popen([sys.executable, "-c", OVERWRITER, str(root), str(stop)])
    seen: list[float] = []
    try:
        while len(seen) < 10_000 or len(set(seen)) < 100:
            for frame in (
                store.read_range("ohlcv", series(), at(0), at(9), columns=["close"]),
                found.frame if (found := store.read(partition(), columns=["close"])) else None,
            ):
                assert frame is not None
                first, *others = frame["close"].to_list()
                assert others == [first + 1, first + 2]
                seen.append(first)
    finally:
        stop.touch()
        assert writer.wait(timeout=60) == 0
    assert seen == sorted(seen)
    assert {price % 10 for price in seen} == {0}
    store.state.close()


def test_many_small_months_are_read_together(store: PartitionStore) -> None:
    daily, period = series(timeframe=DAY), Period(2010, 1)
    for _ in range(30):
        rows = candles(range(28), period=period, timeframe=DAY)
        commit(store, rows, partition(daily, period))
        period = period.next
    found = store.read_range("ohlcv", daily, utc(2000), utc(2030))
    assert found.height == 30 * 28
    assert found["open_time"].is_sorted()


def test_what_a_newer_program_has_stored_is_neither_read_nor_written_over(
    store: PartitionStore, root: Path
) -> None:
    commit(store, candles([1, 2]))
    with store.state.write() as connection:
        connection.execute(COMMITS.update().values(schema_version=2))
    before = everything(root)
    for refused in (
        lambda: store.read(partition()),
        lambda: store.read_range("ohlcv", series(), at(0), at(9)),
        lambda: commit(store, candles([3])),
    ):
        with pytest.raises(NewerVersionError, match="schema version 2, this"):
            refused()
    assert everything(root) == before
