"""Arrow's file format, written of batches that an older file holds already and of new ones.

A batch of an older file is copied as it lies there, compressed, so that a file of many years grows
for the price of its last batch. Holds the format's frame alone; what is in a batch, and whether an
older file can be trusted, is for the caller to know.

A file is its magic, the messages of a stream (the schema, then each batch), the stream's end, and
a footer that repeats the schema, has the file's notes and tells where each message lies. pyarrow
reads and writes messages but no footer by itself: it is taken from a file of as many empty batches,
and the places in it are exchanged for the real ones.
https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format (read 2026-11-28)
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_platform.domain.errors import ExportError

_MAGIC = b"ARROW1\0\0"
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
_PLACE = struct.Struct("<qi4xq")
"""Of a message, as the footer holds it: offset, bytes before its body, bytes of its body."""
_TAIL = struct.Struct("<i6s")
_NAMES = b"batches"
"""The key in the file's notes under which the names of the batches stand."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a file."""

    name: str
    """The same name stands for the same rows, in any file; empty: for none."""
    read: Callable[[], tuple[str, Any]]
    """Returns the rows as an Arrow table, and their name, which is another where others were found.

    Called when no older file has them."""


def write_batches(
    batches: Sequence[Batch],
    schema: Any,  # noqa: ANN401  (pyarrow has no types)
    options: Any,  # noqa: ANN401
    path: Path,
    older: Path | None = None,
) -> None:
    """Write an Arrow file, the same bytes as pyarrow writes of the same batches.

    Args:
        batches: at least one, in their order.
        schema: of each; pyarrow's.
        options: pyarrow's `IpcWriteOptions`, for batches that are new.
        path: where to write; does not exist yet.
        older: a file of this function's, with the same schema and options; whole and unchanged.
    """
    import pyarrow as pa

    kept = _read_messages(older, schema) if older else {}
    names, places = [], []
    with pa.OSFile(str(path), "wb") as file:
        file.write(_MAGIC)
        _copy(_encode([], schema, options)[0], file)
        for batch in batches:
            name, message = batch.name, kept.get(batch.name)
            if message is None:
                name, table = batch.read()
                message = _encode([table], schema, options)[1]
            names.append(name)
            places.append(_copy(message, file))
        file.write(_END_OF_STREAM)
        file.write(_footer(schema, {_NAMES: " ".join(names)}, places))


def _read_messages(path: Path, schema: Any) -> dict[str, Any]:  # noqa: ANN401
    # A file's batches by their names, as they lie there; none of a file that has no names.
    import pyarrow as pa

    content = pa.memory_map(str(path)).read_buffer()
    found = pa.ipc.open_file(content)
    names = (found.metadata or {}).get(_NAMES, b"").decode().split()
    messages = list(pa.ipc.MessageReader.open_stream(content.slice(len(_MAGIC))))[1:]
    if not found.schema.equals(schema) or len(names) != len(messages):
        return {}
    return dict(zip(names, messages, strict=True))


def _encode(tables: Sequence[Any], schema: Any, options: Any) -> list[Any]:  # noqa: ANN401
    # The messages of a stream: its schema's, then one a table.
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        for table in tables:
            writer.write_table(table.combine_chunks())
    return list(pa.ipc.MessageReader.open_stream(sink.getvalue()))


def _copy(message: Any, file: Any) -> bytes:  # noqa: ANN401
    # Returns the message's place in the file, as a footer holds it.
    begin: int = file.tell()
    message.serialize_to(file)
    body: int = message.body.size if message.body is not None else 0
    return _PLACE.pack(begin, file.tell() - begin - body, body)


def _footer(schema: Any, notes: Mapping[bytes, str], places: Sequence[bytes]) -> bytes:  # noqa: ANN401
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema, metadata=notes) as writer:
        for _ in places:
            writer.write_batch(pa.RecordBatch.from_pylist([], schema))
    empty: bytes = sink.getvalue().to_pybytes()
    length, _ = _TAIL.unpack(empty[-_TAIL.size :])
    footer = empty[-_TAIL.size - length :]
    trial = pa.BufferOutputStream()
    trial.write(_MAGIC)
    messages = list(pa.ipc.MessageReader.open_stream(pa.py_buffer(empty[len(_MAGIC) :])))
    standing = b"".join([_copy(it, trial) for it in messages][1:])
    if footer.count(standing) != 1:
        raise ExportError("pyarrow lays out a footer as it never did; export with another version.")
    return footer.replace(standing, b"".join(places))
