"""Old months leave the tables, and the platform goes on as if they had not."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_platform.domain.errors import DamagedFileError
from data_platform.operations.lake import Lake
from data_platform.operations.missing import History, find_missing
from data_platform.operations.retention import (
    Leaving,
    apply_retention,
    find_archived,
    find_leaving,
    undo_retention,
)
from data_platform.operations.snapshot import create_snapshot
from data_platform.operations.stale import count_stale
from data_platform.operations.verify import verify_lake
from data_platform.storage.inventory import Chosen
from data_platform.storage.manifest import Manifest
from data_platform.storage.snapshots import Snapshots
from data_platform_tests.damage import damage
from data_platform_tests.factories import (
    candles_at,
    files_of,
    grid,
    month_of,
    partition_of,
    series_of,
    store_candles,
)
from data_platform_tests.operations.lines import derive_line
from data_platform_tests.small_line import BTC, ETH, NOW, SmallLine, series

HOURS, DAYS = series_of(), series_of(timeframe="1d")
KEEP = {"1h": timedelta(days=30)}
LATER = datetime(2024, 4, 1, tzinfo=UTC)


@pytest.fixture
def stored(lake: Lake) -> Lake:
    """Three months of hours with all that is computed from them, and of days."""
    store_candles(lake, HOURS, candles_at(grid("2024-01-01", "2024-03-31")))
    store_candles(lake, DAYS, candles_at(grid("2024-01-01", "2024-03-31", "1d")))
    derive_line(lake, HOURS, [month_of(f"2024-0{number}") for number in (1, 2, 3)])
    return lake


def months(found: list[Leaving]) -> set[tuple[str, str]]:
    return {(it.partition.layer, it.partition.period.key) for it in found}


def pin(lake: Lake, layer: str, month: str) -> None:
    blank = Manifest("one", LATER, "0.1", "abc", ())
    create_snapshot(
        lake, blank, lambda row: (row.layer, str(row.period), row.series) == (layer, month, HOURS)
    )


def test_whole_months_that_ended_long_enough_ago_leave_in_every_layer(stored: Lake) -> None:
    january = {(name, "2024-01") for name in ("ohlcv", "filled", "indicators", "features")}
    february = {(layer, "2024-02") for layer, _ in january}
    assert months(find_leaving(stored, KEEP, LATER)) == january | february
    # February ended on the first of March: it is kept to the very last of its 30 days.
    assert months(find_leaving(stored, KEEP, LATER - timedelta(days=1))) == january | february
    almost = LATER - timedelta(days=1, milliseconds=1)
    assert months(find_leaving(stored, KEEP, almost)) == january
    assert find_leaving(stored, {"4h": timedelta(days=1)}, LATER) == []


def test_without_config_nothing_is_ever_touched(stored: Lake) -> None:
    assert find_leaving(stored, {}, LATER + timedelta(days=9999)) == []


def test_a_look_changes_nothing(stored: Lake) -> None:
    before = files_of(stored.store.root)
    found = find_leaving(stored, KEEP, LATER)
    assert files_of(stored.store.root) == before
    assert sum(it.size for it in found) == sum(
        len(content)
        for name, (content, _) in before.items()
        if "timeframe=1h" in name and "2024-03" not in name
    )


def test_exactly_what_was_listed_moves_and_is_not_listed_again(stored: Lake) -> None:
    root = stored.store.root
    before = {name: content for name, (content, _) in files_of(root).items()}
    found = find_leaving(stored, KEEP, LATER)
    assert apply_retention(stored, found) == []
    places = {
        stored.store.layout.relative(stored.store.layout.partition(it.partition)) for it in found
    }
    expected = {(f"archive/{name}" if name in places else name): it for name, it in before.items()}
    assert {name: content for name, (content, _) in files_of(root).items()} == expected
    assert find_leaving(stored, KEEP, LATER) == []
    assert undo_retention(stored, HOURS) == (8, [])
    assert {name: content for name, (content, _) in files_of(root).items()} == before


def test_what_a_snapshot_pins_stays(stored: Lake) -> None:
    pin(stored, "filled", "2024-01")
    found = find_leaving(stored, KEEP, LATER)
    pinned = [it.partition for it in found if it.is_pinned]
    assert pinned == [partition_of(HOURS, "2024-01", "filled")]
    assert apply_retention(stored, found) == []
    assert stored.store.layout.partition(pinned[0]).exists()
    assert len(find_archived(stored, HOURS)) == 7
    Snapshots(stored.store.root).delete("one")
    assert not any(it.is_pinned for it in find_leaving(stored, KEEP, LATER))


def test_nothing_moves_where_a_snapshot_cannot_be_read(stored: Lake) -> None:
    pin(stored, "filled", "2024-01")
    damage(stored.store.layout.snapshot("one"), "torn")
    with pytest.raises(DamagedFileError, match="snapshot one"):
        find_leaving(stored, KEEP, LATER)


def test_a_damaged_month_stays_and_the_others_go(stored: Lake) -> None:
    damage(stored.store.layout.partition(partition_of(HOURS, "2024-01")), "flipped")
    (failure,) = apply_retention(stored, find_leaving(stored, KEEP, LATER))
    assert failure.startswith("binance/ohlcv_1h BTC-USDT|2024-01: ")
    assert len(find_archived(stored, HOURS)) == 7


def test_what_is_away_cannot_be_brought_back(stored: Lake, tmp_path: Path) -> None:
    apply_retention(stored, find_leaving(stored, KEEP, LATER))
    (stored.store.root / "archive").rename(tmp_path / "elsewhere")
    count, failures = undo_retention(stored, HOURS)
    assert (count, len(failures)) == (0, 8)
    assert "Put archive/ back first" in failures[0]


@pytest.mark.parametrize("place", ["here", "away"])
def test_the_line_asks_for_nothing_and_computes_nothing_anew(
    stored_line: SmallLine, place: str
) -> None:
    settings, exports = stored_line.settings, _exports(stored_line)
    with stored_line.lake() as lake:
        before = _known(stored_line, lake)
        found = find_leaving(lake, KEEP, LATER)
        assert {it.partition.period.key for it in found} == {"2024-02"}
        assert apply_retention(lake, found) == []
        assert _known(stored_line, lake) == before
    verdict = verify_lake(settings.data_root, settings.state_url, Chosen()).verdict
    assert verdict == "sound"
    if place == "away":
        (settings.data_root / "archive").rename(stored_line.root / "elsewhere")
        looked = verify_lake(settings.data_root, settings.state_url, Chosen())
        assert looked.verdict == "unchecked"
        assert set(looked.survey.unchecked.values()) == {"archived, and not here"}
    files = stored_line.files()
    outcome = stored_line.materialize()
    assert (outcome.success, outcome.failures) == (True, ())
    # Made-up prices may be unusual; nothing may be missing, late or damaged.
    unusual = {"no_outlying_returns", "no_price_jumps"}
    assert {check.split()[1] for check in outcome.failed_checks} <= unusual
    assert stored_line.simulator.candle_requests == {"binance": 0}
    assert stored_line.files() == files
    with stored_line.lake() as lake:
        assert _known(stored_line, lake) == before
    assert _exports(stored_line) == exports
    stored_line.clock[0] = NOW + timedelta(hours=3)
    wanted = ("ohlcv", "filled", "indicators")
    assert stored_line.materialize((BTC, ETH), wanted, ("1h",)).success is (place == "here")


def _known(line: SmallLine, lake: Lake) -> tuple[object, ...]:
    """Return what is missing and stale, and what newest rows say of content."""
    exchange = line.settings.exchanges["binance"]
    history, scope = (
        History(exchange.row.quiet_candle, exchange.starts),
        line.settings.scope_of(exchange),
    )
    wanted = [series(pair, "1h") for pair in (BTC, ETH)]
    missing = find_missing(lake, history, wanted)
    contents = Counter((it.layer, it.content_hash, it.rows) for it in lake.store.journal_rows())
    return missing.rows(), count_stale(lake, scope, NOW), contents


def _exports(line: SmallLine) -> dict[str, tuple[int, int]]:
    return {name: it for name, it in line.files().items() if name.startswith("exports/")}
