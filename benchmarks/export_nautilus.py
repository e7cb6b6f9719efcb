"""Run by NautilusTrader's own interpreter: time its own writer, and its catalog on both files.

Arguments: candles as Parquet, our catalog, an empty folder, rounds. Prints JSON.
"""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from nautilus_trader.model.data import BarType  # type: ignore[import-not-found]
from nautilus_trader.persistence.catalog import (  # type: ignore[import-not-found]
    ParquetDataCatalog,
)
from nautilus_trader.persistence.wranglers import (  # type: ignore[import-not-found]
    BarDataWrangler,
)
from nautilus_trader.test_kit.providers import (  # type: ignore[import-not-found]
    TestInstrumentProvider,
)
from stopwatch import seconds_of

NAME = "ETHUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL"
MINUTE = 60 * 10**9


def frame_of(candles: Path) -> pd.DataFrame:
    """Return the candles as its wrangler takes them."""
    stored = pd.read_parquet(candles)
    times = pd.DatetimeIndex(stored["open_time"]).as_unit("ns")
    # The wrangler refuses the read-only blocks of pandas 3: a column at a time it takes.
    names = ("open", "high", "low", "close", "volume")
    columns = {name: stored[name].to_numpy(copy=True) for name in names}
    return pd.DataFrame(columns, index=times, copy=False)


def main(candles: Path, ours: Path, own: Path, rounds: int) -> None:
    """Measure and print."""
    frame = frame_of(candles)
    instrument = TestInstrumentProvider.ethusdt_binance()
    wrangler = BarDataWrangler(BarType.from_str(NAME), instrument)
    process = partial(wrangler.process, frame, ts_init_delta=MINUTE)
    made: list[Any] = process()
    wrangle = [seconds_of(process) for _ in range(rounds)]
    write: list[float] = []
    for number in range(rounds):
        catalog = ParquetDataCatalog(str(own / str(number)))
        catalog.write_data([instrument])
        write.append(seconds_of(partial(catalog.write_data, made)))
    reads: dict[str, list[float]] = {"own": [], "ours": []}
    for _ in range(4 * rounds):
        for name, folder in (("own", own / "0"), ("ours", ours)):
            load = partial(ParquetDataCatalog(str(folder)).bars, bar_types=[NAME])
            reads[name].append(seconds_of(load))
    assert len(load()) == len(frame)
    size = sum(path.stat().st_size for path in (own / "0/data/bar").rglob("*.parquet"))
    both = {"wrangle": min(wrangle), "write_data": min(write), "write": min(wrangle) + min(write)}
    times = {name: min(values) for name, values in reads.items()}
    sys.stdout.write("\n" + json.dumps({**both, **times, "bytes": size}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
