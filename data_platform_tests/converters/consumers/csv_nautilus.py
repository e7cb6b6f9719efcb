"""Run by NautilusTrader's own interpreter: print as JSON the bars that it makes of a CSV.

Arguments: the file, its bar type.
"""

import json
import sys

from nautilus_trader.model.data import BarType  # type: ignore[import-not-found]
from nautilus_trader.persistence.loaders import (  # type: ignore[import-not-found]
    CSVBarDataLoader,
)
from nautilus_trader.persistence.wranglers import (  # type: ignore[import-not-found]
    BarDataWrangler,
)
from nautilus_trader.test_kit.providers import (  # type: ignore[import-not-found]
    TestInstrumentProvider,
)


def main(path: str, name: str) -> None:
    frame = CSVBarDataLoader.load(path, float_precision="round_trip")
    wrangler = BarDataWrangler(BarType.from_str(name), TestInstrumentProvider.btcusdt_binance())
    found = [
        [bar.ts_event, *(str(it) for it in (bar.open, bar.high, bar.low, bar.close, bar.volume))]
        for bar in wrangler.process(frame)
    ]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
