import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import ccxt
import pytest

from data_platform.domain.errors import (
    GarbageError,
    PermanentError,
    RefusedError,
    SourceError,
    TransientError,
    UnknownPairError,
)
from data_platform.domain.exchanges import exchange_row
from data_platform.sources.access import Access
from data_platform.sources.ccxt_client import CcxtClient
from data_platform.sources.faults import (
    Reply,
    caught_errors,
    retry_after,
    to_fault,
    to_public,
)
from data_platform_tests.sources import wire as scripted
from data_platform_tests.sources.wire import Wire, access_to, wire_server

ACCESS = Access(exchange_row("okx"), 60, base_url="http://127.0.0.1:9100/okx", api_key="canary-47")


def kind_of(error: Exception, status: int | None) -> type[SourceError]:
    return type(to_fault(error, Reply(status=status), ACCESS, "okx/BTC-USDT/1m").error)


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
        (ccxt.BadSymbol("binance -1121 Invalid symbol."), 400, UnknownPairError),
        (ccxt.ExchangeError('kraken {"error":["EQuery:Unknown asset pair"]}'), 200,
         UnknownPairError),
        (ccxt.ExchangeError("coinbase product BTC-USD is delisted"), 400, UnknownPairError),
        (ccxt.ExchangeError("invalid granularity"), 400, PermanentError),
        (ccxt.ExchangeError('coinbase {"error":"NOT_FOUND"}'), 404, PermanentError),
        (ccxt.BadRequest("okx 51000 parameter error"), 200, PermanentError),
        (ccxt.ExchangeNotAvailable("404 <html>nginx</html>"), 404, PermanentError),
        (ccxt.ExchangeError('bybit {"retCode":10016,"retMsg":"Server maintenance"}'), 200,
         TransientError),
        (ccxt.ExchangeError('coinbase {"error":"internal_server_error"}'), 500, TransientError),
        (ccxt.OnMaintenance("okx 50001"), 200, TransientError),
        (ccxt.OperationFailed("binance -1000"), 500, TransientError),
        (ccxt.ExchangeNotAvailable("503"), 503, TransientError),
        (ccxt.ExchangeError('okx {"code":"1","msg":"unknown instrument"}'), 500, TransientError),
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
def test_r15_every_error_has_its_class(
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
    message = str(to_fault(error, Reply(), ACCESS, "okx/BTC-USDT/1m").error)
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


def test_date_of_retry_after_counts_from_the_answers_own_date() -> None:
    headers = {
        "Date": "Fri, 01 Mar 2024 12:00:30 GMT",
        "Retry-After": "Fri, 01 Mar 2024 12:01:00 GMT",
    }
    wrong = datetime(2031, 1, 1, tzinfo=UTC)
    assert retry_after(headers, wrong) == 30.0


def test_without_retry_after_nothing_is_asked() -> None:
    assert retry_after({"Content-Type": "text/html"}) is None


# What each exchange sends, over HTTP: its class, and what is done about it. `again`: three
# attempts; `at once`: one; a number: one, and then nobody asks for so many seconds, or until then.
AGAIN, AT_ONCE, TEN_MINUTES, QUARTER, IN_2033 = "again", "at once", 600, 900, 2_000_000_000
WORDS: list[tuple[str, int, str, type[SourceError], str | int]] = [
    ("binance", 429, '{"code":-1003,"msg":"Too many requests."}', RefusedError, AGAIN),
    ("binance", 418, '{"code":-1003,"msg":"IP banned until 2000000000000. Please use WebSocket."}',
     RefusedError, IN_2033),
    ("binance", 403, "<html>WAF</html>", PermanentError, AT_ONCE),
    ("binance", 451, '{"code":0,"msg":"restricted"}', PermanentError, AT_ONCE),
    ("binance", 400, '{"code":-1121,"msg":"Invalid symbol."}', UnknownPairError, AT_ONCE),
    ("binance", 400, '{"code":-1120,"msg":"Invalid interval."}', PermanentError, AT_ONCE),
    ("binance", 500, '{"code":-1000,"msg":"unknown"}', TransientError, AGAIN),
    ("binance", 503, '{"code":-1008,"msg":"Server is busy"}', TransientError, AGAIN),
    ("binance", 504, "", TransientError, AGAIN),
    ("kraken", 200, '{"error":["EQuery:Unknown asset pair"]}', UnknownPairError, AT_ONCE),
    ("kraken", 200, '{"error":["EGeneral:Too many requests"]}', RefusedError, AGAIN),
    ("kraken", 200, '{"error":["EAPI:Rate limit exceeded"]}', RefusedError, AGAIN),
    ("kraken", 200, '{"error":["EGeneral:Temporary lockout"]}', RefusedError, QUARTER),
    ("kraken", 200, '{"error":["EService:Unavailable"]}', TransientError, AGAIN),
    ("kraken", 200, '{"error":["EService:Busy"]}', TransientError, AGAIN),
    ("kraken", 200, '{"error":["EService:Timeout"]}', TransientError, AGAIN),
    ("kraken", 200, '{"error":["EGeneral:Internal error"]}', TransientError, AGAIN),
    ("kraken", 200, '{"error":["EGeneral:Invalid arguments"]}', PermanentError, AT_ONCE),
    ("kraken", 520, "<html>", TransientError, AGAIN),
    ("coinbase", 404, '{"error":"NOT_FOUND","message":"valid product_id is required"}',
     UnknownPairError, AT_ONCE),
    ("coinbase", 429, '{"error":"RESOURCE_EXHAUSTED","message":"quota"}', RefusedError, AGAIN),
    ("coinbase", 429, "slow down", RefusedError, AGAIN),
    ("coinbase", 500, '{"error":"INTERNAL","message":"internal error"}', TransientError, AGAIN),
    ("coinbase", 200, '{"error":"unavailable","message":"scheduled maintenance"}',
     TransientError, AGAIN),
    ("coinbase", 400, '{"error":"INVALID_ARGUMENT","message":"should be less than 350"}',
     PermanentError, AT_ONCE),
    ("coinbase", 401, "Unauthorized", PermanentError, AT_ONCE),
    ("okx", 200, '{"code":"50001","msg":"Service temporarily unavailable","data":[]}',
     TransientError, AGAIN),
    ("okx", 503, '{"code":"50001","msg":"Service temporarily unavailable","data":[]}',
     TransientError, AGAIN),
    ("okx", 429, '{"code":"50011","msg":"Too Many Requests","data":[]}', RefusedError, AGAIN),
    ("okx", 200, '{"code":"50011","msg":"Too Many Requests","data":[]}', RefusedError, AGAIN),
    ("okx", 200, '{"code":"50013","msg":"Systems are busy","data":[]}', TransientError, AGAIN),
    ("okx", 200, '{"code":"50004","msg":"Endpoint request timeout","data":[]}',
     TransientError, AGAIN),
    ("okx", 200, '{"code":"51001","msg":"Instrument ID does not exist","data":[]}',
     UnknownPairError, AT_ONCE),
    ("okx", 200, '{"code":"51000","msg":"Parameter bar error","data":[]}', PermanentError, AT_ONCE),
    ("okx", 500, '{"code":"59999","msg":"x"}', TransientError, AGAIN),
    ("okx", 403, "<html>", PermanentError, AT_ONCE),
    ("bybit", 403, "access too frequent", RefusedError, TEN_MINUTES),
    ("bybit", 403, '{"retCode":10006,"retMsg":"access too frequent"}', RefusedError, TEN_MINUTES),
    ("bybit", 403, "<html>configured to block access from your country</html>",
     PermanentError, AT_ONCE),
    ("bybit", 200, '{"retCode":10006,"retMsg":"Too many visits!"}', RefusedError, AGAIN),
    ("bybit", 200, '{"retCode":10018,"retMsg":"Exceeded the IP rate limit"}', RefusedError, AGAIN),
    ("bybit", 200, '{"retCode":10429,"retMsg":"System level frequency protection"}',
     RefusedError, AGAIN),
    ("bybit", 200, '{"retCode":10016,"retMsg":"Server error."}', TransientError, AGAIN),
    ("bybit", 200, '{"retCode":10000,"retMsg":"Server Timeout"}', TransientError, AGAIN),
    ("bybit", 500, '{"retCode":99,"retMsg":"x"}', TransientError, AGAIN),
    ("bybit", 200, '{"retCode":10001,"retMsg":"Not supported symbols"}', UnknownPairError, AT_ONCE),
    ("bybit", 200, '{"retCode":10024,"retMsg":"Compliance rules triggered"}',
     PermanentError, AT_ONCE),
    ("kucoin", 429, '{"code":"429000","msg":"Too many requests"}', RefusedError, AGAIN),
    ("kucoin", 200, '{"code":"200002","msg":"Exceeded the access frequency"}', RefusedError, AGAIN),
    ("kucoin", 200, '{"code":"400100","msg":"Unsupported trading pair."}',
     UnknownPairError, AT_ONCE),
    ("kucoin", 200, '{"code":"900001","msg":"symbol not exists"}', UnknownPairError, AT_ONCE),
    ("kucoin", 200, '{"code":"500000","msg":"Internal Server Error"}', TransientError, AGAIN),
    ("kucoin", 200, '{"code":"230005","msg":"system error"}', TransientError, AGAIN),
    ("kucoin", 500, '{"code":"x"}', TransientError, AGAIN),
    ("kucoin", 200, '{"code":"400302","msg":"Our services are currently unavailable in the U.S."}',
     PermanentError, AT_ONCE),
    *[(name, 200, body, GarbageError, AGAIN)
      for name in ("binance", "bybit", "coinbase", "kraken", "kucoin", "okx")
      for body in ("", "<html>Just a moment...</html>", "NaN", '{"code":"0","data":[{"ts"')],
]  # fmt: skip


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with wire_server() as server:
        yield server


@pytest.mark.parametrize(
    ("exchange", "status", "body", "kind", "decision"),
    WORDS,
    ids=[f"{row[0]}-{row[1]}-{row[2][:40]}" for row in WORDS],
)
def test_r15_what_an_exchange_says_over_http_has_one_class_and_one_decision(
    wire: Wire, exchange: str, status: int, body: str, kind: type[SourceError], decision: str | int
) -> None:
    wire.anything = scripted.Reply(body, status)
    wire.paths.clear()

    async def ask() -> SourceError:
        client = CcxtClient(access_to(wire.url, exchange_row(exchange)))
        try:
            with pytest.raises(SourceError) as caught:
                await client.now()
        finally:
            await client.close()
        return caught.value

    error = asyncio.run(ask())
    assert type(error) is kind
    assert len(wire.paths) == (3 if decision == AGAIN else 1)
    if isinstance(decision, int):
        assert isinstance(error, RefusedError)
        assert error.until
        until = decision if decision == IN_2033 else time.time() + decision
        assert error.until.timestamp() == pytest.approx(until, abs=30)


def test_key_is_taken_out_however_an_answer_spells_it() -> None:
    access = Access(exchange_row("okx"), 60, api_key='k/e+y="<47>"')
    spelled = (
        'k/e+y="<47>" k/e+y=\\"<47>\\" k\\/e+y=\\"<47>\\" k/e%2By%3D%22%3C47%3E%22 '
        "k%2Fe%2By%3D%22%3C47%3E%22 k/e+y=&quot;&lt;47&gt;&quot;"
    )
    assert to_public(spelled, access) == "*** *** *** *** *** ***"
