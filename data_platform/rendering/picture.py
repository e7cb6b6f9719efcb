"""The coverage of a few series as one picture of a few KB: SVG that stands alone.

For places that show an image and run no style of ours, such as the Dagster UI. It carries its own
ground, so that it reads the same in a light and in a dark page.
"""

from base64 import b64encode
from html import escape

import polars as pl

from data_platform.rendering.cells import KEY, STEPS, Grid, grid_of, strip_paths
from data_platform.rendering.legend import GAPS, MARKS, STORED
from data_platform.rendering.words import spell_share

WIDTH, NAMES, SHARES, ROW, HEAD = 720, 110, 66, 20, 22
"""Pixels: of all, of the column of names, of that of shares; heights of a line and of the head."""

MAX_SERIES = 40
"""More would be no picture for a glance; the report has them all."""

_FONT = 'font-family="system-ui,sans-serif" font-size="12" fill="#16202b"'


def to_picture(days: pl.DataFrame) -> str:
    """Return an SVG with a strip for each series.

    Args:
        days: `cells.DAYS` of at most `MAX_SERIES` series, else the first of them are shown.
    """
    grid, shown = grid_of(days), days.select(KEY).unique().sort(KEY).head(MAX_SERIES)
    days = days.join(shown, on=KEY)
    strips, shares = strip_paths(days, grid), _shares(days)
    used = {kind for strip in strips.values() for kind in strip}
    lines = [
        _line(key[1], strips.get(key, {}), shares[key], HEAD + ROW * number, grid)
        for number, key in enumerate(shown.rows())
    ]
    height = HEAD + ROW * len(lines) + HEAD
    size = f'width="{WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {WIDTH} {height}" {_FONT}>',
        f'<rect {size} rx="4" fill="#fff"/>',
        _head(grid),
        *lines,
        _legend(used, height),
        "</svg>",
    ]
    return "".join(parts)


def to_markdown(days: pl.DataFrame) -> str:
    """Return the picture as an image in Markdown, with what it shows in words."""
    words = tell(days)
    code = b64encode(to_picture(days).encode()).decode()
    return f"![{words}](data:image/svg+xml;base64,{code})\n\n{words}"


def tell(days: pl.DataFrame) -> str:
    """Return in words what a picture shows."""
    sums = days.select(pl.sum(STORED), missing=pl.sum_horizontal(GAPS).sum()).rows()
    [(stored, missing)] = sums
    lacking = days.filter(pl.sum_horizontal(GAPS) > 0)["day"].unique().sort(descending=True)
    told = f"{stored:,} candles are stored, {missing:,} missing that should be there"
    if lacking.is_empty():
        return f"{told}."
    newest = ", ".join(f"{day}" for day in lacking.head(3))
    return f"{told}, on {lacking.len():,} days; the newest: {newest}."


def _shares(days: pl.DataFrame) -> dict[tuple[str, ...], float | None]:
    wanted = pl.col(STORED) + pl.sum_horizontal(GAPS)
    sums = days.group_by(KEY).agg(pl.sum(STORED), wanted=wanted.sum())
    return {row[:-2]: row[-2] / row[-1] if row[-1] else None for row in sums.rows()}


def _x(column: float, grid: Grid) -> float:
    return round(NAMES + column * (WIDTH - NAMES - SHARES) / max(1, grid.columns), 1)


def _head(grid: Grid) -> str:
    texts = (
        f'<text x="{_x(at, grid)}" y="15" fill="#55606d">{name}</text>' for name, at in grid.labels
    )
    return "".join(texts)


def _line(name: str, strip: dict[str, str], share: float | None, y: int, grid: Grid) -> str:
    colors = {mark.name: mark.light for mark in MARKS}
    paths = "".join(f'<path fill="{colors[kind]}" d="{path}"/>' for kind, path in strip.items())
    cuts = "".join(f"M{at} 0v{STEPS}" for at in grid.cuts)
    return (
        f'<text x="6" y="{y + 14}">{escape(name)}</text>'
        f'<svg x="{NAMES}" y="{y + 1}" width="{WIDTH - NAMES - SHARES}" height="{ROW - 3}" '
        f'viewBox="0 0 {max(1, grid.columns)} {STEPS}" preserveAspectRatio="none">{paths}'
        f'<path d="{cuts}" fill="none" stroke="#fff" vector-effect="non-scaling-stroke"/></svg>'
        f'<text x="{WIDTH - 6}" y="{y + 14}" text-anchor="end">{spell_share(share)}</text>'
    )


def _legend(used: set[str], height: int) -> str:
    parts, x = [], NAMES
    for mark in MARKS:
        if mark.name in used:
            parts.append(
                f'<rect x="{x}" y="{height - 15}" width="10" height="10" fill="{mark.light}"/>'
                f'<text x="{x + 14}" y="{height - 6}" fill="#55606d">{mark.title}</text>'
            )
            x += 30 + 7 * len(mark.title)
    return "".join(parts)
