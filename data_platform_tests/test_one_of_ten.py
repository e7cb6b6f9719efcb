"""One pair of ten that fails for good, by the real commands: exit code, words, and the lake."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_platform.domain.markets import Pair, from_key
from data_platform_tests.factories import gaps_in, stored
from data_platform_tests.small_line import SmallLine, open_small_line, series

TEN = tuple(
    from_key(f"{base}-USDT")
    for base in ("ADA", "AVAX", "BTC", "DOGE", "DOT", "ETH", "LINK", "LTC", "SOL", "XRP")
)
UNKNOWN, ODD = from_key("LTC-USDT"), from_key("DOT-USDT")
NINE = tuple(pair for pair in TEN if pair != UNKNOWN)
START, END = datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)
CONFIG = f"""\
exchanges:
  binance:
    start: 2024-02-01
    pairs: [{", ".join(pair.symbol for pair in TEN)}]
    timeframes: [1h]
    rate_limit: 60000
"""
COMMANDS = {
    "download": ("data_platform.cli.main", "download", "--layer", "ohlcv", "--end", "2024-03-01"),
    "materialize": (
        *("dagster", "asset", "materialize", "-m", "data_platform.definitions"),
        *("--select", "binance/ohlcv_1h"),
        *("--partition-range", "ADA-USDT|2024-02...XRP-USDT|2024-02"),
    ),
}


@pytest.fixture
def line(tmp_path: Path) -> Iterator[SmallLine]:
    with open_small_line(tmp_path, CONFIG, simulated=NINE) as line:
        yield line


def run(line: SmallLine, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *COMMANDS[command]],
        env=line.environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def differing(line: SmallLine) -> dict[Pair, int]:
    """Return the pairs that are not stored as the exchange has them, with their candles."""
    found = {}
    with line.lake() as lake:
        for pair in TEN:
            rows = stored(lake, series(pair, "1h"))
            known = pair != UNKNOWN
            truth = line.simulator.candles(series(pair, "1h"), START, END) if known else None
            if truth is None or not rows.equals(truth):
                found[pair] = rows.height
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_nine_are_stored_and_both_that_failed_are_named(line: SmallLine, command: str) -> None:
    # One that the exchange does not know, and one of whose candles one cannot be true.
    line.simulator.faults.add("nan_price", exchange="binance", symbol=ODD.symbol)
    done = run(line, command)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout
    wanted = {UNKNOWN: "does not know the pair LTC/USDT", ODD: "candles came that cannot be true"}
    for pair in TEN:
        named = [it for it in done.stderr.splitlines() if f"{pair.key}|2024-02: " in it]
        assert bool(named) == (pair in wanted), done.stderr
        assert all(wanted[pair] in it for it in named)
    assert differing(line) == {UNKNOWN: 0, ODD: 29 * 24 - 1}
    with line.lake() as lake:
        assert [status for *_, status, _ in gaps_in(lake, series(ODD, "1h"))] == ["refused"]
