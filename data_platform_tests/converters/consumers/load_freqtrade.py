"""Run by Freqtrade's own interpreter: print as JSON what its loader makes of a data folder."""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from freqtrade.configuration import TimeRange  # type: ignore[import-not-found]
from freqtrade.data.history import load_pair_history  # type: ignore[import-not-found]
from freqtrade.enums import CandleType  # type: ignore[import-not-found]


def rows(frame: pd.DataFrame) -> list[list[Any]]:
    assert list(frame.columns) == ["date", "open", "high", "low", "close", "volume"]
    assert str(frame["date"].dtype) == "datetime64[ms, UTC]"
    return [
        [time.isoformat(), *(float(value).hex() for value in values)]
        for time, *values in frame.itertuples(index=False)
    ]


def main(folder: Path, timeframe: str) -> None:
    def load(pair: str, **options: object) -> list[list[Any]]:
        return rows(load_pair_history(pair, timeframe, folder, drop_incomplete=False, **options))

    range_of_days = TimeRange.parse_timerange("20240130-20240203")
    found = {
        "candles": load("BTC/USDT", fill_up_missing=False),
        "range": load("BTC/USDT", fill_up_missing=False, timerange=range_of_days),
        "filled": load("BTC/USDT"),
        "futures": load("BTC/USDT:USDT", fill_up_missing=False, candle_type=CandleType.FUTURES),
    }
    sys.stdout.write(json.dumps(found))


main(Path(sys.argv[1]), sys.argv[2])
