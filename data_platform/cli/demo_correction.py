"""`data-platform demo-correction`: which partitions one corrected candle reaches, and why."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import polars as pl

from data_platform.domain.candles import content_hash, merge_candles
from data_platform.domain.layers import Partition
from data_platform.domain.markets import Market, Pair, Series
from data_platform.domain.periods import Period, periods_between
from data_platform.domain.synthetic import generate_candles
from data_platform.domain.timeframes import to_timeframe
from data_platform.features.feature_set import FeatureSet
from data_platform.features.markets import MarketColumns
from data_platform.operations.backlog import Scope
from data_platform.operations.derive import derive_layer
from data_platform.operations.lake import Lake, open_lake
from data_platform.operations.recipes import features_recipe, filled_recipe, indicators_recipe
from data_platform.operations.remake import remake_stale
from data_platform.operations.watch import nobody_watches
from data_platform.storage.journal import CommitNote

START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)
CORRECTED = datetime(2024, 2, 29, 20, tzinfo=UTC)
HOUR, FOUR = to_timeframe("1h"), to_timeframe("4h")
BTC, ETH = Pair("BTC/USDT"), Pair("ETH/USDT")
INDICATORS = ("sma_20", "rsi_2")
SET = FeatureSet(
    "demo",
    1,
    returns=(1, 24),
    indicators=("sma_20", "rsi_2"),
    joins={HOUR: {FOUR: ("sma_20",)}},
    markets=(MarketColumns("btc", BTC, returns=(1,)),),
)


@click.command("demo-correction")
def demo_correction() -> None:
    """Correct one candle of a made-up lake and print exactly what is computed again, and why.

    Two pairs, 1h and 4h, four months; features of both join 4h and the returns of BTC. Then
    everything is made from scratch of the same candles: the content is the same. Offline.
    """
    recipes = {
        each: [
            filled_recipe(),
            indicators_recipe(INDICATORS),
            features_recipe(SET, each, INDICATORS),
        ]
        for each in (FOUR, HOUR)
    }
    scope = Scope("binance", {BTC: START, ETH: START}, [], HOUR.duration, recipes, ())
    corrected = Series("binance", BTC, HOUR)
    with TemporaryDirectory() as folder:
        lake, rebuilt = (_opened(Path(folder) / name) for name in ("lake", "rebuilt"))
        _fill(lake, scope)
        total = sum(1 for _ in _partitions(scope))
        candle = _candles(corrected).filter(pl.col("open_time") == CORRECTED)
        other = candle.with_columns(pl.col("close", "high") * 1.01)
        _store(lake, corrected, other)
        click.echo(f"The exchange corrects the candle {CORRECTED:%Y-%m-%d %H:%M} of {corrected}.")
        remade = remake_stale(lake, scope, END, nobody_watches())
        for each in remade:
            click.echo(f"  {each.partition}: {each.why}")
        again = remake_stale(lake, scope, END, nobody_watches())
        click.echo(f"{len(remade)} of {total} derived partitions computed again by one look.")
        click.echo(f"A second look finds {len(again)}.")
        _fill(rebuilt, scope, {corrected: other})
        same = _digest(lake, scope) == _digest(rebuilt, scope)
        click.echo(f"All made from scratch: {'the same content' if same else 'OTHER CONTENT'}.")
        for each_lake in (lake, rebuilt):
            each_lake.state.close()
    if not same or again:
        raise click.exceptions.Exit(1)


def _opened(root: Path) -> Lake:
    root.mkdir()
    return open_lake(root, f"sqlite:///{root / 'state.db'}")


def _candles(series: Series) -> pl.DataFrame:
    market = Market(series.exchange, series.pair)
    return generate_candles(7, market, series.timeframe, START, END).candles


def _months() -> list[Period]:
    return list(periods_between(START, END))


def _fill(lake: Lake, scope: Scope, other: dict[Series, pl.DataFrame] | None = None) -> None:
    for timeframe in scope.recipes:
        for pair in scope.starts:
            series = Series(scope.exchange, pair, timeframe)
            _store(lake, series, _candles(series))
            if other and series in other:
                _store(lake, series, other[series])
    for partition in _partitions(scope):
        recipes = scope.recipes[partition.series.timeframe]
        own = [it for it in recipes if it.layer == partition.layer]
        derive_layer(lake, [partition], own, nobody_watches())


def _partitions(scope: Scope) -> Iterator[Partition]:
    for layer in ("filled", "indicators", "features"):
        for timeframe in scope.recipes:
            for pair in scope.starts:
                for month in _months():
                    yield Partition(layer, Series(scope.exchange, pair, timeframe), month)


def _store(lake: Lake, series: Series, candles: pl.DataFrame) -> None:
    for month in _months():
        inside = (pl.col("open_time") >= month.start) & (pl.col("open_time") < month.end)
        rows = candles.filter(inside)
        if rows.height:
            lake.store.commit(
                Partition("ohlcv", series, month),
                rows,
                merge=merge_candles,
                audit=lambda frame: (frame, frame.clear()),
                note=CommitNote(source="demo"),
            )


def _digest(lake: Lake, scope: Scope) -> str:
    digest = hashlib.sha256()
    for each in _partitions(scope):
        name = SET.key if each.layer == "features" else None
        stored = lake.store.read(Partition(each.layer, each.series, each.period, name))
        digest.update(f"{each}:{content_hash(stored.frame) if stored else None}".encode())
    return digest.hexdigest()
