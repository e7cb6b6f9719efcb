import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_platform.domain.errors import PermanentError, RefusedError, TransientError
from data_platform.sources import rate_budget
from data_platform.sources.rate_budget import Clocks, RateBudget, budget_file
from data_platform.sources.request_log import (
    CATCH_UP,
    CLOSEST,
    HOLD,
    LONGEST_DELAY,
    Pace,
    RequestLog,
)

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC).timestamp()


@dataclass
class Hands:
    """Two clocks that a test turns by hand."""

    at: float = 5000.0
    wall_at: float = NOON

    @property
    def clocks(self) -> Clocks:
        return Clocks(lambda: self.at, lambda: self.wall_at)

    def turn(self, seconds: float) -> None:
        self.at += seconds
        self.wall_at += seconds


def budget(
    path: Path,
    per_minute: float = 600,
    *,
    is_live: bool = False,
    longest_pause: float = 5,
    hands: Hands | None = None,
) -> RateBudget:
    clocks = hands.clocks if hands else Clocks()
    return RateBudget(path, Pace.of(per_minute, 1.0, is_live=is_live), longest_pause, clocks)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "machine" / "okx.budget"


# The file, in one process.


def run(*awaitables: Awaitable[object]) -> float:
    """Return how long all of them took together."""

    async def together() -> float:
        started = time.monotonic()
        await asyncio.gather(*awaitables)
        return time.monotonic() - started

    return asyncio.run(together())


def test_requests_go_out_in_even_steps_in_the_order_they_came(path: Path) -> None:
    async def one(number: int, mine: RateBudget) -> None:
        await mine.turn()
        order.append((number, time.monotonic()))

    order: list[tuple[int, float]] = []
    mine = budget(path, 1200)
    run(*(one(number, mine) for number in range(8)))
    assert [number for number, _ in order] == list(range(8))
    assert order[-1][1] - order[0][1] >= 7 * CLOSEST * 0.05 - CATCH_UP


def test_two_sources_of_one_address_keep_one_rate(path: Path) -> None:
    both = [budget(path, 1200), budget(path, 1200)]
    # 20 requests in 1 s.
    assert run(*(each.turn() for each in both for _ in range(21))) >= 2.0


def test_a_pause_holds_also_those_who_already_wait(path: Path) -> None:
    async def wait_and_pause() -> float:
        mine, other = budget(path), budget(path)
        await mine.turn()
        waiting = asyncio.create_task(mine.turn())
        await asyncio.sleep(0)
        started = time.monotonic()
        await other.pause(0.4)
        await waiting
        return time.monotonic() - started

    assert asyncio.run(wait_and_pause()) >= 0.4


def test_r16_a_ban_is_told_to_every_later_source_until_its_end(path: Path) -> None:
    hands = Hands()
    run(budget(path, hands=hands).pause(3600))
    hands.turn(600)
    with pytest.raises(RefusedError, match="2024-03-01 13:00:00 UTC") as caught:
        run(budget(path, hands=hands).turn())
    assert caught.value.until == datetime(2024, 3, 1, 13, tzinfo=UTC)
    hands.turn(3000.001)
    run(budget(path, hands=hands).turn())


def test_live_requests_pass_a_queue_of_backfill(path: Path) -> None:
    async def backfill(mine: RateBudget) -> None:
        while True:
            await mine.turn()

    async def live() -> list[float]:
        old, new = budget(path, 1200), budget(path, 1200, is_live=True)
        crowd = [asyncio.create_task(backfill(old)) for _ in range(50)]
        await asyncio.sleep(0.3)
        waits = []
        for _ in range(10):
            started = time.monotonic()
            await new.turn()
            waits.append(time.monotonic() - started)
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        return waits

    # A couple of slots of 0.05 s; fifty others wait.
    waits = asyncio.run(live())
    assert max(waits) < 3 * 0.05 + HOLD
    assert sum(waits) < 10 * 2 * 0.05


def test_cancelled_waiter_has_taken_no_slot(path: Path) -> None:
    async def cancelled() -> float:
        mine = budget(path, 300)
        await mine.turn()
        waiting = [asyncio.create_task(mine.turn()) for _ in range(20)]
        await asyncio.sleep(0.01)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        started = time.monotonic()
        await mine.turn()
        return time.monotonic() - started

    assert asyncio.run(cancelled()) <= 0.2 + 0.05


@pytest.mark.parametrize(
    "content", [b"", b"budget01", b"\xff" * 200, b"another program's file, longer than ours"]
)
def test_a_file_of_anything_does_not_block(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    mine = budget(path)
    assert run(mine.turn(), mine.turn()) < 1


def test_a_file_that_is_cleaned_away_is_made_again(path: Path) -> None:
    mine = budget(path, 60)
    run(mine.turn())
    path.unlink()
    assert run(mine.turn(), mine.turn()) >= CLOSEST - CATCH_UP
    assert path.exists()


def test_a_file_that_was_cleaned_away_under_the_lock_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "cleaned"
    with path.open("wb") as held:
        path.unlink()
        assert not rate_budget._lock(held.fileno())


def test_the_file_belongs_to_every_user_of_the_machine(path: Path) -> None:
    before = os.umask(0o077)
    try:
        run(budget(path).turn())
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o666
    assert path.parent.stat().st_mode & 0o7777 == 0o1777


def test_a_folder_that_cannot_be_made_is_named_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PermanentError, match=r"file/okx\.budget cannot be used .*TMPDIR"):
        run(budget(tmp_path / "file" / "okx.budget").turn())


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.symlink_to(victim)
    with pytest.raises(PermanentError, match="cannot be used"):
        run(budget(path).turn())
    assert victim.read_text() == "precious"


