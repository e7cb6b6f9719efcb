"""Answer request files: each one gets its answer, also one that nobody can understand.

A request lies in `requests/` below the lake's root; the answer is put into `answers/` there, the
rows into `files/<request_id>/`, and then the request moves to `done/`. Whoever is interrupted in
between has answered nothing, and the next look begins anew.
"""

import hashlib
import os
import re
from codecs import BOM_UTF8
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
from pydantic import ValidationError

from data_platform.domain.errors import DataPlatformError
from data_platform.domain.markets import Series
from data_platform.domain.periods import periods_between
from data_platform.domain.request_files import (
    REQUEST_ID,
    AnsweredGap,
    AnswerFile,
    RequestFile,
)
from data_platform.operations.extract import Cut, read_cut, write_cut
from data_platform.operations.lake import Lake
from data_platform.operations.lookup import (
    Known,
    to_series,
    to_time,
)
from data_platform.operations.missing import History, find_missing
from data_platform.storage.atomic import publish_bytes
from data_platform.storage.locks import exclusive_lock

SETTLED_SECONDS = 2.0
"""How long a request must not have changed: one that is still being written is left alone."""

MAX_BYTES = 64 * 1024
"""Of a request; what is longer is none."""

_ORDER = ("high", "normal", "low")
_NAME = re.compile(REQUEST_ID)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where requests are answered."""

    lake: Lake
    known: Known
    histories: Mapping[str, History]
    """What is wanted of the past of each exchange's series."""
    score_column: str
    """Of the table of scores."""

    @property
    def folder(self) -> Path:
        """Return where requests are dropped."""
        return requests_folder(self.lake.store.root)


def requests_folder(root: Path) -> Path:
    """Return where requests are dropped: `requests/` below the lake's root."""
    return root / "requests"


def waiting_requests(folder: Path, now: float) -> list[Path]:
    """Return the request files that wait and are wholly written, by name.

    Args:
        folder: where they are dropped; may be missing.
        now: the machine's clock, seconds since 1970.
    """
    found = folder.iterdir() if folder.is_dir() else iter(())
    waiting = (it for it in found if it.suffix.lower() == ".json" and it.is_file())
    return sorted(it for it in waiting if now - it.stat().st_mtime > SETTLED_SECONDS)


def spell_state(paths: list[Path]) -> str:
    """Return a text that changes when other requests wait, or one was written anew."""
    return _digest(",".join(f"{path.name}:{path.stat().st_mtime_ns}" for path in paths))


def _digest(names: str) -> str:
    return hashlib.sha256(os.fsencode(names)).hexdigest()


def answer_requests(desk: Desk, paths: list[Path], now: datetime) -> Iterator[AnswerFile]:
    """Answer requests one after the other, the most urgent first.

    Args:
        desk: where.
        paths: of `waiting_requests`.
        now: the clock, UTC.

    Yields:
        Each answer once it lies there and the request has moved away.

    Raises:
        StorageError: an answer cannot be written; the request stays.
    """
    with exclusive_lock(desk.folder / ".lock"):
        # Whoever had the lock before has answered some of them.
        read = sorted(((it, _read(it)) for it in paths if _is_there(it)), key=_rank)
        first: dict[str, tuple[Path, RequestFile]] = {}
        for path, request in read:
            if isinstance(request, RequestFile):
                first.setdefault(request.request_id, (path, request))
        for path, request in read:
            answer = _answer(desk, path, _sole(path, request, first), now, first.keys())
            content = answer.model_dump_json(indent=2).encode() + b"\n"
            publish_bytes(content, desk.folder / "answers" / f"{answer.request_id}.json")
            done = desk.folder / "done"
            done.mkdir(exist_ok=True)
            path.replace(done / path.name)
            yield answer


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def _read(path: Path) -> RequestFile | str:
    try:
        if path.is_symlink() or path.stat().st_size > MAX_BYTES:
            return f"expected a plain file of at most {MAX_BYTES:,} bytes."
        return RequestFile.model_validate_json(path.read_bytes().removeprefix(BOM_UTF8))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        more = f" (One of {error.error_count()} problems.)" if error.error_count() > 1 else ""
        return f"{place}: {first['msg']}.{more} See data_request.schema.json for what is accepted."
    except OSError as error:
        return f"it cannot be read: {error.strerror}."


