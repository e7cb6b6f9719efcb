import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from data_platform.domain.markets import Series
from data_platform.domain.periods import to_period
from data_platform.domain.timeframes import Timeframe, to_timeframe
from data_platform.operations import agreement
from data_platform.operations.agreement import (
    COARSER,
    COPIES,
    EXCHANGES,
    Moved,
    Renewal,
    find_moved,
    judge_written,
    renew_verdicts,
)
from data_platform.operations.lake import Lake
from data_platform.operations.neighbours import Neighbourhood
from data_platform.quality.standards import Change, Standards
from data_platform.storage.journal import CommitNote
from data_platform_tests.damage import damage
from data_platform_tests.factories import (
    gap_of,
    partition_of,
    partitions_of,
    plant_gaps,
    series_of,
    store_candles,
)
from data_platform_tests.quality.across import at, changed, month_of, replaced

MARCH = "2024-03"
NO_TIME, HOUR = timedelta(0), timedelta(hours=1)
SHIPPED = Standards()

OURS = series_of("binance", "SOL/USDT", "1h")
MINUTES = OURS.at(to_timeframe("1m"))
OKX, KRAKEN = (series_of(name, "SOL/USDT", "1h") for name in ("okx", "kraken"))


def among(
    *others: Series,
    own: Sequence[Series] = (OURS,),
    derived: Sequence[Timeframe] = (),
    standards: Standards = SHIPPED,
) -> Neighbourhood:
    return Neighbourhood(tuple(own), frozenset(derived), others, standards)


def store(lake: Lake, series: Series, frame: pl.DataFrame | None = None) -> None:
    own = month_of(series.exchange, series.timeframe.name, series.pair.symbol)
    store_candles(lake, series, own if frame is None else frame)


def renew(lake: Lake, *others: Series, own: Sequence[Series] = (OURS,)) -> Renewal:
    return renew_verdicts(lake, among(*others, own=own), None)


def told(lake: Lake, rule: str, series: Series = OURS) -> dict[str, Any] | None:
    """The newest verdict of a rule on March: count, checked, the first rows, what was measured."""
    frame = lake.verdicts.newest(series.exchange, "ohlcv", series.timeframe)
    rows = frame.filter(rule=rule, pair=series.pair.key, period=MARCH).rows(named=True)
    if not rows:
        return None
    [row] = rows
    return {
        "count": row["count"],
        "severity": row["severity"],
        "checked": row["checked"],
        "times": [it["open_time"] for it in json.loads(row["rows_json"])],
        "rows": json.loads(row["rows_json"]),
        "measured": json.loads(row["measured_json"]),
        "at": row["checked_at"],
    }


def moved(
    lake: Lake, *others: Series, own: Sequence[Series] = (OURS,)
) -> list[tuple[str, list[str]]]:
    return moved_in(lake, among(*others, own=own))


def moved_in(lake: Lake, neighbourhood: Neighbourhood) -> list[tuple[str, list[str]]]:
    found = find_moved(lake, neighbourhood)
    return [(str(it.partition.series), sorted(it.bases)) for it in found]


def test_alone_nothing_is_judged_and_nothing_noted(lake: Lake) -> None:
    store(lake, OURS)
    assert moved(lake) == []
    assert renew(lake) == Renewal(0, 0)
    assert lake.verdicts.newest("binance", "ohlcv", OURS.timeframe).is_empty()


def test_a_wrong_hour_is_told_with_its_time_and_judged_once(lake: Lake) -> None:
    store(lake, MINUTES)
    store(lake, OURS, changed(month_of("binance", "1h"), at("12 07:00"), high=1.01))
    both = (MINUTES, OURS)
    assert moved(lake, own=both) == [("binance/SOL-USDT/1h", [COARSER.name])]
    assert renew(lake, own=both) == Renewal(1, 0)
    found = told(lake, COARSER.name)
    assert found is not None
    assert (found["count"], found["checked"]) == (1, 744)
    assert found["times"] == ["2024-03-12 07:00:00"]
    assert found["rows"][0]["finer"] == "1m"
    assert found["measured"] == {"not_compared": 0, "compared": {"1m": 744}}
    assert told(lake, COARSER.name, MINUTES) is None
    assert moved(lake, own=both) == []
    renew(lake, own=both)
    again = told(lake, COARSER.name)
    assert again == found


