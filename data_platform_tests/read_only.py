"""Run the program on a folder that it cannot write, also where the tests run as root."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Root writes wherever it likes by the capabilities 1 and 2; a process that gives them up from its
# bounding set (prctl 24) and starts another program is held to a folder's permissions.
_POWERLESS = """
import ctypes, os, sys
for capability in (1, 2):
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Take the right to write from a folder and all in it, and give it back."""
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        yield
    finally:
        for path in paths:
            path.chmod(path.stat().st_mode | 0o200)


def run_powerless(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with arguments, held to the permissions of files; variables are added to ours."""
    return subprocess.run(
        [sys.executable, "-c", _POWERLESS, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
