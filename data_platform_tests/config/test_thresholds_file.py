from pathlib import Path

import pytest

from data_platform.config.models import read_model
from data_platform.config.strict_yaml import read_yaml
from data_platform.config.thresholds_file import ThresholdsFile
from data_platform.domain.errors import ConfigError


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("alerts: {source_gone: 5m}", "alerts.source_gone: unknown key."),
        ("alerts: {run_times_usual: 1}", "alerts.run_times_usual: expected greater than 1"),
        ("scores: {six_dimensions: {}}", "scores.six_dimensions: unknown key."),
        ("retention: {1m: soon}", "retention.1m: 'soon' is no duration"),
    ],
)
def test_what_may_not_stand_there_is_named_with_its_line(
    tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "thresholds.yaml"
    path.write_text(f"checks: {{}}\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        read_model(read_yaml(path), ThresholdsFile)
    assert f"thresholds.yaml:2: {message}" in str(caught.value)
