"""What went wrong, in our words: one table from ccxt's exceptions and HTTP statuses to ours.

Holds the table, the messages, what an answer says about waiting, and the removal of secrets; no
retrying. The class decides that: transient and garbage are asked for again after a growing pause,
refused after the pause that was asked for, permanent never. ccxt's hierarchy:
`ccxt/base/errors.py` 4.5.90. The first row that fits decides; the order is the point, because
ccxt raises the same class for what passes and for what does not (a plain `ExchangeError` for an
unknown pair of kraken and coinbase, for maintenance of coinbase and bybit, and for a body cut
short; `ExchangeNotAvailable` for 451 and for 503).
"""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from data_platform.domain.errors import (
    GarbageError,
    PermanentError,
    RefusedError,
    SourceError,
    TransientError,
    UnknownPairError,
)
from data_platform.sources.access import Access

_LONGEST_DETAIL = 200


@dataclass(slots=True)
class Reply:
    """What is known of the answer to one request; filled while it comes in."""

    status: int | None = None
    came_at: float | None = None
    """When its first byte came, by the monotonic clock."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    """The parsed JSON, None when it did not parse."""
    longest: int = 40_000_000
    """Bytes of the answer, decompressed, that are read at most. Binance's list of all pairs, the
    longest of all, has half of it; a hostile or broken server may send without end."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong, and how long the exchange wants to be left alone for it."""

    error: SourceError
    pause: float | None = None
    """Seconds; None where it does not say."""


@dataclass(frozen=True, slots=True)
class _Row:
    kind: type[SourceError]
    said: str
    remedy: str
    statuses: frozenset[int] = frozenset()
    classes: frozenset[str] = frozenset()
    exactly: str = ""
    """The class itself: what derives from it says more than its words."""
    words: str = ""
    exchanges: frozenset[str] = frozenset()
    """ccxt's ids; empty: of all."""
    pause: float | None = None
    """Seconds that this exchange rests then without saying so."""


_LATER = "It will be asked again; if it lasts, see the exchange's status page."
_SYMBOL = "Check the pair in the config: it may be misspelt, renamed or not traded here."
_UNKNOWN = r"(unknown|not.?found|invalid|does ?n.t exist|not exists?|delisted|unsupported)"
_PAIR = r"\b(pair|symbol|product|instrument|market)"
_FEWER = "asks for fewer requests"
_SLOWER = "Lower `rate_limit` in the config, or run fewer processes at once."

_NOT_HERE = "does not serve this country or network"
_ELSEWHERE = "Remove the exchange from the config, or fetch from a network that it serves."
_GARBAGE = "It is never taken for 'no candles'; it will be asked again."
_ANSWERED = frozenset(range(100, 600))

FAULTS: tuple[_Row, ...] = (
    _Row(PermanentError, _NOT_HERE, _ELSEWHERE, statuses=frozenset({451})),
    _Row(PermanentError, _NOT_HERE, _ELSEWHERE, classes=frozenset({"RestrictedLocation"})),
    _Row(
        PermanentError,
        _NOT_HERE,
        _ELSEWHERE,
        words=r"\b(your|restricted) (country|region|location)|\bin the U\.?S\b|compliance rules",
    ),
    # What bybit sends beyond 600 in 5 s: whoever asks within ten minutes is held longer.
    _Row(
        RefusedError,
        "has banned this network for ten minutes",
        _SLOWER,
        exchanges=frozenset({"bybit"}),
        statuses=frozenset({403}),
        pause=600,
    ),
    # By its documents.
    _Row(
        RefusedError,
        "has locked this network out for a quarter of an hour",
        _SLOWER,
        exchanges=frozenset({"kraken"}),
        words="lockout",
        pause=900,
    ),
    # Some send 403 or 200 for it, so the words come before every status.
    _Row(RefusedError, _FEWER, _SLOWER, words="too many (req|visits)|frequen|rate.?limit"),
    _Row(RefusedError, _FEWER, _SLOWER, statuses=frozenset({418, 429})),
    _Row(RefusedError, _FEWER, _SLOWER, classes=frozenset({"DDoSProtection", "RateLimitExceeded"})),
    _Row(
        PermanentError,
        "denies access",
        "Check the key behind `api_key_env`; without one, this network is blocked there.",
        statuses=frozenset({401, 403, 407}),
    ),
    _Row(TransientError, "had an error", _LATER, statuses=frozenset(range(500, 600))),
    _Row(UnknownPairError, "does not know this pair", _SYMBOL, classes=frozenset({"BadSymbol"})),
    _Row(
        GarbageError,
        "sent an answer that is not what it promises",
        _GARBAGE,
        classes=frozenset({"BadResponse"}),
    ),
    _Row(
        TransientError,
        "is under maintenance or busy",
        _LATER,
        exactly="ExchangeError",
        words=r"maintenance|unavailable|\bbusy\b|time.?out|try again|(internal|(ser|sys)\w+).error",
    ),
    _Row(
        UnknownPairError,
        "does not know this pair",
        _SYMBOL,
        exactly="ExchangeError",
        words=rf"{_UNKNOWN}.{{0,30}}{_PAIR}|{_PAIR}.{{0,30}}{_UNKNOWN}",
    ),
    _Row(
        PermanentError,
        "does not know this pair or request",
        _SYMBOL,
        exactly="ExchangeError",
        words=_UNKNOWN,
    ),
    _Row(
        PermanentError,
        "refuses the request",
        "Check the exchange's entry in the config.",
        classes=frozenset(
            {"AuthenticationError", "BadRequest", "ArgumentsRequired", "NotSupported"}
            | {"OperationRejected", "InvalidProxySettings"}
        ),
    ),
    _Row(
        PermanentError,
        "has no such address",
        "Check `base_url` in the config.",
        statuses=frozenset({400, 404, 405, 410}),
    ),
    _Row(
        TransientError,
        "is under maintenance or busy",
        _LATER,
        statuses=_ANSWERED,
        classes=frozenset({"ExchangeNotAvailable", "RequestTimeout"}),
    ),
    _Row(
        TransientError,
        "did not answer in time",
        "Check the network, or raise `timeout` in the config.",
        classes=frozenset({"RequestTimeout", "TimeoutError"}),
    ),
    _Row(
        TransientError,
        "cannot be reached",
        "Check the network, and `base_url` in the config if it is set.",
        classes=frozenset({"NetworkError", "OSError"}),
    ),
    _Row(
        GarbageError,
        "sent an answer of another shape than it promises",
        _GARBAGE,
        classes=frozenset({"TypeError", "ValueError", "LookupError", "AttributeError"}),
    ),
)
"""Without a row that fits (an `ExchangeError` of unknown text, a body cut short): transient."""

