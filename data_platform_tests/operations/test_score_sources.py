"""What tells that a score has moved: each source by itself, and nothing else."""

from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest

from data_platform.domain.candles import TimeRange
from data_platform.operations.lake import Lake
from data_platform.operations.score_sources import COARSER_AGREE, EXCHANGES_AGREE, read_sources
from data_platform.quality.score import Comparison
from data_platform.storage.quarantine import keep_refused
from data_platform.storage.verdicts import VerdictRow
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    month_of,
    partition_of,
    plant_gaps,
    series_of,
    store_candles,
    time,
)

SERIES = series_of()
JANUARY = month_of("2024-01")
WHOLE = TimeRange(JANUARY.start, JANUARY.end)
KEY = ("1h", "BTC-USDT", "2024-01")


def basis(lake: Lake, month: TimeRange = WHOLE, more: str = "") -> str:
    return read_sources(lake, "binance", SERIES.timeframe, None).basis(KEY, JANUARY, month, more)


def judge(lake: Lake, rule: str, month: str = "2024-01", count: int = 1) -> None:
    at = time("2024-02-01")
    verdict = VerdictRow(rule, at.date(), "error", count, 31, "[]", "{}", at)
    with lake.state.write() as connection:
        lake.verdicts.record(connection, partition_of(SERIES, month), (verdict,))


def store(lake: Lake, start: str, end: str) -> None:
    store_candles(lake, SERIES, candles_at(grid(start, end)))


def refuse(lake: Lake, month: str = "2024-01") -> None:
    rows = candles_at(grid(month, f"{month}-02")).with_columns(reason=pl.lit("a twin"))
    keep_refused(lake.store.layout, partition_of(SERIES, month), rows)


MOVES: dict[str, Callable[[Lake], None]] = {
    "a candle": lambda lake: store(lake, "2024-01-03", "2024-01-03 01:00"),
    "a gap": lambda lake: plant_gaps(lake, gap_of(SERIES, "2024-01-05", "2024-01-06")),
    "coarser candles": lambda lake: judge(lake, COARSER_AGREE),
    "exchanges": lambda lake: judge(lake, EXCHANGES_AGREE),
    "refused rows": refuse,
}
OTHERS: dict[str, Callable[[Lake], None]] = {
    "a candle of another month": lambda lake: store(lake, "2024-02-03", "2024-02-04"),
    "a gap of another month": lambda lake: plant_gaps(
        lake, gap_of(SERIES, "2024-02-05", "2024-02-06")
    ),
    "another rule": lambda lake: judge(lake, "times_unique"),
    "a verdict of another month": lambda lake: judge(lake, COARSER_AGREE, "2024-02"),
    "refused rows of another month": lambda lake: refuse(lake, "2024-02"),
}


@pytest.fixture
def some(lake: Lake) -> Lake:
    store(lake, "2024-01-01", "2024-01-02")
    return lake


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_each_source_moves_the_basis(some: Lake, move: Callable[[Lake], None]) -> None:
    before = basis(some)
    move(some)
    assert basis(some) != before


@pytest.mark.parametrize("move", OTHERS.values(), ids=OTHERS)
def test_what_belongs_elsewhere_does_not(some: Lake, move: Callable[[Lake], None]) -> None:
    before = basis(some)
    move(some)
    assert basis(some) == before


def test_the_wanted_part_and_what_else_is_named_move_it(some: Lake) -> None:
    shorter = TimeRange(WHOLE.start, WHOLE.end - timedelta(hours=1))
    assert len({basis(some), basis(some, shorter), basis(some, more="v2")}) == 3


def test_a_comparison_is_that_of_the_newest_verdict(some: Lake) -> None:
    judge(some, COARSER_AGREE, count=4)
    sources = read_sources(some, "binance", None, None)
    assert sources.comparison(COARSER_AGREE, KEY) == Comparison(4, 31)
    assert sources.comparison(EXCHANGES_AGREE, KEY) is None
