from data_platform.storage.contents import CONTENT_SCHEMA, read_contents
from data_platform.storage.partition_store import PartitionStore
from data_platform_tests.storage.lake import candles, commit, partition, series


def test_contents_of_several_exchanges(store: PartitionStore) -> None:
    for name, count in (("binance", 5), ("kraken", 9), ("okx", 0)):
        commit(store, candles(range(count)), partition(series(exchange=name)))
    found = read_contents(store.state, ["okx", "kraken"])
    assert found.schema == CONTENT_SCHEMA
    own = {name: store.journal(partition(series(exchange=name))) for name in ("kraken", "okx")}
    assert found.sort("exchange").rows() == [
        (name, "1h", "BTC-USDT", "2024-01", rows, row.content_hash if row else None)
        for (name, row), rows in zip(own.items(), (9, 0), strict=True)
    ]
    assert read_contents(store.state, []).is_empty()


def test_the_newest_content_counts(store: PartitionStore) -> None:
    commit(store, candles(range(5)))
    before = read_contents(store.state, ["binance"])
    commit(store, candles(range(6)))
    [after] = read_contents(store.state, ["binance"]).rows(named=True)
    assert after["rows"] == 6
    assert after["content_hash"] != before["content_hash"].item()
