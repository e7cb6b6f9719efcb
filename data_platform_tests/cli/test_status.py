import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from data_platform.cli.main import main
from data_platform.cli.status import read_status, spell_age, spell_losses
from data_platform.domain.breaker import BreakerState
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import period_of
from data_platform.domain.timeframes import to_timeframe
from data_platform.settings import load_settings
from data_platform.storage.breakers import Breakers
from data_platform.storage.ledger import Gap
from data_platform.storage.state import State
from data_platform_tests.cli.conftest import StoreCandles, hours

HOUR, DAY = to_timeframe("1h"), to_timeframe("1d")
OKX_HOUR = Series("okx", Pair("BTC/USDT"), HOUR)
OKX_DAY = Series("okx", Pair("BTC/USDT"), DAY)
KRAKEN_HOUR = Series("kraken", Pair("BTC/USD"), HOUR)
GONE = Series("binance", Pair("OLD/USDT"), HOUR)
START = datetime(2024, 1, 1, tzinfo=UTC)

# Lateness of 1h may be 1 h by thresholds.yaml, plus 5 m of refresh and 5 s of grace.
LIMIT = timedelta(hours=1, minutes=5, seconds=5)


def states(now: datetime) -> Mapping[str, str]:
    lines = read_status(load_settings({}, now=now), now)
    return {str(line.status.series): line.state for line in lines}


@pytest.mark.usefixtures("lake")
def test_a_series_is_stale_only_beyond_its_limit(store_candles: StoreCandles) -> None:
    store_candles(OKX_HOUR, START, 10)
    # The candle of 10:00 closes at 11:00, so it is late from then on.
    closed = START + hours(11)
    assert states(closed + LIMIT)["okx/BTC-USDT/1h"] == "fresh"
    assert states(closed + LIMIT + timedelta(seconds=1))["okx/BTC-USDT/1h"] == "stale"


@pytest.mark.usefixtures("lake")
def test_series_are_told_apart_by_config_and_store(store_candles: StoreCandles) -> None:
    store_candles(OKX_HOUR, START, 10)
    store_candles(GONE, START, 1)
    assert states(START + hours(10)) == {
        "binance/OLD-USDT/1h": "retired",
        "kraken/BTC-USD/1h": "not stored",
        "okx/BTC-USDT/1h": "fresh",
        "okx/BTC-USDT/1d": "not stored",
    }


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["status", *arguments])


def store_everything(store_candles: StoreCandles) -> None:
    """Store each configured series up to now."""
    now = datetime.now(UTC)
    for series in (OKX_HOUR, OKX_DAY, KRAKEN_HOUR):
        newest = series.timeframe.floor(now) - series.timeframe.duration
        start = max(newest - 2 * series.timeframe.duration, period_of(newest).start)
        store_candles(series, start, int((newest - start) / series.timeframe.duration) + 1)


@pytest.mark.usefixtures("lake")
def test_all_fresh_exits_zero(store_candles: StoreCandles) -> None:
    store_everything(store_candles)
    done = run()
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith("3 series: 3 fresh\n")
    assert "BTC/USDT" in done.stdout


def stop_okx(lake: Path, until: datetime) -> None:
    state = State(f"sqlite:///{lake / 'state.db'}")
    opened = BreakerState("open", 4, until - hours(1), until, "okx: its clock: HTTP 503")
    Breakers(state).change("okx", lambda _: opened)
    state.close()


def test_exchange_that_is_not_asked_is_named_once_with_cause_and_end(
    lake: Path, store_candles: StoreCandles
) -> None:
    store_everything(store_candles)
    until = datetime.now(UTC) + timedelta(minutes=10)
    stop_okx(lake, until)
    done = run()
    assert done.exit_code == 0, done.output
    [line] = [line for line in done.stdout.splitlines() if "is not asked" in line]
    assert line.startswith("okx is not asked since ")
    assert line.endswith(f"until {until:%Y-%m-%d %H:%M:%S} UTC: okx: its clock: HTTP 503")
    assert "is not asked" not in run("--exchange", "kraken").stdout
    told = {each["exchange"]: each["outage"] for each in json.loads(run("--json").stdout)}
    assert told == {"kraken": None, "okx": line}


def test_exchange_whose_pause_is_over_is_not_named(lake: Path, store_candles: StoreCandles) -> None:
    store_everything(store_candles)
    stop_okx(lake, datetime.now(UTC) - timedelta(seconds=1))
    assert "is not asked" not in run().stdout


