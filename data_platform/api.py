"""Read stored candles, indicators, features and scores from your own code.

>>> from data_platform.api import load_ohlcv
>>> load_ohlcv("binance/BTC-USDT", "1h", "2024-01-01", "2024-02-01")

Which lake is read, and its markets, tells the same configuration as everywhere (`settings.py`).
Times are UTC, ranges half-open. Nothing here fetches, fills or repairs: what is not stored or is
damaged is an error, unless the caller asks to go without.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, overload

import polars as pl

from data_platform.domain.errors import WrongUseError
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.lake import Lake, opened_lake, require_lake
from data_platform.operations.lookup import (
    Known,
    Question,
    Time,
    add_close,
    look_up,
    look_up_known,
    to_series,
    to_time,
)
from data_platform.settings import load_settings

if TYPE_CHECKING:
    import pandas as pd


@overload
def load_ohlcv(
    market: str,
    timeframe: str,
    start: Time,
    end: Time,
    *,
    frame: Literal["polars"] = "polars",
    allow_missing: bool = False,
    as_of: Time | None = None,
    snapshot: str | None = None,
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
    as_of: Time | None = None,
    snapshot: str | None = None,
) -> "pd.DataFrame": ...


def load_ohlcv(  # noqa: PLR0913  # all but the range by name
    market: str,
    timeframe: str,
    start: Time,
    end: Time,
    *,
    frame: Literal["polars", "pandas"] = "polars",
    allow_missing: bool = False,
    as_of: Time | None = None,
    snapshot: str | None = None,
) -> "pl.DataFrame | pd.DataFrame":
    """Return candles as the exchange gave them: closed, audited, sparse.

    Args:
        market: exchange and pair: `binance/BTC-USDT`, `binance/BTC/USDT`, `binance/BTCUSDT`.
        timeframe: `1m` to `1d`.
        start: first opening time.
        end: end of the range, exclusive.
        frame: which library's frame to return.
        allow_missing: leave out months that are not stored or damaged instead of raising.
        as_of: read what was known at this time; None: what is known now.
        snapshot: read what the snapshot of this name holds, whatever was corrected since.

    Returns:
        open_time (UTC), open, high, low, close (quote currency per unit of base), volume (base
        currency), sorted by open_time; a time without a candle has no row.

    Raises:
        NotStoredError: a month of the range was never materialized.
        DamagedFileError: a stored file is gone, torn or changed.
        WrongUseError: an argument cannot be understood.
    """
    shelf = (None, as_of, snapshot)
    loaded = _load(Question("ohlcv", market, timeframe, start, end, *shelf, allow_missing))
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
    as_of: Time | None = None,
    snapshot: str | None = None,
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
    as_of: Time | None = None,
    snapshot: str | None = None,
) -> "pd.DataFrame": ...


def load_indicators(  # noqa: PLR0913  # as `load_ohlcv`
    market: str,
    timeframe: str,
    start: Time,
    end: Time,
    *,
    frame: Literal["polars", "pandas"] = "polars",
    allow_missing: bool = False,
    as_of: Time | None = None,
    snapshot: str | None = None,
) -> "pl.DataFrame | pd.DataFrame":
    """Return filled candles with the configured indicators; row t uses candles <= t.

    Arguments and errors are those of `load_ohlcv`.

    Returns:
        The columns of `load_ohlcv`, is_filled, fill_method, segment, the indicators, and
        available_at: the candle's close, before which nobody can know the row. Sorted.
    """
    shelf = (None, as_of, snapshot)
    loaded = _load(Question("indicators", market, timeframe, start, end, *shelf, allow_missing))
    return _handed_out(add_close(loaded, to_timeframe(timeframe)), frame)


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
    as_of: Time | None = None,
    snapshot: str | None = None,
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
    as_of: Time | None = None,
    snapshot: str | None = None,
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
    as_of: Time | None = None,
    snapshot: str | None = None,
) -> "pl.DataFrame | pd.DataFrame":
    """Return one feature set; row t uses what was known at the close of candle t.

    What is newer than the newest stored row is computed from the stored candles by the same code,
    and not stored; with `as_of` or `snapshot` only what was stored then is read.

    Args:
        market: exchange and pair, as `load_ohlcv`.
        timeframe: `1m` to `1d`.
        start: first opening time.
        end: end of the range, exclusive.
        feature_set: `name` or `name-v1`; None: the only one configured.
        frame: which library's frame to return.
        allow_missing: leave out months that are not stored or damaged instead of raising.
        as_of: read what was known at this time; None: what is known now.
        snapshot: read what the snapshot of this name holds, whatever was corrected since.

    Returns:
        open_time, the set's columns, and available_at: the candle's close. Sorted.

    Raises:
        NotStoredError: a month of the range was never materialized.
        DamagedFileError: a stored file is gone, torn or changed.
        WrongUseError: an argument cannot be understood.
    """
    shelf = (feature_set, as_of, snapshot)
    loaded = _load(Question("features", market, timeframe, start, end, *shelf, allow_missing))
    return _handed_out(add_close(loaded, to_timeframe(timeframe)), frame)


def load_scores(market: str, timeframe: str) -> pl.DataFrame:
    """Return how good the stored candles of each month are, as it was noted last.

    Args:
        market: exchange and pair, as `load_ohlcv`.
        timeframe: `1m` to `1d`.

    Returns:
        A row a month, sorted by period: the day of the score, candles expected and stored, the
        five components and the scores by both profiles, 0 to 1 (null: absent); the view `quality`
        of `data-platform query` holds every day's.

    Raises:
        WrongUseError: an argument cannot be understood.
    """
    with _opened() as (lake, known):
        series = to_series(lake.store, known, market, timeframe)
        scores = lake.scores.newest(series.exchange, series.timeframe)
    own = scores.filter(pl.col("pair") == series.pair.key)
    return own.drop("timeframe", "pair", "basis").sort("period")


def get_features(
    market: str,
    timeframe: str,
    time: Time | None = None,
    *,
    feature_set: str | None = None,
) -> dict[str, object]:
    """Return the newest features that were known at a time: of the last candle closed by then.

    What is newer than the newest stored row is computed from the stored candles by the code that
    would store it. A candle that was only carried over a gap is passed over: whether it is carried
    shows later.

    Args:
        market: exchange and pair, as `load_ohlcv`.
        timeframe: `1m` to `1d`.
        time: when; None: now.
        feature_set: `name` or `name-v1`; None: the only one configured.

    Returns:
        The row by column, open_time and available_at (at most `time`) among them. How old it is,
        tells available_at.

    Raises:
        NotStoredError: no candle that had closed by then is stored.
        DamagedFileError: a stored file is gone, torn or changed.
        WrongUseError: an argument cannot be understood.
    """
    now = datetime.now(UTC) if time is None else to_time(time)
    question = Question("features", market, timeframe, now, now, feature_set)
    with _opened() as (lake, known):
        return look_up_known(lake, known, question, now)


def _load(question: Question) -> pl.DataFrame:
    with _opened() as (lake, known):
        return look_up(lake, known, question)


@contextmanager
def _opened() -> Iterator[tuple[Lake, Known]]:
    settings = load_settings()
    require_lake(settings.data_root)
    with opened_lake(settings.data_root, settings.state_url) as lake:
        yield lake, settings.known


def _handed_out(rows: pl.DataFrame, frame: str) -> "pl.DataFrame | pd.DataFrame":
    if frame == "polars":
        return rows
    if frame == "pandas":
        return rows.to_pandas()
    raise WrongUseError(f"frame {frame!r}: expected polars or pandas.")
