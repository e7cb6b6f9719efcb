import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "data_platform.cli.main", "demo"]


@pytest.mark.slow
def test_the_demo_runs_twice_and_the_second_time_asks_for_nothing_that_is_over(
    tmp_path: Path,
) -> None:
    first, second = run_demo(tmp_path), run_demo(tmp_path)
    assert past_requests(first) > 100
    assert past_requests(second) == 0
    for text in (first, second):
        assert len(re.findall(r"│ (?:binance|coinbase|kraken|okx) +│ \d+[mhd] ", text)) == 24
        assert "NautilusTrader: " in text


def run_demo(folder: Path) -> str:
    done = subprocess.run(
        COMMAND, cwd=folder, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def past_requests(text: str) -> int:
    found = re.search(r"Requests for months that are over: ([\d,]+)", text)
    assert found
    return int(found[1].replace(",", ""))