def test_a_corrected_minute_renews_the_verdict_on_its_month_and_no_other(lake: Lake) -> None:
    ether = series_of("binance", "ETH/USDT", "1h")
    own = (MINUTES, OURS, ether, ether.at(MINUTES.timeframe))
    for series in own:
        store(lake, series)
    april = pl.col("open_time") + timedelta(days=31)
    store(lake, OURS, month_of("binance", "1h").head(480).with_columns(april))
    renew(lake, own=own)
    assert moved(lake, own=own) == []
    store(
        lake,
        MINUTES,
        changed(month_of().filter(pl.col("open_time") == at("12 07:33")), at("12 07:33"), volume=2),
    )
    assert moved(lake, own=own) == [("binance/SOL-USDT/1h", [COARSER.name])]
    renew(lake, own=own)
    found = told(lake, COARSER.name)
    assert found is not None
    assert found["times"] == ["2024-03-12 07:00:00"]
    assert moved(lake, own=own) == []


def test_a_time_that_turns_out_to_be_without_trades_renews_it(lake: Lake) -> None:
    own = (MINUTES, OURS)
    store(lake, MINUTES, month_of().filter(pl.col("open_time") != at("12 07:33")))
    store(lake, OURS)
    renew(lake, own=own)
    found = told(lake, COARSER.name)
    assert found is not None
    assert (found["checked"], found["measured"]["not_compared"]) == (743, 1)
    hole = ("2024-03-12 07:33", "2024-03-12 07:34")
    plant_gaps(lake, gap_of(MINUTES, *hole, "open"))
    assert moved(lake, own=own) == []
    plant_gaps(lake, gap_of(MINUTES, *hole, "no_trades", confirmed=True))
    assert moved(lake, own=own) == [("binance/SOL-USDT/1h", [COARSER.name])]
    renew(lake, own=own)
    found = told(lake, COARSER.name)
    assert found is not None
    assert found["checked"] == 744


def test_a_second_exchange_that_comes_late_renews_the_first_ones_verdict(lake: Lake) -> None:
    store(lake, OURS, changed(month_of("binance", "1h"), at("05 12:00"), close=1.05))
    assert renew(lake, OKX) == Renewal(0, 0)
    assert told(lake, EXCHANGES.name) is None
    store(lake, OKX)
    assert moved(lake, OKX) == [("binance/SOL-USDT/1h", [EXCHANGES.name, COPIES.name])]
    renew(lake, OKX)
    found = told(lake, EXCHANGES.name)
    assert found is not None
    assert (found["count"], found["checked"]) == (1, 744)
    assert found["times"] == ["2024-03-05 12:00:00"]
    assert "no telling which is right" in found["rows"][0]["reason"]
    assert found["measured"]["exchanges"]["okx"]["candles"] == 744
    # The third tells that it is ours, and the verdict on the second one does not stand.
    store(lake, KRAKEN)
    assert moved(lake, OKX, KRAKEN) == [("binance/SOL-USDT/1h", [EXCHANGES.name, COPIES.name])]
    renew(lake, OKX, KRAKEN)
    found = told(lake, EXCHANGES.name)
    assert found is not None
    assert found["rows"][0]["reason"] == "far from the median"
    others = (OURS, KRAKEN)
    renew_verdicts(lake, among(*others, own=(OKX,)), None)
    found = told(lake, EXCHANGES.name, OKX)
    assert found is not None
    assert (found["count"], found["checked"]) == (0, 744)


def test_an_exchange_that_leaves_the_config_takes_its_verdict_back(lake: Lake) -> None:
    store(lake, OURS, changed(month_of("binance", "1h"), at("05 12:00"), close=1.05))
    store(lake, OKX)
    renew(lake, OKX)
    renew(lake)
    found = told(lake, EXCHANGES.name)
    assert found is not None
    assert (found["count"], found["checked"]) == (0, 0)
    assert moved(lake) == []


