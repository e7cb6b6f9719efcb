"""When an exchange that stopped answering is no longer asked, within one fetch.

Without it each of a thousand pages would wait for its own three time-outs. Holds nothing that
outlives a fetch.
"""

import time
from datetime import timedelta


class Outage:
    """Counts requests that got no answer at all, one after the other."""

    def __init__(self, enough: int, silence: timedelta) -> None:
        """Take how many must have failed in a row, and for how long none succeeded."""
        self._enough = enough
        self._silence = silence.total_seconds()
        self._failed = 0
        self._since = 0.0

    def is_over(self) -> None:
        """Note an answer, or begin anew."""
        self._failed = 0

    def goes_on(self) -> None:
        """Note a request whose every attempt failed."""
        if not self._failed:
            self._since = time.monotonic()
        self._failed += 1

    @property
    def is_hopeless(self) -> bool:
        """Return whether asking further is a waste of time."""
        silent = time.monotonic() - self._since
        return self._failed >= self._enough and silent >= self._silence
