from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_platform.assets.candles import priority_of, rules_of_run
from data_platform.assets.line import Line, utc_now
from data_platform.definitions import build_definitions
from data_platform.domain.candles import TimeRange
from data_platform.domain.errors import WrongUseError
from data_platform.operations.watch import nobody_watches
from data_platform.partitions import build_partitions
from data_platform.settings import load_settings
from data_platform_tests.assets.asset_facts import columns_of, pool_of, reads_of, spec_of
from data_platform_tests.small_line import BTC, SmallLine, series


def test_fetched_candles_read_nothing_and_share_the_pool_of_their_exchange(
    read_line: SmallLine,
) -> None:
    assert reads_of(read_line, "ohlcv_1h") == set()
    assert pool_of(read_line, "ohlcv_1h") == "binance"


def test_derived_candles_read_the_finer_ones_and_need_no_slot(read_line: SmallLine) -> None:
    assert reads_of(read_line, "ohlcv_4h") == {"ohlcv_1h"}
    assert pool_of(read_line, "ohlcv_4h") is None
    assert "computed from 1h" in str(spec_of(read_line, "ohlcv_4h").description)


def test_fetched_candles_show_what_their_exchange_cannot_give(tmp_path: Path) -> None:
    config = tmp_path / "platform.yaml"
    config.write_text(
        "exchanges:\n  kraken: {pairs: [BTC/USD], timeframes: [1m]}\n"
        "  coinbase: {pairs: [BTC/USD], timeframes: [1h, 4h]}\n"
    )
    definitions = build_definitions(load_settings({}, config=config))
    specs = {it.key.to_user_string(): it for it in definitions.resolve_all_asset_specs()}
    assert specs["kraken/ohlcv_1m"].metadata["source_card"].value == {
        "candles a request": 720,
        "requests a minute": 50,
        "history": "its newest 720 candles: 12:00:00",
        "a time without trades": "a candle without volume",
    }
    assert "A longer pause loses candles for good" in str(specs["kraken/ohlcv_1m"].description)
    coinbase = specs["coinbase/ohlcv_1h"].metadata["source_card"].value
    assert coinbase["history"] == "everything since the listing"
    assert coinbase["a time without trades"] == "no candle"
    for computed in ("coinbase/ohlcv_4h", "kraken/filled_1m"):
        assert "source_card" not in specs[computed].metadata


def test_both_show_the_same_columns(read_line: SmallLine) -> None:
    expected = ["open_time", "open", "high", "low", "close", "volume"]
    assert columns_of(read_line, "ohlcv_1h") == expected
    assert columns_of(read_line, "ohlcv_4h") == expected


def test_only_the_run_of_a_sensor_goes_first() -> None:
    assert priority_of({"tick": "binance"}) == "live"
    assert priority_of({"backfill": "binance"}) == "backfill"
    assert priority_of({}) == "backfill"


def line_of(line: SmallLine) -> Line:
    exchange = line.settings.exchanges["binance"]
    return Line(exchange, line.settings, build_partitions(exchange), nobody_watches(), utc_now)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, None),
        ({"compare_from": "2024-02-03"}, datetime(2024, 2, 3, tzinfo=UTC)),
        ({"compare_from": "2024-02-03T05:00"}, datetime(2024, 2, 3, 5, tzinfo=UTC)),
        ({"compare_from": "2024-02-03T05:00+02:00"}, datetime(2024, 2, 3, 3, tzinfo=UTC)),
    ],
)
def test_tag_tells_from_when_on_a_run_compares(
    read_line: SmallLine, tags: dict[str, str], expected: datetime | None
) -> None:
    assert rules_of_run(line_of(read_line), tags).compare_from == expected


def test_tag_tells_which_gaps_alone_a_run_asks_for(read_line: SmallLine) -> None:
    line = line_of(read_line)
    assert rules_of_run(line, {}).only is None
    only = rules_of_run(line, {"gaps": "BTC-USDT/1h 2024-02-10T05:00+3"}).only
    start = datetime(2024, 2, 10, 5, tzinfo=UTC)
    assert only == {series(BTC, "1h"): [TimeRange(start, start + timedelta(hours=3))]}
    with pytest.raises(WrongUseError, match="names no gaps"):
        rules_of_run(line, {"gaps": "all"})


def test_tag_that_is_no_time_is_refused(read_line: SmallLine) -> None:
    with pytest.raises(WrongUseError, match="compare_from: 'true' is no time; write it like"):
        rules_of_run(line_of(read_line), {"compare_from": "true"})