def test_only_the_same_quote_is_the_same_price_but_any_quote_may_have_been_copied(
    lake: Lake,
) -> None:
    dollars = series_of("coinbase", "SOL/USD", "1h")
    store(lake, OURS)
    start, end = at("05 10:00"), at("05 14:00")
    copied = replaced(month_of("coinbase", "1h", "SOL/USD"), month_of("binance", "1h"), start, end)
    store(lake, dollars, copied)
    assert moved(lake, dollars) == [("binance/SOL-USDT/1h", [COPIES.name])]
    renew(lake, dollars)
    assert told(lake, EXCHANGES.name) is None
    found = told(lake, COPIES.name)
    assert found is not None
    assert found["rows"] == [
        {
            "open_time": "2024-03-05 10:00:00",
            "last": "2024-03-05 13:00:00",
            "candles": 4,
            "like": "coinbase/SOL-USD",
        }
    ]


def test_derived_candles_are_held_against_exchanges_and_not_against_their_own_hours(
    lake: Lake,
) -> None:
    four = to_timeframe("4h")
    ours, own = OURS.at(four), (OURS, OURS.at(four))
    for series in (*own, OKX.at(four)):
        store(lake, series)
    given = among(OKX.at(four), own=own, derived=[four])
    renew_verdicts(lake, given, None)
    assert told(lake, COARSER.name, ours) is None
    found = told(lake, EXCHANGES.name, ours)
    assert found is not None
    assert (found["count"], found["checked"]) == (0, 186)
    renew(lake, OKX.at(four), own=own)
    found = told(lake, COARSER.name, ours)
    assert found is not None
    assert (found["count"], found["checked"]) == (0, 186)


def test_a_corrected_candle_of_its_own_renews_every_verdict_on_its_month(lake: Lake) -> None:
    own = (MINUTES, OURS)
    for series in (*own, OKX):
        store(lake, series)
    renew(lake, OKX, own=own)
    wrong = changed(month_of("binance", "1h"), at("05 12:00"), close=1.05, high=1.05)
    store(lake, OURS, wrong)
    every = sorted((COARSER.name, EXCHANGES.name, COPIES.name))
    assert moved(lake, OKX, own=own) == [("binance/SOL-USDT/1h", every)]
    renew(lake, OKX, own=own)
    for rule in (COARSER, EXCHANGES):
        found = told(lake, rule.name)
        assert found is not None
        assert found["times"] == ["2024-03-05 12:00:00"]


@pytest.mark.parametrize(
    ("change", "count", "severity"),
    [(Change({"1h": 0.2}), 0, "warn"), (Change(severity="error"), 1, "error")],
)
def test_another_limit_or_severity_renews_the_verdicts_of_its_rule(
    lake: Lake, change: Change, count: int, severity: str
) -> None:
    store(lake, OURS, changed(month_of("binance", "1h"), at("05 12:00"), close=1.05))
    store(lake, OKX)
    renew(lake, OKX)
    given = among(OKX, standards=Standards({EXCHANGES.name: change}))
    assert moved_in(lake, given) == [("binance/SOL-USDT/1h", [EXCHANGES.name])]
    renew_verdicts(lake, given, None)
    found = told(lake, EXCHANGES.name)
    assert found is not None
    assert (found["count"], found["severity"]) == (count, severity)


