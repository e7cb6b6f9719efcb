from datetime import UTC, date, datetime, timedelta

import pytest

from data_platform.domain.errors import NotStoredError, WrongUseError
from data_platform.domain.markets import Pair
from data_platform.features.feature_set import FeatureSet
from data_platform.operations.lake import Lake
from data_platform.operations.lookup import (
    Known,
    Question,
    look_up,
    to_feature_set,
    to_series,
    to_time,
)
from data_platform.operations.snapshot import create_snapshot
from data_platform.storage.manifest import Manifest
from data_platform_tests.factories import candles_at, grid, series_of, store_candles

SERIES = series_of()
KNOWN = Known({"binance": (SERIES.pair,), "okx": (Pair("BTC/USDT"),)}, ())
JANUARY = candles_at(grid("2024-01-01", "2024-02-01"))


def ask(**more: object) -> Question:
    return Question("ohlcv", "binance/btcusdt", "1H", "2024-01-01", "2024-02-01", **more)  # type: ignore[arg-type]


def moment() -> datetime:
    now = datetime.now(UTC)
    while datetime.now(UTC) - now < timedelta(milliseconds=2):
        pass
    return now


def test_three_shelves_answer_the_same_question(lake: Lake) -> None:
    store_candles(lake, SERIES, JANUARY)
    then = moment()
    create_snapshot(lake, Manifest("one", then, "0.1", "abc", ()), lambda _: True)
    corrected = JANUARY.with_columns(volume=2.5)
    store_candles(lake, SERIES, corrected)
    assert look_up(lake, KNOWN, ask()).equals(corrected)
    assert look_up(lake, KNOWN, ask(as_of=then)).equals(JANUARY)
    assert look_up(lake, KNOWN, ask(as_of=f"{then:%Y-%m-%dT%H:%M:%S.%f}")).equals(JANUARY)
    assert look_up(lake, KNOWN, ask(snapshot="one")).equals(JANUARY)


def test_a_shelf_that_is_not_there_is_named(lake: Lake) -> None:
    store_candles(lake, SERIES, JANUARY)
    with pytest.raises(WrongUseError, match="exclude each other"):
        look_up(lake, KNOWN, ask(as_of="2024-01-01", snapshot="one"))
    with pytest.raises(NotStoredError, match="no snapshot 'one'"):
        look_up(lake, KNOWN, ask(snapshot="one"))
    with pytest.raises(NotStoredError, match="2024-01"):
        look_up(lake, KNOWN, ask(as_of=date(2020, 1, 1)))
    assert look_up(lake, KNOWN, ask(as_of="2020-01-01", allow_missing=True)).is_empty()


def test_a_series_that_left_the_config_is_still_meant(lake: Lake) -> None:
    store_candles(lake, series_of(exchange="bitmex"), JANUARY)
    assert to_series(lake.store, KNOWN, "bitmex/BTC-USDT", "1h").exchange == "bitmex"
    with pytest.raises(WrongUseError, match="'huobi' is unknown here"):
        to_series(lake.store, KNOWN, "huobi/BTC-USDT", "1h")


def test_a_feature_set_is_meant_by_its_name_or_is_the_only_one() -> None:
    sets = [FeatureSet(name, 2, (1,), (2,), ()) for name in ("one", "two")]
    assert to_feature_set(Known({}, sets[:1]), None) == "one-v2"
    assert to_feature_set(Known({}, sets), "two") == "two-v2"
    assert to_feature_set(Known({}, sets), "two-v1") == "two-v1"
    for name in (None, "three"):
        with pytest.raises(WrongUseError, match="one of one-v2, two-v2"):
            to_feature_set(Known({}, sets), name)


@pytest.mark.parametrize(
    "typed", ["2024-01-31", "2024-01-31T00:00Z", "2024-01-31 01:00+01:00", date(2024, 1, 31)]
)
def test_times_are_utc_however_they_are_spelt(typed: date | str) -> None:
    assert to_time(typed) == datetime(2024, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "typed",
    ["0001-01-01T00:00+14:00", "9999-12-31T23:00-14:00", "1969-12-31", date(2200, 1, 1)],
)
def test_a_time_at_the_end_of_all_calendars_is_refused(typed: date | str) -> None:
    with pytest.raises(WrongUseError, match="a year from 1970 to 2199"):
        to_time(typed)
