import polars as pl
import pytest

from data_platform.indicators.columns import add_indicators


def expected_index(frame: pl.DataFrame, rows: int) -> list[float]:
    typical = [
        (high + low + close) / 3 for high, low, close in frame.select("high", "low", "close").rows()
    ]
    flows = [price * volume for price, volume in zip(typical, frame["volume"], strict=True)]
    index = []
    for row in range(rows, frame.height):
        window = range(row - rows + 1, row + 1)
        into = sum(flows[at] for at in window if typical[at] > typical[at - 1])
        out_of = sum(flows[at] for at in window if typical[at] < typical[at - 1])
        index.append(100 * into / (into + out_of))
    return index


def test_the_money_flow_index_counts_money_by_the_direction_of_price(filled: pl.DataFrame) -> None:
    values = add_indicators(filled.head(300), ("mfi_14",))["mfi_14"].to_list()
    assert values[:14] == [None] * 14
    assert values[14:] == pytest.approx(expected_index(filled.head(300), 14), rel=1e-12)


def test_without_trades_there_is_no_flow(filled: pl.DataFrame) -> None:
    quiet = filled.head(100).with_columns(volume=pl.lit(0.0))
    assert add_indicators(quiet, ("mfi_14",))["mfi_14"].null_count() == 100


def test_an_unchanged_price_moves_no_money(filled: pl.DataFrame) -> None:
    flat = filled.head(100).with_columns(high=pl.lit(3.0), low=pl.lit(1.0), close=pl.lit(2.0))
    assert add_indicators(flat, ("mfi_14",))["mfi_14"].null_count() == 100
