import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_platform.domain.errors import ConfigError
from data_platform.domain.markets import Pair
from data_platform.domain.periods import Period
from data_platform.domain.timeframes import TIMEFRAMES, to_timeframe
from data_platform.features.feature_set import FeatureSet
from data_platform.quality.standards import Change
from data_platform.settings import (
    PROJECT_ROOT,
    Settings,
    dagster_home,
    load_settings,
    worker_environment,
)

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)

SMALL = """\
exchanges:
  binance:
    pairs: [BTC/USDT]
"""


def load(folder: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    path = folder / "platform.yaml"
    path.write_text(text)
    return load_settings(environ or {}, config=path, now=NOW)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{folder / 'platform.yaml'}:")


def test_only_pairs_are_required(tmp_path: Path) -> None:
    settings = load(tmp_path, SMALL)
    binance = settings.exchanges["binance"]
    assert binance.pairs == (Pair("BTC/USDT"),)
    assert binance.timeframes == TIMEFRAMES
    assert binance.start_of(Pair("BTC/USDT")) == datetime(2021, 1, 1, tzinfo=UTC)
    assert binance.first_period == Period(2021, 1)
    assert binance.requests_per_minute == 2940
    assert (binance.timeout, binance.grace) == (timedelta(seconds=30), timedelta(seconds=5))
    assert binance.base_url is binance.backup is binance.api_key_env is None
    assert settings.indicators[:2] == ("sma_20", "sma_50")
    assert len(settings.indicators) == 12
    assert settings.refresh.candles == timedelta(minutes=5)
    assert settings.refresh.derived == timedelta(hours=1)
    assert settings.refresh.exports == timedelta(days=1)


def test_every_key_is_read(tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    (tmp_path / "features/mine.yaml").write_text("name: mine\nversion: 3\nreturns: [1]\n")
    settings = load(
        tmp_path,
        """\
exchanges:
  mybinance:
    ccxt_id: binance
    base_url: http://127.0.0.1:9100/x/
    start: 2022-03-04
    pair_start: {ETH-USDT: "2022-02-01"}
    pairs: [ETHUSDT, btc-usdt]
    timeframes: [1D, 4H, 1h]
    derive: {1D: 4H}
    backup: okx
    rate_limit: 12.5
    timeout: 1m
    grace: 7s
    api_key_env: MY_KEY
  okx:
    pairs: [BTC/USDT:USDT, BTC/USDT]
indicators: [rsi_14]
refresh: {candles: 1m, derived: 2m, exports: 3h}
""",
    )
    assert list(settings.exchanges) == ["mybinance", "okx"]
    mine = settings.exchanges["mybinance"]
    assert (mine.row.name, mine.row.ccxt_id, mine.row.page_size) == ("mybinance", "binance", 1000)
    assert mine.base_url == "http://127.0.0.1:9100/x"
    assert mine.pairs == (Pair("BTC/USDT"), Pair("ETH/USDT"))
    assert mine.start_of(Pair("BTC/USDT")) == datetime(2022, 3, 4, tzinfo=UTC)
    assert mine.start_of(Pair("ETH/USDT")) == datetime(2022, 2, 1, tzinfo=UTC)
    assert mine.first_period == Period(2022, 2)
    assert [timeframe.name for timeframe in mine.timeframes] == ["1h", "4h", "1d"]
    assert mine.derive == {to_timeframe("1d"): to_timeframe("4h")}
    assert (mine.backup, mine.requests_per_minute, mine.api_key_env) == ("okx", 12.5, "MY_KEY")
    assert (mine.timeout, mine.grace) == (timedelta(minutes=1), timedelta(seconds=7))
    assert settings.exchanges["okx"].pairs == (Pair("BTC/USDT"), Pair("BTC/USDT:USDT"))
    assert settings.indicators == ("rsi_14",)
    assert settings.feature_sets == (FeatureSet("mine", 3, returns=(1,)),)
    assert settings.refresh.exports == timedelta(hours=3)


def test_what_an_exchange_lacks_is_derived_as_its_row_says(tmp_path: Path) -> None:
    text = "exchanges:\n  coinbase:\n    pairs: [BTC/USD]\n"
    assert load(tmp_path, text).exchanges["coinbase"].derive == {
        to_timeframe("4h"): to_timeframe("1h")
    }
    without = text + "    timeframes: [1m, 1h]\n"
    assert load(tmp_path, without).exchanges["coinbase"].derive == {}
    other = text + "    derive: {4h: 15m}\n"
    assert load(tmp_path, other).exchanges["coinbase"].derive == {
        to_timeframe("4h"): to_timeframe("15m")
    }


@pytest.mark.parametrize(
    ("days", "start"),
    [(0, (2026, 3, 1)), (7, (2026, 2, 22)), (28, (2026, 2, 1)), (60, (2025, 12, 31))],
)
def test_history_days_counts_back_from_the_running_month(
    tmp_path: Path, days: int, start: tuple[int, int, int]
) -> None:
    binance = load(tmp_path, SMALL + f"    history_days: {days}\n").exchanges["binance"]
    assert binance.start == datetime(*start, tzinfo=UTC)
    assert binance.first_period == Period(*start[:2])


def test_history_days_moves_only_with_the_calendar(tmp_path: Path) -> None:
    path = tmp_path / "platform.yaml"
    path.write_text(SMALL + "    history_days: 1\n")
    last = datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)
    starts = [
        load_settings({}, config=path, now=now).exchanges["binance"].start
        for now in (datetime(2026, 3, 1, tzinfo=UTC), last, last + timedelta(seconds=1))
    ]
    february, march = datetime(2026, 2, 28, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC)
    assert starts == [february, february, march]


REFUSED = [
    ("exchange: {}\n", 1, "unknown key. Did you mean 'exchanges'? Accepted: exchanges, "),
    ("refresh: {}\n", 1, "key 'exchanges' is missing."),
    ("exchanges: {}\n", 1, "exchanges: expected at least one entry"),
    ("exchanges: [binance]\n", 1, "exchanges: expected keys with values, found a list."),
    ("exchanges:\n  binance:\n    start: 2021-01-01\n", 2, "key 'pairs' is missing."),
    ("exchanges:\n  binance:\n    pairs: []\n", 3, "pairs: expected at least one entry"),
    ("exchanges:\n  binance:\n    pairs:\n", 3, "pairs: expected a list, found nothing."),
    ("exchanges:\n  binance:\n    pairs: BTC/USDT\n", 3, 'expected a list, found "BTC/USDT".'),
    ("exchanges:\n  Binance:\n    pairs: [BTC/USDT]\n", 2, 'found "Binance".'),
    ("exchanges:\n  ../up:\n    pairs: [BTC/USDT]\n", 2, "lower-case letters, digits and `_`"),
    ("exchanges:\n  binanse:\n    pairs: [BTC/USDT]\n", 2, "Did you mean binance"),
    (SMALL + "    ccxt_id: krakn\n", 4, "Did you mean kraken"),
    (SMALL + "    pairz: [BTC/USDT]\n", 4, "pairz: unknown key. Did you mean 'pairs'? Accepted: "),
    (SMALL + "    start: 2021-13-01\n", 4, "'2021-13-01' is no date. Accepted: a day in UTC like"),
    (SMALL + "    start: 2021-02-29\n", 4, "is no date"),
    (SMALL + "    start: 01/02/2021\n", 4, "is no date"),
    (SMALL + "    start: 20210101\n", 4, "expected a day in UTC like 2021-01-31, found 20210101."),
    (SMALL + "    start: 2021-01\n", 4, "is no date"),
    (SMALL + "    start: 2021-01-01T00:00:00+02:00\n", 4, "is no date"),
    (SMALL + "    start: 0201-01-01\n", 4, "lies before 2009-01-01"),
    (SMALL + "    start: 2026-03-16\n", 4, "lies in the future. Accepted: a day up to 2026-03-15"),
    (SMALL + "    start: 2021-01-01\n    history_days: 2\n", 5, "stands beside `start`"),
    (SMALL + "    history_days: -1\n", 4, "at least 0, found -1."),
    (SMALL + "    history_days: 1.5\n", 4, "history_days: expected a whole number, found 1.5"),
    (
        SMALL + "    pair_start:\n      ETH/USDT: 2022-01-01\n",
        5,
        "unknown here. Accepted: BTC/USDT",
    ),
    (SMALL + "    pair_start: {BTC/USDT: 2099-01-01}\n", 4, "lies in the future"),
    (
        SMALL + "    pair_start:\n      BTC/USDT: 2022-01-01\n      BTCUSDT: 2022-01-01\n",
        6,
        "BTC/USDT stands twice",
    ),
    (SMALL + "    timeframes: [1h, 2h]\n", 4, "unknown timeframe '2h'. Accepted: 1m, 5m, 15m, "),
    (SMALL + "    timeframes:\n      - 1h\n      - 1M\n", 6, "'1M' is ambiguous"),
    (SMALL + "    timeframes:\n      - 1h\n      - 1H\n", 6, "1h stands twice, first on line 5."),
    (SMALL + "    timeframes: []\n", 4, "expected at least one entry"),
    (SMALL + "    timeframes: [60]\n", 4, "expected a timeframe like 1h, found 60."),
    (SMALL + "    derive: {4h: 4h}\n", 4, "4h cannot be derived from 4h. Accepted: a finer"),
    (SMALL + "    derive:\n      1d: 4h\n      4h: 1d\n", 6, "4h cannot be derived from 1d."),
    (SMALL + "    derive: {1m: 5m}\n", 4, "divides it (none)"),
    (SMALL + "    derive: {4h: 1h, 4H: 15m}\n", 4, "4h stands twice"),
    (SMALL + "    derive: {2h: 1h}\n", 4, "unknown timeframe '2h'"),
    (SMALL + "    timeframes: [1h]\n    derive: {4h: 1h}\n", 5, "not among the timeframes of"),
    (SMALL + "    timeframes: [4h]\n    derive: {4h: 1h}\n", 4, "1h is missing here; add 1h or"),
    (
        "exchanges:\n  coinbase:\n    pairs: [BTC/USD]\n    timeframes: [4h]\n",
        4,
        "4h is derived from 1h on coinbase",
    ),
    (SMALL + "    backup: okx\n", 4, "'okx' is not another exchange of this file. Accepted: none"),
    (SMALL + "    backup: binance\n", 4, "is not another exchange"),
    (SMALL + "    rate_limit: 0\n", 4, "rate_limit: expected greater than 0, found 0."),
    (SMALL + "    rate_limit: true\n", 4, "rate_limit: expected a valid number, found true."),
    (SMALL + "    rate_limit: '1200'\n", 4, 'rate_limit: expected a valid number, found "1200".'),
    (SMALL + "    timeout: 30\n", 4, "expected a number and a unit (30s, 5m, 1h, 1d), found 30."),
    (SMALL + "    timeout: 0s\n", 4, "'0s' is no duration. Accepted: a number and a unit"),
    (SMALL + "    timeout: 1w\n", 4, "'1w' is no duration"),
    (SMALL + "    timeout: 11m\n", 4, "timeout: expected at most 10m, found 11m."),
    (SMALL + "    grace: 1:30\n", 4, "found '1:30'"),
    (SMALL + "    grace: 3601s\n", 4, "grace: expected at most 1h, found 3601s."),
    (SMALL + "    rate_limit: .nan\n", 4, "numbers are finite"),
    (SMALL + "    rate_limit: 2000000\n", 4, "at most 1,000,000, found 2000000."),
    (SMALL + "    base_url: 127.0.0.1:9100\n", 4, "not an address of a server"),
    (SMALL + "    base_url: file:///etc/passwd\n", 4, "not an address of a server"),
    (SMALL + "    base_url: http://127.0.0.1:x/\n", 4, "not an address of a server"),
    (SMALL + "    api_key_env: NO\n", 4, "found 'NO'"),
    (SMALL + "refresh: {candles: 5}\n", 4, "refresh.candles: expected a number and a unit"),
    (SMALL + "refresh: {ticks: 5m}\n", 4, "unknown key. Accepted: candles, derived, exports."),
    (SMALL + "indicators: [rsi_14, rsi_14]\n", 4, "'rsi_14' stands twice"),
    (SMALL + "indicators: [5]\n", 4, "indicators[0]: "),
]


@pytest.mark.parametrize(("text", "line", "reason"), REFUSED)
def test_r32_a_wrong_config_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    message = refusal(tmp_path, text)
    assert message.startswith(f"{line}: ")
    assert reason in message


def test_pairs_whose_files_would_be_one_may_stand_under_two_names(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "exchanges:\n  okx: {pairs: [AB/C]}\n  okx_other: {ccxt_id: okx, pairs: [A/BC]}\n",
    )
    assert [len(exchange.pairs) for exchange in settings.exchanges.values()] == [1, 1]


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ("[BTC/USDT, ETH/USDT, BTC/USDT]", "BTC/USDT stands twice, first on line 3."),
        ("[BTC/USDT, BTCUSDT]", "BTC/USDT stands twice"),
        ("[BTC-USDT, btc/usdt]", "BTC/USDT stands twice"),
        (
            "[A.B/C, X/Y, A_B/C]",
            "A.B/C and A_B/C would be one file for Freqtrade (freqtrade/binance/A_B_C-1m.feather)",
        ),
        ("[A.B/C:C, A_B/C:C]", "A.B/C:C and A_B/C:C would be one file for Freqtrade"),
        (
            "[AB/C, A/BC]",
            "AB/C and A/BC would be one file for NautilusTrader (nautilus/data/bar/ABC.BINANCE-",
        ),
        ("[ARBUSD]", "pair 'ARBUSD' is ambiguous: it could be AR/BUSD, ARB/USD."),
        ("[BTCXYZ]", "'BTCXYZ' is no pair. Accepted: BTC/USDT, BTC-USDT or BTCUSDT."),
        ("[USDT]", "'USDT' is no pair"),
        ("[BTC/]", "'BTC/' is no pair"),
        ("['BTC /USDT']", "'BTC /USDT' is no pair"),
        ("['']", "'' is no pair"),
        ("[NO]", "found 'NO'"),
        ("[5]", "expected a pair like BTC/USDT, found 5."),
        ("[[BTC/USDT]]", "expected a pair like BTC/USDT, found a list."),
    ],
)
def test_pairs_that_are_wrong_twice_or_ambiguous_are_refused(
    tmp_path: Path, pairs: str, reason: str
) -> None:
    message = refusal(tmp_path, f"exchanges:\n  binance:\n    pairs: {pairs}\n")
    assert message.startswith("3: ")
    assert reason in message


