from datetime import UTC, datetime, timedelta

import numpy as np

from data_platform.domain.candles import TimeRange
from data_platform.features.grids import Grids, offsets

# From 10 in steps of 5, and from 100 in steps of 20.
FIRSTS, ENDS, STEPS = np.array([10, 100]), np.array([26, 160]), np.array([5, 20])
GRIDS = Grids.of(FIRSTS, ENDS, STEPS)


def test_grids_lie_one_behind_the_other_up_to_their_ends() -> None:
    assert GRIDS.times.tolist() == [10, 15, 20, 25, 100, 120, 140]
    assert GRIDS.edges.tolist() == [0, 4, 7]
    assert GRIDS.lengths.tolist() == [4, 3]
    assert Grids.of(FIRSTS, FIRSTS - 1, STEPS).times.tolist() == []


def test_a_time_has_the_row_of_its_own_grid_or_none() -> None:
    rows, wrong = GRIDS.rows(np.array([10, 20, 100, 140]), np.array([0, 0, 1, 1]))
    assert rows.tolist() == [0, 2, 4, 6]
    assert not wrong.any()
    # Between two times, twice, before the first one, behind the last one.
    times = np.array([10, 12, 20, 20, 80, 160])
    assert GRIDS.rows(times, np.array([0, 0, 0, 0, 1, 1]))[1].tolist() == [
        False,
        True,
        False,
        True,
        True,
        True,
    ]


def test_rows_lie_within_ranges_of_their_own_grid_from_start_to_end() -> None:
    def between(start: int, end: int) -> TimeRange:
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        return TimeRange(*(epoch + timedelta(milliseconds=ms) for ms in (start, end)))

    found = GRIDS.within([[between(0, 11), between(14, 20)], [between(101, 900)]])
    assert found.tolist() == [True, True, False, False, False, True, True]
    assert not GRIDS.within([[between(26, 900)], [between(0, 100)]]).any()


def test_a_segment_begins_behind_a_break_and_with_each_grid() -> None:
    broken = np.array([False, True, True, False, False, False, True])
    assert GRIDS.segments(broken, [7, 8]).tolist() == [7, 7, 7, 25, 8, 8, 8]
    broken = np.array([False, False, False, True, False, False, False])
    assert GRIDS.segments(broken, [7, 8]).tolist() == [7, 7, 7, 7, 8, 8, 8]


def test_the_newest_of_some_rows_goes_on_to_the_next() -> None:
    places, missing = GRIDS.newest(np.array([0, 2, 4]))
    assert places.tolist() == [0, 0, 1, 1, 2, 2, 2]
    assert missing.tolist() == [False, True, False, True, False, True, True]


def test_parts_lie_one_behind_the_other() -> None:
    assert offsets([2, 0, 3]).tolist() == [0, 2, 2, 5]
    assert offsets([]).tolist() == [0]
