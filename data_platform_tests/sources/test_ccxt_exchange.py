import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from data_platform.domain.errors import PermanentError
from data_platform.domain.exchanges import exchange_row
from data_platform.sources.access import Access
from data_platform.sources.ccxt_exchange import close_exchange, holds_empty_list, open_exchange

URL = "http://127.0.0.1:9100/prefix"
NOW = datetime(2024, 3, 1, tzinfo=UTC)


def opened(name: str, base_url: str | None = URL, api_key: str | None = None) -> Any:  # noqa: ANN401
    async def run() -> object:
        access = Access(exchange_row(name), 60, base_url=base_url, api_key=api_key)
        exchange = open_exchange(access, lambda: NOW)
        await close_exchange(exchange)
        return exchange

    return asyncio.run(run())


def strings_of(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in strings_of(inner)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("name", ["binance", "coinbase", "kraken", "okx", "bybit", "kucoin"])
def test_every_address_is_replaced_and_every_path_kept(name: str) -> None:
    own, moved = opened(name, None), opened(name)
    before, after = strings_of(own.urls["api"]), strings_of(moved.urls["api"])
    assert len(before) == len(after) > 0
    for old, new in zip(before, after, strict=True):
        path = "/".join(old.split("/")[3:])
        assert new == f"{URL}/{path}".rstrip("/") or new == f"{URL}/{path}"
    assert moved.urls["api"].keys() == own.urls["api"].keys()


@pytest.mark.parametrize("name", ["binance", "okx", "bybit", "kucoin"])
def test_only_spot_markets_are_loaded(name: str) -> None:
    assert opened(name).options["fetchMarkets"]["types"] == ["spot"]


@pytest.mark.parametrize("name", ["binance", "coinbase", "kraken", "okx"])
def test_limiter_clock_and_currencies_are_ours(name: str) -> None:
    exchange = opened(name)
    assert exchange.enableRateLimit is False
    assert exchange.has["fetchCurrencies"] is False
    assert exchange.milliseconds() == int(NOW.timestamp() * 1000)


def test_key_alone_opens_no_private_endpoint() -> None:
    for name in ("binance", "coinbase", "kraken", "okx"):
        exchange = opened(name, api_key="key")
        assert exchange.apiKey == "key"
        assert exchange.check_required_credentials(False) is False


def test_unknown_class_is_refused() -> None:
    for name in ("nowhere", "Exchange", "errors"):
        with pytest.raises(PermanentError, match="ccxt_id"):
            opened(name)


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"candles": []},
        {"code": "0", "msg": "", "data": []},
        {"error": [], "result": {"XXBTZUSD": [], "last": 1}},
        {"result": {"list": []}},
    ],
)
def test_exchange_that_says_no_candles_is_believed(answer: object) -> None:
    assert holds_empty_list(answer)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"candles": None},
        {"error": [], "result": {"last": 1}},
        {"errors": []},
        {"data": ""},
        [[1, 2]],
        "[]",
    ],
)
def test_anything_else_is_not_taken_for_no_candles(answer: object) -> None:
    assert not holds_empty_list(answer)
