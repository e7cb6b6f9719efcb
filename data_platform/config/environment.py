"""The variables of the environment that configure the platform: their names and their values.

Stays out: the files that they name (`settings.py`).
"""

import os
from collections.abc import Mapping
from pathlib import Path

from data_platform.config.values import to_base_url
from data_platform.domain.errors import ConfigError, WrongUseError

CONFIG_VARIABLE = "DATA_PLATFORM_CONFIG"
DATA_VARIABLE = "DATA_PLATFORM_DATA"
SIMULATOR_VARIABLE = "DATA_PLATFORM_SIMULATOR"
STATE_VARIABLE = "DATA_PLATFORM_STATE"
ALERTS_VARIABLE = "DATA_PLATFORM_ALERTS"
HOME_VARIABLE = "DAGSTER_HOME"


def read_data_root(environ: Mapping[str, str]) -> Path:
    """Return the root of the lake, absolute; it need not exist yet.

    Raises:
        ConfigError: it is a file.
    """
    named = read_variable(environ, DATA_VARIABLE) or "data"
    path = Path(named).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{DATA_VARIABLE}={named}: expected a folder, found a file.")
    return path


def read_state_url(environ: Mapping[str, str], data_root: Path) -> str:
    """Return the SQLAlchemy URL of journal and ledger.

    Raises:
        ConfigError: it is none.
    """
    named = read_variable(environ, STATE_VARIABLE)
    if named is None:
        return f"sqlite:///{data_root / 'state.db'}"
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(named)
    except (ArgumentError, ValueError):
        # Neither the value nor the cause is named: both may hold a password.
        raise ConfigError(
            f"{STATE_VARIABLE}: not a SQLAlchemy URL. Accepted: like sqlite:////srv/state.db or "
            "postgresql+psycopg://user@host/name."
        ) from None
    return named


def read_simulator(environ: Mapping[str, str]) -> str | None:
    """Return the URL below which every exchange is reached; None: each at its own.

    Raises:
        ConfigError: it is none.
    """
    named = read_variable(environ, SIMULATOR_VARIABLE)
    if named is None:
        return None
    try:
        return to_base_url(named)
    except WrongUseError as error:
        raise ConfigError(f"{SIMULATOR_VARIABLE}: {error}") from error


def read_variable(environ: Mapping[str, str], name: str) -> str | None:
    """Return a variable, or None where it is unset.

    Raises:
        ConfigError: it is set to nothing.
    """
    value = environ.get(name)
    if value is not None and (not value.strip() or "\0" in value):
        raise ConfigError(f"{name} is set but empty; give it a value or unset it.")
    return value


def read_api_key(exchange: str, variable: str | None) -> str | None:
    """Return the key of an exchange; None: none is configured, public candles need none.

    Args:
        exchange: whose key.
        variable: the name of the environment variable that holds it.

    Raises:
        ConfigError: a key is configured and not in the environment.
    """
    if variable is None:
        return None
    key = os.environ.get(variable, "")
    if not key or any(letter.isspace() for letter in key):
        # Not even the name: somebody may have put the key in its place.
        raise ConfigError(
            f"exchanges.{exchange}.api_key_env: the environment variable that it names is not set, "
            "is empty or holds spaces; set it to the key, or remove this line."
        )
    return key
