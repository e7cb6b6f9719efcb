"""What is stored on every day and why the rest is not, against a slow count over the candles."""

from collections import Counter
from datetime import datetime, timedelta

import polars as pl
import pytest

from data_platform.domain.markets import Series
from data_platform.operations.coverage import (
    COUNTED_REASONS,
    DAY_SCHEMA,
    REASONS,
    Coverage,
    cover_days,
)
from data_platform.operations.lake import Lake
from data_platform.operations.missing import History
from data_platform.quality.continuity import COUNTED_STATUSES
from data_platform.storage.ledger import Status
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    plant_gaps,
    punch,
    series_of,
    store_candles,
    stored,
    time,
)

SERIES = series_of()
MINUTES = series_of(timeframe="1m")
NO_GRACE = timedelta(0)
FLAT = History("flat", {SERIES.pair: time("2024-01-01")})


def cover(
    lake: Lake, *wanted: Series, until: str = "2024-03-01", history: History = FLAT
) -> Coverage:
    return cover_days(lake, history, wanted or (SERIES,), time(until), NO_GRACE)


def lacks(found: Coverage) -> dict[str, dict[str, int]]:
    """What each day lacks, by reason; whole days are left out."""
    rows = found.days.select(pl.col("day").dt.strftime("%Y-%m-%d"), *REASONS).rows(named=True)
    days = {row.pop("day"): {name: count for name, count in row.items() if count} for row in rows}
    return {day: reasons for day, reasons in days.items() if reasons}


def store(
    lake: Lake, series: Series, start: str, end: str, without: tuple[str, str] | None
) -> None:
    times = grid(start, end, series.timeframe)
    if without is not None:
        times = [it for it in times if not time(without[0]) <= it < time(without[1])]
    store_candles(lake, series, candles_at(times))


def test_a_whole_history_has_every_day_and_lacks_nothing(lake: Lake) -> None:
    store(lake, SERIES, "2024-01-01", "2024-03-01", None)
    found = cover(lake)
    assert found.days.schema == DAY_SCHEMA
    assert found.days.height == 31 + 29
    assert found.days["expected"].to_list() == [24] * 60
    assert found.days["stored"].to_list() == [24] * 60
    assert not lacks(found)
    assert found.doubts.is_empty()


@pytest.mark.parametrize("status", ["open", "refused", "outage", "no_trades", "unavailable"])
def test_a_gap_of_each_status_lies_on_its_days_with_its_exact_counts(
    lake: Lake, status: Status
) -> None:
    hole = ("2024-01-30 22:00", "2024-02-01 03:00")
    store(lake, SERIES, "2024-01-01", "2024-03-01", hole)
    plant_gaps(lake, gap_of(SERIES, *hole, status))
    found = cover(lake)
    assert lacks(found) == {
        "2024-01-30": {status: 2},
        "2024-01-31": {status: 24},
        "2024-02-01": {status: 3},
    }
    assert found.doubts.is_empty()


def test_several_gaps_of_one_day_are_summed_by_their_reason(lake: Lake) -> None:
    times = grid("2024-01-01", "2024-02-01", "1m")
    store_candles(lake, MINUTES, candles_at([it for it in times if it.minute not in (7, 8, 30)]))
    for at in grid("2024-01-01", "2024-02-01"):
        start = f"{at:%Y-%m-%d %H}"
        plant_gaps(
            lake,
            gap_of(MINUTES, f"{start}:07", f"{start}:09", "no_trades", confirmed=True),
            gap_of(MINUTES, f"{start}:30", f"{start}:31", "outage", confirmed=True),
        )
    found = cover(lake, MINUTES, until="2024-02-01")
    assert set(map(str, lacks(found).values())) == {str({"outage": 24, "no_trades": 48})}
    assert found.days["stored"].to_list() == [1440 - 72] * 31


