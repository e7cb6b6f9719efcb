"""NautilusTrader: a Parquet catalog of bars, one file per month, and each market's definition.

The layout of the 128-bit builds (every wheel but Windows') of 1.221 and 1.231, run 2026-11-25:
https://nautilustrader.io/docs/latest/concepts/data#data-catalog. A wrong schema, note or range
does not raise in the catalog's reader, it aborts the process; so nothing doubtful is written.

- **Time**: a bar is stamped by its close (`ts_event` = `ts_init` = opening + timeframe): a backtest
  delivers it at `ts_init`, and a bar stamped by its opening would tell the future.
- **Files** are named by their month's bounds, first close after its start to the close at its
  end, so that the files of a series are disjoint and contiguous however far the month has grown.
  A month without a candle has no file: the catalog tells it as a missing interval, and its
  `consolidate_data` refuses unless told `ensure_contiguous_files=False` (run 2026-11-28).
- **Precision** is a market's: the decimals that its stored candles have needed so far, whichever
  timeframe. A backtest refuses bars whose precision differs from their instrument's, so one for
  all: a candle that needs more makes every file of its market stale, and they are written anew
  (the stored integers stay as they are). It is taken from the candles, not from the exchange's
  list of markets, which tells today's tick: ticks grow coarser as prices rise, and older prices
  would not fit. Prices keep every bit: what has more than 16 decimals is refused, or rounded there
  where 15 digits do not show it. A volume is what its first 15 digits say: a sum of floats such as
  191.98938999999996 is 191.98939.
- **Increments** are one unit of the last decimal. `make_price` and `make_qty` round to it.
"""

from datetime import datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from data_platform.converters.converter import (
    LAST_DIGIT,
    Companions,
    Converter,
    ExportColumn,
    ExportFile,
    describe_columns,
    is_plain,
    read_table,
    require_candles,
)
from data_platform.converters.fixed_point import (
    DECIMALS,
    decimals_needed,
    to_fixed_point,
    to_floats,
)
from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import ExportError
from data_platform.domain.markets import Market, Pair, Series
from data_platform.domain.precision import Precision

PRICE_MAX = 7_900_000_000_000
QUANTITY_MAX = 34_000_000_000_000
"""The largest price and volume written here.

NautilusTrader states 17,014,118,346,046 and 34,028,236,692,093, but compares with a product in
floating point: 1.221 aborts on the first itself. 1.221 also aborts when it prints a value above
7.9e12 at 16 decimals; it computes with them, and 1.231 prints them (run 2026-11-25). No price
comes near, but a day of a coin like PEPE trades 1e13: such volumes are written."""

_FIRST = "1970-01-01T00-00-00-000000000Z"

_PRICES = ("open", "high", "low", "close")
_VALUES = (*_PRICES, "volume")
_TIMES = ("ts_event", "ts_init")

_UNITS = (("DAY", 86_400), ("HOUR", 3600), ("MINUTE", 60), ("SECOND", 1))

_LIMITS = (
    *("lot_size", "max_quantity", "min_quantity", "max_notional", "min_notional"),
    *("max_price", "min_price"),
)
_RATES = ("margin_init", "margin_maint", "maker_fee", "taker_fee")


def to_path(file: ExportFile) -> PurePosixPath:
    """Return `nautilus/data/bar/BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL/<first>_<last>.parquet`.

    `first` is the first instant after the month's start, `last` is its end, as closes count.

    Args:
        file: with its period.

    Raises:
        ExportError: the file has no period; a catalog's files are named by their bounds.
    """
    if file.period is None:
        raise ExportError(f"{file}: NautilusTrader's files hold a month each; name the month.")
    first, last = _stamp(file.period.start, nanoseconds=1), _stamp(file.period.end)
    return PurePosixPath(
        "nautilus", "data", "bar", to_bar_type(file.series), f"{first}_{last}.parquet"
    )


def to_instrument_id(market: Market) -> str:
    """Return NautilusTrader's name of a market: `BTCUSDT.BINANCE`.

    A pair of other signs than ASCII letters and digits is spelled by its key, with `_` for `%`
    and `__` for `_`: `BTC-USDT_3AUSDT.BINANCE`. The catalog makes the name a table's in SQL
    without quoting it, and fails on most signs.
    """
    return f"{_to_symbol(market.pair)}.{market.exchange.upper()}"


