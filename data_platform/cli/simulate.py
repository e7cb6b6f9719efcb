"""`data-platform simulate`: the configured exchanges as an HTTP server on this machine."""

import os
from pathlib import Path

import click

from data_platform.domain.errors import DataPlatformError
from data_platform.settings import Settings, load_settings
from data_platform.simulator.config import SimulatedExchange, SimulatorConfig
from data_platform.simulator.server import serve

CONFIG_OPTION = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Platform config.  [default: as DATA_PLATFORM_CONFIG says]",
)


@click.command()
@CONFIG_OPTION
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=9100,
    show_default=True,
    help="On 127.0.0.1; 0 takes a free one.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another past.")
def simulate(config: Path | None, port: int, seed: int) -> None:
    """Answer as the configured exchanges do, on 127.0.0.1, until Ctrl-C.

    Prints its URL when it is ready; set DATA_PLATFORM_SIMULATOR to it and everything else fetches
    from here.
    """
    simulated = to_simulator_config(load_settings(config=config), seed)
    try:
        serve(simulated, port)
    except OSError as error:
        raise DataPlatformError(
            f"cannot listen on 127.0.0.1:{port}: {os.strerror(error.errno or 0)}. Choose another "
            "--port, 0 takes a free one."
        ) from error


def to_simulator_config(settings: Settings, seed: int = 1) -> SimulatorConfig:
    """Return what to simulate so that every configured series can be fetched."""
    return SimulatorConfig(
        exchanges={
            name: SimulatedExchange(exchange.row.ccxt_id or name, exchange.pairs)
            for name, exchange in settings.exchanges.items()
        },
        seed=seed,
    )
