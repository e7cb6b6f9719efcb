from data_platform.rendering.cells import Grid
from data_platform.rendering.charts import column_of, floor_of, height_of, step_line

GRID = Grid((2023, 11), 6)


def test_months_have_their_columns_across_years() -> None:
    assert [column_of(it, GRID) for it in ("2023-11", "2024-01", "2024-04")] == [0, 2, 5]


def test_a_line_breaks_where_a_month_has_no_score() -> None:
    scores = {"2023-11": 1.0, "2023-12": 0.75, "2024-02": 0.5}
    assert step_line(scores, GRID, 0.5) == "M0 0.0h1V50.0h1M3 100.0h1"


def test_months_outside_the_map_are_left_out() -> None:
    assert step_line({"2023-10": 1.0, "2024-05": 1.0}, GRID, 0.5) == ""


def test_the_axis_reaches_as_low_as_the_scores_do() -> None:
    assert floor_of([]) == 0.5
    assert floor_of([0.5, 1.0]) == 0.5
    assert floor_of([0.499, 1.0]) == 0.0
    assert height_of(0.7, 0.0) == 30.0