def to_bar_type(series: Series) -> str:
    """Return NautilusTrader's name of a series: `BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL`."""
    seconds = series.timeframe.seconds
    unit, length = next(row for row in _UNITS if seconds % row[1] == 0)
    return f"{to_instrument_id(series.market)}-{seconds // length}-{unit}-LAST-EXTERNAL"


def find_precision(candles: pl.DataFrame, least: Precision) -> Precision:
    """Return the decimals that candles need, and no fewer than `least`."""
    price = max(decimals_needed(candles[name], least.price) for name in _PRICES)
    return Precision(price, decimals_needed(candles["volume"], least.size, LAST_DIGIT))


def write_bars(candles: pl.DataFrame, file: ExportFile, path: Path) -> None:
    """Write one month of candles as bars.

    Args:
        candles: `CANDLE_SCHEMA`, sorted, all of the file's month; gaps stay gaps.
        file: what the candles are.
        path: where to write; does not exist yet.

    Raises:
        ExportError: the frame is empty or no frame of candles; a price or volume is negative, not
            finite or above NautilusTrader's limit; a price needs more decimals than the file has.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    require_candles(candles, file)
    _require_range(candles, file)
    opened = candles["open_time"].dt.epoch("ns").cast(pl.UInt64)
    closed = (opened + file.series.timeframe.seconds * 10**9).to_arrow()
    columns = [*(_to_binary(candles, name, file) for name in _VALUES), closed, closed]
    table = pa.Table.from_arrays(columns, schema=_bar_schema(file))
    # Times as differences, values plain: a third smaller than all by dictionaries, and half the
    # time to write (525,600 bars: 13.0 MB and 0.18 s, 18.7 MB and 0.41 s).
    times = dict.fromkeys(_TIMES, "DELTA_BINARY_PACKED")
    pq.write_table(table, path, compression="zstd", use_dictionary=False, column_encoding=times)


def read_bars(path: Path) -> pl.DataFrame:
    """Return the candles of such a file as `CANDLE_SCHEMA`, each value its nearest float64.

    Reads by pyarrow, where `write_bars` computes by polars.

    Raises:
        ExportError: the file is not one that `write_bars` makes.
    """
    import pyarrow.parquet as pq

    table = read_table(path, partial(pq.read_table, partitioning=None))
    notes = {key.decode(): text.decode() for key, text in (table.schema.metadata or {}).items()}
    if tuple(table.column_names) != (*_VALUES, *_TIMES) or "bar_type" not in notes:
        raise ExportError(
            f"{path}: expected bars ({', '.join(_VALUES)}, ts_event, ts_init) and their type, "
            f"found {', '.join(table.column_names)}; export the month again."
        )
    types = {name: str(table.schema.field(name).type) for name in table.column_names}
    if types != {
        **dict.fromkeys(_VALUES, "fixed_size_binary[16]"),
        **dict.fromkeys(_TIMES, "uint64"),
    }:
        raise ExportError(
            f"{path}: expected values of 16 bytes and times of 8, found "
            f"{', '.join(types.values())}; export the month again."
        )
    step, unit = notes["bar_type"].split("-")[-4:-2]
    length_ms = int(step) * dict(_UNITS)[unit] * 1000
    closed = pl.Series(pl.from_arrow(table["ts_init"])).cast(pl.Int64)
    values = {name: to_floats(table[name]) for name in _VALUES}
    return pl.DataFrame({"open_time": closed // 10**6 - length_ms, **values}).cast(CANDLE_SCHEMA)


def write_instrument(market: Market, precision: Precision, path: Path) -> None:
    """Write a market's definition, a `CurrencyPair` without fees, margins or limits.

    Every month and timeframe of one precision writes the same one. A derivative gets the same: its
    bars are right, its contract's terms are not in candles.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    key, word = pa.dictionary(pa.int64(), pa.string()), pa.dictionary(pa.int16(), pa.string())
    name = to_instrument_id(market)
    rows: tuple[tuple[str, Any, Any], ...] = (
        ("id", key, name),
        ("raw_symbol", pa.string(), _to_symbol(market.pair)),
        ("base_currency", word, market.pair.base),
        ("quote_currency", word, market.pair.quote),
        ("price_precision", pa.uint8(), precision.price),
        ("size_precision", pa.uint8(), precision.size),
        ("price_increment", word, _last_unit(precision.price)),
        ("size_increment", word, _last_unit(precision.size)),
        ("multiplier", word, "1"),
        *((limit, word, None) for limit in _LIMITS),
        *((rate, pa.string(), "0") for rate in _RATES),
        ("info", pa.binary(), b"null"),
        ("ts_event", pa.uint64(), 0),
        ("ts_init", pa.uint64(), 0),
    )
    schema = pa.schema([row[:2] for row in rows], metadata={"class": "CurrencyPair"})
    columns = [pa.array([value], type=kind) for _, kind, value in rows]
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), path)


