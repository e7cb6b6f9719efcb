"""Run by Freqtrade's own interpreter: time its own writer, and its loader on its file and on ours.

Arguments: candles as Parquet, our data folder, an empty folder, rounds. Prints JSON.
"""

import json
import sys
from functools import partial
from pathlib import Path

import pandas as pd
from freqtrade.data.history.datahandlers import (  # type: ignore[import-not-found]
    get_datahandler,
)
from freqtrade.enums import CandleType  # type: ignore[import-not-found]
from stopwatch import seconds_of

PAIR, TIMEFRAME = "ETH/USDT", "1m"


def main(candles: Path, ours: Path, own: Path, rounds: int) -> None:
    """Measure and print."""
    frame = pd.read_parquet(candles).rename(columns={"open_time": "date"})
    writer = get_datahandler(own, "feather")
    readers = {"own": writer, "ours": get_datahandler(ours, "feather")}
    times: dict[str, list[float]] = {"write": [], "own": [], "ours": []}
    for _ in range(rounds):
        store = (PAIR, TIMEFRAME, frame, CandleType.SPOT)
        times["write"].append(seconds_of(partial(writer.ohlcv_store, *store)))
    asked = (PAIR, TIMEFRAME, CandleType.SPOT)
    for _ in range(4 * rounds):
        for name, reader in readers.items():
            load = partial(reader.ohlcv_load, *asked, fill_missing=False, drop_incomplete=False)
            assert len(load()) == len(frame)
            times[name].append(seconds_of(load))
    size = sum(path.stat().st_size for path in own.rglob("*.feather"))
    found = {name: min(values) for name, values in times.items()}
    sys.stdout.write("\n" + json.dumps({**found, "bytes": size}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
