from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from data_platform.api import (
    get_features,
    load_features,
    load_indicators,
    load_ohlcv,
    load_scores,
)
from data_platform.domain.errors import DamagedFileError, NotStoredError, WrongUseError
from data_platform.domain.markets import Pair
from data_platform.domain.periods import Period
from data_platform.storage.manifest import Manifest
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.scores import ScoreRow, Scores
from data_platform.storage.snapshots import Snapshots
from data_platform_tests.factories import score_row
from data_platform_tests.storage.lake import (
    at,
    candles,
    commit,
    filled,
    open_store,
    partition,
    series,
    utc,
)

CONFIG = """
exchanges:
  binance:
    start: 2024-01-01
    pairs: [BTC/USDT, ETH/USDT]
    timeframes: [1h]
"""
JANUARY = (date(2024, 1, 1), date(2024, 2, 1))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PartitionStore]:
    (tmp_path / "platform.yaml").write_text(CONFIG)
    monkeypatch.setenv("DATA_PLATFORM_CONFIG", str(tmp_path / "platform.yaml"))
    monkeypatch.setenv("DATA_PLATFORM_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("DATA_PLATFORM_STATE", raising=False)
    store = open_store(tmp_path / "data")
    commit(store, candles(range(48)))
    yield store
    store.state.close()


@pytest.mark.parametrize("market", ["binance/BTC-USDT", "binance/BTC/USDT", "Binance/btcusdt"])
@pytest.mark.parametrize("timeframe", ["1h", "1H"])
@pytest.mark.usefixtures("store")
def test_candles_are_read_however_the_market_is_spelt(market: str, timeframe: str) -> None:
    assert load_ohlcv(market, timeframe, *JANUARY).equals(candles(range(48)))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2024-01-01T05:00", "2024-01-01T07:00Z"),
        (at(5), at(7)),
        ("2024-01-01 07:00+02:00", datetime(2024, 1, 1, 9, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
@pytest.mark.usefixtures("store")
def test_times_are_utc_and_the_end_is_exclusive(start: datetime | str, end: datetime | str) -> None:
    found = load_ohlcv("binance/BTC-USDT", "1h", start, end)
    assert found["open_time"].to_list() == [at(5), at(6)]


@pytest.mark.usefixtures("store")
def test_a_pandas_frame_has_the_same_values() -> None:
    found = load_ohlcv("binance/BTC-USDT", "1h", *JANUARY, frame="pandas")
    assert isinstance(found, pd.DataFrame)
    assert found["close"].tolist() == candles(range(48))["close"].to_list()
    assert str(found["open_time"].dt.tz) == "UTC"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("BTC-USDT", "1h", *JANUARY), "exchange/pair"),
        (("nowhere/BTC-USDT", "1h", *JANUARY), "'nowhere' is unknown here. Accepted: .*binance"),
        (("binnance/BTC-USDT", "1h", *JANUARY), "Did you mean binance"),
        (("binance", "1h", *JANUARY), "names no pair.*: binance/BTC-USDT, binance/ETH-USDT"),
        (("Binance/", "1h", *JANUARY), "names no pair.*: binance/BTC-USDT, binance/ETH-USDT"),
        (("", "1h", *JANUARY), "exchange/pair"),
        (("binance/XRP-USDT", "1h", *JANUARY), "BTC/USDT, ETH/USDT"),
        (("binance/BTC-USDT", "2h", *JANUARY), "1m, 5m"),
        (("binance/BTC-USDT", "1h", "yesterday", JANUARY[1]), "expected ISO"),
        ((None, "1h", *JANUARY), "expected texts like 'okx/BTC-USDT', '1h', found None, 1h"),
        (("binance/BTC-USDT", 3600, *JANUARY), "'1h', found binance/BTC-USDT, 3600"),
        (
            ("binance/BTC-USDT", "1h", 1704067200, JANUARY[1]),
            "time 1704067200: expected a datetime",
        ),
        (("binance/BTC-USDT", "1h", *JANUARY[:1], None), "time None: expected a datetime"),
        (("binance/BTC-USDT", "1h", datetime(2024, 1, 1), JANUARY[1]), "no zone"),  # noqa: DTZ001  # what is refused
        (("binance/BTC-USDT", "1h", JANUARY[1], JANUARY[0]), "holds nothing"),
    ],
)
@pytest.mark.usefixtures("store")
def test_what_cannot_be_understood_says_what_can(
    arguments: tuple[str, str, date, date], told: str
) -> None:
    with pytest.raises(WrongUseError, match=told):
        load_ohlcv(*arguments)


@pytest.mark.usefixtures("store")
def test_another_frame_is_refused() -> None:
    with pytest.raises(WrongUseError, match="polars or pandas"):
        load_ohlcv("binance/BTC-USDT", "1h", *JANUARY, frame="spark")  # type: ignore[call-overload]


@pytest.mark.usefixtures("store")
def test_a_month_that_is_not_stored_is_an_error_unless_asked_otherwise() -> None:
    with pytest.raises(NotStoredError, match=r"2024-02.*download"):
        load_ohlcv("binance/BTC-USDT", "1h", "2024-01-01", "2024-02-02")
    found = load_ohlcv("binance/BTC-USDT", "1h", "2024-01-01", "2024-02-02", allow_missing=True)
    assert found.height == 48


def test_a_damaged_month_is_an_error_unless_asked_otherwise(store: PartitionStore) -> None:
    february = Period(2024, 2)
    commit(store, candles([1], period=february), partition(period=february))
    (path,) = store.files("ohlcv", series(), [february])
    path.write_bytes(b"torn")
    with pytest.raises(DamagedFileError, match="2024-02"):
        load_ohlcv("binance/BTC-USDT", "1h", "2024-01-01", "2024-03-01")
    found = load_ohlcv("binance/BTC-USDT", "1h", "2024-01-01", "2024-03-01", allow_missing=True)
    assert found.height == 48


