"""Nothing that a run leaves behind is a pickle: loading one runs whatever stands in it."""

import io
import pickle
import pickletools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from data_platform.settings import PROJECT_ROOT
from data_platform_tests.small_line import SmallLine

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


def is_pickle(content: bytes) -> bool:
    """Tell whether bytes are one pickle of a protocol that Python writes, from end to end."""
    if len(content) < 4 or content[0] != 0x80 or content[1] not in PROTOCOLS:
        return False
    stream = io.BytesIO(content)
    try:
        for _ in pickletools.genops(stream):
            pass
    except ValueError:
        return False
    return stream.tell() == len(content)


def pickles_below(root: Path) -> list[str]:
    """Return the files, and the cells of databases, that are pickles."""
    files = [path for path in root.rglob("*") if path.is_file()]
    assert len(files) > 30
    found = [str(path) for path in files if is_pickle(path.read_bytes())]
    found += [str(path) for path in files if "pickle" in path.name or path.suffix == ".pkl"]
    databases = [it for it in files if it.read_bytes()[:15] == b"SQLite format 3"]
    assert len(databases) >= 3
    return found + [cell for path in databases for cell in pickled_cells(path)]


def pickled_cells(path: Path) -> Iterator[str]:
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                if any(isinstance(value, bytes) and is_pickle(value) for value in row):
                    yield f"{path}: {table}"


def test_r31_a_full_run_leaves_no_pickle(stored_line: SmallLine) -> None:
    assert stored_line.materialize(months=("2024-02", "2024-02")).success
    assert (stored_line.root / "home").is_dir()
    assert pickles_below(stored_line.root) == []


def test_r31_no_asset_hands_its_rows_to_an_io_manager(stored_line: SmallLine) -> None:
    keys = stored_line.definitions.get_repository_def().asset_graph.materializable_asset_keys
    assert len(keys) > 10
    for definition in stored_line.definitions.assets or ():
        assert isinstance(definition, dg.AssetsDefinition)
        types = [it.dagster_type for it in definition.node_def.output_defs]
        assert {it.kind.name for it in types} <= {"NOTHING"}, definition.keys


def test_the_package_does_not_pickle() -> None:
    texts = [path.read_text() for path in (PROJECT_ROOT / "data_platform").rglob("*.py")]
    assert not [text for text in texts if "import pickle" in text or "pickle." in text]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_is_recognised(protocol: int) -> None:
    assert is_pickle(pickle.dumps({"a": [1, 2.5, None]}, protocol))
    assert not is_pickle(pickle.dumps([1], protocol) + b"x")
    assert not is_pickle(b"\x80 no pickle")
