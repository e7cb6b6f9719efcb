"""What a cold `dagster asset materialize` costs, against importing Dagster.

Three whole processes in turn, several times: `python -c "import dagster"`; the materialization of
one partition that is stored already; one that fetches. The ratio of the second to the first is
the answer.

    python benchmarks/cold_start.py
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from backfill import simulator

ROUNDS = 5
BAR = 3.0


def main() -> None:
    """Run the processes in turn and print the table."""
    imports, stored, fetched = [], [], []
    with tempfile.TemporaryDirectory() as folder, simulator(Path(folder)) as environ:
        for number in range(ROUNDS):
            variables = {**environ, **fresh_lake(Path(folder), number)}
            fetched.append(seconds(materialize(), variables))
            stored.append(seconds(materialize(), variables))
            imports.append(seconds([sys.executable, "-c", "import dagster"], variables))
    ratios = sorted(one / other for one, other in zip(stored, imports, strict=True))
    print(f"{'process':<44}{'median s':>10}")
    print(f"{'import dagster':<44}{statistics.median(imports):>10.2f}")
    print(f"{'materialize one partition, stored':<44}{statistics.median(stored):>10.2f}")
    print(f"{'materialize one partition, one month of 1m':<44}{statistics.median(fetched):>10.2f}")
    print(f"ratio stored / import: {statistics.median(ratios):.2f} (bar {BAR})")


def materialize() -> list[str]:
    """Return the command of one partition."""
    dagster = str(Path(sys.executable).with_name("dagster"))
    return [
        *(dagster, "asset", "materialize", "-m", "data_platform.definitions"),
        *("--select", "binance/ohlcv_1m", "--partition", "BTC-USDT|2023-03"),
    ]


def fresh_lake(folder: Path, number: int) -> dict[str, str]:
    """Return the variables of an empty lake and instance."""
    home = folder / f"home{number}"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return {"DATA_PLATFORM_DATA": str(folder / f"data{number}"), "DAGSTER_HOME": str(home)}


def seconds(command: list[str], environ: dict[str, str]) -> float:
    """Return how long a whole process took."""
    begun = time.perf_counter()
    subprocess.run(command, env={**os.environ, **environ}, capture_output=True, check=True)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