def test_all_problems_are_counted_and_the_first_line_is_named(tmp_path: Path) -> None:
    message = refusal(tmp_path, SMALL + "    start: x\n    grace: z\nindicator: []\n")
    assert message.startswith("4: exchanges.binance.start: 'x' is no date.")
    assert message.endswith("(One of 3 problems.)")


def test_a_key_in_place_of_its_variable_is_never_repeated(tmp_path: Path) -> None:
    message = refusal(tmp_path, SMALL + "    api_key_env: s3cr3t-canary\n")
    assert message.startswith("4: exchanges.binance.api_key_env: expected the name of an")
    assert "canary" not in message


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = load(tmp_path, SMALL)
    with pytest.raises(AttributeError):
        settings.indicators = ()  # type: ignore[misc]


def test_the_shipped_config_holds_four_exchanges_of_ten_pairs() -> None:
    settings = load_settings({}, config=PROJECT_ROOT / "configs/platform.yaml")
    quotes = {"binance": "USDT", "coinbase": "USD", "kraken": "USD", "okx": "USDT"}
    assert list(settings.exchanges) == list(quotes)
    for name, exchange in settings.exchanges.items():
        assert len(exchange.pairs) == 10
        assert {pair.quote for pair in exchange.pairs} == {quotes[name]}
        assert exchange.timeframes == TIMEFRAMES
        assert exchange.base_url is None