def list_companions(file: ExportFile) -> Companions:
    """Return the market's definition, at `nautilus/data/currency_pair/BTCUSDT.BINANCE/`."""
    market = file.series.market
    folder = PurePosixPath("nautilus", "data", "currency_pair", to_instrument_id(market))
    return {
        folder / f"{_FIRST}_{_FIRST}.parquet": partial(write_instrument, market, file.precision)
    }


def _last_unit(decimals: int) -> str:
    return f"{10**-decimals:.{decimals}f}"


def _to_symbol(pair: Pair) -> str:
    if is_plain(pair):
        return f"{pair.base}{pair.quote}"
    return pair.key.replace("_", "__").replace("%", "_")


def _stamp(time: datetime, *, nanoseconds: int = 0) -> str:
    return f"{time:%Y-%m-%dT%H-%M-%S}-{nanoseconds:09d}Z"


def _require_range(candles: pl.DataFrame, file: ExportFile) -> None:
    for name in _VALUES:
        limit = QUANTITY_MAX if name == "volume" else PRICE_MAX
        bad = candles.filter(~pl.col(name).is_between(0, limit))
        if bad.height:
            raise ExportError(
                f"{file}: {name} {bad[name][0]} of {bad['open_time'][0]} is outside 0 to "
                f"{limit:,}, all that NautilusTrader can hold; leave NautilusTrader's export of "
                "this timeframe out, or take a finer one."
            )


def _to_binary(candles: pl.DataFrame, name: str, file: ExportFile) -> Any:  # noqa: ANN401
    if name not in _PRICES:
        return to_fixed_point(candles[name], file.precision.size)[0]
    values, exact = to_fixed_point(candles[name], file.precision.price)
    if not exact:
        _require_exact_prices(candles, name, to_floats(values), file)
    return values


def _require_exact_prices(
    candles: pl.DataFrame, name: str, written: pl.Series, file: ExportFile
) -> None:
    bad = candles.filter((written - candles[name]).abs() > candles[name] * LAST_DIGIT)
    if bad.height:
        decimals = file.precision.price
        cure = "export it again" if decimals < DECIMALS else "leave the pair's export out"
        raise ExportError(
            f"{file}: {name} {bad[name][0]} of {bad['open_time'][0]} needs more than the "
            f"{decimals} decimals that its file for NautilusTrader holds; {cure}."
        )


def _bar_schema(file: ExportFile) -> Any:  # noqa: ANN401  (pyarrow has no types)
    import pyarrow as pa

    values = [pa.field(name, pa.binary(16), nullable=False) for name in _VALUES]
    times = [pa.field(name, pa.uint64(), nullable=False) for name in _TIMES]
    notes = {
        "bar_type": to_bar_type(file.series),
        "instrument_id": to_instrument_id(file.series.market),
        "price_precision": str(file.precision.price),
        "size_precision": str(file.precision.size),
    }
    return pa.schema([*values, *times], metadata=notes)


CONVERTER = Converter(
    name="nautilus",
    title="NautilusTrader",
    scope="period",
    columns=(
        *describe_columns(("open_time", *_VALUES), ("uint64", "fixed point, 16 bytes"))[1:],
        ExportColumn("ts_event", "uint64", "Close of the candle, UTC nanoseconds since 1970."),
        ExportColumn("ts_init", "uint64", "Same as ts_event: a bar is known at its close."),
    ),
    path=to_path,
    write=write_bars,
    read=read_bars,
    volume_step=10.0**-DECIMALS,
    companions=list_companions,
    needs=find_precision,
)
