import random
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest

from data_platform.converters.fixed_point import to_fixed_point, to_floats


def integers(numbers: list[float]) -> tuple[list[int], bool]:
    array, exact = to_fixed_point(pl.Series(numbers, dtype=pl.Float64))
    return [int.from_bytes(it, "little", signed=True) for it in array.to_pylist()], exact


def by_text(numbers: list[float]) -> list[int]:
    return [int(Decimal(repr(it)).scaleb(16)) for it in numbers]


@pytest.mark.parametrize(
    ("places", "digits"), [(0, 11), (2, 13), (4, 15), (6, 13), (8, 15), (10, 13), (12, 15)]
)
def test_decimals_of_15_digits_are_what_their_text_says(places: int, digits: int) -> None:
    numbers = random.Random(places)
    made = [numbers.randrange(10 ** numbers.randint(1, digits)) / 10**places for _ in range(3000)]
    assert integers(made) == (by_text(made), True)


@pytest.mark.parametrize("odd", [0.30000000000000004, 191.98938999999996, 1.234567890123e-3])
def test_one_number_of_more_digits_takes_the_column_by_text(odd: float) -> None:
    made = [42000.13, odd, 3.4e13]
    assert integers(made) == ([round(Decimal(repr(it)).scaleb(16)) for it in made], False)


def test_neighbours_of_a_short_decimal_are_not_taken_for_it() -> None:
    near = 42000.130000000005
    assert near != 42000.13
    assert integers([near]) == (by_text([near]), False)


def test_a_number_of_16_digits_is_not_taken_for_exact() -> None:
    made = [90071992.54740993, 12345678.12345679]
    assert integers(made) == (by_text(made), False)


def test_floats_come_back_from_whole_and_cut_columns() -> None:
    made = [1.1, 42000.13, 0.0]
    array, _ = to_fixed_point(pl.Series(made))
    assert to_floats(array).to_list() == made
    assert to_floats(pa.chunked_array([array[1:], array[:1]])).to_list() == [*made[1:], made[0]]
