import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from data_platform.cli.main import main
from data_platform_tests.factories import candles_at, grid

CONFIG = "exchanges:\n  binance: {pairs: [BTC/USDT]}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "platform.yaml"
    path.write_text(CONFIG)
    (tmp_path / "features").mkdir()
    features = "name: own\nversion: 1\nreturns: [1]\n"
    (tmp_path / "features/own.yaml").write_text(features)
    return path


def run(config: Path, *arguments: str, **environ: str) -> Result:
    variables = {"DATA_PLATFORM_CONFIG": str(config), **environ}
    return CliRunner().invoke(main, ["scorecard", "--seeds", "1", *arguments], env=variables)


def test_the_card_tells_recall_precision_and_false_alarms(config: Path) -> None:
    done = run(config)
    assert done.exit_code == 0, done.output
    for words in (
        "A finding is true where its open_time is exactly a time that was planted",
        "wrong-exchange copy",
        "Precision",
        "False alarms on made-up markets",
        "Everything that cannot be true was found, each time.",
    ):
        assert words in done.output
    assert "real candles" not in done.output


def test_a_check_that_the_config_has_blinded_is_named_and_ends_with_1(config: Path) -> None:
    (config.parent / "thresholds.yaml").write_text(
        "checks:\n  no_copied_candles: {candles: 1000}\n"
    )
    done = run(config)
    assert done.exit_code == 1
    assert "no_copied_candles has missed 5 of 5: wrong-exchange copy" in done.output


def test_json_holds_everything_and_real_candles_are_looked_at(config: Path) -> None:
    folder = config.parent / "real"
    folder.mkdir()
    candles_at(grid("2024-01-01", "2024-01-03")).write_parquet(folder / "x__1h.parquet")
    done = run(config, "--json", REAL_CANDLES=str(folder))
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["seeds"] == 1
    assert {it["recall"] for it in document["recall"]} == {1.0}
    assert {"check", "true", "false", "precision"} == set(document["precision"][0])
    assert {it["where"] for it in document["real"]} == {"x__1h"}
    assert {it["check"] for it in document["real"]} == {"no_price_jumps"}
