"""Pairs, markets and series, and how people, ccxt and paths spell them.

A pair is `BTC/USDT` towards people and ccxt, `BTC-USDT` in partition keys and paths. The mapping
is reversible for every ccxt symbol: whatever is neither a letter, a digit nor `_` is
percent-quoted byte by byte, so no key can leave a folder or hold Dagster's `|` and `...`.
ccxt's symbols: https://docs.ccxt.com/#/README?id=symbols-and-market-ids (read 2026-11-25).
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from data_platform.domain.errors import WrongUseError
from data_platform.domain.timeframes import Timeframe

MAX_KEY_LENGTH = 120
"""Characters of a pair's key: a file name may have 255 bytes, and a suffix has to fit."""

KNOWN_QUOTES = (
    *("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "DAI", "USD", "EUR", "GBP", "JPY", "TRY", "BRL"),
    *("AUD", "CAD", "CHF", "KRW", "BTC", "ETH", "BNB"),
)
"""Quote currencies by which a pair written as one word is split."""

_SAFE = re.compile(r"[A-Za-z0-9_]")
_ONE_WORD = re.compile(r"[A-Z0-9]+")
_TWO_WORDS = re.compile(r"([A-Z0-9]+)-([A-Z0-9]+)")
_SYMBOL = re.compile(r"[^\s/:|]+/[^\s/:|]+(:[^\s/:|]+)?")


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


def read_pair(text: str) -> Pair:
    """Return the pair that a person means by `text`, with no list of pairs to choose from.

    Args:
        text: `BTC/USDT`, `BTC-USDT` or `BTCUSDT`, in either case; or any ccxt symbol with its
            `/`, kept as it stands when its letters are of both cases.

    Raises:
        WrongUseError: it is no pair, or one word that can be split in several ways; the message
            names the candidates.
    """
    upper = text if text != text.lower() else text.upper()
    if _SYMBOL.fullmatch(upper):
        return Pair(upper)
    upper = upper.upper()
    if match := _TWO_WORDS.fullmatch(upper):
        return Pair(f"{match[1]}/{match[2]}")
    candidates = _splits(upper) if _ONE_WORD.fullmatch(upper) else []
    if len(candidates) == 1:
        return Pair(candidates[0])
    if candidates:
        raise WrongUseError(f"pair {text!r} is ambiguous: it could be {', '.join(candidates)}.")
    raise WrongUseError(f"{text!r} is no pair. Accepted: BTC/USDT, BTC-USDT or BTCUSDT.")


def _splits(word: str) -> list[str]:
    quotes = [quote for quote in KNOWN_QUOTES if word.endswith(quote) and word != quote]
    return sorted(f"{word.removesuffix(quote)}/{quote}" for quote in quotes)


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


def to_exchange(text: str, known: Collection[str]) -> str:
    """Return the one of the `known` exchanges that a person means by `text`.

    Args:
        text: our name of the exchange, in any case.
        known: the names to choose from.

    Raises:
        WrongUseError: none fits; the message names the nearest one and all that are accepted.
    """
    name = text.strip().lower()
    if name in known:
        return name
    near = get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise WrongUseError(f"exchange {text!r} is unknown here.{hint} Accepted: {', '.join(known)}.")


def _letters(text: str) -> str:
    return re.sub(r"[/\-_:\s]", "", text).upper()


@lru_cache(maxsize=4096)
def _quote(text: str) -> str:
    # Every look-up by a pair's key asks for it, thousands of times for one status.
    return "".join(
        char if _SAFE.match(char) else "".join(f"%{byte:02X}" for byte in char.encode())
        for char in text
    )


def _unquote(text: str) -> str:
    return unquote_to_bytes(text).decode()
