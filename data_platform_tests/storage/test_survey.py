"""R8 of the reliability catalogue, and what a survey of a whole lake has to tell."""

import itertools
import os
import random
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_platform.domain.periods import Period
from data_platform.storage import survey as survey_module
from data_platform.storage.examine import Depth
from data_platform.storage.inventory import Chosen
from data_platform.storage.known_damage import Known, note_damage
from data_platform.storage.locks import exclusive_lock
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.survey import Survey, survey
from data_platform_tests.damage import damage
from data_platform_tests.storage.lake import (
    candles,
    commit,
    everything,
    open_store,
    partition,
    series,
    store_every_kind,
)

FEBRUARY = Period(2024, 2)


@pytest.fixture
def lake(root: Path) -> Iterator[PartitionStore]:
    store = open_store(root)
    store_every_kind(store)
    yield store
    store.state.close()


def look(
    lake: PartitionStore, depth: Depth = "full", chosen: Chosen | None = None
) -> dict[str, str]:
    """Path and kind of each finding; nothing may stay unchecked."""
    found = survey(lake.root, lake.state, chosen or Chosen(), depth)
    assert not found.unchecked
    return {finding.path: finding.kind for finding in found.findings}


def everything_looked_at(lake: PartitionStore) -> Survey:
    return survey(lake.root, lake.state, Chosen(), "full")


@pytest.mark.parametrize("depth", ["quick", "full", "deep"])
def test_a_lake_as_it_was_written_is_sound(lake: PartitionStore, depth: Depth) -> None:
    assert look(lake, depth) == {}


def test_every_file_is_counted_and_hashed(lake: PartitionStore) -> None:
    files = everything(lake.root)
    found = everything_looked_at(lake)
    # The database and what SQLite puts beside it lie there, too.
    assert found.files - len(files) in {1, 2, 3}
    refused = sum(len(it) for path, it in files.items() if path.startswith("quarantine"))
    assert found.hashed == sum(len(content) for content in files.values()) - refused
    quick = survey(lake.root, lake.state, Chosen(), "quick")
    assert (quick.files, quick.hashed) == (found.files, 0)


def spoil(path: Path, dice: random.Random) -> None:
    """Turn one bit over, or cut the file."""
    content = bytearray(path.read_bytes())
    if dice.random() < 0.5:
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    else:
        del content[dice.randrange(len(content)) :]
    # As rot does: neither the time nor the inode moves.
    status = path.stat()
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_r8_a_thousand_flips_and_truncations_are_all_found(lake: PartitionStore) -> None:
    files = everything(lake.root)
    areas = {path.split("/")[0] for path in files}
    assert areas >= {"ohlcv", "filled", "indicators", "features", "exports", "history"}
    assert "quarantine" in areas
    dice = random.Random(8)
    planted = found = 0
    for _ in range(100):
        chosen = dice.sample(sorted(files), 10)
        for path in chosen:
            spoil(lake.root / path, dice)
        told = look(lake)
        planted += len(chosen)
        found += len(told.keys() & set(chosen))
        assert not told.keys() - set(chosen), "what is sound was called damaged"
        for path in chosen:
            (lake.root / path).write_bytes(files[path])
    assert (planted, found) == (1000, 1000)


@pytest.mark.parametrize("how", ["gone", "empty", "torn", "foreign", "flipped"])
def test_every_damage_but_rot_is_found_by_a_quick_look(lake: PartitionStore, how: str) -> None:
    path = lake.layout.partition(partition(period=FEBRUARY))
    damage(path, how)
    kind = "gone" if how == "gone" else "damaged"
    assert look(lake, "quick") == {lake.layout.relative(path): kind}


def test_rot_that_is_known_of_is_told_by_a_quick_look(lake: PartitionStore) -> None:
    path = lake.layout.partition(partition(period=FEBRUARY))
    damage(path, "rotten")
    assert look(lake, "quick") == {}
    (finding,) = everything_looked_at(lake).findings
    note_damage(lake.layout, {finding.path: Known(finding.stamp, finding.fault)})
    assert look(lake, "quick") == {finding.path: "damaged"}
    commit(lake, candles(range(30), period=FEBRUARY), partition(period=FEBRUARY), merge=None)
    assert look(lake, "quick") == {}