def test_times_before_the_listing_and_after_the_delisting_are_no_gaps(lake: Lake) -> None:
    store(lake, SERIES, "2024-01-10 05:00", "2024-02-20 12:00", None)
    plant_gaps(
        lake,
        gap_of(SERIES, "2024-01-01", "2024-01-10 05:00", "before_listing", confirmed=True),
        gap_of(SERIES, "2024-02-20 12:00", "2024-02-21", "after_delisting", confirmed=True),
    )
    found = lacks(cover(lake, until="2024-02-23 06:00"))
    assert found["2024-01-09"] == {"before_listing": 24}
    assert found["2024-01-10"] == {"before_listing": 5}
    assert found["2024-02-20"] == {"after_delisting": 12}
    # Nobody asks behind the end of a pair that is not traded any more.
    assert found["2024-02-22"] == {"after_delisting": 24}
    assert found["2024-02-23"] == {"after_delisting": 6}
    assert sum(sum(it.values()) for it in found.values()) == 9 * 24 + 5 + 12 + 2 * 24 + 6


def test_months_that_nobody_asked_for_and_candles_since_are_told_apart(lake: Lake) -> None:
    store(lake, SERIES, "2024-02-01", "2024-02-28 09:00", None)
    found = lacks(cover(lake, until="2024-02-29 02:30"))
    assert found.pop("2024-02-28") == {"awaited": 15}
    assert found.pop("2024-02-29") == {"awaited": 2}
    assert found == {f"2024-01-{day:02d}": {"never_asked": 24} for day in range(1, 32)}


def test_a_series_that_nobody_ever_asked_for_is_missing_from_its_start(lake: Lake) -> None:
    found = lacks(cover(lake, until="2024-01-03 01:00"))
    assert found == {
        "2024-01-01": {"never_asked": 24},
        "2024-01-02": {"never_asked": 24},
        "2024-01-03": {"never_asked": 1},
    }


def test_a_silence_behind_the_newest_candle_is_awaited_where_quiet_candles_are_omitted(
    lake: Lake,
) -> None:
    store(lake, SERIES, "2024-01-01", "2024-01-02 20:00", None)
    plant_gaps(lake, gap_of(SERIES, "2024-01-02 20:00", "2024-01-02 23:00", confirmed=True))
    omitted = History("omitted", FLAT.starts)
    assert lacks(cover(lake, until="2024-01-03")) == {"2024-01-02": {"open": 3, "awaited": 1}}
    assert lacks(cover(lake, until="2024-01-03", history=omitted)) == {"2024-01-02": {"awaited": 4}}


def test_a_start_in_the_middle_of_a_stored_month_counts_from_there(lake: Lake) -> None:
    store(lake, SERIES, "2024-01-01", "2024-02-01", ("2024-01-10 03:00", "2024-01-10 15:00"))
    plant_gaps(
        lake,
        gap_of(SERIES, "2024-01-10 03:00", "2024-01-10 07:00", "outage", confirmed=True),
        gap_of(SERIES, "2024-01-10 07:00", "2024-01-10 15:00", "open"),
    )
    later = History("flat", {SERIES.pair: time("2024-01-10 06:00")})
    found = cover(lake, until="2024-02-01", history=later)
    assert lacks(found) == {"2024-01-10": {"outage": 1, "open": 8}}
    assert found.days["expected"].to_list() == [18, *[24] * 21]
    assert found.doubts.is_empty()


def test_a_hole_of_which_the_ledger_tells_nothing_is_found_in_the_sums(lake: Lake) -> None:
    store(lake, SERIES, "2024-01-01", "2024-03-01", None)
    punch(lake, SERIES, time("2024-02-05 10:00"), time("2024-02-05 13:00"))
    found = cover(lake)
    assert lacks(found) == {"2024-02-05": {"never_asked": 3}}
    assert found.doubts.is_empty()


def test_a_gap_over_stored_candles_is_counted_from_the_file_and_named(lake: Lake) -> None:
    store(lake, SERIES, "2024-01-01", "2024-03-01", ("2024-01-20 05:00", "2024-01-20 07:00"))
    plant_gaps(lake, gap_of(SERIES, "2024-01-20 00:00", "2024-01-20 07:00", "outage"))
    found = cover(lake)
    assert lacks(found) == {"2024-01-20": {"outage": 2}}
    assert found.doubts.rows() == [
        ("1h", "BTC-USDT", "2024-01", 31 * 24 - 2, 31 * 24 - 7, 31 * 24 - 2, None)
    ]


