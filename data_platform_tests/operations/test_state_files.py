"""The state files of a lake: against their schemas, and against the same told by DuckDB."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from data_platform.domain.breaker import BreakerState
from data_platform.domain.exchanges import QuietCandle
from data_platform.domain.markets import Market, Series
from data_platform.domain.periods import periods_between
from data_platform.domain.state_files import SCHEMAS
from data_platform.domain.synthetic import generate_candles
from data_platform.domain.timeframes import to_timeframe
from data_platform.operations.due import FreshnessLimits
from data_platform.operations.health_report import ReportRules, Watched
from data_platform.operations.lake import Lake
from data_platform.operations.missing import History
from data_platform.operations.state_files import StateReport, write_state_files
from data_platform.quality.standards import Standards
from data_platform.storage.catalog import open_catalog
from data_platform.storage.run_log import Step
from data_platform.storage.state_files import StateFiles
from data_platform_tests.factories import (
    GRACE,
    gap_of,
    lake_at,
    partition_of,
    plant_gaps,
    punch,
    score_row,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.lines import derive_line, recipes_of

TIMEFRAMES = ("1m", "5m", "1h", "4h", "1d")
FIRST = {"1m": 2, "5m": 2, "1h": 100, "4h": 20, "1d": 80}
"""Days of history stored of each timeframe."""

NOW = time("2024-06-12 10:37:07")
"""A Wednesday; the newest candle of 1h opened at 09:00."""

NEWEST_END = "2024-06-12 10:35"
"""Where the stored candles of 5m end."""

BTC, ETH = Market("binance", series_of().pair), Market("binance", series_of(pair="ETH/USDT").pair)
FRESH = FreshnessLimits(GRACE, timedelta(minutes=5), Standards())


def watched(*markets: Market, timeframes: tuple[str, ...] = TIMEFRAMES) -> Watched:
    series = [
        Series(it.exchange, it.pair, to_timeframe(each)) for each in timeframes for it in markets
    ]
    return Watched(markets[0].exchange, History("flat", {}), series, FRESH)


def fill(lake: Lake, market: Market, now: datetime, seed: int = 3) -> None:
    """Store synthetic candles of every timeframe up to a time, and indicators of 1h."""
    for name, days in FIRST.items():
        timeframe = to_timeframe(name)
        series = Series(market.exchange, market.pair, timeframe)
        midnight = now.replace(hour=0, minute=0, second=0)
        frame = generate_candles(
            seed, market, timeframe, midnight - timedelta(days=days), timeframe.floor(now - GRACE)
        ).candles
        store_candles(lake, series, frame)
    hours = Series(market.exchange, market.pair, to_timeframe("1h"))
    months = periods_between(now - timedelta(days=100), now)
    derive_line(lake, hours, months, recipes_of(hours, ("atr_14",))[:2])


@pytest.fixture(scope="module")
def full_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("full") / "data"
    root.mkdir()
    lake = lake_at(root)
    for market in (BTC, ETH):
        fill(lake, market, NOW)
    lake.state.close()
    return root


@pytest.fixture
def full(full_root: Path, tmp_path: Path) -> Iterator[Lake]:
    """Give a lake of two markets that have all their candles."""
    root = tmp_path / "data"
    shutil.copytree(full_root, root)
    lake = lake_at(root)
    yield lake
    lake.state.close()


def write(lake: Lake, *exchanges: Watched, now: datetime = NOW) -> StateReport:
    return write_state_files(lake, ReportRules(exchanges or (watched(BTC, ETH),)), lambda: now)


def content(lake: Lake, path: str) -> dict[str, Any]:
    """Return what a state file holds, once its schema has accepted it."""
    found: dict[str, Any] = json.loads((lake.store.root / "state" / f"{path}.json").read_text())
    kind = path.partition("/")[0]
    schema = json.loads((SCHEMAS / f"{kind}.schema.json").read_text())
    Draft202012Validator(schema).validate(found)
    return found


def ask(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    connection = open_catalog(lake.store.root, lake.state)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def iso(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def test_newest_candles_and_what_follows_from_them_are_those_of_duckdb(full: Lake) -> None:
    write(full)
    for market in (BTC, ETH):
        found = content(full, f"latest_ohlcv/{market}")
        assert (found["updated_at"], found["market"]) == (iso(NOW), str(market))
        for name in TIMEFRAMES:
            candles = f"candles('binance', '{name}', '{market.pair.key}')"
            [row] = ask(
                full,
                "SELECT strftime(open_time, '%Y-%m-%dT%H:%M:%SZ'), open, high, low, close, volume "
                f"FROM {candles} ORDER BY open_time DESC LIMIT 1",
            )
            assert tuple(found["timeframes"][name].values()) == row
        [(high, low, volume)] = ask(
            full,
            f"SELECT max(high), min(low), sum(volume) FROM candles('binance', '1m', "
            f"'{market.pair.key}') WHERE open_time >= '2024-06-12'",
        )
        [(atr,)] = ask(
            full,
            f"SELECT atr_14 FROM indicators('binance', '1h', '{market.pair.key}') "
            "ORDER BY open_time DESC LIMIT 1",
        )
        derived = found["derived"]
        assert (derived["daily_high"], derived["daily_low"]) == (high, low)
        assert derived["daily_volume"] == pytest.approx(volume, rel=1e-12)
        assert derived["atr_14_1h"] == atr > 0


CONTEXT = """
WITH hours AS (
    SELECT open_time, close FROM candles('binance', '1h', '{pair}')
), returns AS (
    SELECT open_time, ln(close / lag(close) OVER (ORDER BY open_time)) AS change FROM hours
), windows AS (
    SELECT open_time, stddev_samp(change) OVER last_day AS deviation, count(change) OVER last_day
        AS known
    FROM returns WINDOW last_day AS (ORDER BY open_time ROWS BETWEEN 23 PRECEDING AND CURRENT ROW)
), ranked AS (
    SELECT * FROM windows WHERE known = 24 AND open_time > '{newest}'::TIMESTAMPTZ
        - INTERVAL 90 DAY
), newest AS (SELECT deviation FROM ranked ORDER BY open_time DESC LIMIT 1)
SELECT 100 * (count(*) FILTER (ranked.deviation < newest.deviation) + 0.5) / count(*)
FROM ranked, newest
"""

TREND = """
WITH closes AS (
    SELECT close, row_number() OVER (ORDER BY open_time DESC) AS age
    FROM candles('binance', '{timeframe}', '{pair}')
), means AS (
    SELECT max(close) FILTER (age = 1) AS close, avg(close) FILTER (age <= 20) AS fast,
        avg(close) FILTER (age <= 50) AS slow
    FROM closes
)
SELECT CASE WHEN close > fast AND fast > slow THEN 'bullish'
    WHEN close < fast AND fast < slow THEN 'bearish' ELSE 'ranging' END FROM means
