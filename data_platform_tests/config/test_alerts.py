from datetime import timedelta
from pathlib import Path

import pytest

from data_platform.config.alerts import read_alarm_limits, to_channels
from data_platform.config.strict_yaml import read_yaml
from data_platform.domain.alerts import AlarmLimits, Channel
from data_platform.domain.errors import ConfigError
from data_platform.settings import PROJECT_ROOT


def limits(folder: Path, text: str) -> AlarmLimits:
    path = folder / "thresholds.yaml"
    path.write_text(f"checks: {{}}\n{text}")
    return read_alarm_limits(read_yaml(path))


def test_what_is_left_out_keeps_its_default(tmp_path: Path) -> None:
    assert limits(tmp_path, "") == AlarmLimits()
    found = limits(tmp_path, "alerts: {source_away: 30m, error_share: 0.5}\n")
    assert found == AlarmLimits(source_away=timedelta(minutes=30), error_share=0.5)


def test_own_file_spells_out_the_defaults() -> None:
    assert read_alarm_limits(read_yaml(PROJECT_ROOT / "configs/thresholds.yaml")) == AlarmLimits()


@pytest.mark.parametrize(
    "entry",
    ["{source_gone: 5m}", "{error_share: 2}", "{run_times_usual: 1}", "{quiet: soon}"],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, entry: str) -> None:
    with pytest.raises(ConfigError, match=r"thresholds\.yaml:2"):
        limits(tmp_path, f"alerts: {entry}\n")


def test_channels_are_parted_by_spaces_and_each_counts_once() -> None:
    assert to_channels("") == ()
    assert to_channels(" json://a  json://b\njson://a ") == (
        Channel("json://a"),
        Channel("json://b"),
    )
