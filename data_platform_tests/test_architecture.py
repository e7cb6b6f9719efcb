"""The layout holds itself: who may import whom, and that every room is tested and on the map."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "data_platform"
TESTS = ROOT / "data_platform_tests"

# From the top down; rooms on one line are strangers to one another.
LINES: tuple[frozenset[str], ...] = (
    frozenset({"cli"}),
    frozenset({"definitions"}),
    frozenset({"schedules", "sensors"}),
    frozenset({"jobs"}),
    frozenset({"runs", "stuck_runs"}),
    frozenset({"checks"}),
    frozenset({"assets"}),
    frozenset({"api", "intake", "resources", "partitions"}),
    frozenset({"settings"}),
    frozenset({"config"}),
    frozenset({"operations"}),
    frozenset({"features", "converters"}),
    frozenset({"sources", "simulator", "storage", "quality", "indicators", "rendering"}),
    frozenset({"domain"}),
)
HEIGHT = {room: len(LINES) - line for line, rooms in enumerate(LINES) for room in rooms}
DAGSTER_FLOOR = HEIGHT["resources"]
BANNED_NAMES = {"utils", "helpers", "common", "lib", "misc", "manager"}
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 40
MAX_ASSET_LINES = 30


def test_every_room_stands_on_one_line() -> None:
    assert {room_of(path) for path in MODULES} - {"__init__"} == set(HEIGHT)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_flow_down_only(path: Path) -> None:
    room = room_of(path)
    wrong = [
        name
        for name in imports_of(path)
        if name.startswith("data_platform.")
        and (target := name.split(".")[1]) != room
        and HEIGHT[target] >= HEIGHT[room]
    ]
    assert not wrong, f"{path.name} ({room}) may not import {wrong}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_rooms_of_the_trade_never_import_dagster(path: Path) -> None:
    room = room_of(path)
    if room != "__init__" and HEIGHT[room] < DAGSTER_FLOOR:
        assert not [name for name in imports_of(path) if name.split(".")[0].startswith("dagster")]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_modules_and_functions_keep_their_budgets(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    limit = 60 if path.name == "definitions.py" else MAX_MODULE_LINES
    assert lines <= limit, f"{path.name} has {lines} lines: split by meaning"
    factories = {"assets", "checks", "sensors", "schedules"}
    nested = 2 * MAX_ASSET_LINES if room_of(path) in factories else MAX_FUNCTION_LINES
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = any(
                isinstance(child, ast.FunctionDef) for child in ast.walk(node) if child is not node
            )
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            takes_context = [it.arg for it in node.args.args[:1]] == ["context"]
            is_asset = room_of(path) == "assets" and takes_context
            longest = MAX_ASSET_LINES if is_asset else MAX_FUNCTION_LINES
            assert size <= (nested if inner else longest), (
                f"{path.name}:{node.name} has {size} lines"
            )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_module_has_a_mirror_in_the_tests(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    if path.name == "__init__.py" or "migrations" in relative.parts:
        return
    mirror = TESTS / relative.parent / f"test_{path.name}"
    assert mirror.exists(), f"write {mirror.relative_to(ROOT)}"


def test_names_say_what_they_hold() -> None:
    stems = {path.stem for path in MODULES} | {path.parent.name for path in MODULES}
    assert not stems & BANNED_NAMES


def test_packages_hold_only_a_docstring_or_a_tuple_of_rows() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        body = ast.parse(path.read_text()).body
        assert isinstance(body[0], ast.Expr), f"{path} says nothing about its room"
        rest = [type(node) for node in body[1:]]
        assert set(rest) <= {ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.Expr}, path


def test_the_map_names_only_places_that_exist() -> None:
    text = (PACKAGE / "__init__.py").read_text()
    places = re.findall(r"`((?:[a-z_]+/)*[a-z_<>]+(?:\.py|\.yaml|/))`", text)
    assert len(places) >= 10, "the map is empty"
    for place in places:
        found = (PACKAGE / place).exists() or (ROOT / place).exists()
        assert found, f"the map names {place}, which does not exist"


def room_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports_of(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names.append(node.module or "")
    return names
