"""What pairs are priced in on each exchange that has a row: a new row needs nothing here."""

from data_platform.domain.exchanges import EXCHANGES

_IN_DOLLARS = {"coinbase": "USD", "kraken": "USD"}

QUOTES = {row.name: _IN_DOLLARS.get(row.name, "USDT") for row in EXCHANGES}
