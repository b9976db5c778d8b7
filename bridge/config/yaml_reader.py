"""
YAML text into a tree that knows where everything stands.

The tree is built from ruamel.yaml's events, not by its constructors: an event has the place of every
key and value, nothing is ever constructed from a tag, and reading stops at the first anchor or the
33rd level, so that no small file becomes a large tree. Plain words are read as YAML 1.2's core schema
says, whatever a `%YAML` line asks for: `no`, `on` and 2024-01-01 are texts.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from bridge.config.report import visible
from bridge.core.errors import ConfigError, Position

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.config.report import Report

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]{1,18}")  # longer ones stay texts: no setting is that large
_FLOAT = re.compile(r"[-+]?(?=.*[.eE])(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?")


@dataclass(frozen=True, slots=True)
class Node:
    """A value in a file, with what is below it."""

    at: Position
    last_line: int
    plain: object  # str, int, float, bool, None, and lists and dicts (with texts as keys) of them
    below: Mapping[str | int, Node] = field(default_factory=dict)  # by key, or by index from 0
    keys: Mapping[str, Position] = field(default_factory=dict)  # where each key stands


def shown(path: Path) -> str:
    """Return a path as messages show it: relative to the current directory where it is below it, with `/`."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100  resolve() would show what a link points to
    here = Path.cwd()
    return visible((absolute.relative_to(here) if absolute.is_relative_to(here) else absolute).as_posix())


def read_yaml(path: Path, report: Report) -> Node | None:
    """
    Read one file of at most 1 MiB; None if it cannot be read as one YAML document.

    Whatever is wrong, a duplicate key too, goes into the report. OSErrors are reported, not raised.
    """
    file = shown(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        report.add(f"cannot be read: {error.strerror}", Position(file, 1, 1))
        return None
    if len(raw) > MAX_BYTES:
        report.add("this file is larger than 1 MiB; is it a configuration?", Position(file, 1, 1))
        return None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = _place(file, error.object[: error.start].decode())
        report.add(f"byte 0x{error.object[error.start]:02x} is not UTF-8; save the file as UTF-8", at)
        return None
    return _parse(file, text, report)


def _parse(file: str, text: str, report: Report) -> Node | None:
    report.opened(file, _lines(text))
    try:
        root = _Tree(file, text, report).build()
    except ConfigError as error:
        report.add(error.message, error.at)
        return None
    except ReaderError as error:
        at = _place(file, text[: error.position])
        report.add(f"the character {text[error.position]!a} is not allowed in YAML", at)
        return None
    except (YAMLError, ValueError, OverflowError) as error:  # the last two: escapes such as "\UFFFFFFFF"
        _not_yaml(file, error, report)
        return None
    if root is None or root.plain is None:
        report.add("this file is empty", Position(file, 1, 1))
        return None
    return root


def _not_yaml(file: str, error: Exception, report: Report) -> None:
    problem, at = "it cannot be parsed", Position(file, 1, 1)
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        at = Position(file, error.problem_mark.line + 1, error.problem_mark.column + 1)
        # ruamel quotes parts of the line, so where a secret may be on it, it does not get to speak.
        problem = problem if report.may_be_secret(file, at.line) else str(error.problem)
    report.add(f"this is not YAML: {problem}", at)


def _place(file: str, before: str) -> Position:
    """Return the place of what follows the text `before`."""
    lines = _lines(before)
    return Position(file, len(lines), len(lines[-1]) + 1)


def _lines(text: str) -> list[str]:
    return re.split(r"\r\n|\n|\r", text)  # as ruamel.yaml counts them; splitlines() knows more ends


class _Tree:
    """Builds the nodes of one document from its events, depth first."""

    def __init__(self, file: str, text: str, report: Report) -> None:
        yaml = YAML(typ="safe", pure=True)  # "rt" keeps comments too, and stumbles over some
        self._events: Iterator[object] = yaml.parse(text)
        self._file = file
        self._report = report

    def build(self) -> Node | None:
        """Return the root, None for a file without a document. Raises ConfigError and ruamel's errors."""
        root: Node | None = None
        documents = 0
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise ConfigError("a second YAML document begins here; write one per file", self._at(event))
            elif isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent | AliasEvent):
                root = self._node(event, depth=1)
        return root

    def _node(self, event: object, depth: int) -> Node:
        self._refuse(event, depth)
        match event:
            case ScalarEvent():
                return Node(self._at(event), event.end_mark.line + 1, self._scalar(event))
            case SequenceStartEvent():
                return self._sequence(event, depth)
            case _:
                return self._table(event, depth)

    def _sequence(self, start: object, depth: int) -> Node:
        nodes: list[Node] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            nodes.append(self._node(event, depth + 1))
        return self._joined(start, [node.plain for node in nodes], dict(enumerate(nodes)), {})

    def _table(self, start: object, depth: int) -> Node:
        keys: dict[str, Position] = {}
        nodes: dict[str | int, Node] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            at = self._at(event)
            self._refuse(event, depth)
            if not isinstance(event, ScalarEvent):
                raise ConfigError("a key must be a text, not a list or a mapping", at)
            key = self._text(event)
            value = self._node(next(self._events), depth + 1)
            if key in keys:
                self._duplicate(key, at, keys[key], value)
                continue
            keys[key] = at
            # Nothing stands where an empty value would, so its key is shown instead.
            nodes[key] = Node(at, value.last_line, None) if value.plain is None else value
        return self._joined(start, {key: nodes[key].plain for key in keys}, nodes, keys)

    def _duplicate(self, key: str, at: Position, first: Position, value: Node) -> None:
        self._report.add(f"duplicate key {key!r}; it is already in line {first.line}", at)
        # The second value is kept out of the tree, so nobody judges whether it is a secret.
        self._report.hide(self._file, range(at.line, value.last_line + 1))

    def _joined(
        self, start: object, plain: object, below: Mapping[str | int, Node], keys: Mapping[str, Position]
    ) -> Node:
        at = self._at(start)
        return Node(at, max([at.line, *(node.last_line for node in below.values())]), plain, below, keys)

    def _scalar(self, event: ScalarEvent) -> str | float | bool | None:  # int is a float to the type checker
        text = self._text(event)
        if event.style is not None:
            return text
        if _NULL.fullmatch(text):
            return None
        if _BOOL.fullmatch(text):
            return text.lower() == "true"
        if _INT.fullmatch(text):
            return int(text)
        return float(text) if _FLOAT.fullmatch(text) else text

    def _text(self, event: ScalarEvent) -> str:
        text: str = event.value
        if re.search("[\0\ud800-\udfff]", text):
            raise ConfigError("a text must hold neither NUL nor half of a surrogate pair", self._at(event))
        return text

    def _refuse(self, event: object, depth: int) -> None:
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
            raise ConfigError("anchors and aliases ('&', '*') are not allowed; write the value out", self._at(event))
        if getattr(event, "ctag", None) is not None:
            raise ConfigError("tags ('!') are not allowed; write the plain value", self._at(event))
        if depth > MAX_DEPTH:
            raise ConfigError(f"this is nested deeper than {MAX_DEPTH} levels", self._at(event))

    def _at(self, event: object) -> Position:
        mark = event.start_mark  # type: ignore[attr-defined]  # every event has one; ruamel types none of it
        return Position(self._file, mark.line + 1, mark.column + 1)
