"""A key reaches nothing but the request, whatever an exchange answers and wherever it fails."""

import base64
import json
import logging
import os
import sqlite3
import subprocess
import sys
import threading
import traceback
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dagster._utils.error import serializable_error_info_from_exc_info

from data_platform.domain.breaker import CLOSED
from data_platform.domain.errors import SourceError
from data_platform.resources import build_resources, source_key
from data_platform.sources.breaker import MemoryBreakers
from data_platform.sources.pages import Page
from data_platform_tests.small_line import BTC, CONFIG, SmallLine, open_small_line, series

CANARY = "Canary4711SecretOfTheHouse"
TRACE = CANARY[:12].encode()
"""Not even a part of it may be left."""


@dataclass
class Mirror:
    """Stands before an exchange; tells everybody what it was sent when it fails."""

    url: str = ""
    behind: str = ""
    status: int = 0
    """HTTP status of every answer with candles, whose body repeats the request; 0: healthy."""
    html: bool = False


@contextmanager
def mirror_before(behind: str) -> Iterator[Mirror]:
    mirror = Mirror(behind=behind)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if mirror.status and "klines" in self.path:
                self.reply(mirror.status, self.echo())
                return
            with urllib.request.urlopen(mirror.behind + self.path) as answer:  # noqa: S310
                self.reply(answer.status, answer.read())

        def echo(self) -> bytes:
            sent = {**dict(self.headers), "X-MBX-APIKEY": CANARY, "path": self.path}
            told = f"{CANARY} key={CANARY} {sent} https://{CANARY}@host/x?apiKey={CANARY}"
            body = json.dumps({"code": -1, "msg": told, "headers": sent})
            return f"<html>{told}</html>".encode() if mirror.html else body.encode()

        def reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("X-Echo", CANARY)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    mirror.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield mirror
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Watched:
    line: SmallLine
    mirror: Mirror


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setenv("HOUSE_KEY", CANARY)
    config = CONFIG.replace("    rate_limit", "    api_key_env: HOUSE_KEY\n    rate_limit")
    with open_small_line(tmp_path, config) as line, mirror_before(line.simulator.url) as mirror:
        line.simulator = SimpleNamespace(url=mirror.url)  # type: ignore[assignment]
        yield Watched(line, mirror)


def traces_in(text: str) -> list[str]:
    """Return the lines with a part of the key, cut short."""
    return [line[:300] for line in text.splitlines() if CANARY[:12] in line]


def files_with_a_trace(*folders: Path) -> list[str]:
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert len(found) > 20
    return [str(path) for path in found if any(TRACE in part for part in contents_of(path))]


def contents_of(path: Path) -> Iterator[bytes]:
    """Yield a file as it lies there, and what it holds packed: cells and notes of a footer."""
    content = path.read_bytes()
    yield content
    if content.startswith(b"SQLite format 3"):
        yield from unpacked_cells(path)
    if content.startswith(b"PAR1") and content.endswith(b"PAR1"):
        for key, value in (pq.ParquetFile(path).metadata.metadata or {}).items():
            yield key + b" " + value
            if key == b"ARROW:schema":
                yield base64.b64decode(value)


def unpacked_cells(path: Path) -> Iterator[bytes]:
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    # Dagster packs what it knows of the code: its snapshots.
                    if isinstance(value, bytes) and value[:1] == b"x":
                        yield zlib.decompress(value)


def test_a_trace_is_found_wherever_it_is_packed(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("CREATE TABLE snapshots (body BLOB)")
        connection.execute("INSERT INTO snapshots VALUES (?)", [zlib.compress(CANARY.encode())])
        connection.commit()
    schema = pa.schema([("a", pa.int64())], metadata={"note": CANARY})
    pq.write_table(pa.table({"a": [1]}, schema=schema), tmp_path / "x.parquet")
    for path in tmp_path.iterdir():
        assert any(TRACE in part for part in contents_of(path)), path


LAYERS_BLOCKED = [
    ("ohlcv",),
    ("filled", "exports/vectorbt", "exports/freqtrade", "exports/nautilus"),
    ("indicators",),
    ("features",),
]


@pytest.mark.parametrize("blocked", LAYERS_BLOCKED, ids=lambda it: it[0])
def test_r29_no_trace_of_a_key_after_a_failure_in_each_layer(
    watched: Watched,
    own_machine: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    blocked: tuple[str, ...],
) -> None:
    caplog.set_level(logging.DEBUG)
    line = watched.line
    for place in blocked:
        # A file where a folder is wanted.
        path = line.root / "data" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("in the way")
    outcome = line.materialize(pairs=(BTC,), months=("2024-02", "2024-02"))
    assert not outcome.success
    for place in blocked:
        assert any(str(line.root / "data" / place) in it for it in outcome.failures), place
    assert files_with_a_trace(line.root, own_machine) == []
    printed = capfd.readouterr()
    assert not traces_in(f"{outcome}{caplog.text}{printed.out}{printed.err}{line.settings!r}")


@pytest.mark.parametrize(("status", "html"), [(500, False), (418, False), (451, True), (200, True)])
def test_r29_no_trace_of_a_key_after_a_failing_and_a_succeeding_run(
    watched: Watched,
    own_machine: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    status: int,
    *,
    html: bool,
) -> None:
    caplog.set_level(logging.DEBUG)
    line, mirror = watched.line, watched.mirror
    mirror.status, mirror.html = status, html
    outcome = line.materialize(layers=("ohlcv", "filled"), timeframes=("1h",))
    assert not outcome.success
    assert any("***" in failure for failure in outcome.failures), outcome.failures

    mirror.status = 0
    for budget in own_machine.rglob("*.budget"):
        assert TRACE not in budget.read_bytes()
        budget.unlink()
    with line.lake() as lake:
        lake.breakers.change("binance", lambda _: CLOSED)
    assert line.materialize(layers=("ohlcv", "filled"), timeframes=("1h",)).success

    assert files_with_a_trace(line.root, own_machine) == []
    printed = capfd.readouterr()
    shown = f"{outcome}{caplog.text}{printed.out}{printed.err}{line.settings!r}"
    assert not traces_in(shown)


def test_r29_no_trace_in_an_error_its_chain_and_what_dagster_would_keep_of_it(
    watched: Watched,
) -> None:
    watched.mirror.status = 500
    resource = build_resources(watched.line.settings)[source_key("binance")]
    source = resource.open(MemoryBreakers(), "backfill")  # type: ignore[attr-defined]
    page = Page(datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 2, tzinfo=UTC))
    try:
        with pytest.raises(SourceError) as caught:
            source._open().run(source._client.candles(series(BTC, "1h"), page))
    finally:
        source.close()
    error = caught.value
    assert error.__traceback__
    kept = serializable_error_info_from_exc_info((type(error), error, error.__traceback__))
    chain = [error, error.__cause__, error.__context__]
    shown = f"{''.join(traceback.format_exception(error))}{chain!r}{kept}{resource!r}{source!r}"
    assert "***" in shown
    assert not traces_in(shown)


def test_r29_no_trace_in_what_the_command_line_prints_and_logs(watched: Watched) -> None:
    watched.mirror.status = 500
    done = subprocess.run(
        [sys.executable, "-m", "data_platform.cli.main", "download", "--layer", "ohlcv"],
        env={**watched.line.environment, "HOUSE_KEY": CANARY, "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert b"***" in done.stderr
    assert TRACE not in done.stdout + done.stderr
    assert files_with_a_trace(watched.line.root) == []
