"""Answer request files: each one gets its answer, also one that nobody can understand.

A request lies in `requests/` below the lake's root; the answer is put into `answers/` there, the
rows into `files/<request_id>/`, and then the request moves to `done/`. Whoever is interrupted in
between has answered nothing, and the next look begins anew.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
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
    found = folder.glob("*.json") if folder.is_dir() else iter(())
    return sorted(
        path for path in found if path.is_file() and now - path.stat().st_mtime > SETTLED_SECONDS
    )


def spell_state(paths: list[Path]) -> str:
    """Return a text that changes when other requests wait, or one was written anew."""
    parts = (f"{path.name}:{path.stat().st_mtime_ns}" for path in paths)
    return hashlib.sha256(",".join(parts).encode()).hexdigest()


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
    read = [(path, _read(path)) for path in paths]
    for path, request in sorted(read, key=lambda it: _rank(it[1])):
        answer = _answer(desk, path, request, now)
        content = answer.model_dump_json(indent=2).encode() + b"\n"
        publish_bytes(content, desk.folder / "answers" / f"{answer.request_id}.json")
        done = desk.folder / "done"
        done.mkdir(exist_ok=True)
        path.replace(done / path.name)
        yield answer


def _read(path: Path) -> RequestFile | str:
    try:
        if path.is_symlink() or path.stat().st_size > MAX_BYTES:
            return f"expected a plain file of at most {MAX_BYTES:,} bytes."
        return RequestFile.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        more = f" (One of {error.error_count()} problems.)" if error.error_count() > 1 else ""
        return f"{place}: {first['msg']}.{more} See data_request.schema.json for what is accepted."
    except OSError as error:
        return f"it cannot be read: {error.strerror}."


def _rank(request: RequestFile | str) -> int:
    return _ORDER.index(request.priority) if isinstance(request, RequestFile) else len(_ORDER)


def _answer(desk: Desk, path: Path, request: RequestFile | str, now: datetime) -> AnswerFile:
    if isinstance(request, str):
        is_name = _NAME.fullmatch(path.stem) is not None
        name = path.stem if is_name else hashlib.sha256(path.name.encode()).hexdigest()[:16]
        return _failed(name, f"{path.name}: {request}", now)
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