def test_a_month_in_doubt_whose_file_cannot_be_read_counts_as_missing_with_the_reason(
    lake: Lake,
) -> None:
    store(lake, SERIES, "2024-01-01", "2024-01-03", None)
    plant_gaps(lake, gap_of(SERIES, "2024-01-01 00:00", "2024-01-01 02:00", "outage"))
    [path] = lake.store.layout.root.rglob("candles.parquet")
    path.write_bytes(b"torn")
    found = cover(lake, until="2024-01-03")
    assert lacks(found) == {
        "2024-01-01": {"outage": 2, "never_asked": 22},
        "2024-01-02": {"never_asked": 24},
    }
    [(*_, journal, told, file, error)] = found.doubts.rows()
    assert (journal, told, file) == (48, 46, None)
    assert "candles.parquet" in error


def test_series_are_counted_apart_in_one_look(lake: Lake) -> None:
    other = series_of(pair="ETH/USDT", timeframe="4h")
    store(lake, SERIES, "2024-01-01", "2024-01-03", None)
    store(lake, other, "2024-01-01", "2024-01-03", ("2024-01-01 08:00", "2024-01-01 16:00"))
    plant_gaps(lake, gap_of(other, "2024-01-01 08:00", "2024-01-01 16:00", "refused"))
    history = History("flat", dict.fromkeys((SERIES.pair, other.pair), time("2024-01-01")))
    found = cover(lake, SERIES, other, until="2024-01-03", history=history)
    told = found.days.select("timeframe", "pair", "expected", "stored", "refused").rows()
    assert told == [
        ("1h", "BTC-USDT", 24, 24, 0),
        ("1h", "BTC-USDT", 24, 24, 0),
        ("4h", "ETH-USDT", 6, 4, 2),
        ("4h", "ETH-USDT", 6, 6, 0),
    ]


def test_the_counted_reasons_are_those_that_gap_checks_count() -> None:
    assert set(COUNTED_REASONS) == {*COUNTED_STATUSES, "never_asked"}


@pytest.mark.parametrize("seed", range(6))
def test_every_day_equals_a_slow_count_over_the_candles_and_the_ledger(
    lake: Lake, seed: int
) -> None:
    plant_randomly(lake, seed)
    found = cover(lake, until="2024-02-20 11:00")
    slow = count_slowly(lake, time("2024-02-20 11:00"))
    for row in found.days.rows(named=True):
        counted = slow[row["day"]]
        assert {name: row[name] for name in ("stored", *REASONS) if row[name]} == counted, row
        assert row["expected"] == sum(counted.values())
    assert found.days.height == len(slow)


def plant_randomly(lake: Lake, seed: int) -> None:
    """Leave out random runs, explain most of them, and one more that is stored."""
    import random

    dice = random.Random(seed)
    times = grid("2024-01-03 04:00", "2024-02-20 03:00")
    statuses: tuple[Status | None, ...] = ("open", "refused", "outage", "no_trades", None)
    cuts = sorted(dice.sample(range(1, len(times) - 1), 24))
    kept = set(times)
    for first, last in zip(cuts[::2], cuts[1::2], strict=True):
        status = dice.choice(statuses)
        end = min(last, first + dice.choice((1, 3, 30)))
        if first >= end:
            continue
        is_stored = status is not None and dice.random() < 0.15
        kept -= set() if is_stored else set(times[first:end])
        if status is not None:
            edges = (f"{times[first]:%Y-%m-%d %H:%M}", f"{times[end]:%Y-%m-%d %H:%M}")
            plant_gaps(lake, gap_of(SERIES, *edges, status, confirmed=status != "open"))
    store_candles(lake, SERIES, candles_at(sorted(kept)))
    plant_gaps(lake, gap_of(SERIES, "2024-01-01", "2024-01-03 04:00", "before_listing"))


def count_slowly(lake: Lake, now: datetime) -> dict[datetime, Counter[str]]:
    """Look at each grid time by itself."""
    held = set(stored(lake, SERIES)["open_time"].to_list())
    gaps = lake.ledger.gaps(SERIES, time("1990-01"), time("2090-01"))
    found: dict[datetime, Counter[str]] = {}
    at = time("2024-01-01")
    while at < now:
        name = "awaited" if at > max(held) else "never_asked"
        name = next((it.status for it in gaps if it.start <= at < it.end), name)
        name = "stored" if at in held else name
        found.setdefault(at.replace(hour=0), Counter())[name] += 1
        at += timedelta(hours=1)
    return found
