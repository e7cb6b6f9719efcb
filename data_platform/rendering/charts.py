"""Scores as lines over the months of the coverage map."""

from collections.abc import Mapping, Sequence

from data_platform.rendering.cells import Grid

HEIGHT = 100
"""Units of a chart: a hundredth of its range each."""


def column_of(period: str, grid: Grid) -> int:
    """Return the column of a month such as `2024-01`."""
    year, month = (int(part) for part in period.split("-"))
    return 12 * (year - grid.first[0]) + month - grid.first[1]


def floor_of(scores: Sequence[float]) -> float:
    """Return where the axis of scores begins: 0.5, or 0 where one lies below."""
    return 0.5 if min(scores, default=1.0) >= 0.5 else 0.0  # noqa: PLR2004  # half of the range


def step_line(scores: Mapping[str, float], grid: Grid, floor: float) -> str:
    """Return the outline of scores by month: a step a month, broken where one is unknown.

    Args:
        scores: by month.
        grid: the months of the map.
        floor: the score at the foot of the chart; its head is 1.
    """
    parts, end = [], None
    for period in sorted(scores):
        x, y = column_of(period, grid), height_of(scores[period], floor)
        if not 0 <= x < grid.months:
            continue
        parts.append(f"V{y}h1" if end == x else f"M{x} {y}h1")
        end = x + 1
    return "".join(parts)


def height_of(score: float, floor: float) -> float:
    """Return how far below the head of a chart a score lies."""
    return round(HEIGHT * (1 - score) / (1 - floor), 1)