"""

LEVELS = """
WITH days AS (SELECT * FROM candles('binance', '1d', '{pair}')),
yesterday AS (SELECT *, (high + low + close) / 3 AS middle FROM days WHERE open_time = '2024-06-11')
SELECT middle, 2 * middle - low, 2 * middle - high,
    (SELECT max(high) FROM days WHERE open_time >= '2024-06-03' AND open_time < '2024-06-10'),
    (SELECT min(low) FROM days WHERE open_time >= '2024-06-03' AND open_time < '2024-06-10')
FROM yesterday
"""


def test_context_is_that_of_duckdb(full: Lake) -> None:
    write(full)
    for market in (BTC, ETH):
        pair = market.pair.key
        found = content(full, f"market_context/{market}")
        [(percentile,)] = ask(full, CONTEXT.format(pair=pair, newest="2024-06-12 09:00"))
        assert found["volatility_percentile"] == pytest.approx(percentile, abs=1e-9)
        bounds = (5, 25, 60, 80, 90, 98)
        names = ("COMPLACENT", "LOW", "NORMAL", "ELEVATED", "HIGH", "EXTREME", "CRISIS")
        assert found["volatility_regime"] == names[sum(percentile >= bound for bound in bounds)]
        for name in ("1d", "4h"):
            [(trend,)] = ask(full, TREND.format(pair=pair, timeframe=name))
            assert found[f"trend_{name}"] == trend
        [levels] = ask(full, LEVELS.format(pair=pair))
        assert tuple(found["key_levels"].values()) == pytest.approx(levels, rel=1e-12)
        assert found["session"] == {
            "current": "london",
            "minutes_into_session": 217,
            "killzone_active": False,
        }
        assert found["recent_events"] == []


def test_status_counts_what_duckdb_counts(full: Lake) -> None:
    five = series_of(timeframe="5m")
    for start, end, status in (
        ("2024-06-12 01:00", "2024-06-12 01:10", "outage"),
        ("2024-06-12 03:00", "2024-06-12 03:05", "open"),
        ("2024-06-12 05:00", "2024-06-12 05:30", "no_trades"),
        ("2024-06-11 23:50", "2024-06-12 00:05", "refused"),
        ("2024-06-11 03:00", "2024-06-11 03:05", "open"),
        ("2024-06-11 22:00", "2024-06-11 22:05", "open"),
    ):
        punch(full, five, time(start), time(end))
        plant_gaps(full, gap_of(five, start, end, status, confirmed=True))  # type: ignore[arg-type]
    write(full)
    found = content(full, "data_status")
    assert found["markets"]["binance/BTC-USDT"]["timeframes"]["5m"] == {
        "last_bar": "2024-06-12T10:30:00Z",
        "quality_score": None,
        # 127 grid times have closed; 2, 1, 6 and 1 candles of the day are missing.
        "bars_today": 117,
        "gaps_today": 3,
    }
    for market in (BTC, ETH):
        for name, state in found["markets"][str(market)]["timeframes"].items():
            key = f"'binance', '{name}', '{market.pair.key}'"
            [(last, count)] = ask(
                full,
                "SELECT strftime(max(open_time), '%Y-%m-%dT%H:%M:%SZ'), count(*) "
                f"FILTER (open_time >= '2024-06-12') FROM candles({key})",
            )
            [(gaps,)] = ask(
                full,
                "SELECT count(*) FROM gaps WHERE status IN ('open', 'refused', 'outage') "
                f"AND (exchange, timeframe, pair) = ({key}) AND \"end\" > '2024-06-12'",
            )
            assert (state["last_bar"], state["bars_today"]) == (last, count)
            assert state["gaps_today"] == gaps
    assert found["overall_health"] == "degraded"
    assert found["halt_trading"] is False


def score(lake: Lake, series: Series, month: str, five: float, day: str = "2024-06-12") -> None:
    row = score_row(
        day=date.fromisoformat(day),
        expected=100,
        stored=90,
        completeness=0.9,
        validity=1.0,
        timeliness=0.5,
        score_five=five,
        score_four=0.1,
        absent="consistency, accuracy",
        checked_at=NOW,
    )
    with lake.state.write() as connection:
        lake.scores.record(connection, [(partition_of(series, month), row)])


def test_scores_are_those_of_the_newest_month(full: Lake) -> None:
    hours, days = series_of(timeframe="1h"), series_of(timeframe="1d")
    score(full, hours, "2024-05", 0.3)
    score(full, hours, "2024-06", 0.95, day="2024-06-11")
    score(full, hours, "2024-06", 0.9)
    score(full, days, "2024-06", 1.0)
    write(full)
    found = content(full, "data_status")
    states = found["markets"]["binance/BTC-USDT"]["timeframes"]
    assert (states["1h"]["quality_score"], states["1d"]["quality_score"]) == (0.9, 1.0)
    assert states["1m"]["quality_score"] is None
    assert found["quality_score"] == pytest.approx(0.95)
    report = content(full, "quality_report")
    assert report["quality_by_market"]["binance/BTC-USDT"] == {
        "quality_score": pytest.approx(0.95),
        "completeness": 0.9,
        "validity": 1.0,
        "freshness": 0.5,
        "issues": 0,
    }
    assert report["overall_quality"] == pytest.approx(0.95)
    assert (found["overall_health"], found["halt_trading"]) == ("healthy", False)


@pytest.mark.parametrize(
    ("five", "health", "halt"),
    [
        (0.85, "healthy", False),
        (0.84, "degraded", False),
        (0.7, "degraded", False),
        (0.69, "critical", True),
    ],
)
def test_a_score_below_the_critical_level_halts(
    full: Lake, five: float, health: str, halt: bool
) -> None:
    score(full, series_of(timeframe="1m"), "2024-06", five)
    status = write(full).status
    assert (status.overall_health, status.halt_trading) == (health, halt)


@pytest.mark.parametrize(
    ("breaker", "word", "health", "halt"),
    [
        (BreakerState(), "up", "healthy", False),
        (BreakerState(failures=1, reason="HTTP 503"), "failing", "degraded", False),
        (BreakerState("open", 3, NOW, NOW, "HTTP 503"), "down", "critical", True),
        (BreakerState("half_open", 3, NOW, NOW, "HTTP 503"), "trying", "critical", True),
    ],
)
def test_an_exchange_that_does_not_answer_halts(
    full: Lake, breaker: BreakerState, word: str, health: str, halt: bool
) -> None:
    full.breakers.change("binance", lambda _: breaker)
    status = write(full).status
    assert status.sources["binance"].status == word
    assert (status.overall_health, status.halt_trading) == (health, halt)
    report = content(full, "quality_report")
    assert bool(report["recommendations"]) is halt


def test_a_source_tells_its_newest_answer_and_how_soon_it_came(full: Lake) -> None:
    at = time("2024-06-12 10:35:11")
    full.runs.add(
        Step("a", "binance", "tick", at, at, answered_at=at, latency=timedelta(milliseconds=84))
    )
    write(full)
    assert content(full, "data_status")["sources"]["binance"] == {
        "status": "up",
        "last_response": "2024-06-12T10:35:11Z",
        "latency_ms": 84.0,
    }


@pytest.mark.parametrize(("quiet_candle", "gaps"), [("flat", 2), ("omitted", 1)])
def test_a_confirmed_silence_behind_the_newest_candle_may_be_a_time_without_trades(
    full: Lake, quiet_candle: QuietCandle, gaps: int
) -> None:
    five = series_of(timeframe="5m")
    for start, end in (("2024-06-12 03:00", "2024-06-12 03:05"), ("2024-06-12 10:20", NEWEST_END)):
        punch(full, five, time(start), time(end))
        plant_gaps(full, gap_of(five, start, end, confirmed=True))
    own = replace(watched(BTC), history=History(quiet_candle, {}))
    states = write(full, own).status.markets["binance/BTC-USDT"].timeframes
    assert (states["5m"].last_bar, states["5m"].gaps_today) == (time("2024-06-12 10:15"), gaps)


def test_a_stopped_line_halts_though_another_exchange_writes(full: Lake) -> None:
    okx = watched(Market("okx", BTC.pair), timeframes=("1h",))
    store_candles(
        full,
        okx.series[0],
        generate_candles(
            1,
            Market("okx", BTC.pair),
            to_timeframe("1h"),
            time("2024-06-11"),
            time("2024-06-12 10:00"),
        ).candles,
    )
    both = (watched(BTC, ETH), okx)
    assert write(full, *both).status.halt_trading is False
    # binance stands still; ticks of okx alone go on.
    later = NOW + timedelta(minutes=17)
    status = write_state_files(full, ReportRules(both), lambda: later, {"okx"}).status
    assert status.halt_trading is True
    assert content(full, "data_status")["markets"].keys() == {
        "binance/BTC-USDT",
        "binance/ETH-USDT",
        "okx/BTC-USDT",
    }
    assert content(full, "latest_ohlcv/okx/BTC-USDT")["updated_at"] == iso(later)
    assert content(full, "latest_ohlcv/binance/BTC-USDT")["updated_at"] == iso(NOW)


def test_an_exchange_without_any_candle_is_null_and_never_zero(lake: Lake) -> None:
    status = write(lake, watched(BTC)).status
    found = content(lake, "data_status")
    unknown = {"last_bar": None, "quality_score": None, "bars_today": None, "gaps_today": None}
    assert set(map(str, found["markets"]["binance/BTC-USDT"]["timeframes"].values())) == {
        str(unknown)
    }
    assert found["sources"]["binance"] == {
        "status": "unknown",
        "last_response": None,
        "latency_ms": None,
    }
    assert (status.overall_health, status.halt_trading) == ("critical", True)
    latest = content(lake, "latest_ohlcv/binance/BTC-USDT")
    assert set(latest["timeframes"].values()) == {None}
    assert set(latest["derived"].values()) == {None}
    context = content(lake, "market_context/binance/BTC-USDT")
    assert {context[name] for name in ("volatility_regime", "trend_1d", "trend_4h")} == {None}
    assert set(context["key_levels"].values()) == {None}
    assert {event["type"] for event in context["recent_events"]} == {"not_known"}
    report = content(lake, "quality_report")
    assert report["recommendations"] == [
        "Never fetched: 5 series of binance: `data-platform download --exchange binance`."
    ]


def test_nothing_configured_is_no_reason_to_trade(lake: Lake) -> None:
    status = write_state_files(lake, ReportRules(()), lambda: NOW).status
    assert (status.overall_health, status.halt_trading) == ("critical", True)
    assert content(lake, "quality_report")["markets_monitored"] == 0


def test_a_retired_market_leaves_no_file_behind(full: Lake) -> None:
    write(full)
    report = write(full, watched(ETH))
    state = full.store.root / "state"
    assert sorted(report.removed) == [
        state / "latest_ohlcv/binance/BTC-USDT.json",
        state / "market_context/binance/BTC-USDT.json",
    ]
    assert [path.name for path in state.rglob("BTC-USDT.json")] == []
    assert content(full, "data_status")["markets"].keys() == {"binance/ETH-USDT"}
    assert content(full, "quality_report")["markets_monitored"] == 1


def test_first_minute_of_a_month_knows_yesterday_and_nothing_of_today(lake: Lake) -> None:
    now = time("2024-07-01 00:00:06")
    fill(lake, BTC, now)
    write(lake, watched(BTC), now=now)
    latest = content(lake, "latest_ohlcv/binance/BTC-USDT")
    opened = {name: candle["timestamp"] for name, candle in latest["timeframes"].items()}
    assert opened == {
        "1m": "2024-06-30T23:59:00Z",
        "5m": "2024-06-30T23:55:00Z",
        "1h": "2024-06-30T23:00:00Z",
        "4h": "2024-06-30T20:00:00Z",
        "1d": "2024-06-30T00:00:00Z",
    }
    derived = latest["derived"]
    assert derived.pop("atr_14_1h") > 0
    assert set(derived.values()) == {None}
    states = content(lake, "data_status")["markets"]["binance/BTC-USDT"]["timeframes"]
    assert {(it["bars_today"], it["gaps_today"]) for it in states.values()} == {(0, 0)}
    context = content(lake, "market_context/binance/BTC-USDT")
    assert None not in context["key_levels"].values()
    assert context["volatility_percentile"] is not None
    # The first of July 2024 is a Monday.
    assert context["session"] == {
        "current": "asia",
        "minutes_into_session": 0,
        "killzone_active": True,
    }


def test_values_of_a_time_use_candles_that_had_closed_by_then(full: Lake, tmp_path: Path) -> None:
    # The same lake cut off in the morning, and the whole one asked for that morning.
    then = time("2024-06-12 06:59:59")
    before = lake_at(tmp_path / "before")
    fill(before, BTC, then)
    write(before, watched(BTC), now=then)
    write(full, watched(BTC), now=then)
    for kind in ("latest_ohlcv", "market_context"):
        path = f"{kind}/binance/BTC-USDT"
        early, late = content(before, path), content(full, path)
        if kind == "latest_ohlcv":
            assert early["derived"].pop("atr_14_1h") == pytest.approx(
                late["derived"].pop("atr_14_1h"), rel=1e-12
            )
        assert early == late
    assert content(full, "market_context/binance/BTC-USDT")["session"]["current"] == "asia"
    before.state.close()


def test_atr_waits_for_the_indicators(full: Lake) -> None:
    hours = series_of(timeframe="1h")
    later = NOW + timedelta(hours=1)
    candle = generate_candles(
        3, BTC, hours.timeframe, time("2024-06-12 10:00"), time("2024-06-12 11:00")
    ).candles
    store_candles(full, hours, candle)
    write(full, now=later)
    latest = content(full, "latest_ohlcv/binance/BTC-USDT")
    assert latest["timeframes"]["1h"]["timestamp"] == "2024-06-12T10:00:00Z"
    assert latest["derived"]["atr_14_1h"] is None


def test_what_cannot_be_read_is_null_and_told(full: Lake) -> None:
    path = full.store.layout.partition(partition_of(series_of(timeframe="1h"), "2024-06"))
    path.write_bytes(path.read_bytes()[:-100])
    report = write(full)
    latest = content(full, "latest_ohlcv/binance/BTC-USDT")
    assert latest["timeframes"]["1h"] is None
    assert latest["timeframes"]["4h"] is not None
    [line] = report.unread
    assert line.startswith("binance/BTC-USDT 1h: binance/ohlcv_1h BTC-USDT|2024-06: the file ")
    context = content(full, "market_context/binance/BTC-USDT")
    assert context["volatility_regime"] is None
    told = [event["detail"] for event in context["recent_events"]]
    assert "volatility: no candle of 1h is stored" in told
    assert any("is damaged" in detail for detail in told)
    assert content(full, "latest_ohlcv/binance/ETH-USDT")["timeframes"]["1h"] is not None


def test_issues_tell_what_was_wrong_and_what_becomes_of_it(full: Lake) -> None:
    hours = series_of(timeframe="1h")
    plant_gaps(
        full,
        gap_of(hours, "2024-06-11 02:00", "2024-06-11 13:00", "outage", confirmed=True),
        gap_of(
            hours,
            "2024-06-12 01:00",
            "2024-06-12 03:00",
            confirmed=True,
            next_try=time("2024-06-12 12:00"),
        ),
        gap_of(hours, "2024-06-10 01:00", "2024-06-10 03:00", confirmed=True),
        gap_of(hours, "2024-06-12 05:00", "2024-06-12 06:00", "no_trades", confirmed=True),
    )
    write(full)
    report = content(full, "quality_report")
    assert report["issues_24h"] == [
        {
            "timestamp": "2024-06-12T01:00:00Z",
            "type": "gap",
            "market": "binance/BTC-USDT",
            "timeframe": "1h",
            "duration_bars": 2,
            "resolution": "asked for again after 2024-06-12 12:00 UTC",
        },
        {
            # It began at 02:00; the last 24 hours begin at 10:37.
            "timestamp": "2024-06-11T11:00:00Z",
            "type": "outage",
            "market": "binance/BTC-USDT",
            "timeframe": "1h",
            "duration_bars": 2,
            "resolution": "the exchange has no candle there",
        },
    ]
    assert report["quality_by_market"]["binance/BTC-USDT"]["issues"] == 2
    assert report["quality_by_market"]["binance/ETH-USDT"]["issues"] == 0
    assert report["recommendations"] == [
        (
            "binance 1h: 2 candles incomplete: "
            "`data-platform download --exchange binance --timeframe 1h`."
        )
    ]
    events = content(full, "market_context/binance/BTC-USDT")["recent_events"]
    assert [event["type"] for event in events] == ["gap", "outage"]


WRONG: dict[str, list[tuple[str, Any]]] = {
    "data_status": [
        ("updated_at", "2024-06-12T10:37:07+00:00"),
        ("updated_at", None),
        ("sources.binance.status", "fine"),
        ("sources.binance.latency_ms", -1),
        ("markets.binance/BTC-USDT.timeframes.1h.last_bar", 1718182800),
        ("markets.binance/BTC-USDT.timeframes.1h.bars_today", 1.5),
        ("markets.binance/BTC-USDT.timeframes.1h.quality_score", 95),
        ("markets.binance/BTC-USDT.timeframes.2h", {}),
        ("markets.BTC/USDT", {"timeframes": {}}),
        ("halt_trading", "no"),
        ("quality", 1.0),
    ],
    "latest_ohlcv/binance/BTC-USDT": [
        ("timeframes.1h.close", 0),
        ("timeframes.1h.close", None),
        ("timeframes.1h.volume", -1),
        ("timeframes.1h.timestamp", "2024-06-12 09:00"),
        ("timeframes.1h.is_closed", True),
        ("derived.daily_high", "1"),
        ("market", "BTC-USDT"),
    ],
    "market_context/binance/BTC-USDT": [
        ("volatility_regime", "normal"),
        ("volatility_percentile", 101),
        ("trend_1d", "up"),
        ("session.current", "tokyo"),
        ("session.minutes_into_session", -1),
        ("key_levels.daily_pivot", 0),
        ("key_levels.daily_r2", 1),
        ("recent_events", None),
    ],
    "quality_report": [
        ("markets_monitored", -1),
        ("overall_quality", 1.01),
        ("quality_by_market.binance/BTC-USDT.issues", None),
        ("issues_24h", [{"timestamp": "2024-06-12T01:00:00Z"}]),
        ("recommendations", "none"),
    ],
}


@pytest.mark.parametrize(
    ("path", "place", "value"),
    [(path, place, value) for path, edits in WRONG.items() for place, value in edits],
)
def test_the_schema_refuses(
    written: dict[str, dict[str, Any]], path: str, place: str, value: object
) -> None:
    found = json.loads(json.dumps(written[path]))
    *folders, last = place.split(".")
    part = found
    for folder in folders:
        part = part[folder]
    part[last] = value
    schema = json.loads((SCHEMAS / f"{path.partition('/')[0]}.schema.json").read_text())
    assert not Draft202012Validator(schema).is_valid(found)


@pytest.mark.parametrize("path", WRONG)
def test_the_schema_misses_every_field(written: dict[str, dict[str, Any]], path: str) -> None:
    schema = json.loads((SCHEMAS / f"{path.partition('/')[0]}.schema.json").read_text())
    for name in written[path]:
        less = {key: value for key, value in written[path].items() if key != name}
        assert not Draft202012Validator(schema).is_valid(less), name


@pytest.fixture(scope="module")
def written(full_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    root = tmp_path_factory.mktemp("written") / "data"
    shutil.copytree(full_root, root)
    lake = lake_at(root)
    write(lake)
    found = {path: content(lake, path) for path in WRONG}
    lake.state.close()
    return found


READER = """
import json, sys
from pathlib import Path
folder, seen = Path(sys.argv[1]), set()
files = [folder / "data_status.json", folder / "quality_report.json",
         *folder.glob("*/*/*.json")]
