from datetime import UTC, datetime, timedelta

from data_platform.domain.exchanges import exchange_row
from data_platform.domain.markets import Pair, Series
from data_platform.domain.timeframes import to_timeframe
from data_platform.sources.access import Access
from data_platform.sources.base import AnswerTimes, CandleSource, FetchRequest, Window
from data_platform.sources.ccxt_source import CcxtSource

START = datetime(2024, 1, 1, tzinfo=UTC)


def test_ccxt_source_is_a_source_of_candles() -> None:
    source: CandleSource = CcxtSource(Access(exchange_row("okx"), 60))
    assert source.requests_made == 0
    assert source.answer_times == AnswerTimes()
    source.close()


def test_equal_requests_are_one_key() -> None:
    series = Series("okx", Pair("BTC/USDT"), to_timeframe("1h"))
    end = START + timedelta(hours=1)
    assert len({FetchRequest(series, START, end), FetchRequest(series, START, end)}) == 1


def test_window_that_did_not_fail_has_no_error() -> None:
    assert Window(START, START + timedelta(hours=1), "answered", START).error is None
