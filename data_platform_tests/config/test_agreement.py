from pathlib import Path

import pytest

from data_platform.domain.errors import ConfigError
from data_platform.settings import Settings, load_settings


def load(folder: Path, text: str) -> Settings:
    path = folder / "platform.yaml"
    path.write_text(text)
    return load_settings({}, config=path)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return str(caught.value).removeprefix(f"{folder / 'platform.yaml'}:")


@pytest.mark.parametrize(
    ("timeframes", "interval"), [("[1m, 1h]", "6h"), ("[5m]", "30h"), ("[1h, 1d]", "15d")]
)
def test_refresh_may_not_outrun_half_of_a_short_history(
    tmp_path: Path, timeframes: str, interval: str
) -> None:
    text = (
        "exchanges:\n  kraken:\n    pairs: [BTC/USD]\n"
        f"    timeframes: {timeframes}\nrefresh:\n  derived: 1d\n  candles: {interval}\n"
    )
    assert load(tmp_path, text)
    slower = text.replace(f"{interval}\n", f"{interval[:-1]}1{interval[-1]}\n")
    assert refusal(tmp_path, slower).startswith("7: refresh.candles: ")
    assert load(tmp_path, slower.replace("kraken", "okx"))


def test_refusal_of_a_slow_refresh_says_what_would_be_lost(tmp_path: Path) -> None:
    text = (
        "exchanges:\n  binance:\n    pairs: [BTC/USDT]\n"
        "  kraken:\n    pairs: [BTC/USD]\nrefresh: {candles: 1d}\n"
    )
    assert refusal(tmp_path, text) == (
        "6: refresh.candles: kraken has only its newest 720 candles of 1m (12h): at this interval "
        "candles would be lost, at the latest when one run fails. Accepted: at most 6h, or no 1m "
        "in its `timeframes`."
    )


BACKED = """\
exchanges:
  binance:
    backup: okx
    pairs: [BTC/USDT, ETH/USDT]
    timeframes: [1m, 1h]
  okx:
    pairs: [{pairs}]
    timeframes: [{timeframes}]
"""


def test_one_pair_and_timeframe_in_common_are_enough(tmp_path: Path) -> None:
    text = BACKED.format(pairs="ETH/USDT, ETH/USD", timeframes="1h, 4h")
    assert load(tmp_path, text).exchanges["binance"].backup == "okx"


@pytest.mark.parametrize(
    ("pairs", "timeframes", "lacking"),
    [
        ("BTC/USD, ETH/USDC", "1h", "none of its pairs (BTC/USD, ETH/USDC) is kept there"),
        ("BTC/USDT:USDT", "1h", "none of its pairs (BTC/USDT:USDT) is kept there"),
        ("BTC/USDT", "5m, 1d", "none of its timeframes (5m, 1d) is kept there"),
    ],
)
def test_a_backup_that_could_lend_nothing_is_refused_with_its_line(
    tmp_path: Path, pairs: str, timeframes: str, lacking: str
) -> None:
    message = refusal(tmp_path, BACKED.format(pairs=pairs, timeframes=timeframes))
    assert message.startswith("3: exchanges.binance.backup: okx can lend no candle to binance")
    assert lacking in message
    assert "quote currency included" in message
