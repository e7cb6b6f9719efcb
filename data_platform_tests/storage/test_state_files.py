import multiprocessing
from pathlib import Path

import pytest

from data_platform.domain.errors import StorageError
from data_platform.domain.markets import Market, Pair
from data_platform.storage.state_files import StateFiles

BTC, ETH = Market("binance", Pair("BTC/USDT")), Market("okx", Pair("ETH/USDT"))


def test_each_kind_and_market_has_its_place(tmp_path: Path) -> None:
    files = StateFiles(tmp_path)
    assert files.write("data_status", b"{}") == tmp_path / "state/data_status.json"
    path = files.write("latest_ohlcv", b"{1}", BTC)
    assert path == tmp_path / "state/latest_ohlcv/binance/BTC-USDT.json"
    assert path.read_bytes() == b"{1}"


def test_only_the_files_of_other_markets_are_removed(tmp_path: Path) -> None:
    files = StateFiles(tmp_path)
    for market in (BTC, ETH):
        files.write("latest_ohlcv", b"{}", market)
        files.write("market_context", b"{}", market)
    files.write("data_status", b"{}")
    assert files.keep_only("latest_ohlcv", [ETH]) == [
        tmp_path / "state/latest_ohlcv/binance/BTC-USDT.json"
    ]
    left = {path.relative_to(tmp_path / "state").as_posix() for path in tmp_path.rglob("*.json")}
    assert left == {
        "data_status.json",
        "latest_ohlcv/okx/ETH-USDT.json",
        "market_context/binance/BTC-USDT.json",
        "market_context/okx/ETH-USDT.json",
    }


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(StorageError, match="state"):
        StateFiles(tmp_path).write("data_status", b"{}")


def _append(root: Path, rounds: int) -> None:
    files = StateFiles(root)
    for _ in range(rounds):
        with files.alone():
            path = root / "state/data_status.json"
            number = int(path.read_bytes()) if path.exists() else 0
            files.write("data_status", str(number + 1).encode())


def test_two_writers_lose_nothing_of_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append, args=(tmp_path, 25)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert (tmp_path / "state/data_status.json").read_text() == "50"
