"""What went wrong, in our words: one table from ccxt's exceptions and HTTP statuses to ours.

Holds the table, the messages and the removal of secrets; no retrying. ccxt's hierarchy:
`ccxt/base/errors.py` 4.5.90. The first row that fits decides; the order is the point, because
ccxt raises the same class for what passes and for what does not (a plain `ExchangeError` for an
unknown pair of kraken and coinbase, for maintenance of coinbase and bybit, and for a body cut
short; `ExchangeNotAvailable` for 451 and for 503).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from data_platform.domain.errors import (
    GarbageError,
    PermanentError,
    RefusedError,
    SourceError,
    TransientError,
)
from data_platform.sources.access import Access

_LONGEST_DETAIL = 200


@dataclass(slots=True)
class Reply:
    """What is known of the answer to one request; filled while it comes in."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    """The parsed JSON, None when it did not parse."""


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


_LATER = "It will be asked again; if it lasts, see the exchange's status page."
_SYMBOL = "Check the pair in the config: it may be misspelt, renamed or not traded here."
_FEWER = "asks for fewer requests"
_SLOWER = "Lower `rate_limit` in the config, or run fewer processes at once."

FAULTS: tuple[_Row, ...] = (
    # Some send 403 or 200 for it, so the words come before every status.
    _Row(RefusedError, _FEWER, _SLOWER, words="too many req|too frequent|rate.?limit|lockout"),
    _Row(RefusedError, _FEWER, _SLOWER, statuses=frozenset({418, 429})),
    _Row(
        RefusedError,
        _FEWER,
        _SLOWER,
        classes=frozenset({"DDoSProtection", "RateLimitExceeded"}),
    ),
    _Row(
        PermanentError,
        "does not serve this country or network",
        "Remove the exchange from the config, or fetch from a network that it serves.",
        statuses=frozenset({451}),
    ),
    _Row(
        PermanentError,
        "denies access",
        "Check the key behind `api_key_env`; without one, this network is blocked there.",
        statuses=frozenset({401, 403, 407}),
    ),
    _Row(TransientError, "had an error", _LATER, statuses=frozenset(range(500, 600))),
    _Row(PermanentError, "does not know this pair", _SYMBOL, classes=frozenset({"BadSymbol"})),
    _Row(
        GarbageError,
        "sent an answer that is not what it promises",
        "It is never taken for 'no candles'; it will be asked again.",
        classes=frozenset({"BadResponse"}),
    ),
    _Row(
        TransientError,
        "is under maintenance or busy",
        _LATER,
        exactly="ExchangeError",
        words=r"maintenance|unavailable|\bbusy\b|time.?out|try again|internal (server )?error",
    ),
    _Row(
        PermanentError,
        "does not know this pair or request",
        _SYMBOL,
        exactly="ExchangeError",
        words=r"unknown|not.?found|invalid|does ?n.t exist|delisted|unsupported",
    ),
    _Row(
        PermanentError,
        "has no such address",
        "Check `base_url` in the config.",
        statuses=frozenset({400, 404, 405, 410}),
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
        "It is never taken for 'no candles'; it will be asked again.",
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


def to_source_error(error: Exception, reply: Reply, access: Access, about: str) -> SourceError:
    """Return our error for one that a request ended in, with a message for people.

    Args:
        error: one of `caught_errors()`.
        reply: what was known of the answer.
        access: names the address; its key never appears in the message.
        about: the series and time, or what was asked.
    """
    text = to_public(f"{error}", access)
    row = next((row for row in FAULTS if _fits(row, error, reply.status, text)), _OTHERWISE)
    status = f"HTTP {reply.status}, " if reply.status else ""
    cause = f": {to_public(str(error.__cause__), access)}" if error.__cause__ else ""
    return row.kind(
        f"{about}: {access.address} {row.said} "
        f"({status}{type(error).__name__} {text}{cause}). {row.remedy}"
    )


def _fits(row: _Row, error: Exception, status: int | None, text: str) -> bool:
    classes = {base.__name__ for base in type(error).__mro__}
    return (
        (not row.statuses or status in row.statuses)
        and (not row.classes or bool(row.classes & classes))
        and (not row.exactly or row.exactly == type(error).__name__)
        and (not row.words or bool(re.search(row.words, text, re.IGNORECASE)))
    )


def to_public(text: str, access: Access) -> str:
    """Return a text without secrets, query strings and length."""
    if access.api_key:
        text = text.replace(access.api_key, "***")
    text = re.sub(r"(https?://[^\s?]*)\?\S*", r"\1", text)
    text = re.sub(r"(https?://)[^\s/@]*@", r"\1", text)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_DETAIL else text[:_LONGEST_DETAIL] + "..."


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for; None without a readable one.

    Args:
        headers: of the answer, names in any case.
        now: what a header that gives a date is compared with; the machine's clock by default.
    """
    wanted = next((v for name, v in headers.items() if name.lower() == "retry-after"), None)
    if wanted is None:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", wanted.strip()):
        return float(wanted)
    try:
        until = parsedate_to_datetime(wanted)
    except ValueError:
        return None
    aware = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (aware - (now or datetime.now(UTC))).total_seconds())
