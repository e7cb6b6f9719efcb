from pathlib import Path

import pytest

from data_platform.storage.atomic import stamp_of
from data_platform.storage.known_damage import Known, note_damage, read_known_damage
from data_platform.storage.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / "a").write_bytes(b"a")
    return Layout(tmp_path)


def known(layout: Layout, path: str = "a") -> dict[str, Known]:
    return {path: Known(stamp_of((layout.root / path).stat()), "0 bytes")}


def test_what_was_noted_is_known_until_there_is_none(layout: Layout) -> None:
    assert read_known_damage(layout) == {}
    note_damage(layout, known(layout))
    assert read_known_damage(layout) == known(layout)
    note_damage(layout, {})
    assert read_known_damage(layout) == {}
    assert not layout.known_damage.exists()


def test_a_file_that_was_written_anew_or_is_gone_is_known_no_more(layout: Layout) -> None:
    note_damage(layout, known(layout))
    (layout.root / "b").write_bytes(b"b")
    (layout.root / "b").replace(layout.root / "a")
    assert read_known_damage(layout) == {}
    (layout.root / "a").unlink()
    assert read_known_damage(layout) == {}


@pytest.mark.parametrize("content", [b"", b'{"a": {"sta', b"[1]", b'{"a": 1}', b'{"a": {"b": 1}}'])
def test_half_a_note_tells_nothing(layout: Layout, content: bytes) -> None:
    layout.known_damage.write_bytes(content)
    assert read_known_damage(layout) == {}
