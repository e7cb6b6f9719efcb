"""Faults at the file operations of a commit: the n-th of them fails, is cut short, or kills."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

OPERATIONS = ("open", "write", "fsync", "read", "replace", "mkdir", "unlink")


@dataclass
class Faults:
    """Counts the wrapped operations and spoils the one numbered `at`, from 1."""

    at: int
    kind: str
    """`kill`, `half` (the `at`-th write, cut short, then killed), or an error number's name."""
    seen: list[str] = field(default_factory=list)

    def wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*args: Any, **options: Any) -> Any:  # noqa: ANN401  # stands for any of them
            self.seen.append(name)
            if self._is_due(name):
                self.spoil(name, args)
            return real(*args, **options)

        return operation

    def _is_due(self, name: str) -> bool:
        if self.kind == "half":
            # The n-th write: nothing else can be done by half.
            return name == "write" and self.seen.count("write") == self.at
        return len(self.seen) == self.at

    def spoil(self, name: str, args: tuple[Any, ...]) -> None:
        if self.kind in ("kill", "half"):
            if self.kind == "half" and name == "write":
                REAL["write"](args[0], args[1][: len(args[1]) // 2])
            os._exit(9)
        number = getattr(errno, self.kind)
        raise OSError(number, os.strerror(number))


REAL: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in OPERATIONS}


def install(faults: Faults) -> None:
    for name in OPERATIONS:
        setattr(os, name, faults.wrap(name, REAL[name]))


def remove() -> None:
    for name in OPERATIONS:
        setattr(os, name, REAL[name])