def test_the_demo_config_is_small() -> None:
    settings = load_settings({}, config=PROJECT_ROOT / "configs/demo.yaml", now=NOW)
    assert list(settings.exchanges) == ["binance", "coinbase", "kraken", "okx"]
    for exchange in settings.exchanges.values():
        assert len(exchange.pairs) == 2
        assert exchange.timeframes == TIMEFRAMES
        assert exchange.first_period == Period(2026, 2)


def test_the_variable_names_the_config(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(SMALL)
    assert load_settings({"DATA_PLATFORM_CONFIG": str(path)}).config_path == path
    with pytest.raises(ConfigError, match=r"DATA_PLATFORM_CONFIG=.*absent\.yaml: there is no"):
        load_settings({"DATA_PLATFORM_CONFIG": str(tmp_path / "absent.yaml")})


def test_without_a_variable_the_current_folder_is_asked_before_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings({}).config_path == PROJECT_ROOT / "configs/platform.yaml"
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/platform.yaml").write_text(SMALL)
    assert load_settings({}).config_path == tmp_path / "configs/platform.yaml"


def test_the_data_root_is_absolute_and_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(tmp_path, SMALL).data_root == tmp_path / "data"
    assert load(tmp_path, SMALL, {"DATA_PLATFORM_DATA": "lake"}).data_root == tmp_path / "lake"
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="DATA_PLATFORM_DATA=file: expected a folder"):
        load(tmp_path, SMALL, {"DATA_PLATFORM_DATA": "file"})