def _rank(read: tuple[Path, RequestFile | str]) -> int:
    request = read[1]
    return _ORDER.index(request.priority) if isinstance(request, RequestFile) else len(_ORDER)


def _sole(
    path: Path, request: RequestFile | str, first: Mapping[str, tuple[Path, RequestFile]]
) -> RequestFile | str:
    if isinstance(request, str):
        return request
    other, asked = first[request.request_id]
    if other == path or asked == request:
        return request
    return (
        f"request_id: {request.request_id!r} is also that of {other.name}, which waits too and "
        "asks for something else; give each one of its own."
    )


def _answer(
    desk: Desk, path: Path, request: RequestFile | str, now: datetime, taken: Collection[str]
) -> AnswerFile:
    if isinstance(request, str):
        is_free = _NAME.fullmatch(path.stem) is not None and path.stem not in taken
        name = path.stem if is_free else _digest(path.name)[:16]
        # A name may hold bytes that are no text.
        told = path.name.encode(errors="replace").decode()
        return _failed(name, f"{told}: {request}", now)
    try:
        return _completed(desk, request, now)
    except DataPlatformError as error:
        return _failed(request.request_id, " ".join(str(error).split()), now)


def _failed(request_id: str, error: str, now: datetime) -> AnswerFile:
    return AnswerFile(
        request_id=request_id,
        status="failed",
        error=error,
        answered_at=now,
        output_path=None,
        rows=0,
        quality_score=None,
        first_timestamp=None,
        last_timestamp=None,
        gaps=[],
    )


def _completed(desk: Desk, request: RequestFile, now: datetime) -> AnswerFile:
    cut = _to_cut(desk, request)
    rows = read_cut(
        desk.lake,
        desk.known,
        cut,
        feature_set=request.parameters.feature_set,
        allow_missing=request.parameters.allow_missing,
    )
    path = write_cut(rows, cut, desk.folder / "files" / request.request_id)
    times = rows["open_time"]
    return AnswerFile(
        request_id=request.request_id,
        status="completed",
        error=None,
        answered_at=now,
        output_path=str(path),
        rows=rows.height,
        quality_score=_score(desk, cut),
        first_timestamp=times[0],
        last_timestamp=times[-1],
        gaps=list(_gaps(desk, cut)),
    )


def _to_cut(desk: Desk, request: RequestFile) -> Cut:
    asked = request.parameters
    start, end = to_time(asked.start), to_time(asked.end)
    series = to_series(desk.lake.store, desk.known, asked.market, asked.timeframe)
    return Cut(series, request.request_type, start, end, asked.format)


def _score(desk: Desk, cut: Cut) -> float | None:
    scores = desk.lake.scores.newest(cut.series.exchange, cut.series.timeframe)
    months = [period.key for period in periods_between(cut.start, cut.end)]
    score, weight = pl.col(desk.score_column), pl.col("expected").clip(lower_bound=1)
    own = scores.filter(
        pl.col("pair") == cut.series.pair.key, pl.col("period").is_in(months), score.is_not_null()
    )
    found: float | None = own.select((score * weight).sum() / weight.sum()).item()
    return None if own.is_empty() else found


def _gaps(desk: Desk, cut: Cut) -> Iterator[AnsweredGap]:
    series: Series = cut.series
    history = desk.histories.get(series.exchange)
    if history is None:
        # It has left the config: what is wanted of its past nobody says any more.
        return
    missing = find_missing(desk.lake, history, [series])
    for start, end, status in missing.select("start", "end", "status").rows():
        first, last = max(start, cut.start), min(end, cut.end)
        count = series.timeframe.count(first, last) if first < last else 0
        if count:
            yield AnsweredGap(start=first, end=last, missing=count, status=status)
