"""Layers of the lake, one row each, and the name of one stored partition.

The order is the order of the line: a layer reads only layers above it.
"""

from dataclasses import dataclass
from typing import Literal

from data_platform.domain.markets import Series
from data_platform.domain.periods import Period

Refresh = Literal["candles", "derived", "exports"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One kind of table per series."""

    name: str
    """The word in asset keys, paths and macros."""
    refresh: Refresh
    """Which interval of the config's `refresh` limits how often automation runs it."""
    code_version: int
    """Raised by hand when the meaning of the layer's content changes."""
    reads: tuple[str, ...]
    """The layers it is computed from."""


LAYERS: tuple[Layer, ...] = (
    Layer("ohlcv", "candles", 1, ()),
    Layer("filled", "derived", 1, ("ohlcv",)),
    Layer("indicators", "derived", 3, ("filled",)),
    Layer("features", "derived", 3, ("indicators",)),
    Layer("vectorbt", "exports", 1, ("ohlcv",)),
    Layer("freqtrade", "exports", 1, ("ohlcv",)),
    Layer("nautilus", "exports", 2, ("ohlcv",)),
)

LAYERS_BY_NAME = {layer.name: layer for layer in LAYERS}


@dataclass(frozen=True, slots=True)
class Partition:
    """One layer of one series in one period: what one commit writes and one journal row names."""

    layer: str
    """A name of `LAYERS`."""
    series: Series
    period: Period
    feature_set: str | None = None
    """`<name>-v<version>` in the layer `features`, else None."""

    def __str__(self) -> str:
        layer = f"{self.layer}[{self.feature_set}]" if self.feature_set else self.layer
        asset = f"{self.series.exchange}/{layer}_{self.series.timeframe}"
        return f"{asset} {self.series.pair.key}|{self.period}"
