"""Seconds of some work; needs nothing but Python, so that any program's interpreter has it."""

import time
from collections.abc import Callable


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long some work takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