def test_all_processes_of_the_machine_share_the_budget_of_an_address() -> None:
    code = "from data_platform.sources.rate_budget import budget_file; print(budget_file('okx'))"
    told = {subprocess.check_output([sys.executable, "-c", code], text=True) for _ in range(2)}
    assert told == {f"{budget_file('okx')}\n"}


def test_addresses_have_files_of_their_own_that_can_be_recognised(own_machine: Path) -> None:
    real, simulated = budget_file("okx"), budget_file("okx http://127.0.0.1:9100/okx")
    assert real != simulated
    assert real.parent == own_machine / "data-platform"
    assert real.name.startswith("okx-")


def delays_of(path: Path, seconds: Sequence[float | None]) -> list[float]:
    """Return by how much later than sent requests with such answers are taken to have arrived."""

    def arrivals() -> Sequence[float]:
        return RequestLog.unpack(path.read_bytes()).arrivals

    async def ask() -> list[float]:
        mine, found = budget(path, 6000), []
        for each in seconds:
            turn = await mine.turn()
            if each is None:
                await asyncio.sleep(0.1)
            mine.answered(turn, each)
            found.append(arrivals()[turn.entries[-1]] - turn.at)
        return found

    return asyncio.run(ask())


def test_answer_counts_as_late_by_how_much_longer_than_the_fastest_it_took(path: Path) -> None:
    assert delays_of(path, [0.05, 0.25, 0.03, 0.03, 7.0]) == pytest.approx(
        [0.0, 0.2, 0.0, 0.0, LONGEST_DELAY]
    )


def test_many_slow_answers_do_not_become_the_usual_ones(path: Path) -> None:
    assert delays_of(path, [0.05] + [0.15] * 300)[-1] == pytest.approx(0.1)


def test_request_without_an_answer_is_as_late_as_it_was_waited_for(path: Path) -> None:
    [delay] = delays_of(path, [None])
    assert 0.1 <= delay < 0.5


# The file, between processes.

CROWD = """
import asyncio, sys, time
from pathlib import Path
from data_platform.sources.rate_budget import RateBudget
from data_platform.sources.request_log import Pace

async def main():
    mine = RateBudget(Path(sys.argv[1]), Pace.of(3000, 1.0, is_live=False), 5)
    end = time.monotonic() + float(sys.argv[2])
    print("ready", flush=True)
    while time.monotonic() < end:
        await mine.turn()
        print(time.monotonic(), flush=True)

asyncio.run(main())
"""


def process(path: Path, seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", CROWD, str(path), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def times_of(one: "subprocess.Popen[str]") -> list[float]:
    return [float(line) for line in one.communicate()[0].split() if line != "ready"]


def test_four_processes_together_keep_one_rate_and_use_it(path: Path) -> None:
    crowd = [process(path, 4) for _ in range(4)]
    times = sorted(time for one in crowd for time in times_of(one))
    # 50 a second; how many more at first is tried elsewhere.
    assert 0.9 * 150 <= sum(at < times[0] + 3 for at in times) <= 150 / CLOSEST + 5
    # 50 in 1 s; a turn is told a moment after it was given.
    spans = [later - first for first, later in zip(times, times[50:], strict=False)]
    assert min(spans) >= 1.0 - 0.05


def test_processes_killed_at_any_moment_stop_nobody(path: Path) -> None:
    for _ in range(6):
        crowd = [process(path, 60) for _ in range(2)]
        for one in crowd:
            assert one.stdout
            for _ in range(5):
                one.stdout.readline()
            one.send_signal(signal.SIGKILL)
        for one in crowd:
            one.communicate()
        assert run(*(budget(path, 3000).turn() for _ in range(3))) < 1


def test_lock_that_is_never_given_back_is_named_with_its_remedy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_budget, "_LOCK_PATIENCE", 0.1)
    run(budget(path).turn())
    with path.open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(TransientError, match=r"another process has held .*okx\.budget"):
            run(budget(path).turn())
    run(budget(path).turn())


def test_r16_a_restart_does_not_forget_a_ban(path: Path) -> None:
    pause = (
        "import asyncio, sys; from pathlib import Path;"
        "from data_platform.sources.rate_budget import RateBudget as B;"
        "from data_platform.sources.request_log import Pace;"
        "pace = Pace.of(600, 1.0, is_live=False);"
        "asyncio.run(B(Path(sys.argv[1]), pace, 5).pause(900))"
    )
    subprocess.run([sys.executable, "-c", pause, str(path)], check=True)
    with pytest.raises(RefusedError, match="left alone until") as caught:
        run(budget(path).turn())
    left = caught.value.until.timestamp() - time.time() if caught.value.until else 0
    assert 890 < left <= 900