def test_findings_name_series_and_period(lake: PartitionStore) -> None:
    damage(lake.layout.partition(partition(series(pair="ETH/USDT"), FEBRUARY)), "torn")
    (finding,) = everything_looked_at(lake).findings
    names = ("ohlcv", "binance", "1h", "ETH-USDT", "", "2024-02")
    assert tuple(finding.key.values()) == names
    assert finding.fault.endswith("were written")


STRANGERS = {
    "ohlcv/exchange=okx/timeframe=1h/pair=BTC-USDT/period=2024-01/candles.parquet": "unknown",
    "ohlcv/exchange=binance/timeframe=1h/pair=BTC-USDT/period=2024-01/more.parquet": "unknown",
    "ohlcv/tmp_candles.parquet": "unknown",
    "features/readme.txt": "unknown",
    "history/ohlcv/x.parquet": "unknown",
    "exports/freqtrade/binance/OLD_USDT-1h.feather": "unknown",
    "stray.parquet": "unknown",
    "mine/stray.parquet": "unknown",
}


@pytest.mark.parametrize("content", [b"", b"PAR1xxxxPAR1"])
@pytest.mark.parametrize("depth", ["quick", "full"])
def test_r9_a_file_that_no_commit_has_written_is_named(
    lake: PartitionStore, content: bytes, depth: Depth
) -> None:
    for path in STRANGERS:
        (lake.root / path).parent.mkdir(parents=True, exist_ok=True)
        (lake.root / path).write_bytes(content)
    assert look(lake, depth) == STRANGERS


def test_notes_beside_exports_and_own_folders_harm_nobody(lake: PartitionStore) -> None:
    for path in ("exports/freqtrade/config.json", "notes.txt", "mine/plan.md", "damaged.json"):
        (lake.root / path).parent.mkdir(parents=True, exist_ok=True)
        (lake.root / path).write_text("{}")
    assert look(lake) == {}


def test_a_whole_file_without_its_journal_row_is_told_apart(lake: PartitionStore) -> None:
    """As a crash between rename and journal leaves it: new, or in the place of an older one."""
    other = open_store(lake.root.with_name("other"))
    new, grown = partition(period=Period(2024, 3)), partition(period=FEBRUARY)
    commit(other, candles(range(5), period=Period(2024, 3)), new)
    commit(other, candles(range(40), period=FEBRUARY), grown)
    for each in (new, grown):
        lake.layout.partition(each).parent.mkdir(exist_ok=True)
        shutil.copy(other.layout.partition(each), lake.layout.partition(each))
    other.state.close()
    paths = [lake.layout.relative(lake.layout.partition(each)) for each in (new, grown)]
    assert look(lake) == dict.fromkeys(paths, "unjournalled")


def test_a_whole_file_in_the_place_of_another_is_named(lake: PartitionStore) -> None:
    place = lake.layout.partition(partition(period=FEBRUARY))
    shutil.copy(lake.layout.partition(partition(series(pair="ETH/USDT"), FEBRUARY)), place)
    (finding,) = everything_looked_at(lake).findings
    assert finding.kind == "damaged"
    assert finding.fault == "it was written as binance/ohlcv_1h ETH-USDT|2024-02"


def test_only_what_was_chosen_is_looked_at(lake: PartitionStore) -> None:
    eth = series(pair="ETH/USDT")
    for own in (partition(), partition(eth), partition(eth, FEBRUARY, "filled")):
        damage(lake.layout.partition(own), "torn")
    (lake.root / "stray.parquet").write_bytes(b"")
    pairs = frozenset({"ETH-USDT"})
    path = lake.layout.relative(lake.layout.partition(partition(eth)))
    february = lake.layout.relative(lake.layout.partition(partition(eth, FEBRUARY, "filled")))
    assert look(lake, chosen=Chosen(pairs=pairs)) == {path: "damaged", february: "damaged"}
    assert look(lake, chosen=Chosen(pairs=pairs, last="2024-01")) == {path: "damaged"}
    assert look(lake, chosen=Chosen(layers=frozenset({"filled"}))) == {february: "damaged"}
    assert look(lake, chosen=Chosen(exchanges=frozenset({"okx"}))) == {}


