from datetime import timedelta

import polars as pl
import pytest

from data_platform.domain.timeframes import to_timeframe
from data_platform.quality.exchanges import (
    compare_closes,
    find_copies,
    find_shifts,
    join_closes,
    measure_pairs,
)
from data_platform_tests.quality.across import (
    EXCHANGES,
    at,
    changed,
    elsewhere,
    month_of,
    moved,
    replaced,
    times_of,
)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def closes(*rows: tuple[int, float, float]) -> pl.DataFrame:
    """Candles of (minute, close, volume)."""
    minutes, prices, volumes = zip(*rows, strict=True)
    return pl.DataFrame(
        {"open_time": [at("05 00:00") + minute * MINUTE for minute in minutes]},
        schema={"open_time": pl.Datetime("ms", "UTC")},
    ).with_columns(
        *(pl.Series(name, prices).cast(pl.Float64) for name in ("open", "high", "low", "close")),
        volume=pl.Series(volumes).cast(pl.Float64),
    )


@pytest.mark.parametrize(
    ("others", "middle", "exchanges"),
    [
        ([101.0], 101.0, 2),
        ([101.0, 103.0], 101.0, 3),
        ([90.0, 104.0, 103.0], 101.5, 4),
        ([90.0, 104.0, 103.0, 200.0], 103.0, 5),
    ],
)
def test_a_close_is_held_against_the_median_and_of_two_against_the_other(
    others: list[float], middle: float, exchanges: int
) -> None:
    elsewhere = {str(number): closes((0, close, 1)) for number, close in enumerate(others)}
    found = compare_closes(join_closes(closes((0, 100.0, 1)), elsewhere))
    assert found.row(0, named=True) == {
        "open_time": at("05 00:00"),
        "close": 100.0,
        "median": middle,
        "deviation": pytest.approx(100 / middle - 1, abs=1e-15),
        "exchanges": exchanges,
    }


def test_of_two_equal_closes_none_is_off() -> None:
    found = compare_closes(join_closes(closes((0, 100.0, 1)), {"other": closes((0, 100.0, 1))}))
    assert found.select("median", "deviation", "exchanges").row(0) == (100.0, 0.0, 2)


def test_only_candles_with_trades_are_compared_at_times_when_another_traded() -> None:
    own = closes((0, 100, 1), (1, 100, 0), (2, 100, 1), (3, 100, 1))
    one, two = closes((0, 99, 1), (1, 99, 1), (2, 99, 0)), closes((0, 98, 0), (1, 98, 1))
    found = compare_closes(join_closes(own, {"one": one, "two": two}))
    assert found.select("open_time", "median", "exchanges").rows() == [(at("05 00:00"), 99.0, 2)]
    assert compare_closes(join_closes(own, {})).is_empty()
    assert compare_closes(join_closes(own.clear(), {"one": one})).is_empty()


@pytest.mark.parametrize("timeframe", ["1m", "5m", "15m", "1h", "4h", "1d"])
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_clean_exchanges_are_not_shifted_and_copy_nobody(exchange: str, timeframe: str) -> None:
    others = elsewhere(timeframe, *(name for name in EXCHANGES if name != exchange))
    own = month_of(exchange, timeframe)
    assert find_shifts(own, others, to_timeframe(timeframe)).is_empty()
    assert find_copies(own, others, 2).is_empty()


@pytest.mark.parametrize(
    ("timeframe", "by"),
    [
        ("1m", MINUTE),
        ("1m", -MINUTE),
        ("1m", HOUR),
        ("1m", -HOUR),
        ("15m", timedelta(minutes=15)),
        ("15m", HOUR),
        ("1h", HOUR),
        ("1h", -HOUR),
    ],
    ids=str,
)
@pytest.mark.parametrize("others", [("okx",), ("kraken", "okx"), ("coinbase", "kraken", "okx")])
def test_shifted_days_are_found_and_no_other_day(
    timeframe: str, by: timedelta, others: tuple[str, ...]
) -> None:
    broken = moved(month_of("binance", timeframe), by, at("05"), at("07"))
    found = find_shifts(broken, elsewhere(timeframe, *others), to_timeframe(timeframe))
    wanted = broken.filter(pl.col("open_time").is_between(at("05"), at("07"), closed="left"))
    assert times_of(found) == times_of(wanted)
    assert found["late_seconds"].unique().to_list() == [by.total_seconds()]
    assert found["correlation"].min() > found["now"].max() + 0.3  # type: ignore[operator]


