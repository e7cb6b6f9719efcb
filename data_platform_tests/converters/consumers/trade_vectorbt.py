"""Run by VectorBT's own interpreter: trade given signals by both conventions, print JSON.

Arguments: a pair's folder, the timeframe, file of signals.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import vectorbt as vbt  # type: ignore[import-not-found]


def trades(portfolio: Any) -> list[list[Any]]:  # noqa: ANN401  (vectorbt has no types here)
    records = portfolio.trades.records_readable
    closed = records[records["Status"] == "Closed"]
    return [
        [
            row["Entry Timestamp"].isoformat(),
            row["Avg Entry Price"],
            row["Exit Timestamp"].isoformat(),
            row["Avg Exit Price"],
        ]
        for _, row in closed.iterrows()
    ]


def main(path: str, timeframe: str, signals: dict[str, list[str]]) -> None:
    frame = pd.read_parquet(path)
    data = vbt.Data.from_data({"pair": frame}, download_kwargs={}).data["pair"]
    entries = data.index.isin(pd.to_datetime(signals["entries"]))
    exits = data.index.isin(pd.to_datetime(signals["exits"]))
    on, off = (pd.Series(it, index=data.index) for it in (entries, exits))
    at_close = vbt.Portfolio.from_signals(data["Close"], on, off, freq=timeframe)
    late_on, late_off = (it.shift(1, fill_value=False) for it in (on, off))
    at_open = vbt.Portfolio.from_signals(
        data["Close"], late_on, late_off, price=data["Open"], freq=timeframe
    )
    sys.stdout.write(json.dumps({"close": trades(at_close), "next_open": trades(at_open)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text()))
