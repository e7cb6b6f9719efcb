"""What `docs/recipes.md` shows runs as it stands, each block in its program's own environment."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_platform.settings import PROJECT_ROOT
from data_platform_tests.converters.exported_lake import ExportedLake, open_exported_lake
from data_platform_tests.converters.programs import python_of

PAGE = PROJECT_ROOT / "docs/recipes.md"
BLOCK = re.compile(r"^<!-- ([^\n]+) -->\n```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(mark: str) -> list[str]:
    return [text for found, text in BLOCK.findall(PAGE.read_text()) if found == mark]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExportedLake]:
    with open_exported_lake(tmp_path_factory.mktemp("recipes")) as opened:
        yield opened


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def run_block(program: str, number: int, lake: ExportedLake) -> str:
    command = [str(python_of(program)), "-W", "ignore", "-c", blocks(f"runs in: {program}")[number]]
    return run(command, lake.exports.parents[1])


def test_every_row_of_the_readmes_table_has_a_recipe() -> None:
    table = (PROJECT_ROOT / "README.md").read_text().split("| I want to add |")[1].split("\n\n")[0]
    things = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    headings = re.findall(r"^## (?:Add|Change) (.+)$", PAGE.read_text(), re.MULTILINE)
    assert len(things) > 5
    assert [re.sub(r"\ba |\ban ", "", it) for it in headings] == [
        re.sub(r"\ba |\ban ", "", it) for it in things
    ]


def test_every_block_of_a_program_is_run() -> None:
    marks = [mark for mark, _ in BLOCK.findall(PAGE.read_text())]
    assert sorted(marks) == [
        *("config of: freqtrade", "runs in: freqtrade", "runs in: nautilus"),
        *["runs in: vectorbt"] * 3,
        "strategy of: freqtrade",
    ]


@pytest.mark.slow
def test_vectorbt_trades_one_pair(lake: ExportedLake) -> None:
    told = re.fullmatch(r"(\d+) trades, return (-?[\d.]+)\n", run_block("vectorbt", 0, lake))
    assert told
    assert int(told[1]) > 5


@pytest.mark.slow
def test_the_wide_frame_shows_what_a_pair_lacks(lake: ExportedLake) -> None:
    told = run_block("vectorbt", 1, lake)
    # Of the 105 hours that BTC/USDT lacks, as the lake was punched.
    assert re.search(r"^BTC_USDT +105$", told, re.MULTILINE)
    assert re.search(r"^ETH_USDT +0$", told, re.MULTILINE)
    assert told.endswith(f"({30 * 24 + 12 - 105 + 24 * 0}, 2)\n")


@pytest.mark.slow
def test_the_screen_ranks_every_pair_and_combination(lake: ExportedLake) -> None:
    lines = run_block("vectorbt", 2, lake).splitlines()
    pairs = [line.split()[-2] for line in lines[1:]]
    assert sorted(pairs) == ["BTC_USDT"] * 6 + ["ETH_USDT"] * 6


@pytest.mark.slow
def test_nautilus_trader_trades_one_pair(lake: ExportedLake) -> None:
    assert int(run_block("nautilus", 0, lake).split()[0]) > 5


@pytest.mark.slow
def test_freqtrade_lists_and_trades_two_pairs(lake: ExportedLake) -> None:
    folder = lake.exports.parents[1]
    strategies = folder / "user_data/strategies"
    strategies.mkdir(parents=True)
    (strategies / "mean_crossing.py").write_text(blocks("strategy of: freqtrade")[0])
    config = json.loads(blocks("config of: freqtrade")[0])
    api = f"{lake.simulator.url}/binance/api/v3"
    config["exchange"]["ccxt_config"] = {
        "urls": {"api": dict.fromkeys(("public", "private", "v1"), api)},
        "options": {"fetchMarkets": {"types": ["spot"]}},
    }
    (folder / "config.json").write_text(json.dumps(config))
    program = python_of("freqtrade").with_name("freqtrade")
    listing, trading = (
        run([str(program), *shlex.split(line)[1:]], folder)
        for line in blocks("runs in: freqtrade")[0].splitlines()
    )
    assert len(re.findall(r"(BTC|ETH)/USDT .*2024-02-01", listing)) == 6
    assert re.search(r"MeanCrossing", trading)
    assert "No trades made" not in trading
    assert list((folder / "user_data/backtest_results").glob("*.zip"))