def test_the_simulator_takes_the_place_of_every_base_url(tmp_path: Path) -> None:
    text = SMALL + "    base_url: http://example.org\n  okx:\n    pairs: [BTC/USDT]\n"
    environ = {"DATA_PLATFORM_SIMULATOR": "http://127.0.0.1:9100/"}
    exchanges = load(tmp_path, text, environ).exchanges
    assert exchanges["binance"].base_url == "http://127.0.0.1:9100/binance"
    assert exchanges["okx"].base_url == "http://127.0.0.1:9100/okx"
    with pytest.raises(ConfigError, match="DATA_PLATFORM_SIMULATOR: not an address of a server"):
        load(tmp_path, text, {"DATA_PLATFORM_SIMULATOR": "localhost"})


def test_the_state_lies_beside_the_lake_unless_named(tmp_path: Path) -> None:
    environ = {"DATA_PLATFORM_DATA": str(tmp_path / "lake")}
    assert load(tmp_path, SMALL, environ).state_url == f"sqlite:///{tmp_path}/lake/state.db"
    named = {"DATA_PLATFORM_STATE": "postgresql+psycopg://user:pw@host/name"}
    assert load(tmp_path, SMALL, named).state_url == "postgresql+psycopg://user:pw@host/name"


def test_a_wrong_state_url_is_refused_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="DATA_PLATFORM_STATE: not a SQLAlchemy URL") as caught:
        load(tmp_path, SMALL, {"DATA_PLATFORM_STATE": "user:canary@host"})
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("name", ["CONFIG", "DATA", "SIMULATOR", "STATE"])
def test_an_empty_variable_is_refused(name: str) -> None:
    variable = f"DATA_PLATFORM_{name}"
    with pytest.raises(ConfigError, match=f"{variable} is set but empty"):
        load_settings({variable: " "})