_OTHERWISE = _Row(TransientError, "did not give a whole answer", _LATER)


def caught_errors() -> tuple[type[Exception], ...]:
    """Return every exception that a request by ccxt may end in, our own excepted."""
    import aiohttp
    import ccxt

    answers = (TypeError, ValueError, LookupError, AttributeError)
    return (ccxt.BaseError, aiohttp.ClientError, OSError, TimeoutError, *answers)


def to_fault(error: Exception, reply: Reply, access: Access, about: str) -> Fault:
    """Return what went wrong, with a message for people.

    Args:
        error: one of `caught_errors()`.
        reply: what was known of the answer.
        access: names the address; its key never appears in the message.
        about: the series and time, or what was asked.
    """
    text = f"{error}"
    fits = (row for row in FAULTS if _fits(row, error, reply.status, (access.ccxt_id, text)))
    row = next(fits, _OTHERWISE)
    status = f"HTTP {reply.status}, " if reply.status else ""
    cause = f": {to_public(str(error.__cause__), access)}" if error.__cause__ else ""
    told = row.kind(
        f"{about}: {access.address} {row.said} "
        f"({status}{type(error).__name__} {to_public(text, access)}{cause}). {row.remedy}"
    )
    asked = retry_after(reply.headers)
    if asked is None and row.kind is RefusedError:
        asked = _banned_until(text, datetime.now(UTC))
    return Fault(told, row.pause if asked is None else asked)


def _fits(row: _Row, error: Exception, status: int | None, said: tuple[str, str]) -> bool:
    classes = {base.__name__ for base in type(error).__mro__}
    exchange, text = said
    return (
        (not row.statuses or status in row.statuses)
        and (not row.exchanges or exchange in row.exchanges)
        and (not row.classes or bool(row.classes & classes))
        and (not row.exactly or row.exactly == type(error).__name__)
        and (not row.words or bool(re.search(row.words, text, re.IGNORECASE)))
    )


def _banned_until(text: str, now: datetime) -> float | None:
    """Return the seconds until the end that binance names in its words, UTC ms; None without."""
    found = re.search(r"banned until (\d{13})\b", text)
    if not found:
        return None
    return max(0.0, int(found[1]) / 1000 - now.timestamp())


def to_public(text: str, access: Access, longest: int = _LONGEST_DETAIL) -> str:
    """Return a text without secrets, query strings and length."""
    for spelled in _spellings(access.api_key):
        text = text.replace(spelled, "***")
    text = re.sub(r"(https?://[^\s?]*)\?\S*", r"\1", text)
    text = re.sub(r"(https?://)[^\s/@]*@", r"\1", text)
    text = " ".join(text.split())
    return text if len(text) <= longest else text[:longest] + "..."


def _spellings(secret: str | None) -> list[str]:
    """Return how an answer that repeats what it was sent may spell a secret, longest first."""
    if not secret:
        return []
    spelled = {secret, quote(secret), quote(secret, safe=""), html.escape(secret)}
    spelled |= {json.dumps(secret)[1:-1], json.dumps(secret)[1:-1].replace("/", "\\/")}
    return sorted(spelled, key=len, reverse=True)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for; None without a readable one.

    Args:
        headers: of the answer, names in any case. A date counts from the answer's own `Date`, so
            that the machine's clock does not matter.
        now: what a date is compared with where the answer has none; the machine's clock.
    """
    given = {name.lower(): value for name, value in headers.items()}
    wanted = given.get("retry-after")
    if wanted is None:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", wanted.strip()):
        return float(wanted)
    until, sent = _http_date(wanted), _http_date(given.get("date", ""))
    if until is None:
        return None
    return max(timedelta(0), until - (sent or now or datetime.now(UTC))).total_seconds()


def _http_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
