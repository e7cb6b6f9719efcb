"""The programs in their own environments: ask one of their interpreters, compare what it says.

`CONSUMERS_ENV` names a folder of virtual environments: `freqtrade`, `vectorbt`, `nautilus` and, of
an older NautilusTrader, `nautilus-1.221`; `make test-consumers` makes the first three.
"""

import json
import os
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from data_platform.domain.timeframes import Timeframe

SCRIPTS = Path(__file__).parent / "consumers"
OPTIONAL = {"nautilus-1.221"}


def python_of(program: str) -> Path:
    """Return a program's interpreter; skip where nobody has made environments."""
    folder = os.environ.get("CONSUMERS_ENV")
    path = Path(folder or "", program, "bin", "python")
    if not folder or (program in OPTIONAL and not path.exists()):
        pytest.skip(f"CONSUMERS_ENV has no environment {program!r}")
    assert path.exists(), f"{path} is missing: make test-consumers"
    return path


def ask(program: str, script: str, *arguments: str) -> Any:  # noqa: ANN401
    """Run a script by a program's interpreter; return the JSON of its last line."""
    command = [str(python_of(program)), "-W", "ignore", str(SCRIPTS / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def hex_rows(candles: pl.DataFrame) -> list[list[str]]:
    """Return candles as ISO times and exact floats."""
    return [
        [time.isoformat(), *(float(value).hex() for value in values)]
        for time, *values in candles.iter_rows()
    ]


def bar_rows(candles: pl.DataFrame, timeframe: Timeframe) -> list[list[Any]]:
    """Return candles as NautilusTrader has them: closes in nanoseconds, 16 decimals."""
    rows: list[list[Any]] = []
    for time, *values in candles.iter_rows():
        closed = int((time + timeframe.duration).timestamp()) * 10**9
        rows.append([closed, closed, *(f"{Decimal(repr(value)):.16f}" for value in values)])
    return rows


def normal(rows: list[list[Any]]) -> list[list[Any]]:
    """Return rows that NautilusTrader printed with all 16 decimals."""
    return [[*row[:2], *(f"{Decimal(text):.16f}" for text in row[2:])] for row in rows]
