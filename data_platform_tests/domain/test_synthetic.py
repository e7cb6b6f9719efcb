import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from data_platform.domain.candles import CANDLE_SCHEMA, content_hash
from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import Market, Pair
from data_platform.domain.synthetic import (
    LABEL_SCHEMA,
    Defects,
    SyntheticCandles,
    candles_frame,
    generate_candles,
    synthetic_ticks,
)
from data_platform.domain.synthetic_markets import market_profile
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe, to_timeframe

MINUTE = to_timeframe("1m")
HOUR = to_timeframe("1h")
BITCOIN = Market("binance", Pair("BTC/USDT"))
QUIET = Market("coinbase", Pair("LINK/USD"))
START = datetime(2024, 2, 27, tzinfo=UTC)
END = datetime(2024, 3, 3, tzinfo=UTC)
COARSER = [timeframe for timeframe in TIMEFRAMES if timeframe != MINUTE]
PRICES = ["open", "high", "low", "close"]


def generate(
    market: Market = BITCOIN,
    timeframe: Timeframe = MINUTE,
    start: datetime = START,
    end: datetime = END,
    defects: Defects | None = None,
) -> SyntheticCandles:
    return generate_candles(5, market, timeframe, start, end, defects=defects)


def test_candles_have_the_schema_and_every_minute_of_the_range() -> None:
    generated = generate()
    assert generated.candles.schema == CANDLE_SCHEMA
    assert generated.candles["open_time"].to_list() == [
        START + timedelta(minutes=minute) for minute in range(5 * 1440)
    ]
    assert generated.labels.schema == LABEL_SCHEMA
    assert generated.labels.is_empty()


@pytest.mark.parametrize("market", [BITCOIN, QUIET], ids=str)
def test_a_part_read_alone_equals_the_same_part_of_the_whole(market: Market) -> None:
    whole = generate(market).candles
    first, last = START + timedelta(hours=30, minutes=7), START + timedelta(hours=61)
    part = generate(market, start=first, end=last).candles
    expected = whole.filter((pl.col("open_time") >= first) & (pl.col("open_time") < last))
    assert part.equals(expected)
    assert part.height > 1000


@pytest.mark.parametrize("timeframe", COARSER, ids=str)
@pytest.mark.parametrize("market", [BITCOIN, QUIET], ids=str)
def test_a_coarser_candle_is_exactly_its_minutes(market: Market, timeframe: Timeframe) -> None:
    minutes = generate(market).candles
    expected = [
        (
            opened,
            group["open"][0],
            group["high"].max(),
            group["low"].min(),
            group["close"][-1],
            # Decimal sums are exact; the nearest float of the exact sum is the truth.
            float(sum(Decimal(str(volume)) for volume in group["volume"])),
        )
        for (opened,), group in minutes.group_by(
            pl.col("open_time").dt.truncate(timeframe.name), maintain_order=True
        )
    ]
    assert generate(market, timeframe).candles.rows() == expected


def test_numbers_survive_print_and_read_with_fifteen_digits() -> None:
    for market in (BITCOIN, QUIET, Market("okx", Pair("DOGE/USDT"))):
        candles = generate(market).candles
        for column in [*PRICES, "volume"]:
            for number in candles[column].gather_every(37):
                assert float(f"{number:.15g}") == number


def test_a_market_that_omits_quiet_minutes_labels_them() -> None:
    generated = generate(QUIET)
    labels = generated.labels
    assert set(labels["kind"]) == {"no_trades"}
    missing = (labels["end"] - labels["start"]).sum()
    assert isinstance(missing, timedelta)
    assert missing // timedelta(minutes=1) == 5 * 1440 - generated.candles.height
    assert generated.candles["volume"].min() > 0


def test_defects_are_where_their_labels_say_and_nowhere_else() -> None:
    clean = generate().candles
    damaged = generate(defects=Defects(gaps=4, spikes=3, flats=3))
    assert damaged.labels["kind"].value_counts().sort("kind").rows() == [
        ("flat", 3),
        ("gap", 4),
        ("spike", 3),
    ]
    untouched = damaged.candles
    for kind, start, end, _ in damaged.labels.rows():
        inside = (pl.col("open_time") >= start) & (pl.col("open_time") < end)
        found = damaged.candles.filter(inside)
        truth = clean.filter(inside)
        assert truth.height == (end - start) // timedelta(minutes=1)
        if kind == "gap":
            assert found.is_empty()
        elif kind == "flat":
            before = clean.filter(pl.col("open_time") == start - timedelta(minutes=1))["close"][0]
            assert set(found.select(PRICES).unique().row(0)) == {before}
            assert found.select(PRICES).unique().height == 1
            assert found["volume"].sum() == 0
        else:
            up = found["high"][0] / truth["high"][0]
            down = found["low"][0] / truth["low"][0]
            assert max(up, 1 / down) > 1.09
            assert found.select("open", "close", "volume").equals(
                truth.select("open", "close", "volume")
            )
        untouched = untouched.filter(~inside)
        clean = clean.filter(~inside)
    assert untouched.equals(clean)


def test_defects_stay_apart_and_inside_the_range() -> None:
    labels = generate(
        timeframe=HOUR, end=START + timedelta(days=3), defects=Defects(gaps=5, flats=5, spikes=4)
    ).labels
    assert labels["start"][0] > START
    assert labels["end"][-1] < START + timedelta(days=3)
    assert (labels["start"][1:] > labels["end"][:-1]).all()


def test_the_same_seed_plants_the_same_defects() -> None:
    first, second = (generate(defects=Defects(gaps=2, spikes=2)) for _ in range(2))
    assert first.candles.equals(second.candles)
    assert first.labels.equals(second.labels)


def test_too_many_defects_for_the_range_are_refused() -> None:
    with pytest.raises(WrongUseError, match="3 defects need 15 candles to stay apart, found 10"):
        generate(end=START + timedelta(minutes=10), defects=Defects(gaps=3))


def test_an_empty_range_is_no_candles() -> None:
    generated = generate(end=START)
    assert generated.candles.is_empty()
    assert generated.candles.schema == CANDLE_SCHEMA


def test_ticks_become_the_float_nearest_to_their_decimals() -> None:
    profile = market_profile(BITCOIN)
    ticks = synthetic_ticks(
        5, profile, MINUTE, (1_709_251_200_000, 1_709_251_500_000), omits_quiet=False
    )
    frame = candles_frame(ticks, profile)
    printed = [f"{tick // 100}.{tick % 100:02d}" for tick in ticks.close.tolist()]
    assert frame["close"].to_list() == [float(text) for text in printed]


def test_history_does_not_change_from_release_to_release() -> None:
    candles = generate(end=START + timedelta(days=1)).candles
    assert (
        content_hash(candles) == "d080b82ecc9b11672d4b546dcf51bdf3b82ffa84efd9765cab022c1f4a26ed12"
    )


def test_a_month_takes_milliseconds() -> None:
    generate(start=datetime(2023, 1, 1, tzinfo=UTC), end=datetime(2023, 1, 2, tzinfo=UTC))
    begun = time.process_time()
    generate(start=datetime(2023, 5, 1, tzinfo=UTC), end=datetime(2023, 6, 1, tzinfo=UTC))
    # 20 ms measured; the bound leaves room for a loaded machine.
    assert time.process_time() - begun < 0.5