def test_thresholds_come_from_the_file_beside_the_config(tmp_path: Path) -> None:
    shipped = load(tmp_path, SMALL).thresholds.limits.general
    assert shipped["no_long_gaps"].limits["1m"] == 5
    (tmp_path / "thresholds.yaml").write_text("checks:\n  days_complete: {share: 0.5}\n")
    own = load(tmp_path, SMALL).thresholds.limits.general
    assert own == {"days_complete": Change({"share": 0.5})}


def test_an_exception_for_an_exchange_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    rule = "{no_price_jumps: {severity: error}}"
    (tmp_path / "thresholds.yaml").write_text(
        f"checks: {{}}\nseries:\n  kraken/*/*: {rule}\n  krakn/*/*: {rule}\n"
    )
    with pytest.raises(ConfigError, match=r"thresholds.yaml:4: .*exchange 'krakn' is unknown"):
        load(tmp_path, SMALL)


def test_the_project_ships_a_feature_set() -> None:
    settings = load_settings({}, config=PROJECT_ROOT / "configs/platform.yaml")
    assert [feature_set.key for feature_set in settings.feature_sets] == ["base-v1"]


def test_a_feature_set_may_use_indicators_that_are_not_stored(tmp_path: Path) -> None:
    text = "exchanges: {okx: {pairs: [BTC/USDT]}}\nindicators: [rsi_14]\n"
    (tmp_path / "features").mkdir()
    (tmp_path / "features/mine.yaml").write_text("name: mine\nversion: 1\nindicators: [ema_7]\n")
    assert load(tmp_path, text).feature_sets == (FeatureSet("mine", 1, indicators=("ema_7",)),)


