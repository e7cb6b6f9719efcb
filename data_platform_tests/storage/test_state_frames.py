from data_platform.domain.candles import TIME
from data_platform.storage.change import Judgement
from data_platform.storage.ledger import Gap
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.state_frames import state_frames
from data_platform.storage.verdicts import VerdictRow
from data_platform_tests.storage.lake import at, candles, commit, series, utc


def test_an_empty_state_has_its_tables(store: PartitionStore) -> None:
    frames = state_frames(store.state)
    assert {name: frame.height for name, frame in frames.items()} == {
        "partitions": 0,
        "gaps": 0,
        "verdicts": 0,
        "quality": 0,
        "runs": 0,
        "alarms": 0,
    }
    assert frames["partitions"].schema["first_open"] == TIME


def test_each_partition_is_one_row_however_often_it_was_committed(store: PartitionStore) -> None:
    gap = Gap(series(), at(2), at(3), 1, "outage", confirmed=True, evidence="empty page")
    row = VerdictRow("sane", utc(2024).date(), "warn", 0, 3, "[]", "{}", utc(2024))
    commit(store, candles([0]))
    result = commit(store, candles([1, 3]), judge=lambda _: Judgement(gaps=(gap,), verdicts=(row,)))
    frames = state_frames(store.state)
    columns = ["layer", "exchange", "timeframe", "pair", "period", "rows", "first_open"]
    assert frames["partitions"].select(*columns, "last_open", "content_hash").rows() == [
        ("ohlcv", "binance", "1h", "BTC-USDT", "2024-01", 3, at(0), at(3), result.content_hash)
    ]
    assert frames["gaps"].select("start", "end", "missing", "status").rows() == [
        (at(2), at(3), 1, "outage")
    ]
    assert frames["verdicts"].select("rule", "day", "count", "checked").rows() == [
        ("sane", "2024-01-01", 0, 3)
    ]
