"""Every reason has a colour and words, and the gaps can be told from what is stored."""

import re
from itertools import pairwise

from data_platform.operations.coverage import COUNTED_REASONS, REASONS
from data_platform.rendering.legend import GAPS, MARKS, STORED


def test_every_column_of_a_day_has_its_mark() -> None:
    assert {mark.name for mark in MARKS} == {STORED, *REASONS}
    assert set(GAPS) == set(COUNTED_REASONS)


def test_every_mark_has_words_and_colours_of_its_own() -> None:
    for mark in MARKS:
        assert mark.title
        assert mark.meaning.endswith(".")
        assert re.fullmatch("#[0-9a-f]{6}", mark.light)
        assert re.fullmatch("#[0-9a-f]{6}", mark.dark)
    for theme in ("light", "dark"):
        assert len({getattr(mark, theme) for mark in MARKS}) == len(MARKS)


def linear(color: str) -> list[float]:
    shares = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [it / 12.92 if it <= 0.04045 else ((it + 0.055) / 1.055) ** 2.4 for it in shares]


# Machado, Oliveira, Fernandes 2009, severity 1.0: how people without one kind of cone see.
SIGHTS = {
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
    "all": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
}


def seen(color: str, sight: str) -> tuple[float, float, float]:
    """CIE L*a*b* of a colour as somebody sees it."""
    own = linear(color)
    rgb = [
        max(0.0, min(1.0, sum(a * b for a, b in zip(row, own, strict=True))))
        for row in SIGHTS[sight]
    ]
    to_xyz = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    white = (0.95047, 1.0, 1.08883)
    xyz = [
        sum(a * b for a, b in zip(row, rgb, strict=True)) / w
        for row, w in zip(to_xyz, white, strict=True)
    ]
    x, y, z = (it ** (1 / 3) if it > 0.008856 else 7.787 * it + 16 / 116 for it in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def test_gaps_stand_out_from_stored_candles_for_any_colour_vision() -> None:
    for theme in ("light", "dark"):
        stored = getattr(MARKS[0], theme)
        for mark in MARKS[1:]:
            for sight in SIGHTS:
                pair = zip(seen(getattr(mark, theme), sight), seen(stored, sight), strict=True)
                distance = sum((a - b) ** 2 for a, b in pair) ** 0.5
                # 20 is some ten times the least difference that can be seen.
                assert distance > 20, (theme, mark.name, sight, distance)


def test_the_gaps_come_before_what_is_none() -> None:
    flags = [mark.is_gap for mark in MARKS[1:]]
    assert all(one >= other for one, other in pairwise(flags))
