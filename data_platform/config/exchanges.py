"""The exchanges of a config, resolved: every default filled in, every contradiction refused.

Belongs here: what one exchange's keys mean together. Stays out: files and the environment
(`settings.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import NoReturn

from data_platform.config.models import DEFAULT_START, ExchangeEntry
from data_platform.config.strict_yaml import Document
from data_platform.converters import CONVERTERS
from data_platform.converters.converter import Converter, ExportFile
from data_platform.domain.errors import ExportError, WrongUseError
from data_platform.domain.exchanges import Exchange, exchange_row
from data_platform.domain.markets import Pair, Series, to_pair
from data_platform.domain.periods import Period, period_of
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe, to_timeframe


@dataclass(frozen=True, slots=True)
class ExchangeSettings:
    """One exchange of the config, with every default filled in."""

    name: str
    """Our name, as in asset keys and paths."""
    row: Exchange
    """Its quirks."""
    base_url: str | None
    """Replaces scheme and host of every URL of the exchange; None: the real ones."""
    start: datetime
    """First instant wanted, UTC, for pairs without a start of their own."""
    pair_start: Mapping[Pair, datetime]
    """Pairs with a start of their own."""
    pairs: tuple[Pair, ...]
    """Sorted."""
    timeframes: tuple[Timeframe, ...]
    """From the finest to the coarsest."""
    derive: Mapping[Timeframe, Timeframe]
    """Timeframe -> the finer one of `timeframes` it is computed from."""
    backup: str | None
    """Another exchange of the config whose candles the grid may take over open gaps."""
    requests_per_minute: float
    """Of all processes of this machine together."""
    timeout: timedelta
    """Longest silence of one request."""
    grace: timedelta
    """How long after its close a candle may still be corrected."""
    api_key_env: str | None
    """Name of the environment variable with the key."""

    def start_of(self, pair: Pair) -> datetime:
        """Return the first instant wanted of a pair, UTC; no earlier candle is requested."""
        return self.pair_start.get(pair, self.start)

    @property
    def starts(self) -> dict[Pair, datetime]:
        """Return the first instant wanted of every pair, UTC."""
        return {pair: self.start_of(pair) for pair in self.pairs}

    @property
    def series(self) -> list[Series]:
        """Return every series that is configured, by timeframe and pair."""
        return [
            Series(self.name, pair, timeframe)
            for timeframe in self.timeframes
            for pair in self.pairs
        ]

    @property
    def fetched(self) -> list[Timeframe]:
        """Return the timeframes that are asked for; the others are computed from them."""
        return [each for each in self.timeframes if each not in self.derive]

    def require_fetched(self, timeframe: Timeframe) -> None:
        """Refuse a timeframe whose candles cannot come from outside.

        Raises:
            WrongUseError: it is not configured, or derived.
        """
        if timeframe not in self.fetched:
            names = ", ".join(it.name for it in self.fetched)
            raise WrongUseError(
                f"{self.name} {timeframe}: expected a configured timeframe that is not derived "
                f"({names}); a derived one is computed from its finer candles."
            )

    def reach(self, timeframe: Timeframe) -> timedelta | None:
        """Return how far back its candles go; None: to the listing, or they are computed."""
        return None if timeframe in self.derive else self.row.reach(timeframe)

    @property
    def first_period(self) -> Period:
        """Return the month in which the earliest of its pairs starts."""
        return period_of(min(self.starts.values()))


@dataclass(frozen=True, slots=True)
class ExchangeReader:
    """Resolves one entry under `exchanges`."""

    document: Document
    """The file, for the line of what is refused."""
    name: str
    entry: ExchangeEntry
    now: datetime
    """The clock, UTC: a start may not lie after it, `history_days` counts back from it."""

    def read(self) -> ExchangeSettings:
        """Return the settings of the exchange.

        Raises:
            ConfigError: two of its keys contradict each other; names file and line.
        """
        entry = self.entry
        self._refuse_unknown_exchange()
        row = exchange_row(self.name, entry.ccxt_id)
        self._refuse_twice("pairs", [pair.symbol.upper() for pair in entry.pairs])
        self._refuse_one_file_for_two()
        self._refuse_twice("timeframes", [timeframe.name for timeframe in entry.timeframes])
        timeframes = tuple(sorted(entry.timeframes, key=lambda timeframe: timeframe.seconds))
        return ExchangeSettings(
            name=self.name,
            row=row,
            base_url=entry.base_url,
            start=self._start(),
            pair_start=self._pair_start(),
            pairs=tuple(sorted(entry.pairs)),
            timeframes=timeframes,
            derive=self._derive(row, timeframes),
            backup=entry.backup,
            requests_per_minute=entry.rate_limit or row.requests_per_minute,
            timeout=entry.timeout,
            grace=entry.grace,
            api_key_env=entry.api_key_env,
        )

    def _start(self) -> datetime:
        entry = self.entry
        if entry.history_days is not None:
            if entry.start is not None:
                self._refuse("history_days", message="stands beside `start`; keep one of them.")
            return period_of(self.now).start - timedelta(days=entry.history_days)
        start = entry.start or DEFAULT_START
        self._refuse_future(start, "start")
        return start

    def _pair_start(self) -> dict[Pair, datetime]:
        starts: dict[Pair, datetime] = {}
        for text, start in self.entry.pair_start.items():
            place = ("pair_start", text)
            try:
                pair = to_pair(text, self.entry.pairs)
            except WrongUseError as error:
                self._refuse(*place, message=str(error))
            if pair in starts:
                self._refuse(*place, message=f"{pair} stands twice; keep one of them.")
            self._refuse_future(start, *place)
            starts[pair] = start
        return starts

    def _derive(self, row: Exchange, timeframes: Sequence[Timeframe]) -> dict[Timeframe, Timeframe]:
        asked: dict[Timeframe, Timeframe] = {}
        for text, source in self.entry.derive.items():
            target = self._derive_target(text, timeframes)
            if target in asked:
                self._refuse("derive", text, message=f"{target} stands twice; keep one of them.")
            asked[target] = source
        own = {to_timeframe(target): to_timeframe(source) for target, source in row.derive.items()}
        merged = {target: own[target] for target in timeframes if target in own} | asked
        for target, source in merged.items():
            self._refuse_source(target, source, timeframes)
        return {target: merged[target] for target in timeframes if target in merged}

    def _derive_target(self, text: str, timeframes: Sequence[Timeframe]) -> Timeframe:
        try:
            target = to_timeframe(text)
        except WrongUseError as error:
            self._refuse("derive", text, message=str(error))
        if target not in timeframes:
            self._refuse(
                *("derive", text),
                message=f"{target} is not among the timeframes of {self.name}. "
                f"Accepted: {_names(timeframes)}.",
            )
        return target

    def _refuse_source(
        self, target: Timeframe, source: Timeframe, timeframes: Sequence[Timeframe]
    ) -> None:
        finer = [each for each in TIMEFRAMES if each.seconds < target.seconds]
        fitting = [each for each in finer if target.seconds % each.seconds == 0]
        if source not in fitting:
            self._refuse(
                *("derive", self._spelled(target)),
                message=f"{target} cannot be derived from {source}. "
                f"Accepted: a finer timeframe that divides it ({_names(fitting) or 'none'}).",
            )
        if source not in timeframes:
            self._refuse(
                "timeframes",
                message=f"{target} is derived from {source} on {self.name}, and {source} is "
                f"missing here; add {source} or drop {target}.",
            )

    def _spelled(self, target: Timeframe) -> str:
        spelled = [text for text in self.entry.derive if to_timeframe(text) == target]
        return spelled[0] if spelled else target.name

    def _refuse_unknown_exchange(self) -> None:
        known = ccxt_exchanges()
        wanted = self.entry.ccxt_id or exchange_row(self.name).ccxt_id or self.name
        if not known or wanted in known:
            return
        near = get_close_matches(wanted, sorted(known), n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        self._refuse(
            *(["ccxt_id"] if self.entry.ccxt_id else []),
            message=f"{wanted!r} is no exchange that ccxt knows.{hint} Accepted: an id of ccxt, "
            "as our name or as `ccxt_id`.",
        )

    def _refuse_twice(self, key: str, spelled: Sequence[str]) -> None:
        for index, text in enumerate(spelled):
            first = spelled.index(text)
            if first < index:
                line = self.document.line_of(("exchanges", self.name, key, first))
                self._refuse(key, index, message=f"{text} stands twice, first on line {line}.")

    def _refuse_one_file_for_two(self) -> None:
        for converter in CONVERTERS:
            written: dict[PurePosixPath, Pair] = {}
            for index, pair in enumerate(self.entry.pairs):
                path = _export_path(converter, Series(self.name, pair, TIMEFRAMES[0]))
                if path is None:
                    continue
                other = written.setdefault(path, pair)
                if other != pair:
                    self._refuse(
                        *("pairs", index),
                        message=f"{other} and {pair} would be one file for {converter.title} "
                        f"({path}): its names do not tell them apart. Keep one of them here; the "
                        "other can stand under a second name of the exchange, with `ccxt_id`.",
                    )

    def _refuse_future(self, start: datetime, *place: str) -> None:
        if start > self.now:
            self._refuse(
                *place,
                message=f"{start:%Y-%m-%d} lies in the future. Accepted: a day up to "
                f"{self.now:%Y-%m-%d}.",
            )

    def _refuse(self, *place: str | int, message: str) -> NoReturn:
        raise self.document.error(("exchanges", self.name, *place), message)


def _export_path(converter: Converter, series: Series) -> PurePosixPath | None:
    period = None if converter.scope == "pair" else period_of(DEFAULT_START)
    try:
        return converter.path(ExportFile(series, period))
    except ExportError:
        # A sign that the program's files cannot have in their names: its export will say so.
        return None


@lru_cache(maxsize=1)
def ccxt_exchanges() -> frozenset[str]:
    """Return the ids of all exchanges that the installed ccxt knows.

    Read from its file names: importing ccxt costs 3 s and 100 MB. Empty when they do not lie
    where ccxt 4.5.90 puts them, so that nothing is refused by mistake.
    """
    spec = find_spec("ccxt")
    folders = list(spec.submodule_search_locations or []) if spec else []
    names = {file.stem for folder in folders for file in Path(folder).glob("abstract/*.py")}
    return frozenset(names - {"__init__"}) if "binance" in names else frozenset()


def _names(timeframes: Sequence[Timeframe]) -> str:
    return ", ".join(timeframe.name for timeframe in timeframes)
