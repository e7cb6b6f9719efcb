"""A small real lake below a temporary folder, and its config."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from data_platform.domain.candles import CANDLE_SCHEMA, merge_candles
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Series
from data_platform.domain.periods import period_of
from data_platform.storage.change import Judgement
from data_platform.storage.journal import CommitNote
from data_platform.storage.ledger import Gap
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.state import State

CONFIG = (
    "exchanges:\n"
    "  kraken: {pairs: [BTC/USD], timeframes: [1h], start: 2024-01-01}\n"
    "  okx: {pairs: [BTC/USDT], timeframes: [1h, 1d], start: 2024-01-01}\n"
)

StoreCandles = Callable[..., None]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the root of an empty lake that the environment and the current folder point to."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/platform.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    for name in ("CONFIG", "DATA", "SIMULATOR", "STATE"):
        monkeypatch.delenv(f"DATA_PLATFORM_{name}", raising=False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return tmp_path / "data"


@pytest.fixture
def store_candles(lake: Path) -> StoreCandles:
    """Return a function that commits candles of one month, and what the ledger says of it."""

    def store(series: Series, start: datetime, count: int, gaps: Sequence[Gap] = ()) -> None:
        times = [start + index * series.timeframe.duration for index in range(count)]
        price = [100.0 + index for index in range(count)]
        frame = pl.DataFrame(
            {"open_time": times}
            | dict.fromkeys(("open", "high", "low", "close"), price)
            | {"volume": [1.0] * count},
            schema=CANDLE_SCHEMA,
        )
        state = State(f"sqlite:///{lake / 'state.db'}")
        PartitionStore(lake, state).commit(
            Partition("ohlcv", series, period_of(start)),
            frame,
            merge=merge_candles,
            audit=lambda incoming: (
                incoming,
                incoming.clear().with_columns(reason=pl.lit(None, dtype=pl.String)),
            ),
            note=CommitNote(source="test"),
            judge=lambda _: Judgement(gaps=tuple(gaps)),
        )
        state.close()

    return store


def hours(count: float) -> timedelta:
    return timedelta(hours=count)
