"""What the entries of a config must agree on: exchanges with one another and with the intervals.

Stays out: what concerns one exchange alone (`exchanges.py`).
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from data_platform.config.exchanges import ExchangeSettings
from data_platform.config.strict_yaml import Document
from data_platform.config.values import spell_duration


def refuse_wrong_backups(document: Document, exchanges: Mapping[str, ExchangeSettings]) -> None:
    """Refuse a backup that is the exchange itself, no exchange of the file, or of no use.

    A pair that the backup does not keep is simply not backed up; where that is so of every pair,
    somebody expects what will not be.

    Raises:
        ConfigError: names file and line.
    """
    for exchange in exchanges.values():
        others = [name for name in exchanges if name != exchange.name]
        if exchange.backup is not None and exchange.backup not in others:
            raise document.error(
                ("exchanges", exchange.name, "backup"),
                f"{exchange.backup!r} is not another exchange of this file. "
                f"Accepted: {', '.join(others) or 'none, there is only one'}.",
            )
        if exchange.backup is not None:
            _refuse_useless_backup(document, exchange, exchanges[exchange.backup])


def _refuse_useless_backup(
    document: Document, exchange: ExchangeSettings, backup: ExchangeSettings
) -> None:
    mine, other = set(exchange.pairs), set(backup.pairs)
    if not mine & other:
        lacking = f"pairs ({', '.join(pair.symbol for pair in backup.pairs)})"
    elif not set(exchange.timeframes) & set(backup.timeframes):
        lacking = f"timeframes ({', '.join(each.name for each in backup.timeframes)})"
    else:
        return
    raise document.error(
        ("exchanges", exchange.name, "backup"),
        f"{backup.name} can lend no candle to {exchange.name}: none of its {lacking} is kept "
        "there. A backup needs the same pair, quote currency included, and timeframe; add one to "
        "either, or drop `backup`.",
    )


def refuse_slow_refresh(
    document: Document, interval: timedelta, exchanges: Iterable[ExchangeSettings]
) -> None:
    """Refuse to ask an exchange so seldom that candles have left its history in between.

    Half of the history at most, so that a run that fails is made good by the next one.

    Args:
        document: the file.
        interval: between two runs that ask for candles.
        exchanges: of the file.

    Raises:
        ConfigError: names file and line.
    """
    for exchange in exchanges:
        finest = exchange.fetched[0]
        reach = exchange.reach(finest)
        if reach is not None and interval > reach / 2:
            raise document.error(
                ("refresh", "candles"),
                f"{exchange.name} has only its newest {exchange.row.history_candles} candles of "
                f"{finest} ({spell_duration(reach)}): at this interval candles would be lost, at "
                f"the latest when one run fails. Accepted: at most {spell_duration(reach / 2)}, "
                f"or no {finest} in its `timeframes`.",
            )
