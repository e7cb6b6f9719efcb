"""Read stored candles, indicators and features from your own code.

>>> from data_platform.api import load_ohlcv
>>> load_ohlcv("binance/BTC-USDT", "1h", "2024-01-01", "2024-02-01")

Which lake is read, and its markets, tells the same configuration as everywhere (`settings.py`).
Times are UTC, ranges half-open. Nothing here fetches, fills or repairs: what is not stored or is
damaged is an error, unless the caller asks to go without.
"""

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Literal, overload

import polars as pl

from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import Market, Pair, Series, from_key, to_exchange, to_pair
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.lake import require_lake
from data_platform.settings import Settings, load_settings
from data_platform.storage.complete import Wanted, read_available, read_complete
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.state import State

if TYPE_CHECKING:
    import pandas as pd

Time = datetime | date | str
"""An aware datetime, a date, or either in ISO form; without a zone it is UTC."""

_VERSIONED = re.compile(r"[A-Za-z0-9_]+-v[1-9][0-9]*")


@overload
def load_ohlcv(
    market: str,
    timeframe: str,
    start: Time,
    end: Time,
    *,
    frame: Literal["polars"] = "polars",
    allow_missing: bool = False,
) -> pl.DataFrame: ...


@overload
def load_ohlcv(
    market: str,
    timeframe: str,
    start: Time,
    end: Time,
    *,
    frame: Literal["pandas"],
    allow_missing: bool = False,
) -> "pd.DataFrame": ...


def load_ohlcv(
    market: str,
    timeframe: str,
    start: Time,
    end: Time,
    *,
    frame: Literal["polars", "pandas"] = "polars",
    allow_missing: bool = False,
) -> "pl.DataFrame | pd.DataFrame":
    """Return candles as the exchange gave them: closed, audited, sparse.

    Args:
        market: exchange and pair: `binance/BTC-USDT`, `binance/BTC/USDT`, `binance/BTCUSDT`.
        timeframe: `1m` to `1d`.
        start: first opening time.
        end: end of the range, exclusive.
        frame: which library's frame to return.
        allow_missing: leave out months that are not stored or damaged instead of raising.

    Returns:
        open_time (UTC), open, high, low, close (quote currency per unit of base), volume (base
        currency), sorted by open_time; a time without a candle has no row.

    Raises:
        NotStoredError: a month of the range was never materialized.
        DamagedFileError: a stored file is gone, torn or changed.
        WrongUseError: an argument cannot be understood.
    """
    loaded = _load("ohlcv", market, timeframe, (start, end), allow_missing=allow_missing)
    return _handed_out(loaded, frame)


@overload
def load_indicators(
    market: str,
    timeframe: str,
    start: Time,
    end: Time,
    *,
    frame: Literal["polars"] = "polars",
    allow_missing: bool = False,
) -> pl.DataFrame: ...


@overload
def load_indicators(
    market: str,
    timeframe: str,
    start: Time,
    end: Time,
    *,
    frame: Literal["pandas"],
    allow_missing: bool = False,
) -> "pd.DataFrame": ...


def load_indicators(
    market: str,
    timeframe: str,
    start: Time,
    end: Time,
    *,
    frame: Literal["polars", "pandas"] = "polars",
    allow_missing: bool = False,
) -> "pl.DataFrame | pd.DataFrame":
    """Return filled candles with the configured indicators; row t uses candles <= t.

    Args:
        market: exchange and pair, as `load_ohlcv`.
        timeframe: `1m` to `1d`.
        start: first opening time.
        end: end of the range, exclusive.
        frame: which library's frame to return.
        allow_missing: leave out months that are not stored or damaged instead of raising.

    Returns:
        The columns of `load_ohlcv`, is_filled, fill_method, segment, the indicators, and
        available_at: the candle's close, before which nobody can know the row. Sorted.

    Raises:
        NotStoredError: a month of the range was never materialized.
        DamagedFileError: a stored file is gone, torn or changed.
        WrongUseError: an argument cannot be understood.
    """
    loaded = _load("indicators", market, timeframe, (start, end), allow_missing=allow_missing)
    return _handed_out(_with_close(loaded, timeframe), frame)


@overload
def load_features(
    market: str,
    timeframe: str,
    start: Time,
    end: Time,
    *,
    feature_set: str | None = None,
    frame: Literal["polars"] = "polars",
    allow_missing: bool = False,
) -> pl.DataFrame: ...


@overload
def load_features(
    market: str,
    timeframe: str,
    start: Time,
    end: Time,
    *,
    feature_set: str | None = None,
    frame: Literal["pandas"],
    allow_missing: bool = False,
) -> "pd.DataFrame": ...


