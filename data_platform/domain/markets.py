"""Pairs, markets and series, and how people, ccxt and paths spell them.

A pair is `BTC/USDT` towards people and ccxt, `BTC-USDT` in partition keys and paths. The mapping
is reversible for every ccxt symbol: whatever is neither a letter, a digit nor `_` is
percent-quoted byte by byte, so no key can leave a folder or hold Dagster's `|` and `...`.
ccxt's symbols: https://docs.ccxt.com/#/README?id=symbols-and-market-ids (read 2026-11-25).
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from data_platform.domain.errors import WrongUseError
from data_platform.domain.timeframes import Timeframe

MAX_KEY_LENGTH = 120
"""Characters of a pair's key: a file name may have 255 bytes, and a suffix has to fit."""

_SAFE = re.compile(r"[A-Za-z0-9_]")


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """What is traded for what, by its ccxt symbol."""

    symbol: str
    """ccxt's unified symbol: `BTC/USDT`, `BTC/USD:BTC-240329`."""

    def __post_init__(self) -> None:
        base, slash, quote = self.symbol.partition("/")
        if not (base and slash and quote):
            raise WrongUseError(
                f"pair {self.symbol!r} is not `BASE/QUOTE`; write it as ccxt does: BTC/USDT."
            )
        if len(self.key) > MAX_KEY_LENGTH:
            raise WrongUseError(
                f"pair {self.symbol[:40]!r}... has a key of {len(self.key)} characters, "
                f"at most {MAX_KEY_LENGTH} fit a path."
            )

    @property
    def base(self) -> str:
        """Return what is traded: `BTC`."""
        return self.symbol.partition("/")[0]

    @property
    def quote(self) -> str:
        """Return what it is priced in: `USDT` (without a derivative's settlement part)."""
        return self.symbol.partition("/")[2].partition(":")[0]

    @property
    def key(self) -> str:
        """Return the spelling in partition keys and paths: `BTC-USDT`."""
        base, _, quote = self.symbol.partition("/")
        return f"{_quote(base)}-{_quote(quote)}"

    def __str__(self) -> str:
        return self.symbol


@dataclass(frozen=True, slots=True, order=True)
class Market:
    """One pair on one exchange."""

    exchange: str
    """Our name of the exchange, as in the config."""
    pair: Pair

    def __str__(self) -> str:
        return f"{self.exchange}/{self.pair.key}"


@dataclass(frozen=True, slots=True)
class Series:
    """One exchange x pair x timeframe."""

    exchange: str
    """Our name of the exchange, as in the config."""
    pair: Pair
    timeframe: Timeframe

    @property
    def market(self) -> Market:
        """Return the pair on its exchange."""
        return Market(self.exchange, self.pair)

    def at(self, timeframe: Timeframe) -> "Series":
        """Return the same market at another timeframe."""
        return Series(self.exchange, self.pair, timeframe)

    def __str__(self) -> str:
        return f"{self.exchange}/{self.pair.key}/{self.timeframe}"


def from_key(key: str) -> Pair:
    """Return the pair of a key such as `BTC-USDT`; the inverse of `Pair.key`.

    Raises:
        WrongUseError: the key is not one that `Pair.key` makes.
    """
    base, _, quote = key.partition("-")
    try:
        pair = Pair(f"{_unquote(base)}/{_unquote(quote)}")
    except (UnicodeDecodeError, WrongUseError) as error:
        raise WrongUseError(f"{key!r} is no pair's key; expected one like BTC-USDT.") from error
    if pair.key != key:
        raise WrongUseError(f"{key!r} is no pair's key; expected {pair.key!r}.")
    return pair


def to_pair(text: str, known: Collection[Pair]) -> Pair:
    """Return the one of the `known` pairs that a person means by `text`.

    Args:
        text: `BTC/USDT`, `BTC-USDT`, `BTCUSDT`, in either case; or a partition key.
        known: the pairs to choose from.

    Raises:
        WrongUseError: none fits, or several do; the message names the candidates.
    """
    exact = [pair for pair in known if text in (pair.symbol, pair.key)]
    if exact:
        return exact[0]
    wanted = _letters(text)
    candidates = sorted({pair for pair in known if _letters(pair.symbol) == wanted})
    if len(candidates) == 1:
        return candidates[0]
    names = ", ".join(pair.symbol for pair in (candidates or sorted(known)))
    reason = "is ambiguous: it could be" if candidates else "is unknown here. Accepted:"
    raise WrongUseError(f"pair {text!r} {reason} {names}.")


def _letters(text: str) -> str:
    return re.sub(r"[/\-_:\s]", "", text).upper()


def _quote(text: str) -> str:
    return "".join(
        char if _SAFE.match(char) else "".join(f"%{byte:02X}" for byte in char.encode())
        for char in text
    )


def _unquote(text: str) -> str:
    return unquote_to_bytes(text).decode()
