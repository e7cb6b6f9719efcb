import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.test_utils import freeze_time

from data_platform.config.exchanges import ExchangeSettings
from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import Pair, from_key
from data_platform.domain.periods import to_period
from data_platform.domain.timeframes import to_timeframe
from data_platform.partitions import (
    UnknownPartitionError,
    build_partitions,
    from_partition_key,
    partitions_of_run,
    to_blocks,
    to_partition_key,
    to_ranges,
)
from data_platform.settings import load_settings

HOUR = to_timeframe("1h")
PAIRS = tuple(from_key(f"{base}-USDT") for base in ("ADA", "BTC", "ETH", "SOL", "XRP"))


def exchange(tmp_path: Path, lines: str) -> ExchangeSettings:
    config = tmp_path / "configs/platform.yaml"
    config.parent.mkdir()
    config.write_text(f"exchanges:\n  okx: {{{lines}}}\n")
    return load_settings({"DATA_PLATFORM_CONFIG": str(config)}).exchanges["okx"]


def test_partitions_are_sorted_pairs_by_months_up_to_the_running_one(tmp_path: Path) -> None:
    okx = exchange(tmp_path, "start: 2024-01-15, pairs: [SOL/USDT, BTC/USDT]")
    with freeze_time(datetime(2024, 2, 1, 0, 0, 1, tzinfo=UTC)):
        keys = build_partitions(okx).get_partition_keys()
    assert sorted(keys) == [
        "BTC-USDT|2024-01",
        "BTC-USDT|2024-02",
        "SOL-USDT|2024-01",
        "SOL-USDT|2024-02",
    ]


def test_earliest_start_of_a_pair_gives_the_first_month(tmp_path: Path) -> None:
    okx = exchange(
        tmp_path,
        "start: 2024-02-01, pairs: [SOL/USDT, BTC/USDT], pair_start: {BTC/USDT: 2023-12-31}",
    )
    with freeze_time(datetime(2024, 2, 20, tzinfo=UTC)):
        keys = build_partitions(okx).get_partition_keys()
    assert {key.split("|")[1] for key in keys} == {"2023-12", "2024-01", "2024-02"}


TOLD = (
    "Accepted: PAIR|MONTH like BTC-USDT|2024-02. Pairs: BTC-USDT, SOL-USDT (`exchanges.okx.pairs` "
    "in the platform config). Months: 2024-01 to 2024-02 (`start` there)."
)


@pytest.mark.parametrize(
    "key", ["XRP-USDT|2024-01", "BTC-USDT|2023-12", "BTC/USDT|2024-01", "2024-01|BTC-USDT", "BTC"]
)
def test_an_unknown_key_is_refused_with_what_is_accepted(tmp_path: Path, key: str) -> None:
    okx = build_partitions(exchange(tmp_path, "start: 2024-01-15, pairs: [SOL/USDT, BTC/USDT]"))
    now = datetime(2024, 2, 1, 0, 0, 1, tzinfo=UTC)
    with partition_loading_context(effective_dt=now) as context:
        okx.validate_partition_key("BTC-USDT|2024-02", context)
        with pytest.raises(UnknownPartitionError) as caught:
            okx.validate_partition_key(key, context)
    assert str(caught.value) == f"okx has no partition {key!r}. {TOLD}"


