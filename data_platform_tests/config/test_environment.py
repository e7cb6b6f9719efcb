from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from data_platform.config.environment import (
    read_data_root,
    read_simulator,
    read_state_url,
    read_variable,
)
from data_platform.domain.errors import ConfigError

URL = "DATA_PLATFORM_STATE"


def state_url(environ: Mapping[str, str]) -> str:
    return read_state_url(environ, Path("/lake"))


def test_what_is_unset_has_its_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_data_root({}) == tmp_path / "data"
    assert state_url({}) == "sqlite:////lake/state.db"
    assert read_simulator({}) is None
    assert read_variable({}, "X") is None


@pytest.mark.parametrize(
    ("read", "name", "value"),
    [
        (read_data_root, "DATA_PLATFORM_DATA", " "),
        (read_data_root, "DATA_PLATFORM_DATA", __file__),
        (state_url, URL, "no url"),
        (read_simulator, "DATA_PLATFORM_SIMULATOR", "nowhere"),
    ],
)
def test_what_is_wrong_names_its_variable(
    read: Callable[[Mapping[str, str]], Any], name: str, value: str
) -> None:
    with pytest.raises(ConfigError, match=name):
        read({name: value})


def test_password_of_a_url_that_is_none_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        state_url({URL: "hunter2@:::"})
    assert "hunter2" not in str(caught.value)
