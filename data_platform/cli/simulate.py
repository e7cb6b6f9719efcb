"""`data-platform simulate`: the configured exchanges as an HTTP server on this machine."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click
from rich.table import Table

from data_platform.cli.output import open_console
from data_platform.config.scenario import Scenario, read_scenario
from data_platform.domain.errors import DataPlatformError
from data_platform.settings import Settings, load_settings
from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
from data_platform.simulator.score import Score, WindowScore
from data_platform.simulator.server import serve

CONFIG_OPTION = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Platform config.  [default: as DATA_PLATFORM_CONFIG says]",
)
_COLUMNS = ("requests", "candles", "in flight", "rejected", "banned", "early", "followed")


@click.command()
@CONFIG_OPTION
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=9100,
    show_default=True,
    help="On 127.0.0.1; 0 takes a free one.",
)
@click.option("--seed", type=int, help="Another seed, another past.  [default: 1]")
@click.option(
    "--scenario",
    "scenario_path",
    type=click.Path(path_type=Path),
    help="Faults, limits and latency; see docs/simulator.md.",
)
@click.option("--limits", is_flag=True, help="Enforce every exchange's documented limit.")
@click.option("--latency", type=click.FloatRange(0, 600_000), help="Milliseconds to each answer.")
def simulate(
    config: Path | None,
    port: int,
    seed: int | None,
    scenario_path: Path | None,
    *,
    limits: bool,
    latency: float | None,
) -> None:
    """Answer as the configured exchanges do, on 127.0.0.1, until Ctrl-C.

    Prints its URL when it is ready, and what each exchange was asked when it stops. Set
    DATA_PLATFORM_SIMULATOR to the URL and everything else fetches from here.
    """
    scenario = read_scenario(scenario_path) if scenario_path else Scenario()
    scenario = replace(
        scenario,
        seed=scenario.seed if seed is None else seed,
        limits=limits or scenario.limits,
        latency_ms=scenario.latency_ms if latency is None else latency,
    )
    simulated = to_simulator_config(load_settings(config=config), scenario)
    try:
        scores = serve(simulated, port)
    except OSError as error:
        raise DataPlatformError(
            f"cannot listen on 127.0.0.1:{port}: {os.strerror(error.errno or 0)}. Choose another "
            "--port, 0 takes a free one."
        ) from error
    open_console().print(_to_table(scores))


def to_simulator_config(settings: Settings, scenario: Scenario | None = None) -> SimulatorConfig:
    """Return what to simulate so that every configured series can be fetched."""
    wanted = scenario or Scenario()
    return SimulatorConfig(
        exchanges={
            name: SimulatedExchange(exchange.row.ccxt_id or name, exchange.pairs)
            for name, exchange in settings.exchanges.items()
        },
        seed=1 if wanted.seed is None else wanted.seed,
        faults=wanted.faults,
        limits=wanted.limits_of(settings.exchanges),
        latency_ms=wanted.latency_ms,
    )


def _to_table(scores: Mapping[str, Score]) -> Table:
    table = Table("exchange")
    for title in _COLUMNS:
        table.add_column(title, justify="right")
    table.add_column("most within a window")
    for name, score in scores.items():
        numbers = (
            *(score.requests, score.ohlcv_requests, score.max_in_flight),
            *(score.rejected, score.banned, score.early, score.followed),
        )
        windows = ", ".join(_spell(*window) for window in score.windows.items())
        table.add_row(name, *(f"{number:,}" for number in numbers), windows)
    return table


def _spell(name: str, window: WindowScore) -> str:
    return f"{name} {window.most:,.0f} of {window.allowed:,.0f} in {window.seconds:g} s"
