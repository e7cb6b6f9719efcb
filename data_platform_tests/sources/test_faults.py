from datetime import UTC, datetime

import ccxt
import pytest

from data_platform.domain.errors import (
    GarbageError,
    PermanentError,
    RefusedError,
    SourceError,
    TransientError,
)
from data_platform.domain.exchanges import exchange_row
from data_platform.sources.access import Access
from data_platform.sources.faults import (
    Reply,
    caught_errors,
    retry_after,
    to_public,
    to_source_error,
)

ACCESS = Access(exchange_row("okx"), 60, base_url="http://127.0.0.1:9100/okx", api_key="canary-47")


def kind_of(error: Exception, status: int | None) -> type[SourceError]:
    return type(to_source_error(error, Reply(status=status), ACCESS, "okx/BTC-USDT/1m"))


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (ccxt.DDoSProtection("binance 418 {}"), 418, RefusedError),
        (ccxt.RateLimitExceeded("okx 50011"), 429, RefusedError),
        (ccxt.DDoSProtection("kraken EAPI:Rate limit exceeded"), 200, RefusedError),
        (ccxt.ExchangeNotAvailable("bybit 403 access too frequent"), 403, RefusedError),
        (ccxt.ExchangeNotAvailable("binance 451 {}"), 451, PermanentError),
        (ccxt.RestrictedLocation("binance"), 451, PermanentError),
        (ccxt.ExchangeNotAvailable("403 <html>"), 403, PermanentError),
        (ccxt.AuthenticationError("401"), 401, PermanentError),
        (ccxt.BadSymbol("binance -1121 Invalid symbol."), 400, PermanentError),
        (ccxt.ExchangeError('kraken {"error":["EQuery:Unknown asset pair"]}'), 200, PermanentError),
        (ccxt.ExchangeError('coinbase {"error":"NOT_FOUND"}'), 404, PermanentError),
        (ccxt.BadRequest("okx 51000 parameter error"), 200, PermanentError),
        (ccxt.ExchangeNotAvailable("404 <html>nginx</html>"), 404, PermanentError),
        (ccxt.ExchangeError('bybit {"retCode":10016,"retMsg":"Server maintenance"}'), 200,
         TransientError),
        (ccxt.ExchangeError('coinbase {"error":"internal_server_error"}'), 500, TransientError),
        (ccxt.OnMaintenance("okx 50001"), 200, TransientError),
        (ccxt.OperationFailed("binance -1000"), 500, TransientError),
        (ccxt.ExchangeNotAvailable("503"), 503, TransientError),
        (ccxt.ExchangeNotAvailable("binance GET http://x"), None, TransientError),
        (ccxt.ExchangeError("binance GET http://x"), None, TransientError),
        (ccxt.ExchangeError("okx 59999 never seen"), 200, TransientError),
        (ccxt.RequestTimeout("binance GET http://x"), None, TransientError),
        (TimeoutError(), None, TransientError),
        (ConnectionResetError(), None, TransientError),
        (ccxt.BadResponse("no JSON"), 200, GarbageError),
        (ccxt.NullResponse("null"), 200, GarbageError),
        (AttributeError("'int' object has no attribute 'get'"), 200, GarbageError),
        (KeyError("data"), 200, GarbageError),
    ],
)  # fmt: skip
def test_every_error_has_its_class(
    error: Exception, status: int | None, kind: type[SourceError]
) -> None:
    assert isinstance(error, caught_errors())
    assert kind_of(error, status) is kind


def test_every_class_of_ccxt_is_caught() -> None:
    names = [getattr(ccxt, name) for name in ccxt.errors.__all__ if name[0].isupper()]
    assert len(names) > 30
    assert all(issubclass(it, caught_errors()) for it in names if isinstance(it, type))


def test_message_names_series_address_cause_and_remedy() -> None:
    error = ccxt.ExchangeNotAvailable("okx GET http://127.0.0.1:9100/okx/api?instId=BTC-USDT")
    error.__cause__ = OSError("Connection refused")
    message = str(to_source_error(error, Reply(), ACCESS, "okx/BTC-USDT/1m"))
    for part in ("okx/BTC-USDT/1m", ACCESS.address, "Connection refused", "`base_url`"):
        assert part in message
    assert "instId" not in message


def test_secrets_queries_and_length_are_taken_out() -> None:
    text = f"key canary-47 at https://user:word@host/path?signature=abc {'x' * 500}"
    shown = to_public(text, ACCESS)
    assert shown.startswith("key *** at https://host/path x")
    assert len(shown) < 210


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0.5 ", 0.5),
        ("Fri, 01 Mar 2024 12:01:00 GMT", 60.0),
        ("Fri, 01 Mar 2024 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str, seconds: float | None) -> None:
    now = datetime(2024, 3, 1, 12, tzinfo=UTC)
    assert retry_after({"retry-AFTER": value}, now) == seconds


def test_without_retry_after_nothing_is_asked() -> None:
    assert retry_after({"Content-Type": "text/html"}) is None
