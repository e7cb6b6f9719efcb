"""Every class of `ta`, each of its methods and parameters, has a row here or a stated reason."""

import inspect
from types import ModuleType

import polars as pl
import pytest
from ta import momentum, others, trend, volatility, volume
from ta.utils import IndicatorMixin

from data_platform.indicators.columns import INDICATORS
from data_platform.indicators.departures import OMISSIONS
from data_platform.indicators.reference import COUNTERPARTS, counterparts_of, library_values

MODULES = (trend, momentum, volatility, volume, others)
REASONS = {row.place for row in OMISSIONS}
DATA = {"self", "open", "high", "low", "close", "volume", "fillna"}


def classes_of(module: ModuleType) -> list[type]:
    return [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, IndicatorMixin) and kind.__module__ == module.__name__
    ]


CLASSES = [kind for module in MODULES for kind in classes_of(module)]


def rows_of(kind: type) -> list[object]:
    place = f"{kind.__module__.removeprefix('ta.')}.{kind.__name__}"
    return [row for row in COUNTERPARTS if row.place == place]


def missing_of(kind: type) -> set[str]:
    """Return the methods and parameters of a class that have neither row nor reason."""
    rows = [row for row in COUNTERPARTS if row in rows_of(kind)]
    methods = {
        f"{kind.__name__}.{name}"
        for name, _ in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }
    covered = {f"{kind.__name__}.{method}" for row in rows for method in row.methods.values()}
    parameters = {
        f"{kind.__name__}({name})"
        for name in inspect.signature(kind).parameters
        if name not in DATA
    }
    covered |= {f"{kind.__name__}({name})" for row in rows for name in row.parameters}
    return (methods | parameters) - covered - REASONS


def test_the_walk_finds_all_of_ta() -> None:
    assert len(CLASSES) == 43


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_of_ta_has_a_row_or_a_reason(kind: type) -> None:
    assert missing_of(kind) == set()


def test_a_class_without_a_row_would_be_found() -> None:
    class NewIndicator(IndicatorMixin):  # type: ignore[misc]
        def __init__(self, close: object, window: int = 5, fillna: bool = False) -> None:
            self._all = (close, window, fillna)

        def new_line(self) -> object:
            return self._all

    assert missing_of(NewIndicator) == {"NewIndicator.new_line", "NewIndicator(window)"}


def test_no_reason_is_given_for_what_is_not_there() -> None:
    there = {
        f"{kind.__name__}.{name}"
        for kind in CLASSES
        for name, _ in inspect.getmembers(kind, inspect.isfunction)
    }
    there |= {
        f"{kind.__name__}({name})"
        for kind in CLASSES
        for name in inspect.signature(kind).parameters
    }
    assert there >= REASONS


@pytest.mark.parametrize("row", COUNTERPARTS, ids=lambda row: f"{row.indicator} {row.place}")
def test_parameters_have_the_defaults_of_ta(row: object) -> None:
    [counterpart] = [it for it in COUNTERPARTS if it is row]
    module, name = counterpart.place.split(".")
    [kind] = [it for it in CLASSES if it.__name__ == name and it.__module__.endswith(module)]
    [indicator] = [it for it in INDICATORS if it.name == counterpart.indicator]
    found = inspect.signature(kind).parameters
    for parameter, ours in zip(counterpart.parameters, indicator.parameters, strict=False):
        theirs = found[parameter].default
        # The simple average has no default there, the smoothing of the price trend none.
        if theirs not in {inspect.Parameter.empty, None}:
            assert ours.default == theirs, parameter


def test_every_indicator_but_one_has_a_class() -> None:
    assert {row.name for row in INDICATORS} - {row.indicator for row in COUNTERPARTS} == {
        "vwap_session"
    }


def test_a_class_without_parameters_stands_for_one_set_of_them() -> None:
    assert [row.place for row in counterparts_of("roc_1")] == [
        "momentum.ROCIndicator",
        "others.DailyReturnIndicator",
    ]
    assert [row.place for row in counterparts_of("roc_2")] == ["momentum.ROCIndicator"]
    assert counterparts_of("log_roc_2") == ()


def test_values_come_by_our_names(filled: pl.DataFrame) -> None:
    found = library_values(filled.head(30), "stoch_5_2")
    assert set(found) == {"stoch_k_5_2", "stoch_d_5_2"}
    assert all(len(values) == 30 for values in found.values())
