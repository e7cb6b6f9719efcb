import math
import statistics

import polars as pl
import pytest

from data_platform.features.returns import add_moves, return_columns, volatility_columns

FRAME = pl.DataFrame({"close": [100.0, 110.0, 99.0, 200.0, 100.0], "segment": [0, 0, 0, 1, 1]})


def test_a_return_is_the_change_as_a_fraction() -> None:
    found = add_moves(FRAME, [1, 2], [])
    assert found["return_1"].to_list() == [
        None,
        pytest.approx(0.1),
        pytest.approx(-0.1),
        None,
        -0.5,
    ]
    assert found["return_2"].to_list() == [None, None, pytest.approx(-0.01), None, None]
    assert found["log_return_1"][4] == math.log(0.5)


def test_volatility_is_the_sample_deviation_of_log_returns(fine: pl.DataFrame) -> None:
    frame = fine.head(200)
    found = add_moves(frame, [], [20])["volatility_20"].to_list()
    closes = frame["close"].to_list()
    moves = [math.log(closes[row] / closes[row - 1]) for row in range(1, 200)]
    assert found[:20] == [None] * 20
    for row in range(20, 200):
        assert found[row] == pytest.approx(statistics.stdev(moves[row - 20 : row]), rel=1e-9)


def test_nothing_reaches_over_a_break(fine: pl.DataFrame) -> None:
    parts = fine.partition_by("segment", maintain_order=True)
    assert len(parts) == 2
    alone = pl.concat([add_moves(part, [5], [5]) for part in parts])
    assert alone.equals(add_moves(fine, [5], [5]))


def test_the_frame_gains_the_announced_columns_and_nothing_else(fine: pl.DataFrame) -> None:
    added = add_moves(fine, [1, 5], [20, 50])
    announced = [*return_columns([1, 5]), *volatility_columns([20, 50])]
    assert added.columns == [*fine.columns, *(column.name for column in announced)]
    assert added.select(fine.columns).equals(fine)
