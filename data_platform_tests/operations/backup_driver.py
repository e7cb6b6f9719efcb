"""Back a lake up into copies of one folder, each spoiled at another file operation.

Run as a program: `backup_driver.py LAKE FOLDER`; prints what happened at each point as JSON. Each
point is a fork of this process, which uses no polars before: its threads would not survive a fork.
"""

import itertools
import json
import os
import shutil
import sys
from pathlib import Path

from data_platform.domain.errors import StorageError
from data_platform.operations.backup import Source, back_up
from data_platform_tests.storage import faults
from data_platform_tests.storage.faults import Faults

KINDS = {"kill": 5, "ENOSPC": 7}
"""Every how many operations one is spoiled; of some 80."""
FAILED = 1
UNSPOILED = 77


def spoil(lake: Path, folder: Path, fault: Faults) -> None:
    """Back up in a process of its own; leave with 9 killed, 1 refused, 0 borne, 77 unspoiled."""
    faults.install(fault)
    try:
        back_up(Source(lake, f"sqlite:///{lake}/state.db", None, "0.1"), folder)
    except StorageError:
        os._exit(FAILED)
    os._exit(0 if len(fault.seen) >= fault.at else UNSPOILED)


def main(lake: Path, folder: Path) -> None:
    points = []
    first = folder / "first"
    if os.fork() == 0:
        spoil(lake, first, Faults(0, "kill"))
    os.wait()
    # Half of what the next backup has to take in is there already.
    for path in list((first / "files").glob("*/*"))[::2]:
        path.unlink()
    for kind, step in KINDS.items():
        for at in itertools.count(1, step):
            copy = folder / f"{kind}-{at}"
            shutil.copytree(first, copy)
            child = os.fork()
            if child == 0:
                spoil(lake, copy, Faults(at, kind))
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if code == UNSPOILED:
                break
            points.append({"kind": kind, "at": at, "code": code, "folder": str(copy)})
    print(json.dumps(points))  # noqa: T201  # the answer to the test that runs it


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
