"""The table of what is promised, held against the tests that it names."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from data_platform.settings import PROJECT_ROOT

TESTS = Path(__file__).parent
TABLE = PROJECT_ROOT / "docs/reliability.md"
IDS = [f"R{number}" for number in range(1, 35)]
SLOW = {"R2", "R11", "R12", "R13", "R34"}


def read_table() -> dict[str, tuple[str, list[str]]]:
    """Return by id when its tests run, and their names."""
    rows = {}
    for line in TABLE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.fullmatch(r"R\d+", cells[0]):
            assert all(cells), f"{cells[0]} has an empty cell"
            rows[cells[0]] = (cells[3], re.findall(r"`([^`]+::[^`]+)`", cells[4]))
    return rows


@cache
def named_tests() -> dict[str, bool]:
    """Return every test that is named after an id, and whether it is slow."""
    found = {}
    for path in TESTS.rglob("test_*.py"):
        tree = ast.parse(path.read_text())
        marks = [ast.unparse(it) for it in tree.body if isinstance(it, ast.Assign)]
        is_all_slow = any(it.startswith("pytestmark") and "mark.slow" in it for it in marks)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and re.match(r"test_r\d+_", node.name):
                own = any("mark.slow" in ast.unparse(it) for it in node.decorator_list)
                name = f"{path.relative_to(TESTS).as_posix()}::{node.name}"
                found[name] = own or is_all_slow
    return found


def ids_of(name: str) -> set[str]:
    (numbers,) = re.findall(r"::test_((?:r\d+_)+)", name)
    return {number.upper() for number in numbers.strip("_").split("_")}


def test_every_promise_stands_in_the_table_once_and_in_order() -> None:
    assert list(read_table()) == IDS


@pytest.mark.parametrize("promise", IDS)
def test_a_promise_names_tests_that_exist_and_run_when_it_says(promise: str) -> None:
    runs, names = read_table()[promise]
    assert runs == ("slow" if promise in SLOW else "always")
    tests = named_tests()
    assert names
    for name in names:
        assert promise in ids_of(name), name
        assert tests.get(name) == (promise in SLOW), name


def test_every_test_that_is_named_after_a_promise_stands_beside_it() -> None:
    table = read_table()
    for name in named_tests():
        for promise in ids_of(name):
            assert name in table[promise][1], f"{name} is not in {TABLE.name}"
