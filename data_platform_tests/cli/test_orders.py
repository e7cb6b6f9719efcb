from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_platform.cli.orders import Order, Wish, to_orders
from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import Pair
from data_platform.domain.periods import Period
from data_platform.domain.timeframes import TIMEFRAMES, to_timeframe
from data_platform.settings import Settings, load_settings

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
HOUR, FOUR_HOURS = to_timeframe("1h"), to_timeframe("4h")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "platform.yaml"
    path.write_text(
        "exchanges:\n"
        "  okx: {pairs: [BTC/USDT, ETH/USDT], start: 2025-11-20, timeframes: [1h, 4h]}\n"
        "  kraken: {pairs: [BTC/USD], start: 2026-02-01, pair_start: {BTC/USD: 2026-01-05}}\n"
    )
    return load_settings({}, config=path, now=NOW)


def test_an_empty_wish_is_everything(settings: Settings) -> None:
    kraken, okx = to_orders(settings, Wish(), NOW)
    layers = ("ohlcv", "filled", "indicators", "features", "vectorbt", "freqtrade", "nautilus")
    months = (Period(2026, 1), Period(2026, 2), Period(2026, 3))
    assert kraken == Order("kraken", (Pair("BTC/USD"),), TIMEFRAMES, layers, months)
    assert kraken.size == 1 * 6 * 7 * 3
    assert okx.pairs == (Pair("BTC/USDT"), Pair("ETH/USDT"))
    assert okx.timeframes == (HOUR, FOUR_HOURS)
    assert (okx.periods[0], okx.periods[-1], len(okx.periods)) == (*_ends(2025, 11), 5)


def _ends(year: int, month: int) -> tuple[Period, Period]:
    return Period(year, month), Period(2026, 3)


@pytest.mark.parametrize("text", ["ETHUSDT", "eth-usdt", "ETH/USDT"])
def test_a_pair_of_any_spelling_leaves_only_exchanges_that_have_it(
    settings: Settings, text: str
) -> None:
    (order,) = to_orders(settings, Wish(pairs=(text,)), NOW)
    assert (order.exchange, order.pairs) == ("okx", (Pair("ETH/USDT"),))


def test_an_exchange_may_be_typed_in_any_case(settings: Settings) -> None:
    (order,) = to_orders(settings, Wish(exchanges=("OKX", "okx")), NOW)
    assert order.exchange == "okx"


def test_timeframes_and_layers_keep_their_order(settings: Settings) -> None:
    wish = Wish(("okx",), timeframes=(FOUR_HOURS, HOUR), layers=("features", "ohlcv"))
    (order,) = to_orders(settings, wish, NOW)
    assert order.timeframes == (HOUR, FOUR_HOURS)
    assert order.layers == ("ohlcv", "features")


def test_the_wish_to_compare_everything_reaches_every_exchange(settings: Settings) -> None:
    assert [order.full for order in to_orders(settings, Wish(full=True), NOW)] == [True, True]
    assert [order.full for order in to_orders(settings, Wish(), NOW)] == [False, False]


@pytest.mark.parametrize(
    ("start", "end", "months"),
    [
        ((2025, 12, 31), (2026, 1, 1), [(2025, 12)]),
        ((2025, 12, 31), (2026, 1, 2), [(2025, 12), (2026, 1)]),
        ((2020, 1, 1), (2025, 11, 2), [(2025, 11)]),
        ((2026, 3, 1), (2030, 1, 1), [(2026, 3)]),
    ],
)
def test_days_select_their_whole_months_within_the_history(
    settings: Settings,
    start: tuple[int, int, int],
    end: tuple[int, int, int],
    months: list[tuple[int, int]],
) -> None:
    wish = Wish(("okx",), start=datetime(*start, tzinfo=UTC), end=datetime(*end, tzinfo=UTC))
    (order,) = to_orders(settings, wish, NOW)
    assert order.periods == tuple(Period(*month) for month in months)


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (Wish(("binance",)), "exchange 'binance' is unknown here. Accepted: kraken, okx"),
        (Wish(("Kraken", "okxx")), "'okxx' is unknown here. Did you mean okx?"),
        (Wish(pairs=("XRP/USDT",)), "pair 'XRP/USDT' is unknown here. Accepted: BTC/USD, BTC/USDT"),
        (Wish(pairs=("BTC",)), "unknown here"),
        (
            Wish(("okx",), timeframes=(to_timeframe("1m"),)),
            "1m is not configured. Accepted: 1h, 4h",
        ),
        (Wish(layers=("candles",)), "unknown layer 'candles'. Accepted: ohlcv, filled"),
        (
            Wish(start=datetime(2026, 2, 1, tzinfo=UTC), end=datetime(2026, 2, 1, tzinfo=UTC)),
            "--end 2026-02-01 must lie after --start 2026-02-01",
        ),
        (
            Wish(end=datetime(2020, 1, 1, tzinfo=UTC)),
            r"Configured: kraken 2026-01\.\.2026-03, okx 2025-11\.\.2026-03",
        ),
        (Wish(start=datetime(2030, 1, 1, tzinfo=UTC)), "nothing configured is that pair"),
    ],
)
def test_a_wish_that_means_nothing_is_refused(settings: Settings, wish: Wish, reason: str) -> None:
    with pytest.raises(WrongUseError, match=reason):
        to_orders(settings, wish, NOW)
