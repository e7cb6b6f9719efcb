"""Run by Freqtrade's own interpreter: backtest given signals, print the trades as JSON.

Arguments: data folder, user folder, pair, timeframe, file of signals, URL of an exchange's API (its
markets are all that Freqtrade asks for).
"""

import contextlib
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

from freqtrade.main import main as freqtrade  # type: ignore[import-not-found]

STRATEGY = """
import json
from pathlib import Path
from freqtrade.strategy import IStrategy

SIGNALS = json.loads(Path({signals!r}).read_text())


class GivenSignals(IStrategy):
    timeframe = {timeframe!r}
    minimal_roi = {{}}
    stoploss = -0.99
    use_exit_signal = True
    startup_candle_count = 0

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        times = dataframe["date"].dt.strftime("%Y-%m-%dT%H:%M:%S+00:00")
        dataframe.loc[times.isin(SIGNALS["entries"]), "enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        times = dataframe["date"].dt.strftime("%Y-%m-%dT%H:%M:%S+00:00")
        dataframe.loc[times.isin(SIGNALS["exits"]), "exit_long"] = 1
        return dataframe
"""


def configure(user: Path, pair: str, api: str) -> Path:
    urls = {"api": dict.fromkeys(("public", "private", "v1"), api)}
    config = {
        "exchange": {
            "name": "binance",
            "pair_whitelist": [pair],
            "ccxt_config": {"urls": urls, "options": {"fetchMarkets": {"types": ["spot"]}}},
        },
        "stake_currency": pair.split("/")[1],
        "stake_amount": 1000,
        "dry_run_wallet": 1_000_000,
        "max_open_trades": 1,
        "trading_mode": "spot",
        "fee": 0,
        "pairlists": [{"method": "StaticPairList"}],
        "entry_pricing": {"price_side": "other", "use_order_book": False},
        "exit_pricing": {"price_side": "other", "use_order_book": False},
        "dataformat_ohlcv": "feather",
    }
    path = user / "config.json"
    path.write_text(json.dumps(config))
    return path


def trades_of(user: Path) -> list[list[Any]]:
    [archive] = (user / "backtest_results").glob("*.zip")
    with zipfile.ZipFile(archive) as file:
        name = next(
            it for it in file.namelist() if it.endswith(".json") and not it.endswith("_config.json")
        )
        content = json.loads(file.read(name))
    trades = content["strategy"]["GivenSignals"]["trades"]
    return [[it["open_date"], it["open_rate"], it["close_date"], it["close_rate"]] for it in trades]


def main(data: str, user: Path, pair: str, timeframe: str, signals: str, api: str) -> None:
    (user / "strategies").mkdir(parents=True)
    strategy = STRATEGY.format(signals=signals, timeframe=timeframe)
    (user / "strategies/given_signals.py").write_text(strategy)
    words = [
        *("backtesting", "--config", str(configure(user, pair, api)), "--userdir", str(user)),
        *("--datadir", data, "--strategy", "GivenSignals", "--timeframe", timeframe),
        *("--export", "trades", "--cache", "none"),
    ]
    # Every command of Freqtrade's ends so; one that has failed leaves no results.
    with contextlib.suppress(SystemExit):
        freqtrade(words)
    sys.stdout.write("\n" + json.dumps(trades_of(user)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
