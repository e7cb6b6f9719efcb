"""Settings: what the configuration files and the environment say, as frozen objects.

The only reader of `configs/*.yaml` and of the environment. Whatever is unknown, written twice or
contradictory is refused with file, line and the accepted values. Stays out: the shape of the files
and the meaning of single values (`config/`).
"""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from data_platform.config.agreement import refuse_slow_refresh, refuse_wrong_backups
from data_platform.config.alerts import to_channels
from data_platform.config.environment import (
    ALERTS_VARIABLE,
    CONFIG_VARIABLE,
    DATA_VARIABLE,
    HOME_VARIABLE,
    SIMULATOR_VARIABLE,
    STATE_VARIABLE,
    read_data_root,
    read_simulator,
    read_state_url,
    read_variable,
)
from data_platform.config.exchanges import ExchangeReader, ExchangeSettings
from data_platform.config.feature_sets import read_feature_sets
from data_platform.config.models import BackupsEntry, PlatformFile, read_model
from data_platform.config.strict_yaml import Document, read_yaml
from data_platform.config.thresholds import Thresholds, read_thresholds
from data_platform.domain.alerts import Channel
from data_platform.domain.errors import ConfigError, WrongUseError
from data_platform.features.feature_set import FeatureSet
from data_platform.indicators.columns import to_recipe

if TYPE_CHECKING:
    from data_platform.operations.backlog import Scope
    from data_platform.operations.lookup import Known
    from data_platform.operations.plan import UpdateRules
    from data_platform.operations.score import ScoreRules

# Other rooms know this module only: what the config's room has resolved is named here for them.
__all__ = [
    "DATA_VARIABLE",
    "HOME_VARIABLE",
    "PROJECT_ROOT",
    "SIMULATOR_VARIABLE",
    "STATE_VARIABLE",
    "ExchangeSettings",
    "Refresh",
    "Settings",
    "Thresholds",
    "dagster_home",
    "demo_environment",
    "load_settings",
    "warn_without_home",
    "worker_environment",
]

PROJECT_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Refresh:
    """How often automation runs a layer at most; never more often than its candles close."""

    candles: timedelta
    derived: timedelta
    exports: timedelta


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is configured."""

    config_path: Path
    """The platform config that was read, absolute."""
    data_root: Path
    """The root of the lake, absolute; need not exist yet."""
    state_url: str
    """SQLAlchemy URL of the journal and ledger; may hold a password, so never print it."""
    exchanges: Mapping[str, ExchangeSettings]
    """By name, sorted."""
    indicators: tuple[str, ...]
    """Names of what the indicators layer stores, in the config's order."""
    refresh: Refresh
    automation: Literal["stopped", "running"]
    """Whether sensors and schedules start by themselves."""
    backups: BackupsEntry | None
    """Where automation backs the lake up to; None: it does not."""
    feature_sets: tuple[FeatureSet, ...]
    """Sorted by name and version, at least one."""
    thresholds: Thresholds
    channels: tuple[Channel, ...]
    """Where alerts go, besides their file."""

    @property
    def known(self) -> "Known":
        """Return what people may ask to read."""
        from data_platform.operations.lookup import Known

        pairs = {name: exchange.pairs for name, exchange in self.exchanges.items()}
        lines = {name: self.scope_of(it).recipes for name, it in self.exchanges.items()}
        return Known(pairs, self.feature_sets, lines)

    def rules_of(self, exchange: ExchangeSettings) -> "UpdateRules":
        """Return how candles of an exchange are planned and judged."""
        # The operations bring SQLAlchemy along, which who only reads settings does not need.
        from data_platform.config.scope import to_rules

        return to_rules(exchange, self.thresholds.limits)

    def scope_of(self, exchange: ExchangeSettings) -> "Scope":
        """Return what should be stored of an exchange, and how it is made."""
        from data_platform.config.scope import to_lines, to_scope

        joined = {it.exchange for one in self.feature_sets for it in one.markets}
        read = [it for name, it in self.exchanges.items() if name in {exchange.name, *joined}]
        lines = to_lines(read, self.thresholds.limits, self.indicators)
        return to_scope(exchange, lines, self.indicators, self.feature_sets)

    def score_rules_of(self, exchange: ExchangeSettings) -> "ScoreRules":
        """Return how candles of an exchange are scored."""
        from data_platform.config.scope import to_score_rules

        return to_score_rules(exchange, self.refresh.candles, self.thresholds)


