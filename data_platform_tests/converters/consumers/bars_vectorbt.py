"""Run by VectorBT's own interpreter: print as JSON the bars of each pair's folder."""

import json
import sys

import pandas as pd
import vectorbt as vbt  # type: ignore[import-not-found]


def spell(at: pd.Timestamp, *values: float) -> list[str]:
    return [at.isoformat(), *(float(it).hex() for it in values)]


def main(paths: list[str]) -> None:
    found = []
    for path in paths:
        data = vbt.Data.from_data({"pair": pd.read_parquet(path)}, download_kwargs={}).data["pair"]
        rows = data.itertuples()
        found.append(
            [[at.isoformat(), *(float(it).hex() for it in values)] for at, *values in rows]
        )
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
