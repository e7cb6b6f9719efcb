"""Whether the storage of Dagster's events stops growing when the runs of ticks are pruned.

Ticks of every 1m series (4 exchanges x 10 pairs, the whole line), each a minute later than the
one before, pruned after every tenth; against never pruning, extrapolated from the first ten.

    python benchmarks/event_storage.py --ticks 40
"""

import argparse
import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

PRUNE_EVERY = 10
BAR = 1.2
BEGIN = datetime(2024, 3, 2, 12, 0, 7, tzinfo=UTC)
BASES = ("ADA", "AVAX", "BTC", "DOGE", "DOT", "ETH", "LINK", "LTC", "SOL", "XRP")
QUOTES = {"binance": "USDT", "coinbase": "USD", "kraken": "USD", "okx": "USDT"}


def main() -> None:
    """Run the ticks and print the size of the storage after each pruning."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=40)
    ticks: int = parser.parse_args().ticks
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), ticks)


def run(folder: Path, ticks: int) -> None:
    """Run the ticks in a folder and print the table."""
    import dagster as dg

    from data_platform.definitions import build_definitions
    from data_platform.runs import prune_superseded_runs
    from data_platform.settings import PROJECT_ROOT, load_settings
    from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
    from data_platform.simulator.server import run_simulator

    config, home = folder / "platform.yaml", folder / "home"
    config.write_text(platform_config())
    home.mkdir()
    (home / "dagster.yaml").write_text((PROJECT_ROOT / "configs/dagster.yaml").read_text())
    clock = [BEGIN]
    environ = {
        "DATA_PLATFORM_CONFIG": str(config),
        "DATA_PLATFORM_DATA": str(folder / "data"),
        "DAGSTER_HOME": str(home),
    }
    pairs = load_settings({**os.environ, **environ}).exchanges
    markets = {name: SimulatedExchange(name, each.pairs) for name, each in pairs.items()}
    served = SimulatorConfig(markets, clock=lambda: clock[0])
    sizes: list[int] = []
    with (
        run_simulator(served) as simulator,
        dg.DagsterInstance.from_config(str(home)) as instance,
    ):
        settings = load_settings({**environ, "DATA_PLATFORM_SIMULATOR": simulator.url})
        definitions = build_definitions(settings, clock=lambda: clock[0])
        first_ten = 0
        for number in range(1, ticks + 1):
            seconds = tick(definitions, instance, list(settings.exchanges))
            clock[0] += timedelta(minutes=1)
            if number == 1:
                first_ten = -stored_bytes(home)
            if number % PRUNE_EVERY == 0:
                if number == PRUNE_EVERY:
                    first_ten += stored_bytes(home)
                pruned = len(prune_superseded_runs(instance))
                sizes.append(stored_bytes(home))
                lost = unmaterialized(definitions, instance)
                print(
                    f"tick {number:>3}: {seconds:5.1f} s, {pruned:>3} runs pruned, "
                    f"{sizes[-1] / 1e6:7.1f} MB, partitions that look missing: {lost}",
                    flush=True,
                )
    never = sizes[0] + first_ten / (PRUNE_EVERY - 1) * ticks
    ratio = sizes[-1] / sizes[len(sizes) // 2 - 1]
    print(f"storage after {ticks} / after {ticks // 2}: {ratio:.2f} (bar {BAR})")
    print(f"never pruned it would be about {never / 1e6:.0f} MB: {never / sizes[-1]:.1f} x as much")


def platform_config() -> str:
    """Return a config of every exchange with one month of 1m candles."""
    lines = ["exchanges:"]
    for name, quote in QUOTES.items():
        pairs = ", ".join(f"{base}/{quote}" for base in BASES)
        lines += [
            f"  {name}:",
            "    start: 2024-03-01",
            f"    pairs: [{pairs}]",
            "    timeframes: [1m]",
            "    rate_limit: 1000000",
        ]
    return "\n".join([*lines, ""])


def tick(definitions: object, instance: object, exchanges: list[str]) -> float:
    """Run one tick of every exchange as its sensor would ask for it; return the seconds."""
    import dagster as dg

    from data_platform.assets.candles import TICK_TAG
    from data_platform.jobs import line_job_name

    assert isinstance(definitions, dg.Definitions)
    assert isinstance(instance, dg.DagsterInstance)
    begun = time.perf_counter()
    for name in exchanges:
        quote = QUOTES[name]
        done = definitions.resolve_job_def(line_job_name(name)).execute_in_process(
            instance=instance,
            tags={
                "dagster/asset_partition_range_start": f"{min(BASES)}-{quote}|2024-03",
                "dagster/asset_partition_range_end": f"{max(BASES)}-{quote}|2024-03",
                TICK_TAG: name,
            },
        )
        assert done.success
    return time.perf_counter() - begun


def unmaterialized(definitions: object, instance: object) -> int:
    """Return how many partitions of all assets Dagster no longer knows as materialized."""
    import dagster as dg

    assert isinstance(definitions, dg.Definitions)
    assert isinstance(instance, dg.DagsterInstance)
    keys = [
        key
        for asset in definitions.get_repository_def().assets_defs_by_key.values()
        for key in asset.keys
        if key.path[0] in QUOTES
    ]
    return sum(len(BASES) - len(instance.get_materialized_partitions(key)) for key in keys)


def stored_bytes(home: Path) -> int:
    """Return the size of everything that Dagster keeps."""
    return sum(path.stat().st_size for path in home.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
