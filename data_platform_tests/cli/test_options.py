from datetime import UTC, datetime

import click
import pytest
from click.testing import CliRunner

from data_platform.cli.options import DAY, PAIR, TIMEFRAME, WORD, ParsedType
from data_platform.domain.markets import Pair
from data_platform.domain.timeframes import to_timeframe


@pytest.mark.parametrize(
    ("kind", "text", "meant"),
    [
        (PAIR, "btcusdt", Pair("BTC/USDT")),
        (WORD, "OKX", "OKX"),
        (TIMEFRAME, "4H", to_timeframe("4h")),
        (DAY, "2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
    ],
)
def test_what_is_typed_becomes_what_is_meant(kind: ParsedType, text: str, meant: object) -> None:
    assert kind.convert(text, None, None) == meant
    assert kind.convert(meant, None, None) == meant


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (PAIR, "ARBUSD", "could be AR/BUSD, ARB/USD"),
        (TIMEFRAME, "2h", "Accepted: 1m, 5m, 15m, 1h, 4h, 1d"),
        (TIMEFRAME, "1h,4h", "'1h,4h': one at a time; give the option again for the next."),
        (WORD, "okx,kraken", "'okx,kraken': one at a time; give the option again for the next."),
        (DAY, "1.2.2024", "Accepted: a day in UTC like 2021-01-31"),
    ],
)
def test_what_means_nothing_is_wrong_use(kind: ParsedType, text: str, reason: str) -> None:
    @click.command()
    @click.option("--it", type=kind)
    def command(it: object) -> None:
        raise AssertionError(it)

    done = CliRunner().invoke(command, ["--it", text])
    assert done.exit_code == 2
    assert reason in done.stderr