def load_features(  # noqa: PLR0913  # as `load_ohlcv`, and the set
    market: str,
    timeframe: str,
    start: Time,
    end: Time,
    *,
    feature_set: str | None = None,
    frame: Literal["polars", "pandas"] = "polars",
    allow_missing: bool = False,
) -> "pl.DataFrame | pd.DataFrame":
    """Return one feature set; row t uses what was known at the close of candle t.

    Args:
        market: exchange and pair, as `load_ohlcv`.
        timeframe: `1m` to `1d`.
        start: first opening time.
        end: end of the range, exclusive.
        feature_set: `name` or `name-v1`; None: the only one configured.
        frame: which library's frame to return.
        allow_missing: leave out months that are not stored or damaged instead of raising.

    Returns:
        open_time, the set's columns, and available_at: the candle's close. Sorted.

    Raises:
        NotStoredError: a month of the range was never materialized.
        DamagedFileError: a stored file is gone, torn or changed.
        WrongUseError: an argument cannot be understood.
    """
    loaded = _load(
        "features",
        market,
        timeframe,
        (start, end),
        allow_missing=allow_missing,
        feature_set=feature_set,
    )
    return _handed_out(_with_close(loaded, timeframe), frame)


def _load(
    layer: str,
    market: str,
    timeframe: str,
    times: tuple[Time, Time],
    *,
    allow_missing: bool,
    feature_set: str | None = None,
) -> pl.DataFrame:
    if not (isinstance(market, str) and isinstance(timeframe, str)):
        raise WrongUseError(
            f"expected texts like 'okx/BTC-USDT', '1h', found {market}, {timeframe}."
        )
    settings = load_settings()
    start, end = (_to_time(time) for time in times)
    if start >= end:
        raise WrongUseError(f"the range from {start} to {end} holds nothing; end is exclusive.")
    require_lake(settings.data_root)
    state = State(settings.state_url)
    try:
        store = PartitionStore(settings.data_root, state)
        series = _to_series(settings, store, market, timeframe)
        chosen = _to_feature_set(settings, feature_set) if layer == "features" else None
        wanted = Wanted(layer, series, start, end, chosen)
        return (read_available if allow_missing else read_complete)(store, wanted)
    finally:
        state.close()


def _to_series(settings: Settings, store: PartitionStore, market: str, timeframe: str) -> Series:
    text, slash, pair = market.partition("/")
    # What left the config stays readable.
    stored = {from_key(key) for key, _ in store.newest(text.lower())}
    if not (stored or slash or text.lower() in settings.exchanges):
        raise WrongUseError(f"market {market!r}: expected exchange/pair such as okx/BTC-USDT.")
    exchange = to_exchange(text, [text.lower()] if stored else list(settings.exchanges))
    configured = settings.exchanges.get(exchange)
    known: set[Pair] = stored | set(configured.pairs if configured else ())
    if not pair:
        names = sorted(str(Market(exchange, each)) for each in known)
        raise WrongUseError(f"market {market!r} names no pair. Expected: {', '.join(names)}.")
    return Series(exchange, to_pair(pair, known), to_timeframe(timeframe))


def _to_feature_set(settings: Settings, name: str | None) -> str:
    keys = [each.key for each in settings.feature_sets]
    if name is None and len(keys) == 1:
        return keys[0]
    fitting = [each.key for each in settings.feature_sets if name in (each.name, each.key)]
    if len(fitting) == 1:
        return fitting[0]
    if name is not None and not fitting and _VERSIONED.fullmatch(name):
        # An older version that is still stored.
        return name
    raise WrongUseError(f"feature_set {name!r}: expected one of {', '.join(keys)}.")


def _to_time(time: Time) -> datetime:
    if isinstance(time, str):
        try:
            parsed = datetime.fromisoformat(time)
        except ValueError as error:
            raise WrongUseError(
                f"time {time!r}: expected ISO, such as 2024-01-31 or 2024-01-31T12:00Z."
            ) from error
        return parsed.replace(tzinfo=parsed.tzinfo or UTC).astimezone(UTC)
    if not isinstance(time, date):
        raise WrongUseError(
            f"time {time!r}: expected a datetime, a date, or either in ISO form: 2024-01-31."
        )
    if not isinstance(time, datetime):
        return datetime(time.year, time.month, time.day, tzinfo=UTC)
    if time.tzinfo is None:
        raise WrongUseError(f"time {time!r} has no zone; write datetime(..., tzinfo=UTC).")
    return time.astimezone(UTC)


def _with_close(rows: pl.DataFrame, timeframe: str) -> pl.DataFrame:
    close = pl.col("open_time") + to_timeframe(timeframe).duration
    return rows.with_columns(close.alias("available_at"))


def _handed_out(rows: pl.DataFrame, frame: str) -> "pl.DataFrame | pd.DataFrame":
    if frame == "polars":
        return rows
    if frame == "pandas":
        return rows.to_pandas()
    raise WrongUseError(f"frame {frame!r}: expected polars or pandas.")