def test_a_new_version_of_the_rules_renews_every_verdict(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(lake, OURS)
    store(lake, OKX)
    renew(lake, OKX)
    monkeypatch.setattr(agreement, "AGREEMENT_VERSION", agreement.AGREEMENT_VERSION + 1)
    assert moved(lake, OKX) == [("binance/SOL-USDT/1h", [EXCHANGES.name, COPIES.name])]


def test_work_is_bounded_by_time_and_what_waited_longest_comes_first(lake: Lake) -> None:
    pairs = ("ADA/USDT", "BTC/USDT", "SOL/USDT")
    own = [series_of("binance", pair, "1d") for pair in pairs]
    others = [series_of("okx", pair, "1d") for pair in pairs]
    for series in (*own, *others):
        store(lake, series)
    given = among(*others, own=own)

    def judged() -> list[bool]:
        return [told(lake, EXCHANGES.name, it) is not None for it in own]

    assert renew_verdicts(lake, given, NO_TIME) == Renewal(1, 2)
    assert judged() == [True, False, False]
    newest = month_of("okx", "1d", "ADA/USDT").tail(1).with_columns(volume=1.0)
    store(lake, others[0], newest)
    assert renew_verdicts(lake, given, NO_TIME) == Renewal(1, 2)
    assert judged() == [True, True, False]
    assert renew_verdicts(lake, given, NO_TIME) == Renewal(1, 1)
    assert judged() == [True, True, True]
    assert [it.partition.series for it in find_moved(lake, given)] == [own[0]]
    assert renew_verdicts(lake, given, NO_TIME) == Renewal(1, 0)
    assert renew_verdicts(lake, given, NO_TIME) == Renewal(0, 0)


def test_a_step_judges_what_it_has_written_and_nothing_else(lake: Lake) -> None:
    march, april = partitions_of(OURS, MARCH, "2024-04")
    for series in (MINUTES, OURS, OKX):
        store(lake, series)
        later = month_of(series.exchange, series.timeframe.name).head(480)
        store(lake, series, later.with_columns(pl.col("open_time") + timedelta(days=31)))
    given = among(OKX, own=(MINUTES, OURS))
    judge_written(lake, given, [])
    judge_written(lake, given, [partition_of(MINUTES, MARCH)])
    assert told(lake, EXCHANGES.name) is None
    judge_written(lake, given, [march])
    assert told(lake, EXCHANGES.name) is not None
    assert told(lake, COARSER.name) is not None
    assert [it.partition for it in find_moved(lake, given)] == [april]


def test_a_look_at_the_newest_months_leaves_the_older_ones_out(lake: Lake) -> None:
    for series in (OURS, OKX):
        store(lake, series)
    given = among(OKX)
    assert renew_verdicts(lake, given, None, to_period("2024-04")) == Renewal(0, 0)
    assert renew_verdicts(lake, given, None, to_period(MARCH)) == Renewal(1, 0)


def test_a_damaged_file_keeps_no_other_month_from_being_judged(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    ether, other = series_of("binance", "ETH/USDT", "1h"), series_of("okx", "ETH/USDT", "1h")
    for series in (OURS, OKX, ether, other):
        store(lake, series)
    [path] = lake.store.files("ohlcv", OKX, [partition_of(month=MARCH).period])
    sound = path.read_bytes()
    damage(path, "flipped")
    renew(lake, OKX, other, own=(OURS, ether))
    assert told(lake, EXCHANGES.name) is None
    assert told(lake, EXCHANGES.name, ether) is not None
    assert "binance/ohlcv_1h SOL-USDT|2024-03 is not held against others" in caplog.text
    path.write_bytes(sound)
    renew(lake, OKX, other, own=(OURS, ether))
    assert told(lake, EXCHANGES.name) is not None


def test_what_comes_while_it_is_judged_is_found_the_next_time(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(lake, OURS)
    store(lake, OKX)
    real = agreement._judge_cell

    def late(lake: Lake, given: Neighbourhood, months: Sequence[Moved]) -> None:
        newest = month_of("okx", "1h").tail(1).with_columns(volume=1.0)
        store(lake, OKX, newest)
        real(lake, given, months)

    monkeypatch.setattr(agreement, "_judge_cell", late)
    renew(lake, OKX)
    monkeypatch.undo()
    assert moved(lake, OKX) == [("binance/SOL-USDT/1h", [EXCHANGES.name, COPIES.name])]


def test_empty_months_and_series_that_are_not_asked_for_are_left_alone(lake: Lake) -> None:
    store(lake, OURS)
    lake.store.commit(
        partition_of(OKX, MARCH),
        month_of("okx", "1h").head(0),
        merge=None,
        audit=lambda given: (given, given.clear()),
        note=CommitNote(),
    )
    store(lake, KRAKEN)
    assert moved(lake, OKX) == []
    assert moved(lake, OKX, own=(OURS, replace(OURS, pair=series_of(pair="XRP/USDT").pair))) == []
