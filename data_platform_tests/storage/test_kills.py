"""A writer that is killed again and again, in the middle of whatever it does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from data_platform.storage.inventory import Chosen
from data_platform.storage.survey import survey
from data_platform_tests.storage.kill_driver import MONTHS
from data_platform_tests.storage.lake import candles, commit, open_store, partition

DRIVER = Path(__file__).with_name("kill_driver.py")
KILLS = 200
NONE = dict.fromkeys(("torn", "lost", "duplicates", "unsorted", "foreign"), 0)


@pytest.mark.slow
def test_r2_200_kills_in_a_write_loop_lose_no_acknowledged_candle(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(root), str(KILLS), "2"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    tally = json.loads(done.stdout)
    with capsys.disabled():
        print(f"\nR2: {tally}")  # noqa: T201  # the tally is what a reader wants to see
    assert tally["kills"] == KILLS
    assert {name: tally[name] for name in NONE} == NONE
    # The kills struck where they should: amid commits, before and after the file was in place.
    assert tally["commits"] > KILLS
    assert tally["killed in a commit"] > KILLS / 2
    assert tally["of them stored"] > 0

    store = open_store(root)
    for month in MONTHS:
        commit(store, candles([0], price=7, period=month), partition(period=month))
    kinds = {it.kind for it in survey(root, store.state, Chosen(), "full").findings}
    assert kinds <= {"leftover"}, kinds
    store.state.close()
