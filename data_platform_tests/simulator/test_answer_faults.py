"""What each fault of single answers puts on the wire, byte by byte."""

import gzip
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import pytest

from data_platform.simulator.answer_faults import ANSWER_FAULTS
from data_platform.simulator.server import Simulator, run_simulator
from data_platform_tests.simulator.raw_http import RawAnswer, candles, get
from data_platform_tests.simulator.simulated import NOW, config, ms

START = ms(NOW) // 60_000 * 60_000 - 3_600_000


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with run_simulator(config()) as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Iterator[Simulator]:
    yield running
    running.faults.clear()


def struck(
    simulator: Simulator, name: str, exchange: str = "binance", **options: object
) -> RawAnswer:
    simulator.faults.add(name, exchange=exchange, **options)
    return candles(simulator.url, exchange, limit=3)


def healthy(simulator: Simulator) -> bytes:
    answer = candles(simulator.url, "binance", limit=3)
    assert (answer.status, answer.ending) == (200, "whole")
    return answer.body


def is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def test_every_fault_has_a_test_here() -> None:
    tests = " ".join(name for name in globals() if name.startswith("test_"))
    assert [fault.name for fault in ANSWER_FAULTS if f"test_{fault.name}_" not in tests] == []


def test_http_500_is_plain_text(simulator: Simulator) -> None:
    answer = struck(simulator, "http_500")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_http_502_html_is_a_gateways_page(simulator: Simulator) -> None:
    answer = struck(simulator, "http_502_html")
    assert answer.status == 502
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"<h1>502 Bad Gateway</h1>" in answer.body


def test_http_503_html_is_a_page(simulator: Simulator) -> None:
    answer = struck(simulator, "http_503_html")
    assert answer.status == 503
    assert answer.body.startswith(b"<html>")


@pytest.mark.parametrize(
    ("exchange", "body"),
    [
        (
            "binance",
            {
                "code": -1001,
                "msg": "Internal error; unable to process your request. Please try again.",
            },
        ),
        (
            "bybit",
            {
                "retCode": 10016,
                "retMsg": "System error. Please try again later.",
                "result": {},
                "retExtInfo": {},
                "time": 0,
            },
        ),
        (
            "coinbase",
            {
                "errors": [
                    {
                        "id": "internal_server_error",
                        "message": "An error has occurred. If this problem persists, please "
                        "contact support.",
                    }
                ]
            },
        ),
        ("kraken", {"error": ["EGeneral:Internal error"]}),
        ("okx", {"code": "63999", "msg": "Internal system error", "data": []}),
    ],
)
def test_http_500_json_is_the_exchanges_own(
    simulator: Simulator, exchange: str, body: object
) -> None:
    answer = struck(simulator, "http_500_json", exchange)
    assert (answer.status, json.loads(answer.body)) == (500, body)
    assert answer.headers["Content-Type"] == "application/json"


def test_binance_500_code_1000_is_as_documented(simulator: Simulator) -> None:
    answer = struck(simulator, "binance_500_code_1000")
    assert answer.status == 500
    assert json.loads(answer.body)["code"] == -1000


@pytest.mark.parametrize(
    ("exchange", "said"),
    [
        ("binance", '"code": -1003, "msg": "Too much request weight used; current limit is'),
        ("bybit", "403, access too frequent"),
        ("coinbase", '"id": "rate_limit_exceeded", "message": "Too many requests"'),
        ("kraken", '{"error": ["EGeneral:Too many requests"]}'),
        ("okx", '{"code": "50011", "msg": "Too Many Requests", "data": []}'),
    ],
)
def test_http_429_has_no_retry_after(simulator: Simulator, exchange: str, said: str) -> None:
    answer = struck(simulator, "http_429", exchange)
    assert answer.status == 429
    assert "Retry-After" not in answer.headers
    assert said in answer.body.decode()


def test_http_429_retry_after_is_in_whole_seconds(simulator: Simulator) -> None:
    answer = struck(simulator, "http_429_retry_after", seconds=1.2)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "2")


