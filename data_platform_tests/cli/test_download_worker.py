import json
import subprocess
import sys
from pathlib import Path

from data_platform.cli.download_worker import _plain_failures
from data_platform.cli.messages import Outcome, message_from_line, order_to_line
from data_platform.cli.orders import Order
from data_platform.domain.markets import Pair
from data_platform.domain.periods import Period
from data_platform.domain.timeframes import to_timeframe


def test_standard_output_holds_messages_only() -> None:
    code = (
        "import os\n"
        "from data_platform.cli.download_worker import take_standard_output\n"
        "messages = take_standard_output()\n"
        "print('noise', flush=True)\n"
        "os.system('echo more noise')\n"
        "print('message', file=messages, flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "message\n"
    assert done.stderr == "noise\nmore noise\n"


def test_an_error_for_people_is_the_outcome(tmp_path: Path) -> None:
    (tmp_path / "platform.yaml").write_text("exchanges:\n  okx: {pair: [BTC/USDT]}\n")
    order = Order("okx", (Pair("BTC/USDT"),), (to_timeframe("1d"),), ("ohlcv",), (Period(2026, 1),))
    done = subprocess.run(
        [sys.executable, "-m", "data_platform.cli.download_worker"],
        input=order_to_line(order) + "\n",
        env={
            "DATA_PLATFORM_CONFIG": str(tmp_path / "platform.yaml"),
            "DAGSTER_HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    outcome = message_from_line(done.stdout)
    assert isinstance(outcome, Outcome)
    assert not outcome.success
    assert "platform.yaml:2: exchanges.okx.pair: unknown key." in outcome.failures[0]
    assert json.loads(done.stdout)["kind"] == "outcome"


def test_failures_lose_class_names_and_steps_that_were_stopped() -> None:
    failures = (
        "data_platform.domain.errors.StorageError: disk full: /x",
        "data_platform.operations.watch.StoppedError: stopped before okx/BTC-USDT/1h",
        "dagster._core.definitions.events.Failure: 1 failed: okx: y",
        "okx/BTC-USDT/1h: TransientError: timed out",
    )
    assert _plain_failures(failures) == (
        "disk full: /x",
        "1 failed: okx: y",
        "okx/BTC-USDT/1h: TransientError: timed out",
    )