def leave(lake: PartitionStore, *folder: str, age: float = 0.0) -> str:
    path = lake.root.joinpath(*folder) / ".candles.parquet.0123456789abcdef.tmp"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    os.utime(path, (time.time() - age,) * 2)
    return lake.layout.relative(path)


def test_a_temporary_file_whose_writer_is_gone_is_named(lake: PartitionStore) -> None:
    place = lake.layout.relative(lake.layout.partition(partition()).parent)
    left = leave(lake, place)
    young, old = leave(lake, "exports", "freqtrade"), leave(lake, "exports", "old", age=7200)
    assert young not in look(lake)
    assert look(lake) == {left: "leftover", old: "leftover"}


def test_a_writer_at_work_is_waited_for(
    lake: PartitionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file lies there before its journal row does, and its temporary file before that."""
    place = lake.layout.partition(partition())
    before, temporary = place.read_bytes(), place.with_name(".candles.parquet.0123456789abcdef.tmp")
    began = threading.Event()

    def write() -> None:
        with exclusive_lock(lake.layout.lock(partition())):
            place.write_bytes(b"new")
            temporary.write_bytes(b"half")
            began.set()
            time.sleep(0.3)
            place.write_bytes(before)
            temporary.unlink()

    writer = threading.Thread(target=write)
    writer.start()
    began.wait()
    assert look(lake) == {}
    writer.join()
    monkeypatch.setattr(survey_module, "WRITER_SECONDS", 0.0)
    damage(place, "torn")
    with exclusive_lock(lake.layout.lock(partition())):
        found = survey(lake.root, lake.state, Chosen(), "full")
    assert found.findings == ()
    assert list(found.unchecked) == [lake.layout.relative(place)]


def test_beside_a_writer_that_never_rests_nothing_is_called_damaged(lake: PartitionStore) -> None:
    """It rewrites one partition again and again, and begins others."""
    rested = threading.Event()

    def write() -> None:
        for number in itertools.count():
            if rested.is_set():
                return
            commit(lake, candles(range(30), price=300.0 + number))
            commit(lake, candles(range(5)), partition(series(pair=f"N{number}/USDT")))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        told = [look(lake, depth) for _ in range(8) for depth in ("quick", "full")]
    finally:
        rested.set()
        writer.join()
    assert told == [{}] * 16


def test_an_export_that_is_being_written_is_waited_for(lake: PartitionStore) -> None:
    """Its file lies there before anything names it."""
    place = lake.root / "exports/nautilus/new.parquet"
    lock = lake.layout.export_lock("nautilus", series(pair="SOL/USDT"), "all")
    began = threading.Event()

    def write() -> None:
        with exclusive_lock(lock):
            place.write_bytes(b"new")
            began.set()
            time.sleep(0.3)
            place.unlink()

    writer = threading.Thread(target=write)
    writer.start()
    began.wait()
    assert look(lake) == {}
    writer.join()


def test_what_may_not_be_read_is_no_damage(
    lake: PartitionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = lake.layout.partition(partition())
    real = os.open

    def refusing(path: Path, *arguments: int) -> int:
        if Path(path) == refused:
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refusing)
        found = survey(lake.root, lake.state, Chosen(), "full")
    assert found.findings == ()
    assert found.unchecked == {lake.layout.relative(refused): "Permission denied"}


def test_a_restored_copy_is_hashed_once(lake: PartitionStore) -> None:
    for path in everything(lake.root):
        os.utime(lake.root / path)
    sizes = [survey(lake.root, lake.state, Chosen(), "quick").hashed for _ in range(2)]
    assert sizes[0] > 0
    assert sizes[1] == 0