print("ready", flush=True)
reads = 0
while not (folder / "stop").exists():
    for path in files:
        text = path.read_text()
        found = json.loads(text)
        assert text.endswith("}\\n"), path
        seen.add(found.get("updated_at"))
        reads += 1
print(reads, len(seen))
"""


def test_another_process_never_reads_half_a_file(full: Lake) -> None:
    write(full)
    folder = full.store.root / "state"
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(folder)], stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        for number in range(20):
            write(full, now=NOW + timedelta(seconds=number))
        (folder / "stop").touch()
        reads, seen = map(int, reader.communicate(timeout=60)[0].split())
    assert reader.returncode == 0
    # It has met several generations, so that writes and reads did overlap.
    assert reads > 20
    assert seen > 3
    assert [path.name for path in folder.rglob(".*")] == []


def test_the_clock_is_asked_once_nobody_else_writes(
    full: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    alone = StateFiles.alone

    @contextmanager
    def noted(files: StateFiles) -> Iterator[None]:
        with alone(files):
            steps.append("alone")
            yield

    def asked() -> datetime:
        steps.append("clock")
        return NOW

    monkeypatch.setattr(StateFiles, "alone", noted)
    write_state_files(full, ReportRules((watched(BTC),)), asked)
    assert steps == ["alone", "clock"]


@pytest.mark.parametrize("pair", ["BTC/USD:BTC-240329", "1000PEPE/USDT:USDT"])
def test_an_odd_pair_has_its_file_by_its_key(lake: Lake, pair: str) -> None:
    market = Market("okx", series_of(pair=pair).pair)
    write(lake, watched(market))
    assert content(lake, f"latest_ohlcv/okx/{market.pair.key}")["market"] == str(market)
    assert str(market) in content(lake, "data_status")["markets"]