def test_dagsters_command_line_prints_that_as_one_line(tmp_path: Path) -> None:
    exchange(tmp_path, "start: 2024-01-15, pairs: [BTC/USDT], timeframes: [1h]")
    command = (
        "asset",
        "materialize",
        "-m",
        "data_platform.definitions",
        "--select",
        "okx/filled_1h",
    )
    done = subprocess.run(
        [sys.executable, "-m", "dagster", *command, "--partition", "XRP-USDT|2024-01"],
        env={
            **os.environ,
            "DATA_PLATFORM_CONFIG": str(tmp_path / "configs/platform.yaml"),
            "DATA_PLATFORM_DATA": str(tmp_path / "data"),
            "DAGSTER_HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: okx has no partition 'XRP-USDT|2024-01'. Accepted: ")
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize("symbol", ["BTC/USDT", "1INCH/USD", "BTC/USDT:USDT", "A-B/USDT"])
def test_key_leads_back_to_its_pair_and_month(symbol: str) -> None:
    pair, month = Pair(symbol), to_period("2024-02")
    assert from_partition_key(to_partition_key(pair, month)) == (pair, month)


def test_key_reads_as_people_write_it() -> None:
    assert to_partition_key(Pair("BTC/USDT"), to_period("2024-02")) == "BTC-USDT|2024-02"


@pytest.mark.parametrize("key", ["BTC-USDT", "BTC-USDT|", "BTC-USDT|2024-13", "", "|2024-01"])
def test_odd_key_is_refused(key: str) -> None:
    with pytest.raises(WrongUseError):
        from_partition_key(key)


def test_run_without_a_partition_is_refused_and_named() -> None:
    with pytest.raises(WrongUseError, match="okx/ohlcv_1h: the run carries no partition"):
        partitions_of_run([], "ohlcv", "okx", HOUR)


def test_partitions_of_a_run_are_in_order_of_pair_and_time() -> None:
    keys = ["ETH-USDT|2024-01", "BTC-USDT|2024-02", "BTC-USDT|2023-12"]
    assert [str(it) for it in partitions_of_run(keys, "ohlcv", "okx", HOUR)] == [
        "okx/ohlcv_1h BTC-USDT|2023-12",
        "okx/ohlcv_1h BTC-USDT|2024-02",
        "okx/ohlcv_1h ETH-USDT|2024-01",
    ]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("", []),
        ("BTC", [("BTC", "BTC")]),
        ("SOL BTC ETH", [("BTC", "SOL")]),
        ("ADA ETH XRP", [("ADA", "ADA"), ("ETH", "ETH"), ("XRP", "XRP")]),
        ("ADA BTC SOL XRP", [("ADA", "BTC"), ("SOL", "XRP")]),
    ],
)
def test_ranges_hold_exactly_the_wanted_pairs(wanted: str, expected: list[tuple[str, str]]) -> None:
    pairs = [from_key(f"{base}-USDT") for base in wanted.split()]
    found = to_ranges(pairs, to_period("2024-01"), to_period("2024-03"), PAIRS[::-1])
    assert [(block.pairs[0].base, block.pairs[-1].base) for block in found] == expected
    assert sorted(pair for block in found for pair in block.pairs) == sorted(pairs)


def test_range_of_keys_is_what_dagster_makes_of_its_tags(tmp_path: Path) -> None:
    okx = exchange(
        tmp_path, "start: 2024-01-01, pairs: [XRP/USDT, SOL/USDT, ETH/USDT, BTC/USDT, ADA/USDT]"
    )
    (block,) = to_ranges(PAIRS[1:3], to_period("2024-02"), to_period("2024-03"), okx.pairs)
    with freeze_time(datetime(2024, 5, 1, 0, 0, 1, tzinfo=UTC)):
        ends = dg.PartitionKeyRange(*block.tags.values())
        keys = build_partitions(okx).get_partition_keys_in_range(ends)
    assert sorted(keys) == [
        "BTC-USDT|2024-02",
        "BTC-USDT|2024-03",
        "ETH-USDT|2024-02",
        "ETH-USDT|2024-03",
    ]


BTC, ETH, SOL = (Pair(f"{base}/USDT") for base in ("BTC", "ETH", "SOL"))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([], []),
        ([(ETH, "2024-02")], ["ETH-USDT|2024-02...ETH-USDT|2024-02"]),
        (
            [(BTC, "2024-02"), (SOL, "2024-02")],
            ["BTC-USDT|2024-02...BTC-USDT|2024-02", "SOL-USDT|2024-02...SOL-USDT|2024-02"],
        ),
        (
            [(BTC, "2024-01"), (BTC, "2024-03"), (ETH, "2024-03"), (ETH, "2024-01")],
            ["BTC-USDT|2024-01...ETH-USDT|2024-01", "BTC-USDT|2024-03...ETH-USDT|2024-03"],
        ),
        (
            [(BTC, "2024-01"), (ETH, "2023-12"), (BTC, "2023-12"), (ETH, "2024-01")],
            ["BTC-USDT|2023-12...ETH-USDT|2024-01"],
        ),
        (
            [(BTC, "2024-01"), (ETH, "2024-01"), (ETH, "2024-02")],
            ["BTC-USDT|2024-01...BTC-USDT|2024-01", "ETH-USDT|2024-01...ETH-USDT|2024-02"],
        ),
    ],
    ids=["nothing", "one", "not neighbours", "a month between", "turn of the year", "unlike"],
)
def test_blocks_hold_exactly_the_pairs_and_months(
    wanted: list[tuple[Pair, str]], expected: list[str]
) -> None:
    cells = [(pair, to_period(month)) for pair, month in wanted]
    blocks = to_blocks(cells, (BTC, ETH, SOL))
    assert ["...".join(block.tags.values()) for block in blocks] == expected
    assert sorted(cell for block in blocks for cell in block.cells) == sorted(cells)