def test_http_429_retry_date_is_an_http_date(simulator: Simulator) -> None:
    answer = struck(simulator, "http_429_retry_date", seconds=30)
    until = parsedate_to_datetime(answer.headers["Retry-After"])
    assert answer.headers["Retry-After"].endswith(" GMT")
    assert timedelta(seconds=28) < until - datetime.now(UTC) <= timedelta(seconds=31)


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
def test_http_418_ban_holds_for_everything_until_it_has_passed(exchange: str) -> None:
    with run_simulator(config()) as simulator:
        simulator.faults.add("http_418_ban", exchange=exchange, first=1, seconds=1)
        first = candles(simulator.url, exchange)
        assert (first.status, first.headers["Retry-After"]) == (418, "1")
        again = get(simulator.url, f"{exchange}/0/public/Time", pair="x")
        other = candles(simulator.url, exchange, symbol="LINKUSDT")
        elsewhere = candles(simulator.url, "okx")
        assert (other.status, elsewhere.status) == (418, 200)
        assert again.status == (418 if exchange == "kraken" else 404)
        time.sleep(1.05)
        assert candles(simulator.url, exchange).status == 200
        score = simulator.scorer.scores()[exchange]
        assert score.banned == (3 if exchange == "kraken" else 2)
        assert score.early == score.banned - 1


def test_http_403_html_is_a_firewalls_page(simulator: Simulator) -> None:
    answer = struck(simulator, "http_403_html")
    assert (answer.status, answer.body[:6]) == (403, b"<html>")


def test_http_451_is_plain_text(simulator: Simulator) -> None:
    answer = struck(simulator, "http_451")
    assert answer.status == 451
    assert answer.body == b"Service unavailable from a restricted location"


@pytest.mark.parametrize(
    ("exchange", "status", "said"),
    [
        ("binance", 503, '"msg": "System is under maintenance."'),
        ("bybit", 200, '"retMsg": "The system is under maintenance. Please try again later."'),
        ("coinbase", 503, '"message": "Coinbase is under maintenance"'),
        ("kraken", 200, '"EService:Unavailable"'),
        ("okx", 503, '"code": "50001"'),
    ],
)
def test_maintenance_is_the_exchanges_own(
    simulator: Simulator, exchange: str, status: int, said: str
) -> None:
    answer = struck(simulator, "maintenance", exchange)
    assert answer.status == status
    assert said in answer.body.decode()


def test_maintenance_window_refuses_every_endpoint_from_its_start_to_its_end() -> None:
    moment = [NOW]
    with run_simulator(config(clock=lambda: moment[0])) as simulator:
        end = NOW + timedelta(minutes=5)
        simulator.faults.add("maintenance", exchange="okx", since=NOW.isoformat(), until=end)
        seen = []
        for minutes in (-1, 0, 4, 5):
            moment[0] = NOW + timedelta(minutes=minutes)
            answers = [
                candles(simulator.url, "okx"),
                get(simulator.url, "okx/api/v5/public/time"),
                get(simulator.url, "okx/api/v5/public/instruments", instType="SPOT"),
            ]
            seen.append({answer.status for answer in answers})
        assert seen == [{200}, {503}, {503}, {200}]


def test_redirect_leads_to_another_host_that_answers_believably(simulator: Simulator) -> None:
    expected = healthy(simulator)
    answer = struck(simulator, "redirect")
    assert (answer.status, answer.body) == (302, b"")
    target = urlsplit(answer.headers["Location"])
    assert (target.scheme, target.hostname) == ("http", "localhost")
    assert target.hostname != urlsplit(simulator.url).hostname
    there = get(simulator.url, f"{target.path[1:]}?{target.query}")
    assert (there.status, there.body) == (200, expected)
    assert simulator.scorer.scores()["binance"].followed == 1


