import polars as pl
import pytest

from data_platform.features.fill import fill_candles
from data_platform.indicators.columns import add_indicators
from data_platform.operations.stack import in_one_pass, stack
from data_platform_tests.factories import candles_at, grid, series_of, time

HOUR = series_of().timeframe
NAMES = ("sma_5", "rsi_14", "obv", "vwap_14", "vwap_session", "adx_14")


def part(start: str, end: str, gap: tuple[str, str] | None = None) -> pl.DataFrame:
    times = grid(start, end)
    if gap:
        times = [it for it in times if not time(gap[0]) <= it < time(gap[1])]
    return fill_candles(candles_at(times), None, [], HOUR, time(start), time(end))


PARTS = [
    part("2024-01-01", "2024-01-09", ("2024-01-04", "2024-01-05 06:00")),
    # The same times and the same segment, as those of another pair have.
    part("2024-01-01", "2024-01-09"),
    part("2024-01-01", "2024-01-09").clear(),
    # Goes on where the one before it in the stack ends, in the same segment.
    part("2024-01-01", "2024-01-20").filter(pl.col("open_time") >= time("2024-01-09")),
    part("2024-01-01", "2024-01-01 01:00"),
]


def with_names(frame: pl.DataFrame) -> pl.DataFrame:
    return add_indicators(frame, NAMES)


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (1, 3, 0, 4, 2), (2, 4, 3, 1, 0), (2,), ()])
def test_each_part_has_the_bits_that_it_has_alone(order: tuple[int, ...]) -> None:
    parts = [PARTS[place] for place in order]
    made = in_one_pass(with_names, parts)
    for found, alone in zip(made, map(with_names, parts), strict=True):
        assert found.schema == alone.schema
        assert found.equals(alone)


def test_segments_of_two_parts_are_never_the_same() -> None:
    whole = stack(PARTS)
    runs = whole.frame["segment"].rle_id().max()
    assert whole.frame["segment"].n_unique() == 5
    assert runs == 4
    assert whole.frame["block"].to_list() == [
        place for place, part in enumerate(PARTS) for _ in range(part.height)
    ]
    for part, own in zip(whole.split(whole.frame), PARTS, strict=True):
        assert part.equals(own)


def test_parts_of_other_columns_are_computed_by_themselves() -> None:
    wider = PARTS[1].with_columns(extra=pl.lit(1.0))
    made = in_one_pass(with_names, [PARTS[0], wider, PARTS[3]])
    assert "extra" not in made[0].columns
    assert made[1].equals(with_names(wider))
    assert made[2].equals(with_names(PARTS[3]))
