from data_platform.domain.periods import Period
from data_platform.storage.inventory import Chosen, read_inventory, to_partition
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.tables import FILES
from data_platform_tests.storage.lake import everything, partition, store_every_kind


def test_everything_that_was_written_is_expected_but_what_was_refused(
    store: PartitionStore,
) -> None:
    store_every_kind(store)
    found = read_inventory(store.layout, store.state, Chosen())
    written = {path for path in everything(store.root) if not path.startswith("quarantine")}
    assert set(found) == written
    areas = {path.split("/")[0]: it.area for path, it in found.items()}
    assert areas["ohlcv"] == areas["features"] == "partition"
    assert (areas["exports"], areas["history"]) == ("export", "history")
    own = found[store.layout.relative(store.layout.partition(partition()))]
    assert (own.rows, to_partition(own.key)) == (30, partition())


def test_a_file_of_which_only_the_journal_tells_is_expected_by_its_hash(
    store: PartitionStore,
) -> None:
    store_every_kind(store)
    before = read_inventory(store.layout, store.state, Chosen(layers=frozenset({"ohlcv"})))
    with store.state.write() as connection:
        connection.execute(FILES.delete())
    after = read_inventory(store.layout, store.state, Chosen(layers=frozenset({"ohlcv"})))
    assert set(after) == set(before)
    assert {path: it.state.sha256 for path, it in after.items()} == {
        path: it.state.sha256 for path, it in before.items()
    }


def test_a_part_is_chosen_by_names_that_a_file_has() -> None:
    key = {"layer": "ohlcv", "exchange": "okx", "pair": "BTC-USDT", "period": "2024-02"}
    key["timeframe"] = "1h"
    assert Chosen().holds(key)
    assert Chosen(first="2024-02", last="2024-02").holds(key)
    assert not Chosen(first="2024-03").holds(key)
    assert not Chosen(last="2024-01").holds(key)
    assert not Chosen(timeframes=frozenset({"1d"})).holds(key)
    # A file that every timeframe or month shares belongs to each.
    assert Chosen(timeframes=frozenset({"1d"}), first="2024-03").holds(
        key | {"timeframe": "", "period": ""}
    )


def test_an_export_of_a_whole_pair_is_no_partition() -> None:
    key = {"layer": "freqtrade", "exchange": "okx", "timeframe": "1h", "pair": "BTC-USDT"}
    assert to_partition(key | {"feature_set": "", "period": ""}) is None
    month = to_partition(key | {"feature_set": "", "period": "2024-02"})
    assert month is not None
    assert month.period == Period(2024, 2)


def test_the_database_chooses_as_the_names_do(store: PartitionStore) -> None:
    store_every_kind(store)
    everything_there = read_inventory(store.layout, store.state, Chosen())
    parts = [
        Chosen(pairs=frozenset({"ETH-USDT"}), last="2024-01"),
        Chosen(layers=frozenset({"ohlcv", "nautilus"}), first="2024-02"),
        Chosen(timeframes=frozenset({"1d"})),
        *(Chosen.only(it.key) for it in everything_there.values()),
    ]
    for chosen in parts:
        found = read_inventory(store.layout, store.state, chosen)
        assert found == {path: it for path, it in everything_there.items() if chosen.holds(it.key)}
    assert all(Chosen.only(it.key).holds(it.key) for it in everything_there.values())
