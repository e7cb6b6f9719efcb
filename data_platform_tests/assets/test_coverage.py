"""The picture of what is stored lies beside one partition of each run, and is small."""

from base64 import b64decode
from xml.etree import ElementTree as ET

import dagster as dg

from data_platform_tests.assets.test_line import newest_metadata
from data_platform_tests.factories import punch, time
from data_platform_tests.small_line import BTC, SmallLine, series

MAX_BYTES = 8_000


def newest_event(line: SmallLine, table: str) -> dg.AssetMaterialization:
    event = line.instance.get_latest_materialization_event(dg.AssetKey(["binance", table]))
    assert event is not None
    assert event.asset_materialization is not None
    return event.asset_materialization


def picture_of(text: object) -> str:
    begin = "](data:image/svg+xml;base64,"
    code = str(text).partition(begin)[2].partition(")")[0]
    return b64decode(code).decode()


def test_the_newest_materialization_of_candles_shows_every_pair(read_line: SmallLine) -> None:
    for table in ("ohlcv_1h", "ohlcv_4h"):
        shown = newest_event(read_line, table).metadata["coverage"]
        assert isinstance(shown, dg.MarkdownMetadataValue)
        assert len(str(shown.value)) < MAX_BYTES
        root = ET.fromstring(picture_of(shown.value))  # noqa: S314  # our own
        words = [it.text for it in root.iter("{http://www.w3.org/2000/svg}text")]
        assert [it for it in words if it and "/" in it] == ["BTC/USDT", "ETH/USDT", "SOL/USDT"]


def test_one_partition_of_a_run_has_the_picture(read_line: SmallLine) -> None:
    keys = [f"{pair}-USDT|2024-0{month}" for pair in ("BTC", "ETH", "SOL") for month in (2, 3)]
    shown = [key for key in keys if "coverage" in newest_metadata(read_line, "ohlcv_1h", key)]
    assert shown == [newest_event(read_line, "ohlcv_1h").partition]
    assert not [key for key in keys if "coverage" in newest_metadata(read_line, "filled_1h", key)]


def test_a_hole_shows_in_the_next_run_s_picture(stored_line: SmallLine) -> None:
    with stored_line.lake() as lake:
        punch(lake, series(BTC, "1d"), time("2024-02-10"), time("2024-02-12"))
        punch(lake, series(BTC, "4h"), time("2024-02-10"), time("2024-02-12"))
    stored_line.materialize((BTC,), ("ohlcv",), ("4h",), ("2024-03", "2024-03"))
    text = str(newest_event(stored_line, "ohlcv_4h").metadata["coverage"].value)
    assert "12 missing that should be there, on 2 days; the newest: 2024-02-11, 2024-02-10." in text
    # February's ninth and tenth day after the first, never asked for as far as anybody knows.
    assert 'd="M9 0h2v4h-2z"' in picture_of(text)
