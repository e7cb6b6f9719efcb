from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from data_platform.config.standards import RULES
from data_platform.domain.synthetic_defects import DEFECTS
from data_platform.domain.synthetic_ground import PLANT_SCHEMA
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.detectors import AUDIT
from data_platform.operations.signs import SIGNS, At, Sign
from data_platform.quality.schema import CONFLICT, DUPLICATE, TRUTHS

START = datetime(2024, 1, 10, 23, 58, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLANTED = pl.DataFrame(
    [
        ("", START, START + 3 * MINUTE, START),
        ("x", START + 10 * MINUTE, START + 11 * MINUTE, START + 9 * MINUTE),
    ],
    schema=PLANT_SCHEMA,
    orient="row",
)


@pytest.mark.parametrize(
    ("at", "minutes"),
    [
        ("start", [0, 10]),
        ("slot", [0, 9]),
        ("next", [1, 10]),
        ("after", [3, 11]),
        ("day", [-1438, 2]),
        ("first", [0]),
        ("within", [0, 1, 2, 10]),
        ("days", [0, 10]),
    ],
)
def test_the_times_at_which_a_sign_may_show(at: At, minutes: list[int]) -> None:
    expected = Sign("any", at).expected(PLANTED, to_timeframe("1m"))
    assert expected["open_time"].to_list() == [START + number * MINUTE for number in minutes]


def test_a_run_and_a_day_are_found_once_wherever_the_sign_shows() -> None:
    minute = to_timeframe("1m")
    assert Sign("any", "within").expected(PLANTED, minute)["instance"].n_unique() == 2
    same_day = PLANTED.with_columns(pl.col("start") + timedelta(hours=1))
    assert Sign("any", "days").expected(same_day, minute)["instance"].n_unique() == 1


def test_a_sign_may_be_of_a_part_only() -> None:
    expected = Sign("any", part="x").expected(PLANTED, to_timeframe("1m"))
    assert expected["open_time"].to_list() == [START + 10 * MINUTE]


def test_every_defect_has_its_sign_and_every_check_its_defect() -> None:
    assert SIGNS.keys() == {defect.name for defect in DEFECTS}
    waited = {sign.check for signs in SIGNS.values() for sign in signs if sign.must}
    # How late candles are is a matter of the clock, not of candles.
    assert {rule.name for rule in RULES} - waited == {"candles_fresh"}
    reasons = {*TRUTHS, "open_time off the grid", "not closed yet", DUPLICATE, CONFLICT}
    assert {check for check in waited if check.startswith(AUDIT)} == {AUDIT + it for it in reasons}
