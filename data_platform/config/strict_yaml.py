"""A strict reader of YAML: plain values with the line of each, surprises refused.

Belongs here: text to dicts, lists, strings, numbers, booleans and None, and where each stood.
Stays out: what the values mean (`models.py`). YAML 1.1 reads `NO` as false, `1:30` as 90,
`010` as 8 and a tag as a Python object (https://yaml.org/type/, read 2026-11-25); a person meant
none of these, so whatever 1.1 and 1.2 read differently is refused with the line it stands on.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeAlias

import yaml

from data_platform.domain.errors import ConfigError

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"

ValuePath = tuple[str | int, ...]
"""Where a value stands in a document: keys and list positions from the top."""

MAX_BYTES = 1_000_000
MAX_DEPTH = 20

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")
_PLAIN = {"null": None, "~": None, "": None, "true": True, "false": False}
_SURPRISES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"(?i)y|yes|n|no|on|off|true|false"),
        "YAML may read it as a boolean: write `true` or `false`, or quote a text",
    ),
    (re.compile(r"(?i)null"), "YAML may read it as nothing: write `null`, or quote a text"),
    (
        re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"),
        'YAML may read it as a number to the base 60: write a duration as `90s`, quote a text ("")',
    ),
    (
        re.compile(r"(?i)[-+]?(0b[01_]+|0x[0-9a-f_]+|0o?[0-7_]+|0[0-9_]+)"),
        "numbers are written in decimal without leading zeros, or quote a text",
    ),
    (
        re.compile(r"(?i)[-+]?(\.inf|\.nan|[0-9][0-9_]*\.?[0-9_]*(e[-+]?[0-9]+)?|\.[0-9_]+(e.*)?)"),
        "numbers are finite, without `_`, `+` or exponent: `1200`, `0.01`; or quote a text",
    ),
    (re.compile(r"<<|="), "merge keys and default values are not accepted here"),
)


@dataclass(frozen=True, slots=True)
class Document:
    """One file of YAML, read."""

    path: Path
    """The file, as messages name it."""
    values: dict[str, Value]
    """The mapping at its top."""
    lines: Mapping[ValuePath, int]
    """The line (from 1) of each key and each list entry."""

    def line_of(self, path: ValuePath) -> int:
        """Return the line of the value at `path`, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def error(self, path: ValuePath, message: str) -> ConfigError:
        """Return the error that names file, line and place of a value and says `message`."""
        place = f"{spell_path(path)}: " if path else ""
        return ConfigError(f"{self.path}:{self.line_of(path)}: {place}{message}")


def spell_path(path: ValuePath) -> str:
    """Return a path as people write it: `exchanges.binance.pairs[2]`."""
    spelled = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return spelled.removeprefix(".")


def read_yaml(path: Path) -> Document:
    """Read a file of YAML whose top is a mapping.

    Args:
        path: the file, UTF-8, at most 1 MB; relative to the current folder or absolute.

    Raises:
        ConfigError: it cannot be read, is no YAML, or holds a duplicate key, a tag, an anchor or
            a scalar that YAML versions read differently; names file and line.
    """
    shown = _shorten(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{shown}: cannot be read: {error.strerror}.") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{shown}: found {len(content)} bytes, at most {MAX_BYTES} are accepted.")
    return parse_yaml(content, shown)


def parse_yaml(content: bytes, path: Path) -> Document:
    """Parse the content of a file; `path` is only named in messages. See `read_yaml`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: expected UTF-8, found another encoding.") from error
    try:
        node = _StrictLoader(text, path).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{path}:{line}: not valid YAML: {error.problem}.") from error
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise ConfigError(f"{path}:{line}: not valid YAML: {error.reason}.") from error
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{path}:1: expected keys with values, found none.")
    lines: dict[ValuePath, int] = {}
    return Document(path, _Builder(path, lines).mapping(node, ()), lines)


class _StrictLoader(yaml.SafeLoader):
    """PyYAML's composer, which refuses aliases, tags and depth before it follows them."""

    def __init__(self, text: str, path: Path) -> None:
        super().__init__(text)
        self._path = path
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None):
            self._refuse(event, "anchors and aliases are not accepted; write the value out.")
        if getattr(event, "tag", None):
            self._refuse(event, f"tag {event.tag!r} is not accepted; write the plain value.")
        if self._depth >= MAX_DEPTH:
            self._refuse(event, f"nested deeper than {MAX_DEPTH} levels.")
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)  # type: ignore[arg-type]
        self._depth -= 1
        return node

    def _refuse(self, event: yaml.Event, message: str) -> NoReturn:
        raise ConfigError(f"{self._path}:{_line(event)}: {message}")


class _Builder:
    """Builds values from nodes and notes their lines."""

    def __init__(self, path: Path, lines: dict[ValuePath, int]) -> None:
        self._path = path
        self._lines = lines

    def mapping(self, node: yaml.MappingNode, at: ValuePath) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            place = (*at, key)
            if key in values:
                first = self._lines[place]
                self._refuse(key_node, f"key {key!r} stands twice, first on line {first}.")
            self._lines[place] = _line(key_node)
            values[key] = self._value(value_node, place)
        return values

    def _value(self, node: yaml.Node, at: ValuePath) -> Value:
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, at)
        if isinstance(node, yaml.SequenceNode):
            return self._sequence(node, at)
        return self._scalar(node)

    def _sequence(self, node: yaml.SequenceNode, at: ValuePath) -> list[Value]:
        for index, child in enumerate(node.value):
            self._lines[*at, index] = _line(child)
        return [self._value(child, (*at, index)) for index, child in enumerate(node.value)]

    def _key(self, node: yaml.Node) -> str:
        key = self._scalar(node) if isinstance(node, yaml.ScalarNode) else None
        if not isinstance(key, str):
            self._refuse(node, f"key {node.value!r} is not a text; quote it if it is meant so.")
        return key

    def _scalar(self, node: yaml.Node) -> str | int | float | bool | None:
        text = str(node.value)
        if getattr(node, "style", None):
            return text
        if text in _PLAIN:
            return _PLAIN[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            return float(text)
        for pattern, why in _SURPRISES:
            if pattern.fullmatch(text):
                self._refuse(node, f"found {text!r}: {why}.")
        return text

    def _refuse(self, node: yaml.Node, message: str) -> NoReturn:
        raise ConfigError(f"{self._path}:{_line(node)}: {message}")


def _line(part: yaml.Node | yaml.Event) -> int:
    return part.start_mark.line + 1 if part.start_mark else 1


def _shorten(path: Path) -> Path:
    absolute = path.absolute()
    here = Path.cwd()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else absolute
