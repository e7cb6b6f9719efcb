"""Candles from a Parquet file, to be replayed.

Stays out: serving them (`tapes`), judging them: what the file holds is what is served.
"""

from pathlib import Path

import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.errors import WrongUseError


def read_replay(path: Path) -> pl.DataFrame:
    """Return the candles of a Parquet file, as a value of `SimulatorConfig.replay`.

    Args:
        path: a file with open, high, low, close, volume and the opening time as `open_time` or
            `timestamp`: an instant with a time zone.

    Returns:
        `CANDLE_SCHEMA`, the file's rows in their order, none left out.

    Raises:
        WrongUseError: the file is missing or holds no such table.
    """
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise WrongUseError(f"cannot read {path} for a replay: {error}") from error
    if "open_time" not in frame.columns and "timestamp" in frame.columns:
        frame = frame.rename({"timestamp": "open_time"})
    missing = [name for name in CANDLE_SCHEMA if name not in frame.columns]
    if missing:
        raise WrongUseError(
            f"{path} cannot be replayed: expected the columns {', '.join(CANDLE_SCHEMA)}, found "
            f"{', '.join(frame.columns)}; missing: {', '.join(missing)}."
        )
    time = frame.schema["open_time"]
    if not isinstance(time, pl.Datetime) or time.time_zone is None:
        raise WrongUseError(
            f"{path} cannot be replayed: expected opening times with a time zone, found {time}."
        )
    utc = pl.col("open_time").dt.convert_time_zone("UTC")
    return frame.with_columns(utc).select(
        pl.col(name).cast(dtype) for name, dtype in CANDLE_SCHEMA.items()
    )
