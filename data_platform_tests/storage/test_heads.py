import pytest
import sqlalchemy as sa

from data_platform.domain.periods import Period
from data_platform.storage import heads
from data_platform.storage.journal import ABSENT, CommitNote, InputRow
from data_platform.storage.partition_store import PartitionStore
from data_platform_tests.storage.lake import (
    DAY,
    JANUARY,
    at,
    candles,
    commit,
    partition,
    series,
)

FEBRUARY = Period(2024, 2)


@pytest.fixture
def lake(store: PartitionStore) -> PartitionStore:
    commit(store, candles(range(5)))
    commit(store, candles(range(7), period=FEBRUARY), partition(period=FEBRUARY))
    commit(store, candles([]), partition(period=Period(2023, 12)))
    commit(store, candles(range(3)), partition(series(pair="ETH/USDT")))
    daily = series(timeframe=DAY)
    commit(store, candles(range(2), timeframe=DAY), partition(daily))
    commit(store, candles(range(4)), partition(series(exchange="okx")))
    return store


def test_the_newest_time_of_every_series_of_an_exchange(lake: PartitionStore) -> None:
    assert lake.newest("binance") == {
        ("BTC-USDT", "1h"): at(6, FEBRUARY),
        ("ETH-USDT", "1h"): at(2),
        ("BTC-USDT", "1d"): JANUARY.start.replace(day=2),
    }
    assert lake.newest("kraken") == {}
    assert lake.newest("binance", "filled") == {}


def test_inputs_are_those_of_the_newest_commit_of_each_month_and_set(
    store: PartitionStore,
) -> None:
    old = InputRow("indicators", series(), at(0), at(5), "h1")
    new = (
        InputRow("indicators", series(), at(0), at(6), "h2"),
        InputRow("indicators", series(exchange="okx"), None, None, ABSENT),
    )
    first = partition(layer="features", feature_set="a-v1")
    other = partition(layer="features", feature_set="b-v1")
    later = partition(layer="features", feature_set="a-v1", period=FEBRUARY)
    for into, inputs in ((first, (old,)), (first, new), (other, (old,)), (later, new[1:])):
        commit(store, candles([]), into, note=CommitNote(inputs=inputs))
    assert [store.inputs(it) for it in (first, other, later)] == [new, (old,), new[1:]]
    assert store.inputs_of_series("features", series()) == {
        (JANUARY, "a-v1"): new,
        (JANUARY, "b-v1"): (old,),
        (FEBRUARY, "a-v1"): new[1:],
    }
    assert store.inputs(partition()) == ()
    assert store.inputs_of_series("features", series("okx")) == {}


def test_what_a_tick_asks_is_one_statement_that_uses_an_index(lake: PartitionStore) -> None:
    statements: list[str] = []
    engine = lake.state._engine

    def note(_connection: object, _cursor: object, text: str, *_rest: object) -> None:
        statements.append(text)

    sa.event.listen(engine, "before_cursor_execute", note)
    lake.newest("binance")
    lake.first(series())
    lake.journal_rows("ohlcv", "binance", series().timeframe, series().pair)
    lake.journal(partition())
    sa.event.remove(engine, "before_cursor_execute", note)
    asked = [text for text in statements if text != "BEGIN"]
    assert len(asked) == 4
    with lake.state.read() as connection:
        for text in asked:
            parameters = ("x",) * text.count("?")
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters).all()
            scans = [row[3] for row in plan if row[3].startswith("SCAN")]
            assert scans == [], plan


def test_months_of_an_exchange_that_hold_candles(lake: PartitionStore) -> None:
    found = lake.months("binance")
    assert found.schema == heads.MONTH_SCHEMA
    day = JANUARY.start
    assert found.rows() == [
        ("1d", "BTC-USDT", "2024-01", 2, day, day.replace(day=2)),
        ("1h", "BTC-USDT", "2024-01", 5, at(0), at(4)),
        ("1h", "BTC-USDT", "2024-02", 7, at(0, FEBRUARY), at(6, FEBRUARY)),
        ("1h", "ETH-USDT", "2024-01", 3, at(0), at(2)),
    ]
    assert lake.months("binance", DAY).height == 1
    assert lake.months("kraken").is_empty()


def test_the_first_time_of_a_series(lake: PartitionStore) -> None:
    assert lake.first(series()) == at(0)
    assert lake.first(series(pair="XRP/USDT")) is None


def test_series_of_a_layer_are_those_with_a_partition(lake: PartitionStore) -> None:
    expected = {row.series for row in lake.journal_rows("ohlcv")}
    assert len(expected) > 1
    assert lake.series_of("ohlcv") == expected
    assert lake.series_of("nautilus") == set()


def test_journal_rows_are_filtered_and_sorted(lake: PartitionStore) -> None:
    periods = [row.period for row in lake.journal_rows("ohlcv", "binance", pair=series().pair)]
    assert periods == [
        JANUARY,  # 1d
        Period(2023, 12),
        JANUARY,
        FEBRUARY,
    ]
    assert len(lake.journal_rows()) == 6
    assert len(lake.journal_rows(exchange="okx")) == 1
    assert lake.journal_rows(layer="filled") == []


def test_only_partitions_with_rows_are_read(lake: PartitionStore) -> None:
    with lake.state.read() as connection:
        rows = heads.rows_of_series(connection, "ohlcv", series(), None)
    assert [row.rows for row in rows] == [5, 7]


def test_inputs_of_a_partition(lake: PartitionStore) -> None:
    inputs = (InputRow("ohlcv", series(), at(0), at(4), "hash"),)
    commit(lake, candles(range(5)), partition(), note=CommitNote(inputs=inputs))
    assert lake.inputs(partition()) == inputs
    assert lake.inputs(partition(series(exchange="okx"))) == ()
