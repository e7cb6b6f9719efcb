"""Work in a fork of this process, which tells by lines how far it is, and may be killed.

Whoever forks must not use polars before: its threads would not survive.
"""

import os
import traceback
from collections.abc import Callable

Tell = Callable[[str], None]


def forked(work: Callable[[Tell], None]) -> tuple[int, int]:
    """Run work in a fork; return its process id and the end of a pipe with the lines it tells."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    os.close(reading)

    def tell(line: str) -> None:
        os.write(writing, f"{line}\n".encode())

    try:
        work(tell)
    except BaseException:  # noqa: BLE001  # a fork never returns into its parent's code
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def heard(work: Callable[[Tell], None]) -> tuple[list[str], int]:
    """Run work in a fork to its end; return all it told, and its exit code."""
    child, reading = forked(work)
    with os.fdopen(reading) as pipe:
        lines = pipe.read().splitlines()
    return lines, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
