"""A scenario: how the simulated exchanges misbehave, as a file of YAML.

```yaml
latency_ms: 80
limits: {binance: true, bybit: {ban_seconds: 30}}   # or true: all, as documented
faults:
  - {name: http_500, exchange: binance, symbol: BTC/USDT, endpoint: ohlcv, first: 3}
```
Stays out: what the names mean (`simulator/`), which exchanges are simulated (the platform config).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from data_platform.config.models import read_model
from data_platform.config.strict_yaml import Document, ValuePath, read_yaml
from data_platform.domain.errors import WrongUseError
from data_platform.simulator.fault_orders import FaultOrder, to_order


class ScenarioFile(BaseModel):
    """The keys of a scenario; each has a default."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    seed: int | None = Field(default=None, description="Another seed, another past.")
    latency_ms: Annotated[float, Field(ge=0, le=600_000)] = Field(
        default=0, description="From a request's arrival to its answer."
    )
    limits: Any = Field(
        default=False,
        description="Whether the exchanges' limits are enforced; by exchange, with other values.",
    )
    faults: list[dict[str, Any]] = Field(default=[], description="Orders; see docs/simulator.md.")


@dataclass(frozen=True, slots=True)
class Scenario:
    """How the simulated exchanges misbehave."""

    seed: int | None = None
    """None: the command line's."""
    latency_ms: float = 0.0
    limits: bool | Mapping[str, Mapping[str, float]] = False
    """True: all as documented; else by exchange, with the values that differ."""
    faults: tuple[FaultOrder, ...] = ()

    def limits_of(self, exchanges: Iterable[str]) -> dict[str, Mapping[str, float]]:
        """Return the limits that are enforced, given all exchanges."""
        if isinstance(self.limits, Mapping):
            return dict(self.limits)
        return {name: {} for name in exchanges} if self.limits else {}


def read_scenario(path: Path) -> Scenario:
    """Read a scenario.

    Raises:
        ConfigError: it cannot be read, or a key or value is refused; names file and line.
    """
    document = read_yaml(path)
    file = read_model(document, ScenarioFile)
    orders = [_order(document, index, wish) for index, wish in enumerate(file.faults)]
    return Scenario(
        seed=file.seed,
        latency_ms=float(file.latency_ms),
        limits=_limits(document, file.limits),
        faults=tuple(orders),
    )


def _order(document: Document, index: int, wish: Mapping[str, object]) -> FaultOrder:
    try:
        return to_order(wish)
    except WrongUseError as error:
        raise document.error(("faults", index), str(error)) from error


def _limits(document: Document, given: object) -> bool | dict[str, dict[str, float]]:
    if isinstance(given, bool):
        return given
    if not isinstance(given, Mapping):
        raise document.error(
            ("limits",), "expected `true`, `false`, or exchanges with `true` or values."
        )
    switched = {name: values for name, values in given.items() if values is not False}
    return {name: _values(document, ("limits", name), it) for name, it in switched.items()}


def _values(document: Document, place: ValuePath, given: object) -> dict[str, float]:
    if given is True:
        return {}
    if not isinstance(given, Mapping) or not all(map(_is_number, given.values())):
        raise document.error(place, "expected `true`, `false` or names with numbers.")
    return {str(name): float(value) for name, value in given.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