def test_truncated_json_is_the_first_half_of_a_good_answer(simulator: Simulator) -> None:
    expected = healthy(simulator)
    answer = struck(simulator, "truncated_json")
    assert (answer.status, answer.ending) == (200, "whole")
    assert answer.body == expected[: len(expected) // 2]
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert not is_json(answer.body)


def test_html_200_is_a_page_with_status_200(simulator: Simulator) -> None:
    answer = struck(simulator, "html_200")
    assert answer.status == 200
    assert answer.body.startswith(b"<html>")


def test_empty_body_has_no_byte(simulator: Simulator) -> None:
    answer = struck(simulator, "empty_body")
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
    assert answer.headers["Content-Type"] == "application/json"


def test_bare_nan_is_three_letters(simulator: Simulator) -> None:
    answer = struck(simulator, "bare_nan")
    assert (answer.status, answer.body) == (200, b"NaN")


def test_huge_gzip_unpacks_to_a_valid_answer_of_many_megabytes(simulator: Simulator) -> None:
    expected = healthy(simulator)
    answer = struck(simulator, "huge_gzip", megabytes=20)
    assert (answer.status, answer.headers["Content-Encoding"]) == (200, "gzip")
    assert len(answer.body) < 100_000
    plain = gzip.decompress(answer.body)
    assert len(plain) == 20_000_000 + len(expected)
    assert json.loads(plain) == json.loads(expected)


def test_huge_gzip_is_300_megabytes_by_default_and_made_at_once(simulator: Simulator) -> None:
    begun = time.monotonic()
    answer = struck(simulator, "huge_gzip")
    assert time.monotonic() - begun < 2
    assert int.from_bytes(answer.body[-4:], "little") > 300_000_000


def test_connection_reset_is_an_rst_without_a_byte(simulator: Simulator) -> None:
    answer = struck(simulator, "connection_reset")
    assert (answer.status, answer.body, answer.ending) == (None, b"", "reset")


def test_closed_without_answer_is_a_fin_without_a_byte(simulator: Simulator) -> None:
    answer = struck(simulator, "closed_without_answer")
    assert (answer.status, answer.body, answer.ending) == (None, b"", "closed")


def test_body_cut_short_announces_more_than_it_sends(simulator: Simulator) -> None:
    expected = healthy(simulator)
    answer = struck(simulator, "body_cut_short")
    assert (answer.status, answer.ending) == (200, "closed")
    assert int(answer.headers["Content-Length"]) == len(expected)
    assert answer.body == expected[: len(expected) // 2]


def test_slow_drip_sends_every_byte_in_its_time(simulator: Simulator) -> None:
    simulator.faults.add("slow_drip", exchange="binance", seconds=0.001)
    begun = time.monotonic()
    answer = candles(simulator.url, "binance", limit=1)
    took = time.monotonic() - begun
    assert (answer.status, answer.ending) == (200, "whole")
    assert len(json.loads(answer.body)) == 1
    assert took >= 0.001 * len(answer.body)


def test_slow_drip_of_a_page_lasts_longer_than_a_client_waits(simulator: Simulator) -> None:
    simulator.faults.add("slow_drip", exchange="binance", seconds=0.4)
    answer = candles(simulator.url, "binance", 0.3, limit=1)
    assert (answer.status, answer.ending) == (200, "silent")
    assert 0 < len(answer.body) < 3


def test_stall_sends_nothing_until_the_client_gives_up(simulator: Simulator) -> None:
    simulator.faults.add("stall", exchange="binance")
    answer = candles(simulator.url, "binance", 0.4)
    assert (answer.status, answer.body, answer.ending) == (None, b"", "silent")
    deadline = time.monotonic() + 5
    while simulator.scorer.scores()["binance"].in_flight and time.monotonic() < deadline:
        time.sleep(0.01)
    assert simulator.scorer.scores()["binance"].in_flight == 0, "the stalled answer was given up"
    assert simulator.scorer.log(1)[0]["status"] is None


@pytest.mark.parametrize("seconds", [90, -90.5])
def test_skewed_clock_is_off_while_candles_follow_the_true_one(
    simulator: Simulator, seconds: float
) -> None:
    simulator.faults.add("skewed_clock", exchange="binance", seconds=seconds)
    told = json.loads(get(simulator.url, "binance/api/v3/time").body)["serverTime"]
    assert told == ms(NOW) + round(seconds * 1000)
    newest = json.loads(candles(simulator.url, "binance", limit=1).body)[-1][0]
    assert newest == ms(NOW) // 60_000 * 60_000