def load_settings(
    environ: Mapping[str, str] | None = None,
    *,
    config: Path | None = None,
    now: datetime | None = None,
) -> Settings:
    """Read the configuration.

    Args:
        environ: the environment; None: the process's own.
        config: the platform config; None: what `DATA_PLATFORM_CONFIG` names, else
            `configs/platform.yaml` in the current folder, else the project's own.
        now: the clock, UTC; None: the real one. A start may not lie after it.

    Raises:
        ConfigError: a file or variable is refused; names file and line, or the variable.
    """
    variables = os.environ if environ is None else environ
    clock = now or datetime.now(UTC)
    path = (config or _config_path(variables)).expanduser().absolute()
    document = read_yaml(path)
    entries = read_model(document, PlatformFile)
    data_root = read_data_root(variables)
    exchanges = _exchanges(document, entries, read_simulator(variables), clock)
    pairs = {name: exchange.pairs for name, exchange in exchanges.items()}
    return Settings(
        config_path=path,
        data_root=data_root,
        state_url=read_state_url(variables, data_root),
        exchanges=exchanges,
        indicators=_indicators(document, entries),
        refresh=Refresh(**dict(entries.refresh)),
        automation=entries.automation,
        feature_sets=read_feature_sets(_beside(path, "features"), pairs),
        backups=entries.backups,
        thresholds=read_thresholds(read_yaml(_beside(path, "thresholds.yaml")), entries.exchanges),
        channels=to_channels(read_variable(variables, ALERTS_VARIABLE) or ""),
    )


def dagster_home(environ: Mapping[str, str] | None = None) -> Path:
    """Return the folder of the Dagster instance: `DAGSTER_HOME`, else `.dagster` here.

    Raises:
        ConfigError: the variable does not name an absolute path, which Dagster insists on.
    """
    named = read_variable(os.environ if environ is None else environ, HOME_VARIABLE)
    if named is None:
        return Path(".dagster").absolute()
    path = Path(named).expanduser()
    if not path.is_absolute():
        raise ConfigError(f"{HOME_VARIABLE}={named}: expected an absolute path.")
    return path


def demo_environment() -> dict[str, str]:
    """Return the variables of the demo: a config, a lake and an instance of its own.

    Made-up candles must never lie beside real ones.
    """
    return {
        CONFIG_VARIABLE: str(PROJECT_ROOT / "configs/demo.yaml"),
        DATA_VARIABLE: str(Path("data/demo").absolute()),
        STATE_VARIABLE: f"sqlite:///{Path('data/demo/state.db').absolute()}",
        HOME_VARIABLE: str(Path(".dagster/demo").absolute()),
    }


def warn_without_home(environ: Mapping[str, str] | None = None) -> None:
    """Warn when `DAGSTER_HOME` is unset: Dagster then forgets every run when it ends."""
    if read_variable(os.environ if environ is None else environ, HOME_VARIABLE) is None:
        warnings.warn(
            f"{HOME_VARIABLE} is not set: runs are recorded in a temporary folder and forgotten; "
            "set it to an absolute path, for example with `make`.",
            stacklevel=2,
        )


def worker_environment(
    settings: Settings, environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment of a process that is to work with the same settings as this one."""
    variables = os.environ if environ is None else environ
    return {
        **variables,
        CONFIG_VARIABLE: str(settings.config_path),
        DATA_VARIABLE: str(settings.data_root),
        STATE_VARIABLE: settings.state_url,
        HOME_VARIABLE: str(dagster_home(variables)),
    }


def _config_path(environ: Mapping[str, str]) -> Path:
    named = read_variable(environ, CONFIG_VARIABLE)
    if named is None:
        here = Path("configs/platform.yaml")
        return here if here.exists() else PROJECT_ROOT / here
    path = Path(named).expanduser()
    if not path.is_file():
        raise ConfigError(
            f"{CONFIG_VARIABLE}={named}: there is no such file; name a YAML file or unset it."
        )
    return path


def _exchanges(
    document: Document, entries: PlatformFile, simulator: str | None, now: datetime
) -> dict[str, ExchangeSettings]:
    exchanges = {
        name: ExchangeReader(document, name, entry, now).read()
        for name, entry in sorted(entries.exchanges.items())
    }
    refuse_wrong_backups(document, exchanges)
    refuse_slow_refresh(document, entries.refresh.candles, exchanges.values())
    if simulator is None:
        return exchanges
    return {
        name: replace(exchange, base_url=f"{simulator}/{name}")
        for name, exchange in exchanges.items()
    }


def _indicators(document: Document, entries: PlatformFile) -> tuple[str, ...]:
    names = entries.indicators
    for index, name in enumerate(names):
        if name in names[:index]:
            raise document.error(("indicators", index), f"{name!r} stands twice.")
        try:
            to_recipe(name)
        except WrongUseError as error:
            raise document.error(("indicators", index), str(error)) from error
    return tuple(names)


def _beside(config: Path, name: str) -> Path:
    """Return what lies beside the platform config, else the project's own of that name."""
    beside = config.parent / name
    return beside if beside.exists() else PROJECT_ROOT / "configs" / name
