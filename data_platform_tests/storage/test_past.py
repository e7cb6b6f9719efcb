"""The lake as it was known, against a second opinion: dictionaries that remember everything."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import NotStoredError, StorageError
from data_platform.domain.periods import Period
from data_platform.storage.complete import Wanted, read_complete
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.past import PastReader
from data_platform_tests.storage.lake import (
    JANUARY,
    at,
    candles,
    commit,
    filled,
    partition,
    series,
    utc,
)

FEBRUARY = Period(2024, 2)
START, END = utc(2024, 1), utc(2024, 3)
Known = dict[tuple[Period, int], float]


def moment() -> datetime:
    """Return now, and not before it is over: the journal's clock has milliseconds."""
    now = datetime.now(UTC)
    while datetime.now(UTC) - now < timedelta(milliseconds=2):
        pass
    return now


def rows_of(known: Known) -> pl.DataFrame:
    frames = [
        candles([hour], price=price, period=period) for (period, hour), price in known.items()
    ]
    return pl.concat([CANDLE_SCHEMA.to_frame(), *frames]).sort("open_time")


@pytest.mark.parametrize("seed", range(8))
def test_every_moment_reads_as_a_dictionary_remembers_it(store: PartitionStore, seed: int) -> None:
    chance = random.Random(seed)
    known: Known = {}
    moments: list[tuple[datetime, Known]] = []
    for step in range(25):
        period = chance.choice([JANUARY, FEBRUARY])
        newest = max((hour for month, hour in known if month == period), default=-1)
        first = chance.choice([newest + 1, newest + 1, newest + 3, chance.randint(0, newest + 1)])
        hours = range(first, first + chance.randint(1, 4))
        price = chance.choice([100.0, 100.0, 100.0, 1000.0 + step])
        commit(store, candles(hours, price=price, period=period), partition(period=period))
        known.update({(period, hour): price for hour in hours})
        moments.append((moment(), dict(known)))
    for time, then in moments:
        found = PastReader(store, time).read_range("ohlcv", series(), START, END)
        assert found.equals(rows_of(then)), time


def test_a_moment_before_everything_knew_nothing(store: PartitionStore) -> None:
    commit(store, candles([1]))
    past = PastReader(store, utc(2023))
    assert past.stored_periods("ohlcv", series()) == set()
    assert past.read_range("ohlcv", series(), START, END).equals(CANDLE_SCHEMA.to_frame())
    with pytest.raises(NotStoredError, match="2024-01"):
        read_complete(past, Wanted("ohlcv", series(), START, END))


def test_an_empty_month_was_known_to_be_empty(store: PartitionStore) -> None:
    commit(store, candles([]))
    past = PastReader(store, moment())
    assert past.stored_periods("ohlcv", series()) == {JANUARY}
    assert read_complete(past, Wanted("ohlcv", series(), START, utc(2024, 2))).is_empty()


def test_a_derived_layer_is_read_as_it_was_although_rows_went(store: PartitionStore) -> None:
    one = partition(layer="filled")
    commit(store, filled(candles([1, 2, 3])), one, merge=None)
    then = moment()
    commit(store, filled(candles([1])), one, merge=None)
    past = PastReader(store, then).read_range("filled", series(), START, END)
    assert past.equals(filled(candles([1, 2, 3])))


@pytest.mark.parametrize("price", [100.0, 700.0, 900.0], ids=["adopted", "extended", "corrected"])
def test_a_correction_that_died_before_the_journal_hides_no_past(
    store: PartitionStore, monkeypatch: pytest.MonkeyPatch, price: float
) -> None:
    commit(store, candles([1, 2, 3]))
    then = moment()
    with monkeypatch.context() as patched:
        # As if the process had died between rename and journal.
        patched.setattr(PartitionStore, "_note", lambda *_: None)
        commit(store, candles([2], price=700))
    later = {100.0: candles([2], price=700), 700.0: candles([4]), 900.0: candles([2], price=900)}
    commit(store, later[price])
    past = PastReader(store, then).read_range("ohlcv", series(), START, END)
    assert past.equals(candles([1, 2, 3]))
    changes = store.replaced(partition())
    newest = 702.0 if price < 900 else 902.0
    assert changes.select("old_close", "new_close").rows() == [(102.0, newest)]


def test_a_range_is_cut_on_both_sides(store: PartitionStore) -> None:
    commit(store, candles(range(6)))
    past = PastReader(store, moment())
    found = past.read_range("ohlcv", series(), at(2), at(4))
    assert found["open_time"].to_list() == [at(2), at(3)]


def test_what_was_lost_is_not_made_up(store: PartitionStore, root: Path) -> None:
    commit(store, candles([1, 2, 3]))
    then = moment()
    (file,) = (root / "ohlcv").rglob("*.parquet")
    file.unlink()
    with pytest.raises(StorageError, match="its file is gone"):
        PastReader(store, then).read_range("ohlcv", series(), START, END)
    commit(store, candles([1, 2], price=700))
    with pytest.raises(StorageError, match=r"BTC-USDT\|2024-01: what was stored at .* with other"):
        PastReader(store, then).read_range("ohlcv", series(), START, END)
