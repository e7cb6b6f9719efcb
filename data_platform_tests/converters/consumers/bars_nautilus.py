"""Run by NautilusTrader's own interpreter: print as JSON the bars of each type in a catalog."""

import json
import sys
from typing import Any

from nautilus_trader.persistence.catalog import (  # type: ignore[import-not-found]
    ParquetDataCatalog,
)


def row(bar: Any) -> list[Any]:  # noqa: ANN401  (nautilus has no types here)
    values = (bar.open, bar.high, bar.low, bar.close, bar.volume)
    return [bar.ts_event, bar.ts_init, *(str(value.as_decimal()) for value in values)]


def main(root: str, names: list[str]) -> None:
    catalog = ParquetDataCatalog(root)
    found = [[row(bar) for bar in catalog.bars(bar_types=[name])] for name in names]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
