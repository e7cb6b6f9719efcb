"""What Dagster loads, as one readable text, and what loading costs.

`python -m data_platform_tests.test_definitions` writes the text anew.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from data_platform.definitions import build_definitions
from data_platform.settings import PROJECT_ROOT, Settings, load_settings

GOLDEN = Path(__file__).parent / "golden/definitions.txt"

HEAVY = ("ccxt", "pandas", "pandera", "duckdb", "alembic", "aiohttp")

LOAD = """
import sys
from data_platform.definitions import defs
keys = defs().get_repository_def().asset_graph.get_all_asset_keys()
print(len(keys), *sorted({name.split(".")[0] for name in sys.modules}))
"""


def shipped_settings() -> Settings:
    config = PROJECT_ROOT / "configs/platform.yaml"
    return load_settings({"DATA_PLATFORM_CONFIG": str(config)})


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(shipped_settings())


def describe(definitions: dg.Definitions) -> str:
    """Return the graph as text: assets with what they read and their checks, then the rest."""
    return "\n".join([*_assets(definitions), "", *_automation(definitions), ""])


def _assets(definitions: dg.Definitions) -> Iterator[str]:
    graph = definitions.resolve_asset_graph()
    checks: dict[dg.AssetKey, list[str]] = {}
    for check in graph.asset_check_keys:
        checks.setdefault(check.asset_key, []).append(check.name)
    for key in sorted(graph.get_all_asset_keys(), key=lambda key: key.to_user_string()):
        reads = sorted(parent.to_user_string() for parent in graph.get(key).parent_keys)
        yield f"{key.to_user_string()} <- {', '.join(reads) or '(nothing)'}"
        yield f"    checks: {', '.join(sorted(checks.get(key, []))) or '(none)'}"


def _automation(definitions: dg.Definitions) -> Iterator[str]:
    repository = definitions.get_repository_def()
    for name in sorted(repository.job_names):
        if not name.startswith("__"):
            yield f"job {name}"
    for schedule in sorted(repository.schedule_defs, key=lambda it: it.name):
        when = f"{schedule.cron_schedule} {schedule.execution_timezone}"
        yield f"schedule {schedule.name}: {when} -> {schedule.job_name} ({_state(schedule)})"
    for sensor in sorted(repository.sensor_defs, key=lambda it: it.name):
        jobs = ", ".join(target.job_name for target in sensor.targets) or "(every job)"
        seconds = sensor.minimum_interval_seconds
        yield f"sensor {sensor.name}: every {seconds or 30} s -> {jobs} ({_state(sensor)})"


def _state(automation: dg.ScheduleDefinition | dg.SensorDefinition) -> str:
    return str(automation.default_status.value).lower()


def test_graph_is_what_the_golden_text_says(definitions: dg.Definitions) -> None:
    assert describe(definitions) == GOLDEN.read_text(), (
        "The graph has changed. If it should: python -m data_platform_tests.test_definitions"
    )


def test_every_asset_tells_what_a_reader_needs(definitions: dg.Definitions) -> None:
    specs = definitions.resolve_all_asset_specs()
    assert len(specs) == 4 * (6 * 7 + 1) + 1
    for spec in specs:
        assert spec.group_name, spec.key
        assert spec.kinds, spec.key
        assert spec.owners, spec.key
        assert {"layer"} <= set(spec.tags), spec.key
        assert len(str(spec.description)) > 40, spec.key
        schema = spec.metadata["dagster/column_schema"]
        columns = schema.value.columns if hasattr(schema, "value") else schema.columns
        assert columns, spec.key
        assert all(column.description and column.type for column in columns), spec.key


def test_one_run_can_carry_the_whole_line_of_an_exchange(definitions: dg.Definitions) -> None:
    for exchange in shipped_settings().exchanges:
        job = definitions.resolve_job_def(f"materialize_{exchange}_line_job")
        assert job.partitions_def is not None
        keys = job.asset_layer.selected_asset_keys
        assert {key.path[0] for key in keys} == {exchange}
        for key in keys:
            policy = job.asset_layer.get(key).backfill_policy
            assert policy == dg.BackfillPolicy.single_run(), key


def test_automation_starts_as_the_config_says(tmp_path: Path) -> None:
    config = tmp_path / "configs/platform.yaml"
    config.parent.mkdir()
    config.write_text("automation: running\nexchanges: {okx: {pairs: [BTC/USDT]}}\n")
    settings = load_settings({"DATA_PLATFORM_CONFIG": str(config)})
    repository = build_definitions(settings).get_repository_def()
    sensors = [_state(it) for it in repository.sensor_defs]
    schedules = {it.name: _state(it) for it in repository.schedule_defs}
    assert sensors == ["running"] * 7
    # What moves data away is turned on by hand alone.
    assert schedules.pop("retention_schedule") == "stopped"
    assert list(schedules.values()) == ["running"] * 5


def test_loading_imports_nothing_heavy_and_warns_of_a_missing_home(tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "DATA_PLATFORM_CONFIG": str(PROJECT_ROOT / "configs/platform.yaml"),
        "DATA_PLATFORM_DATA": str(tmp_path / "data"),
    }
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        env=environment,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    count, *modules = done.stdout.split()
    assert int(count) == 4 * (6 * 7 + 1) + 1
    assert not set(HEAVY) & set(modules)
    assert done.stderr.count("DAGSTER_HOME is not set") == 1
    assert "BetaWarning" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_asset_functions_hold_three_beats_and_no_more() -> None:
    for path in (PROJECT_ROOT / "data_platform/assets").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.args.args[:1]:
                first = node.args.args[0]
                if first.arg == "context" and node.name not in {"to_result", "open_lake_of"}:
                    body = (node.end_lineno or 0) - node.body[0].lineno + 1
                    assert body <= 15, f"{path.name}:{node.name} has {body} lines"
                    assert not [it for it in ast.walk(node) if isinstance(it, ast.For | ast.Try)]


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(describe(build_definitions(shipped_settings())))
