"""Random sequences of everything that befalls a lake, against a second opinion: a dictionary."""

import json
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("sequence_driver.py")
SEQUENCES = 500


def run_sequences(state_file: Path, folder: Path, count: int, at_once: int) -> Counter[str]:
    """Run sequences of the first seeds in some processes at once; return what they did."""
    cuts = [count * number // at_once for number in range(at_once + 1)]
    running = [
        subprocess.Popen(
            [sys.executable, str(DRIVER), str(state_file), str(folder), str(first), str(last)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for first, last in pairwise(cuts)
    ]
    tally: Counter[str] = Counter()
    for process in running:
        out, errors = process.communicate()
        assert process.returncode == 0, errors[-3000:]
        tally.update(json.loads(out))
    return tally


def test_a_few_sequences_equal_the_dictionary(state_file: Path, tmp_path: Path) -> None:
    assert run_sequences(state_file, tmp_path, 3, at_once=1)["sequences"] == 3


@pytest.mark.slow
def test_r34_500_random_sequences_equal_the_dictionary(
    state_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = run_sequences(state_file, tmp_path, SEQUENCES, at_once=2)
    with capsys.disabled():
        print(f"\nR34: {dict(tally)}")  # noqa: T201  # the tally is what a reader wants to see
    assert tally["sequences"] == SEQUENCES
    for name in ("fetch", "fail", "correct", "repair", "past", "kill"):
        assert tally[name] > SEQUENCES / 5, name
