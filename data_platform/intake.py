"""Bring candles in from your own code: ask an exchange, or store what you have.

>>> from data_platform.intake import fetch_ohlcv, save_ohlcv
>>> candles = fetch_ohlcv("kraken/BTC-USD", "1h", "2024-01-01", "2024-02-01")
>>> save_ohlcv(candles, "kraken/BTC-USD", "1h", source="my notebook")

The same configuration, audit, journal and limits of requests as everywhere. What keeps a lake up to
date is `data-platform download`, which asks for what is missing alone and believes what is empty.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from data_platform.config.environment import read_api_key
from data_platform.converters.foreign import ForeignFormat, to_candles
from data_platform.domain.candles import closed_before, empty_candles
from data_platform.domain.errors import GarbageError, WrongUseError
from data_platform.domain.markets import Series
from data_platform.operations.import_candles import Import, ImportReport, import_candles
from data_platform.operations.lake import opened_lake
from data_platform.operations.lookup import Time, to_series, to_time
from data_platform.quality.schema import audit_candles
from data_platform.settings import ExchangeSettings, load_settings
from data_platform.sources.access import Access
from data_platform.sources.base import FetchRequest, FetchResult

if TYPE_CHECKING:
    import pandas as pd


def fetch_ohlcv(market: str, timeframe: str, start: Time, end: Time) -> pl.DataFrame:
    """Ask an exchange for closed candles; store nothing.

    Args:
        market: exchange and pair of the config: `binance/BTC-USDT`, `binance/BTCUSDT`.
        timeframe: one that is fetched, not derived.
        start: first opening time.
        end: end of the range, exclusive; what has not closed yet is left out.

    Returns:
        open_time (UTC), open, high, low, close, volume, sorted; a time without a candle has no row.

    Raises:
        SourceError: the exchange gave no valid answer, or a row that cannot be true.
        WrongUseError: an argument cannot be understood, or the exchange's candles do not go back
            as far.
    """
    # With ccxt, which takes a second.
    from data_platform.sources.ccxt_source import CcxtSource

    settings = load_settings()
    with opened_lake(settings.data_root, settings.state_url) as lake:
        series = to_series(lake.store, settings.known, market, timeframe)
        exchange = _configured(settings.exchanges.get(series.exchange), series)
        first, last = (series.timeframe.ceil(to_time(it)) for it in (start, end))
        with closing(CcxtSource(_to_access(exchange), lake.breakers)) as source:
            closed = closed_before(source.now(), series.timeframe, exchange.grace)
            request = FetchRequest(series, first, min(last, closed))
            if request.start >= request.end:
                return empty_candles()
            rows = pl.concat(_candles(source.fetch([request]), series))
    good, refused = audit_candles(rows, series.timeframe, closed, request.start, request.end)
    if refused.height:
        worst = refused.row(0, named=True)
        raise GarbageError(
            f"{series}: {refused.height} rows of the answer cannot be true, the first of "
            f"{worst['open_time']}: {worst['reason']}. `data-platform download` keeps such rows in "
            "quarantine and stores the others."
        )
    return good


def save_ohlcv(
    candles: "pl.DataFrame | pd.DataFrame",
    market: str,
    timeframe: str,
    *,
    source: str,
    replaces: bool = False,
) -> ImportReport:
    """Store candles of your own, through the audit of fetched ones.

    What is computed from them follows by `data-platform download` or the schedules.

    Args:
        candles: columns or index named as `data-platform import` finds them (timestamp, Open, ...),
            a row a candle, times of their opening; of a time without a zone UTC is meant.
        market: as `fetch_ohlcv`.
        timeframe: as `fetch_ohlcv`.
        source: where they are from; the journal keeps it as `import:<source>`.
        replaces: whether they take the place of stored candles that differ.

    Returns:
        What became of the rows: added, changed, kept, equal, refused (in quarantine).

    Raises:
        ForeignFileError: a column or value cannot be understood, or does not belong; nothing was
            stored.
        StorageError: the lake refuses; earlier months are stored.
        WrongUseError: an argument cannot be understood.
    """
    if not source.strip() or "/" in source:
        raise WrongUseError(f"source {source!r}: expected a name without /, such as 'my notebook'.")
    table = candles if isinstance(candles, pl.DataFrame) else pl.from_pandas(candles.reset_index())
    settings = load_settings()
    with opened_lake(settings.data_root, settings.state_url) as lake:
        series = to_series(lake.store, settings.known, market, timeframe)
        exchange = _configured(settings.exchanges.get(series.exchange), series)
        rows = to_candles(table, Path(source), ForeignFormat(), series.timeframe)
        order = Import(Path(source), series, rows, replaces=replaces)
        return import_candles(lake, order, settings.rules_of(exchange), datetime.now(UTC))


def _configured(exchange: ExchangeSettings | None, series: Series) -> ExchangeSettings:
    if exchange is None or series.pair not in exchange.pairs:
        raise WrongUseError(f"{series} is not configured (any more): add it to the config.")
    exchange.require_fetched(series.timeframe)
    return exchange


def _candles(results: Iterator[FetchResult], series: Series) -> Iterator[pl.DataFrame]:
    for result in results:
        window = result.window
        if window.error is not None:
            raise window.error
        if window.outcome == "unavailable":
            raise WrongUseError(
                f"{series}: the exchange does not hand out candles from {window.start} to "
                f"{window.end} ({window.evidence}); ask from {window.end} on."
            )
        yield result.candles


def _to_access(exchange: ExchangeSettings) -> Access:
    return Access(
        exchange=exchange.row,
        base_url=exchange.base_url,
        requests_per_minute=exchange.requests_per_minute,
        timeout=exchange.timeout,
        grace=exchange.grace,
        api_key=read_api_key(exchange.name, exchange.api_key_env),
    )
