"""Commit the same change into copies of a lake, each spoiled at another file operation.

Run as a program: `fault_driver.py LAKE FOLDER`; prints what happened at each point as JSON. Each
point is a fork of this process, which uses no polars before: its threads would not survive a fork.
"""

import json
import os
import shutil
import sys
from pathlib import Path

from data_platform_tests.storage import faults
from data_platform_tests.storage.faults import Faults
from data_platform_tests.storage.lake import candles, commit, open_store

KINDS = ("kill", "half")
UNSPOILED = 77


def spoil(folder: Path, fault: Faults) -> None:
    """Commit in a process of its own; leave with 9 (killed) or 77 (never)."""
    store = open_store(folder)
    rows = candles([0], price=60).vstack(candles([5, 6]))
    faults.install(fault)
    commit(store, rows)
    os._exit(UNSPOILED)


def main(lake: Path, folder: Path) -> None:
    points = []
    for kind in KINDS:
        for at in range(1, 60):
            copy = folder / f"{kind}-{at}"
            shutil.copytree(lake, copy)
            child = os.fork()
            if child == 0:
                spoil(copy, Faults(at, kind))
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if code == UNSPOILED:
                break
            points.append({"kind": kind, "at": at, "code": code, "folder": str(copy)})
    print(json.dumps(points))  # noqa: T201  # the answer to the test that runs it


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
