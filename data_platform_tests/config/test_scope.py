from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_platform.config.exchanges import ExchangeSettings
from data_platform.config.scope import to_lines, to_neighbourhood, to_rules, to_scope
from data_platform.converters import CONVERTERS
from data_platform.domain.markets import Pair
from data_platform.operations.due import FreshnessLimits
from data_platform.operations.missing import History
from data_platform.settings import Settings, load_settings

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "platform.yaml"
    path.write_text(
        "exchanges:\n"
        "  binance:\n"
        "    {pairs: [BTC/USDT], start: 2024-01-01, timeframes: [1h, 4h, 1d], derive: {4h: 1h},"
        " pair_start: {BTC/USDT: 2025-01-01}, grace: 7s}\n"
    )
    return load_settings({}, config=path, now=NOW)


@pytest.fixture
def exchange(settings: Settings) -> ExchangeSettings:
    return settings.exchanges["binance"]


def test_rules_are_what_is_configured(settings: Settings, exchange: ExchangeSettings) -> None:
    rules = settings.rules_of(exchange)
    assert rules == to_rules(exchange, settings.thresholds.limits)
    assert rules.starts == {Pair("BTC/USDT"): datetime(2025, 1, 1, tzinfo=UTC)}
    assert (rules.exchange.name, rules.grace.total_seconds()) == ("binance", 7)
    assert rules.compare_from is None


def test_a_scope_names_what_is_fetched_and_what_is_made(
    settings: Settings, exchange: ExchangeSettings
) -> None:
    scope = settings.scope_of(exchange)
    assert [each.name for each in scope.fetched] == ["1h", "1d"]
    layers = {each.name: [it.layer for it in made] for each, made in scope.recipes.items()}
    assert layers["1h"] == ["filled", "indicators", "features"]
    assert layers["4h"] == ["ohlcv", "filled", "indicators", "features"]
    assert list(scope.converters) == list(CONVERTERS)
    assert scope.starts == exchange.starts


def test_a_scope_has_one_recipe_for_each_feature_set(
    settings: Settings, exchange: ExchangeSettings
) -> None:
    lines = to_lines([exchange], settings.thresholds.limits, settings.indicators)
    scope = to_scope(exchange, lines, settings.indicators, ())
    assert [it.layer for it in scope.recipes[exchange.timeframes[0]]] == ["filled", "indicators"]


def test_scores_are_made_of_what_is_configured(
    settings: Settings, exchange: ExchangeSettings
) -> None:
    rules = settings.score_rules_of(exchange)
    assert rules.history == History("flat", exchange.starts)
    assert rules.fresh == FreshnessLimits(
        timedelta(seconds=7), timedelta(minutes=5), settings.thresholds.limits
    )
    assert rules.profiles == settings.thresholds.profiles


def test_a_neighbourhood_holds_an_exchange_against_all_others(tmp_path: Path) -> None:
    path = tmp_path / "platform.yaml"
    path.write_text(
        "exchanges:\n"
        "  coinbase: {pairs: [BTC/USD], timeframes: [1m, 1h, 4h]}\n"
        "  okx: {pairs: [BTC/USDT, ETH/USDT], timeframes: [1h]}\n"
    )
    settings = load_settings({}, config=path, now=NOW)
    exchanges, limits = settings.exchanges, settings.thresholds.limits
    found = to_neighbourhood(exchanges["coinbase"], exchanges.values(), limits)
    assert [str(it) for it in found.own] == [f"coinbase/BTC-USD/{it}" for it in ("1m", "1h", "4h")]
    assert [each.name for each in found.derived] == ["4h"]
    assert [str(it) for it in found.others] == ["okx/BTC-USDT/1h", "okx/ETH-USDT/1h"]
    assert found.standards == limits