def test_several_sets_and_versions_stand_side_by_side_and_none_twice(tmp_path: Path) -> None:
    text = "exchanges: {okx: {pairs: [BTC/USDT]}}\n"
    folder = tmp_path / "features"
    folder.mkdir()
    for name, version in (("mine", 2), ("mine-v1", 1), ("other", 1)):
        word = name.partition("-")[0]
        (folder / f"{name}.yaml").write_text(f"name: {word}\nversion: {version}\n")
    keys = [one.key for one in load(tmp_path, text).feature_sets]
    assert keys == ["mine-v1", "mine-v2", "other-v1"]
    (folder / "mine-v2.yaml").write_text("name: mine\nversion: 2\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml:2: version: mine-v2 stands in another"):
        load(tmp_path, text)


def test_a_market_of_a_feature_set_must_be_configured(tmp_path: Path) -> None:
    text = "exchanges: {okx: {pairs: [BTC/USDT]}}\n"
    (tmp_path / "features").mkdir()
    one = "name: mine\nversion: 1\nmarkets: {eth: {pair: ETH/USDT, returns: [1]}}\n"
    (tmp_path / "features/mine.yaml").write_text(one)
    with pytest.raises(ConfigError, match=r"mine\.yaml:3: markets.eth.pair: ETH/USDT is not"):
        load(tmp_path, text)


def test_a_folder_without_feature_sets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    with pytest.raises(ConfigError, match="expected at least one feature set"):
        load(tmp_path, SMALL)


def test_an_unknown_indicator_is_refused_with_the_accepted_ones(tmp_path: Path) -> None:
    message = refusal(tmp_path, SMALL + "indicators:\n  - rsi_14\n  - rsi\n  - foo_3\n")
    assert message.startswith("6: indicators[1]: indicator 'rsi' is not `rsi_<")
    message = refusal(tmp_path, SMALL + "indicators: [foo_3]\n")
    assert message.startswith("4: indicators[0]: unknown indicator 'foo_3'. Accepted: sma_<")


def test_a_folder_without_read_permission_is_no_traceback(tmp_path: Path) -> None:
    shutil.copy(PROJECT_ROOT / "configs/demo.yaml", tmp_path / "platform.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings({}, config=tmp_path / "platform.yaml" / "inner.yaml")


def test_the_instance_lies_in_the_current_folder_unless_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert dagster_home({}) == tmp_path / ".dagster"
    assert dagster_home({"DAGSTER_HOME": "/srv/home"}) == Path("/srv/home")
    with pytest.raises(ConfigError, match="DAGSTER_HOME=home: expected an absolute path"):
        dagster_home({"DAGSTER_HOME": "home"})


def test_a_worker_works_with_the_same_settings_wherever_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"DATA_PLATFORM_SIMULATOR": "http://127.0.0.1:9100", "DATA_PLATFORM_DATA": "lake"}
    settings = load(tmp_path, SMALL, given)
    passed = worker_environment(settings, given)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert passed["DAGSTER_HOME"] == str(tmp_path / ".dagster")
    assert load_settings(passed, now=NOW) == settings
