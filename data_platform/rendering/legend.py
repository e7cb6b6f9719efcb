"""What each colour of the coverage map means, in words, and which it is in light and dark.

The hues are those of Okabe and Ito (https://jfly.uni-koeln.de/color/, read 2026-11-28), which
people with any kind of colour vision can tell apart; a gap is also told by its shape, since it
fills its cell from the top by the share that is missing.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """One kind of cell."""

    name: str
    """The column of the coverage that counts it."""
    title: str
    meaning: str
    light: str
    dark: str
    is_gap: bool = False
    """Whether a candle should be there."""


MARKS: tuple[Mark, ...] = (
    Mark(
        "stored",
        "stored",
        "The exchange sent the candles and they are stored.",
        "#0072b2",
        "#3d9bd6",
    ),
    Mark(
        "outage",
        "outage",
        "The exchange itself has no candle between two that it has.",
        "#d55e00",
        "#f07c2b",
        is_gap=True,
    ),
    Mark(
        "open",
        "open",
        "Asked for without a valid answer yet; it is asked for again.",
        "#e69f00",
        "#f2b431",
        is_gap=True,
    ),
    Mark(
        "refused",
        "refused",
        "A candle came that cannot be true; it lies in quarantine.",
        "#cc79a7",
        "#f2a9d3",
        is_gap=True,
    ),
    Mark(
        "never_asked",
        "never asked",
        "Nobody has asked for it yet: run a download.",
        "#f0e442",
        "#f0e442",
        is_gap=True,
    ),
    Mark(
        "awaited",
        "awaited",
        "Closed since the newest candle that is known; see freshness.",
        "#9ad0f0",
        "#28587a",
    ),
    Mark(
        "no_trades",
        "no trades",
        "The exchange sends no candle for a time without trades.",
        "#8fcfbc",
        "#1f6e58",
    ),
    Mark(
        "unavailable",
        "unavailable",
        "The exchange does not give candles that are this old.",
        "#b3b3b3",
        "#6e6e6e",
    ),
    Mark(
        "before_listing", "before the listing", "The pair was not traded yet.", "#e3e3e3", "#2e3236"
    ),
    Mark(
        "after_delisting",
        "after the delisting",
        "The pair is not traded any more.",
        "#d0d0d0",
        "#42474c",
    ),
)
"""Every column of a day but `expected`, the most telling first."""

GAPS = tuple(mark.name for mark in MARKS if mark.is_gap)
STORED = MARKS[0].name
MARKS_BY_NAME = {mark.name: mark for mark in MARKS}
