"""Run by Freqtrade's own interpreter: print as JSON the bars that its loader finds.

Arguments: data folder, its format (feather or parquet), then `BTC/USDT 1h` for each series.
"""

import json
import sys
from pathlib import Path

import pandas as pd
from freqtrade.data.history import load_pair_history  # type: ignore[import-not-found]


def spell(at: pd.Timestamp, *values: float) -> list[str]:
    return [at.isoformat(), *(float(it).hex() for it in values)]


def main(folder: str, kind: str, series: list[str]) -> None:
    found = []
    for pair, timeframe in (it.split() for it in series):
        frame = load_pair_history(
            pair,
            timeframe,
            Path(folder),
            fill_up_missing=False,
            drop_incomplete=False,
            data_format=kind,
        )
        rows = frame.itertuples(index=False)
        found.append(
            [[at.isoformat(), *(float(it).hex() for it in values)] for at, *values in rows]
        )
    sys.stdout.write("\n" + json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
