"""Run by VectorBT's own interpreter: time its pickle, and `Data` of our files.

Arguments: candles as Parquet, our folder, an empty folder, rounds. Prints JSON.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import vectorbt as vbt  # type: ignore[import-not-found]
from stopwatch import seconds_of

PAIR = "ETH/USDT"


def load(path: Path) -> Any:  # noqa: ANN401  (vectorbt has no types here)
    """Return the pair's files as VectorBT's data."""
    return vbt.Data.from_data({PAIR: pd.read_parquet(path)}, download_kwargs={})


def main(candles: Path, ours: Path, own: Path, rounds: int) -> None:
    """Measure and print."""
    data, pickle = load(ours), own / "pair.pickle"
    assert len(data.data[PAIR]) == len(pd.read_parquet(candles))
    times: dict[str, list[float]] = {"write": [], "own": [], "ours": []}
    for _ in range(rounds):
        times["write"].append(seconds_of(lambda: data.save(str(pickle))))
    for _ in range(4 * rounds):
        times["own"].append(seconds_of(lambda: vbt.Data.load(str(pickle))))
        times["ours"].append(seconds_of(lambda: load(ours)))
    found = {name: min(values) for name, values in times.items()}
    sys.stdout.write("\n" + json.dumps({**found, "bytes": pickle.stat().st_size}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