def shorten_kraken() -> None:
    Path("configs/platform.yaml").write_text(
        "exchanges:\n"
        "  kraken: {pairs: [BTC/USD, ETH/USD], timeframes: [1h, 4h], derive: {4h: 1h}}\n"
        "  okx: {pairs: [BTC/USDT], timeframes: [1h]}\n"
    )


def losses(now: datetime) -> Mapping[str, timedelta | None]:
    lines = read_status(load_settings({}, now=now), now)
    return {str(line.status.series): line.until_lost for line in lines if line.status.last}


@pytest.mark.usefixtures("lake")
def test_time_is_told_until_candles_leave_a_short_history(store_candles: StoreCandles) -> None:
    shorten_kraken()
    for series in (KRAKEN_HOUR, replace(KRAKEN_HOUR, timeframe=to_timeframe("4h")), OKX_HOUR):
        store_candles(series, START, 12)
    # The candle of 12:00 is not stored; the exchange has 720 hours.
    left = START + hours(12 + 720)
    everywhere = {"kraken/BTC-USD/1h": None, "kraken/BTC-USD/4h": None, "okx/BTC-USDT/1h": None}
    assert losses(START + hours(13)) == everywhere
    assert losses(left - hours(5)) == {**everywhere, "kraken/BTC-USD/1h": hours(5)}
    assert losses(left + hours(2)) == {**everywhere, "kraken/BTC-USD/1h": hours(-2)}


@pytest.mark.usefixtures("lake")
def test_candles_about_to_be_lost_are_named_once_for_a_timeframe(
    store_candles: StoreCandles,
) -> None:
    shorten_kraken()
    store_candles(KRAKEN_HOUR, START, 12)
    store_candles(replace(KRAKEN_HOUR, pair=Pair("ETH/USD")), START, 13)
    left = START + hours(12 + 720)

    def told(now: datetime) -> list[str]:
        return spell_losses(read_status(load_settings({}, now=now), now), now)

    remedy = "Fetch now, and keep kraken_new_candle_sensor on."
    # Half of the reach is a usual pause.
    assert told(left - hours(360)) == []
    assert told(left - hours(5)) == [
        f"kraken 1h: 5h 0m until candles are lost for good (BTC/USD, ETH/USD). {remedy}"
    ]
    since = "candles are being lost for good since 2024-01-31 12:00 UTC"
    assert told(left + hours(30)) == [f"kraken 1h: {since} (BTC/USD, ETH/USD). {remedy}"]


def test_candles_that_were_lost_are_told_and_do_not_count(
    lake: Path, store_candles: StoreCandles
) -> None:
    shorten_kraken()
    assert lake
    lost = Gap(KRAKEN_HOUR, START + hours(2), START + hours(5), 3, "unavailable", True, "test")
    store_candles(KRAKEN_HOUR, START, 2)
    store_candles(KRAKEN_HOUR, START + hours(5), 2, [lost])
    words = "kraken/BTC-USD/1h: 3 candles are lost for good"
    assert words in run("--exchange", "kraken").stdout
    [hour] = [it for it in json.loads(run("--json").stdout) if it["lost"]]
    assert (hour["exchange"], hour["timeframe"], hour["lost"]) == ("kraken", "1h", 3)
    # The one gap is what nobody asked for before the first candle.
    assert hour["gaps"] == 1


def test_candles_about_to_be_lost_are_told_to_people_and_programs(
    lake: Path, store_candles: StoreCandles
) -> None:
    shorten_kraken()
    assert lake
    newest = HOUR.floor(datetime.now(UTC)) - hours(700)
    store_candles(KRAKEN_HOUR, newest, 1)
    done = run("--exchange", "kraken")
    assert "until candles are lost for good (BTC/USD). Fetch now" in done.stdout
    hour, *_ = json.loads(run("--exchange", "kraken", "--json").stdout)
    assert hour["lost_in_seconds"] == pytest.approx(20.5 * 3600, abs=1801)


@pytest.mark.usefixtures("lake")
def test_one_stale_series_exits_one(store_candles: StoreCandles) -> None:
    store_everything(store_candles)
    (Path("configs") / "platform.yaml").write_text(
        "exchanges:\n"
        "  kraken: {pairs: [BTC/USD, ETH/USD], timeframes: [1h], start: 2024-01-01}\n"
        "  okx: {pairs: [BTC/USDT], timeframes: [1h, 1d], start: 2024-01-01}\n"
    )
    store_candles(Series("kraken", Pair("ETH/USD"), HOUR), START, 3)
    done = run()
    assert done.exit_code == 1
    assert done.stdout.endswith("4 series: 3 fresh, 1 stale\n")


