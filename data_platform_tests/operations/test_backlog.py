from datetime import datetime, timedelta

import pytest

from data_platform.domain.markets import Pair
from data_platform.domain.periods import to_period
from data_platform.operations.backlog import Scope, find_backlog, find_doubts
from data_platform.operations.lake import Lake
from data_platform.storage.ledger import Status
from data_platform_tests.damage import damage
from data_platform_tests.factories import (
    GRACE,
    candles_at,
    gap_of,
    grid,
    plant_gaps,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.lines import derive_line, recipes_of

SERIES = series_of()
NOW = time("2024-03-05 00:30")
START = time("2024-01-15")


def scope_of(*, derived: bool = False) -> Scope:
    return Scope(
        exchange="binance",
        starts={SERIES.pair: START},
        fetched=[SERIES.timeframe],
        grace=GRACE,
        recipes={SERIES.timeframe: recipes_of(SERIES) if derived else []},
        converters=(),
    )


def backlog(lake: Lake, *, derived: bool = False) -> list[str]:
    scope = scope_of(derived=derived)
    return sorted(f"{pair} {period}" for pair, period in find_backlog(lake, scope, NOW))


@pytest.fixture
def complete(lake: Lake) -> Lake:
    store_candles(lake, SERIES, candles_at(grid("2024-01-15", "2024-03-05")))
    return lake


def test_every_month_since_the_start_is_missing_in_an_empty_lake(lake: Lake) -> None:
    assert backlog(lake) == ["BTC/USDT 2024-01", "BTC/USDT 2024-02", "BTC/USDT 2024-03"]


def test_nothing_is_asked_for_in_a_complete_lake(complete: Lake) -> None:
    assert backlog(complete) == []


def test_a_month_that_was_left_half_way_is_asked_for(lake: Lake) -> None:
    whole = candles_at(grid("2024-01-15", "2024-03-05"))
    hole = (whole["open_time"] < time("2024-02-20")) | (whole["open_time"] >= time("2024-03-01"))
    store_candles(lake, SERIES, whole.filter(hole))
    assert backlog(lake) == ["BTC/USDT 2024-02"]


@pytest.mark.parametrize(("status", "found"), [("outage", []), ("open", ["BTC/USDT 2024-02"])])
def test_only_gaps_that_are_not_settled_are_asked_for(
    lake: Lake, status: str, found: list[str]
) -> None:
    whole = candles_at(grid("2024-01-15", "2024-03-05"))
    kept = (whole["open_time"] < time("2024-02-20")) | (whole["open_time"] >= time("2024-02-21"))
    store_candles(lake, SERIES, whole.filter(kept))
    gap = gap_of(SERIES, "2024-02-20", "2024-02-21", status, confirmed=status == "outage")  # type: ignore[arg-type]
    plant_gaps(lake, gap)
    assert backlog(lake) == found


@pytest.mark.parametrize(
    ("status", "next_try", "found"),
    [
        ("outage", NOW, ["2024-01", "2024-02"]),
        ("outage", NOW + timedelta(seconds=1), []),
        ("outage", None, []),
        ("no_trades", NOW, ["2024-01", "2024-02"]),
        # 100 candles are a page: of the time before the listing, only that much.
        ("before_listing", NOW, ["2024-02"]),
        ("open", NOW, []),
        ("repaired", NOW, []),
    ],
)
def test_holes_that_were_believed_long_enough_are_asked_for_again(
    lake: Lake, status: Status, next_try: datetime | None, found: list[str]
) -> None:
    hole = ("2024-01-28", "2024-02-21")
    plant_gaps(lake, gap_of(SERIES, *hole, status, confirmed=True, next_try=next_try))
    doubts = find_doubts(lake, scope_of(), 100, NOW)
    assert sorted(f"{period}" for _, period in doubts) == found
    assert {pair for pair, _ in doubts} <= {SERIES.pair}


def test_holes_of_other_series_and_before_the_start_are_left_alone(lake: Lake) -> None:
    for other in (series_of(pair="ETH/USDT"), series_of(timeframe="4h"), series_of("okx")):
        hole = gap_of(other, "2024-02-01", "2024-02-21", "outage", confirmed=True, next_try=NOW)
        plant_gaps(lake, hole)
    early = gap_of(SERIES, "2023-12-01", "2024-01-01", "outage", confirmed=True, next_try=NOW)
    plant_gaps(lake, early)
    assert find_doubts(lake, scope_of(), 100, NOW) == set()


def test_a_gap_is_not_due_before_its_next_try(lake: Lake) -> None:
    whole = candles_at(grid("2024-01-15", "2024-03-05"))
    kept = (whole["open_time"] < time("2024-02-20")) | (whole["open_time"] >= time("2024-02-21"))
    store_candles(lake, SERIES, whole.filter(kept))
    later = NOW + timedelta(hours=1)
    plant_gaps(lake, gap_of(SERIES, "2024-02-20", "2024-02-21", "refused", next_try=later))
    assert backlog(lake) == []


def test_a_correction_makes_its_month_stale_and_nothing_else_missing(complete: Lake) -> None:
    months = [to_period(key) for key in ("2024-01", "2024-02", "2024-03")]
    derive_line(complete, SERIES, months)
    assert backlog(complete, derived=True) == []
    store_candles(complete, SERIES, candles_at(grid("2024-03-04", "2024-03-04 01:00"), 500.0))
    assert backlog(complete, derived=True) == ["BTC/USDT 2024-03"]


def test_a_pair_without_a_recipe_is_only_judged_by_its_candles(complete: Lake) -> None:
    assert SERIES.pair == Pair("BTC/USDT")
    assert backlog(complete, derived=True) == [
        "BTC/USDT 2024-01",
        "BTC/USDT 2024-02",
        "BTC/USDT 2024-03",
    ]


@pytest.mark.parametrize("how", ["gone", "empty", "torn", "foreign", "flipped"])
@pytest.mark.parametrize("layer", ["ohlcv", "filled", "indicators"])
def test_a_month_whose_file_is_damaged_is_asked_for(complete: Lake, layer: str, how: str) -> None:
    months = [to_period(f"2024-0{number}") for number in (1, 2, 3)]
    derive_line(complete, SERIES, months)
    assert backlog(complete, derived=True) == []
    [path] = complete.store.files(layer, SERIES, months[1:2])
    damage(path, how)
    assert backlog(complete, derived=True) == ["BTC/USDT 2024-02"]


def test_nothing_is_missing_behind_the_end_of_a_pair(lake: Lake) -> None:
    store_candles(lake, SERIES, candles_at(grid("2024-01-15", "2024-03-04 20:00")))
    assert backlog(lake) == ["BTC/USDT 2024-03"]
    hole = ("2024-03-04 20:00", "2024-03-04 22:00")
    plant_gaps(lake, gap_of(SERIES, *hole, "after_delisting", confirmed=True, next_try=NOW))
    assert backlog(lake) == []
