from pathlib import Path

import pytest

from data_platform.domain.errors import StorageError
from data_platform.storage.alert_lines import alerts_file, append_lines
from data_platform_tests.storage.lake import utc


def test_lines_are_added_in_a_file_a_month(tmp_path: Path) -> None:
    path = alerts_file(tmp_path, utc(2024, 2, 29, 23))
    assert path == tmp_path / "state/alerts/2024-02.jsonl"
    append_lines(path, ["a", "b"])
    append_lines(path, ["c"])
    assert path.read_text() == "a\nb\nc\n"


def test_line_torn_by_a_power_cut_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_text('{"whole": 1}\n{"torn')
    append_lines(path, ['{"next": 1}'])
    assert path.read_text().splitlines() == ['{"whole": 1}', '{"torn', '{"next": 1}']


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file in the way")
    with pytest.raises(StorageError, match=r"alerts stay due"):
        append_lines(alerts_file(tmp_path, utc(2024, 1, 1)), ["a"])