def test_a_series_that_was_never_fetched_exits_one(lake: Path) -> None:
    lake.mkdir()
    done = run()
    assert done.exit_code == 1
    assert done.stdout.endswith("3 series: 3 not stored\n")


def test_no_lake_is_made_where_there_is_none(lake: Path) -> None:
    done = run()
    assert done.exit_code == 1
    assert f"there is no lake at {lake}. Fetch candles" in done.stderr
    assert not lake.exists()


@pytest.mark.usefixtures("lake")
def test_json_holds_what_a_program_needs(store_candles: StoreCandles) -> None:
    gap = Gap(OKX_HOUR, START + hours(5), START + hours(7), 2, "outage", True, "test")
    quiet = Gap(OKX_HOUR, START + hours(7), START + hours(8), 1, "no_trades", True, "test")
    store_candles(OKX_HOUR, START, 5, [gap, quiet])
    done = run("--exchange", "okx", "--json")
    assert done.exit_code == 1
    hour, day = json.loads(done.stdout)
    assert {name: hour[name] for name in ("exchange", "pair", "timeframe", "state")} == {
        "exchange": "okx",
        "pair": "BTC/USDT",
        "timeframe": "1h",
        "state": "stale",
    }
    assert (hour["from"], hour["to"]) == ("2024-01-01T00:00:00Z", "2024-01-01T04:00:00Z")
    assert (hour["candles"], hour["gaps"], hour["missing"], hour["no_trades"]) == (5, 1, 2, 1)
    age = datetime.now(UTC) - (START + hours(5))
    assert hour["age_seconds"] == pytest.approx(age.total_seconds(), abs=60)
    assert hour["limit_seconds"] == LIMIT.total_seconds()
    assert day["state"] == "not stored"
    assert day["from"] is day["to"] is day["age_seconds"] is None


@pytest.mark.usefixtures("lake")
def test_pair_that_ended_is_shown_with_the_day_and_is_not_stale(
    store_candles: StoreCandles,
) -> None:
    store_everything(store_candles)
    (Path("configs") / "platform.yaml").write_text(
        "exchanges: {kraken: {pairs: [ETH/USD], timeframes: [1h], start: 2024-01-01}}\n"
    )
    ended = Series("kraken", Pair("ETH/USD"), HOUR)
    gap = Gap(ended, START + hours(3), START + hours(9), 6, "after_delisting", True, "test")
    store_candles(ended, START, 3, [gap])
    done = run("--exchange", "kraken")
    assert done.exit_code == 0, done.output
    assert "delisted 2024-01-01" in done.stdout
    told = {it["pair"]: it for it in json.loads(run("--exchange", "kraken", "--json").stdout)}
    assert told["ETH/USD"]["state"] == "delisted"
    assert told["ETH/USD"]["delisted_since"] == "2024-01-01T03:00:00Z"
    assert told["BTC/USD"]["state"] == "retired"


@pytest.mark.usefixtures("lake")
def test_months_that_nobody_fetched_are_missing(store_candles: StoreCandles) -> None:
    store_candles(OKX_HOUR, START, 31 * 24)
    store_candles(OKX_HOUR, datetime(2024, 6, 1, tzinfo=UTC), 5)
    store_candles(GONE, START, 3)
    store_candles(GONE, datetime(2024, 3, 1, tzinfo=UTC), 2)
    gone, kraken, hour, _ = json.loads(run("--json").stdout)
    assert (hour["gaps"], hour["missing"]) == (1, 121 * 24)
    assert (kraken["gaps"], kraken["missing"]) == (0, 0)
    # No longer configured: from its first stored candle on.
    assert (gone["gaps"], gone["missing"]) == (1, 60 * 24 - 3)
    shown = run().stdout
    titles = next(line for line in shown.splitlines() if "missing" in line)
    columns = ["gaps", "missing", "no trades", "stale", "age"]
    assert re.findall("|".join(columns), titles) == columns
    assert "2,904" in shown


def test_an_unknown_exchange_is_wrong_use(lake: Path) -> None:
    lake.mkdir()
    done = run("--exchange", "nowhere")
    assert done.exit_code == 2
    assert "'nowhere' is unknown here. Accepted: kraken, okx." in done.stderr


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (None, ""),
        (timedelta(0), "0s"),
        (timedelta(seconds=59.9), "59s"),
        (timedelta(minutes=12, seconds=5), "12m 5s"),
        (timedelta(hours=3), "3h 0m"),
        (timedelta(days=400, hours=4, minutes=3), "400d 4h"),
        (timedelta(seconds=-3), "0s"),
    ],
)
def test_an_age_is_spelled_by_its_two_largest_units(age: timedelta | None, text: str) -> None:
    assert spell_age(age) == text
