"""Errors the platform raises on purpose, each with one cause that the caller can act on.

Holds exception classes only. A message says what was expected, what was found, which
series and time, and what to do.
"""

from datetime import datetime
from typing import ClassVar


class DataPlatformError(Exception):
    """Base of every error that is meant for people: the command line prints it as one line."""


class WrongUseError(DataPlatformError):
    """Something typed by a person cannot be understood; the accepted values are in the message."""


class ConfigError(WrongUseError):
    """A configuration file or environment variable is refused; names file and line."""


class SourceError(DataPlatformError):
    """An exchange did not give what was asked; see the subclasses for what to do."""

    kind: ClassVar[str] = "unknown"
    """The word for the class in counts."""


class TransientError(SourceError):
    """The same request may succeed later: time-outs, 5xx, a dropped connection."""

    kind: ClassVar[str] = "transient"


class RefusedError(SourceError):
    """The exchange asks for less: 429, 418. Wait as told, then ask again."""

    kind: ClassVar[str] = "refused"

    def __init__(self, message: str, until: datetime | None = None) -> None:
        """Take the message, and until when the exchange will answer nothing, UTC (a ban)."""
        super().__init__(message)
        self.until = until


class PermanentError(SourceError):
    """No retry will help: unknown symbol, 451, 403. The message says what to change."""

    kind: ClassVar[str] = "permanent"


class UnknownPairError(PermanentError):
    """The exchange does not list the pair: it is misspelt, renamed or delisted."""


class GarbageError(SourceError):
    """A 2xx answer that is not what the endpoint promises; never taken for 'no candles'."""

    kind: ClassVar[str] = "garbage"


class ExportError(DataPlatformError):
    """Another program's format has no way to hold these candles; nothing was written."""


class ForeignFileError(DataPlatformError):
    """A file of foreign candles cannot be understood; nothing of it was taken."""


class StorageError(DataPlatformError):
    """The lake or its state could not be read or written; nothing stored was changed."""


class DamagedFileError(StorageError):
    """A stored file does not hold what the journal says; `message` names it and the remedy."""


class NewerVersionError(StorageError):
    """A newer version of the program wrote it; this one cannot tell what it means."""


class ArchivedError(DamagedFileError):
    """Rows were moved to the archive, and the archive is not where it was: put it back."""


class NotStoredError(StorageError):
    """A period was asked for that has never been materialized."""


class ConflictError(StorageError):
    """A partition changed since it was read: read it again, merge again, commit again."""
