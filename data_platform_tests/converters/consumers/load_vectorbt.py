"""Run by VectorBT's own interpreter: print as JSON what it makes of two pairs' folders."""

import json
import sys
from typing import Any

import pandas as pd
import vectorbt as vbt  # type: ignore[import-not-found]


def rows(frame: pd.DataFrame) -> list[list[Any]]:
    assert list(frame.columns) == ["Open", "High", "Low", "Close", "Volume"]
    assert frame.index.name == "Open time"
    assert str(frame.index.dtype) == "datetime64[ms, UTC]"
    return [
        [time.isoformat(), *(float(value).hex() for value in values)]
        for time, *values in frame.itertuples()
    ]


def main(paths: list[str]) -> None:
    frames = {path: pd.read_parquet(path) for path in paths}
    data = vbt.Data.from_data(frames, download_kwargs={})
    close = data.get("Close")[paths[0]].astype(float)
    entries = close.reset_index(drop=True).index == 10
    exits = close.reset_index(drop=True).index == 20
    portfolio = vbt.Portfolio.from_signals(close, entries, exits, freq="1h")
    trade = portfolio.trades.records_readable.iloc[0]
    found = {
        "frames": [rows(frame) for frame in frames.values()],
        "data": [rows(data.data[path]) for path in paths],
        "trade": [
            trade["Entry Timestamp"].isoformat(),
            trade["Avg Entry Price"],
            trade["Exit Timestamp"].isoformat(),
            trade["Avg Exit Price"],
        ],
        "total_return": portfolio.total_return(),
    }
    sys.stdout.write(json.dumps(found))


main(sys.argv[1:])
