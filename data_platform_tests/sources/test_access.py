from datetime import timedelta

from data_platform.domain.exchanges import exchange_row
from data_platform.sources.access import Access


def test_key_is_not_shown() -> None:
    access = Access(exchange_row("okx"), requests_per_minute=60, api_key="canary-4711")
    assert "canary" not in repr(access)


def test_address_names_the_url_without_its_query() -> None:
    access = Access(exchange_row("okx"), 60, base_url="http://127.0.0.1:9100/okx?token=canary")
    assert access.address == "OKX at http://127.0.0.1:9100/okx"


def test_address_of_the_exchange_itself_needs_no_url() -> None:
    assert Access(exchange_row("okx"), 60).address == "OKX at its own address"


def test_class_in_ccxt_may_differ_from_our_name() -> None:
    assert Access(exchange_row("spot", "binance"), 60).ccxt_id == "binance"
    assert Access(exchange_row("okx"), 60).ccxt_id == "okx"


def test_defaults_are_those_of_the_config() -> None:
    access = Access(exchange_row("okx"), 60)
    assert (access.timeout, access.grace) == (timedelta(seconds=30), timedelta(seconds=5))
    assert access.retry.tries == 3