@pytest.mark.parametrize("timeframe", ["4h", "1d"])
def test_a_shifted_month_of_long_candles_is_found(timeframe: str) -> None:
    length = to_timeframe(timeframe).duration
    broken = moved(month_of("binance", timeframe), length)
    found = find_shifts(broken, elsewhere(timeframe), to_timeframe(timeframe))
    assert times_of(found) == times_of(broken)
    assert found["late_seconds"].unique().to_list() == [length.total_seconds()]


def test_a_sound_exchange_is_not_blamed_for_a_shifted_one() -> None:
    shifted = moved(month_of("kraken"), HOUR)
    others = {**elsewhere("1m", "coinbase", "okx"), "kraken": shifted}
    assert find_shifts(month_of("binance"), others, to_timeframe("1m")).is_empty()


def test_prices_that_stand_still_are_no_shift() -> None:
    still = closes(*((minute, 100.0, 1.0) for minute in range(60)))
    assert find_shifts(still, {"other": still}, to_timeframe("1m")).is_empty()


def test_prices_that_have_nothing_to_do_with_one_another_are_no_shift() -> None:
    # Of 24 returns some correlate by 0.3 more with another hour's: on 7 days of this month.
    unrelated = {"okx": month_of("okx", "1h", seed=7)}
    assert find_shifts(month_of("binance", "1h"), unrelated, to_timeframe("1h")).is_empty()


def test_a_copied_run_is_found_with_its_first_and_last_candle() -> None:
    start, end = at("09 03:07"), at("09 03:37")
    broken = replaced(month_of("binance"), month_of("okx"), start, end)
    found = find_copies(broken, elsewhere("1m"), 3)
    assert found.row(0)[:2] == (start, end - MINUTE)
    assert found.rows() == [(start, end - MINUTE, 30, "okx")]


def test_a_run_is_as_long_as_the_limit_or_none_and_candles_without_volume_are_none_of_it() -> None:
    own = closes((0, 1, 5), (1, 2, 5), (2, 3, 0), (3, 4, 5), (4, 9, 5), (5, 6, 5))
    other = closes((0, 1, 5), (1, 2, 5), (2, 3, 0), (3, 4, 5), (4, 8, 5), (5, 6, 5))
    assert find_copies(own, {"other": other}, 3).rows() == [
        (at("05 00:00"), at("05 00:03"), 3, "other")
    ]
    assert find_copies(own, {"other": other}, 4).is_empty()
    one_off = changed(other, at("05 00:01"), volume=1 + 1e-15)
    assert find_copies(own, {"other": one_off}, 3).is_empty()


def test_correlation_and_rmse_are_of_common_candles_that_traded() -> None:
    own = closes((0, 100, 1), (1, 110, 1), (2, 100, 1), (3, 110, 0), (4, 100, 1))
    double = closes((0, 200, 1), (1, 220, 1), (2, 200, 1), (3, 1, 1), (5, 1, 1))
    found = measure_pairs(
        join_closes(own, {"double": double, "none": own.clear()}), to_timeframe("1m")
    )
    # ln 2 = 0.693147180559945
    assert found["double"] == {
        "candles": 3,
        "rmse_bps": pytest.approx(6931.47180559945),
        "correlation": pytest.approx(1.0),
    }
    assert found["none"] == {"candles": 0, "rmse_bps": None, "correlation": None}