def test_a_pair_that_left_the_config_stays_readable(store: PartitionStore) -> None:
    commit(store, candles([1]), partition(series(pair="LUNA/USDT")))
    assert Pair("LUNA/USDT").key == "LUNA-USDT"
    assert load_ohlcv("binance/LUNA-USDT", "1h", *JANUARY).height == 1


def test_indicators_say_when_they_could_be_known(store: PartitionStore) -> None:
    rows = filled(candles(range(3))).with_columns(sma_2=pl.lit(1.5))
    commit(store, rows, partition(layer="indicators"), merge=None)
    found = load_indicators("binance/BTC-USDT", "1h", *JANUARY)
    assert found.columns == [*rows.columns, "available_at"]
    assert found["available_at"].to_list() == [at(1), at(2), at(3)]


def test_a_feature_set_is_chosen_by_name_or_version(store: PartitionStore) -> None:
    for name in ("base-v1", "base-v9"):
        rows = candles([47]).select("open_time").with_columns(name=pl.lit(name))
        into = partition(layer="features", feature_set=name)
        commit(store, rows, into, merge=None)

    def chosen(name: str | None) -> str:
        found = load_features("binance/BTC-USDT", "1h", *JANUARY, feature_set=name)
        assert found.columns == ["open_time", "name", "available_at"]
        return str(found["name"].item())

    assert [chosen(name) for name in (None, "base", "base-v1")] == ["base-v1"] * 3
    assert chosen("base-v9") == "base-v9"
    with pytest.raises(WrongUseError, match="base-v1"):
        chosen("other")


def test_features_known_at_a_time_are_computed_where_they_are_newer(store: PartitionStore) -> None:
    rows = candles([3]).select("open_time").with_columns(is_filled=pl.lit(value=False))
    commit(store, rows, partition(layer="features", feature_set="base-v1"), merge=None)
    known = get_features("binance/BTC-USDT", "1h", at(30), feature_set="base")
    assert (known["open_time"], known["available_at"]) == (at(29), at(30))
    closes = candles([28, 29])["close"].to_list()
    assert known["return_1"] == closes[1] / closes[0] - 1
    now = get_features("binance/BTC-USDT", "1h")
    assert now["open_time"] == at(47)
    fresh = load_features("binance/BTC-USDT", "1h", at(4), at(48))
    assert fresh["open_time"].to_list() == [at(hour) for hour in range(4, 48)]
    assert fresh.row(-1, named=True) == now
    with pytest.raises(NotStoredError, match="no candle that had closed"):
        get_features("binance/BTC-USDT", "1h", "2023-01-01")


def test_a_lake_that_is_not_there_is_not_made(
    tmp_path: Path, store: PartitionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.root.is_dir()
    monkeypatch.setenv("DATA_PLATFORM_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(NotStoredError, match="no lake"):
        load_ohlcv("binance/BTC-USDT", "1h", *JANUARY)
    assert not (tmp_path / "elsewhere").exists()


def test_the_example_of_the_module_reads(store: PartitionStore) -> None:
    assert store.root.is_dir()
    found = load_ohlcv("binance/BTC-USDT", "1h", "2024-01-01", "2024-02-01")
    assert found["open_time"][0] == datetime(2024, 1, 1, tzinfo=UTC)


def test_what_was_known_and_what_was_pinned_stay_readable_after_a_correction(
    store: PartitionStore,
) -> None:
    pinned = Manifest("before", utc(2024, 2), "0.1", "abc", ())
    Snapshots(store.root).create(store, store.journal_rows(), pinned)
    then = datetime.now(UTC)
    while datetime.now(UTC) - then < timedelta(milliseconds=2):
        pass
    commit(store, candles([3], price=900))
    for shelf in ({"as_of": then}, {"as_of": then.isoformat()}, {"snapshot": "before"}):
        found = load_ohlcv("binance/BTC-USDT", "1h", *JANUARY, **shelf)
        assert found.equals(candles(range(48)))
    assert load_ohlcv("binance/BTC-USDT", "1h", *JANUARY)["close"][3] == 903.0


def test_scores_are_those_noted_last_of_each_month(store: PartitionStore) -> None:
    assert load_scores("binance/BTC-USDT", "1h").is_empty()
    noted = [("2024-02", 1, 0.9), ("2024-01", 1, 0.5), ("2024-01", 2, 0.75)]
    for pair, halved in (("BTC/USDT", 1), ("ETH/USDT", 2)):
        for month, day, score in noted:
            row = _score(date(2024, 3, day), score / halved)
            period = Period(2024, int(month[-1]))
            part = partition(of=series(pair=pair), period=period)
            with store.state.write() as connection:
                Scores(store.state).record(connection, [(part, row)])
    found = load_scores("Binance/btcusdt", "1H")
    assert found.select("period", "day", "score_five").rows() == [
        ("2024-01", "2024-03-02", 0.75),
        ("2024-02", "2024-03-01", 0.9),
    ]
    assert (found["stored"][0], found["validity"][0], found["accuracy"][0]) == (700, 1.0, None)
    with pytest.raises(WrongUseError, match="DOGE"):
        load_scores("binance/DOGEUSDT", "1h")


def _score(day: date, score: float) -> ScoreRow:
    return score_row(
        day=day,
        expected=744,
        stored=700,
        completeness=score,
        validity=1.0,
        score_five=score,
        score_four=0.6,
        absent="consistency, accuracy, timeliness",
    )
