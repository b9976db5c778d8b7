"""
What a version says of itself: in an MLmodel file, or in the metadata of an artifact.

An MLmodel file is plain YAML (mlflow 3.17.2 writes it with `yaml.safe_dump`), and is read as such: from
ruamel.yaml's events, so that no tag constructs anything and reading stops at the first anchor or the 33rd
level. Nothing of mlflow is imported, and nothing is unpickled.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from bridge.core.errors import NeedsPerson
from bridge.core.model import Facts

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = 1024 * 1024
MOST_LEVELS = 32
MOST_EVENTS = 20_000  # about a second's work; mlflow keeps what grows with a model's columns in one text

_LONGEST = 1000  # characters of a flavor's value that is kept
_SHORT = 100  # characters of a name or a version
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?=.*[.eE])(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,2})?")
_HALF = re.compile("[\0\ud800-\udfff]")


class _Text(str):
    """A value that is not quoted, as it is written: of a version, `1.10` is not the number 1.1."""

    __slots__ = ()


class _RefusedError(Exception):
    """The file is YAML that an MLmodel file never needs; the message is a clause."""


def read_mlmodel(content: bytes, name: str) -> Facts:
    """
    Read an MLmodel file of at most 1 MiB: flavors, Python version, signature and run.

    `name` is what messages call the file. What a flavor nests (its environments) is left out. Raises
    NeedsPerson if this is no YAML mapping, or one with tags, anchors, duplicate keys, over 32 levels or
    over some 10,000 values.
    """
    try:
        root = _read(content)
    except _RefusedError as refused:
        raise NeedsPerson(
            f"{name!a} cannot be read: {refused}",
            "log the version again with mlflow's log_model, or with a file of another name",
        ) from None
    flavors = root.get("flavors")
    kept = {
        flavor: _single_values(values if isinstance(values, dict) else {})
        for flavor, values in (flavors.items() if isinstance(flavors, dict) else ())
        if len(flavor) <= _SHORT
    }
    signature, run_id = root.get("signature"), root.get("run_id")
    return Facts(
        flavors=kept,
        python=_short_text(kept.get("python_function", {}).get("python_version")),
        signature=json.dumps(_plain(signature), sort_keys=True) if isinstance(signature, dict) else None,
        run_id=_short_text(run_id) if isinstance(run_id, str) else None,
    )


def metadata_facts(metadata: Mapping[str, object]) -> Facts:
    """
    Return what an artifact's metadata says, under the keys that the documentation asks for.

    They are framework, framework_version, python_version, run_id and metrics (a mapping of numbers).
    What is not a short text or a finite number is as good as absent: people keep anything in there.
    """
    metrics = metadata.get("metrics")
    numbers = {
        name: number
        for name, value in (metrics.items() if isinstance(metrics, Mapping) else ())
        if _short_text(name) is not None and (number := _finite(value)) is not None
    }
    version = metadata.get("framework_version")
    return Facts(
        python=_short_text(metadata.get("python_version")),
        run_id=_short_text(metadata.get("run_id")),
        metrics=numbers,
        framework=_short_text(metadata.get("framework")),
        framework_version=_short_text(version if _finite(version) is None else str(version)),
    )


def _single_values(values: Mapping[str, object]) -> dict[str, str]:
    return {
        key: str(value)
        for key, value in values.items()
        if isinstance(value, str) and len(key) <= _SHORT and len(value) <= _LONGEST and not _is_null(value)
    }


def _is_null(value: str) -> bool:
    return isinstance(value, _Text) and _NULL.fullmatch(value) is not None


def _short_text(value: object) -> str | None:
    if not isinstance(value, str) or not 0 < len(value) <= _SHORT or not value.isprintable() or _is_null(value):
        return None
    return str(value)


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # an int of over 308 digits
        return None
    return number if math.isfinite(number) else None


def _plain(value: object) -> object:
    """Return a tree of texts as JSON's values: what is not quoted is read as YAML 1.2's core schema says."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return _word(value) if isinstance(value, _Text) else value


def _word(value: _Text) -> str | float | bool | None:  # int is a float to the type checker
    if _NULL.fullmatch(value):
        return None
    if _BOOL.fullmatch(value):
        return value.lower() == "true"
    if _INT.fullmatch(value):
        return int(value)
    return float(value) if _FLOAT.fullmatch(value) else str(value)


def _read(content: bytes) -> dict[str, object]:
    """Return the one mapping that is in a file. Raises _RefusedError."""
    if len(content) > MOST_BYTES:
        raise _RefusedError("it is larger than 1 MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _RefusedError("it is not UTF-8") from None
    try:
        root = _document(_bounded(YAML(typ="safe", pure=True).parse(text)))
    except (YAMLError, ValueError, OverflowError):  # the last two: escapes such as "\UFFFFFFFF"
        raise _RefusedError("it is not YAML") from None
    if not isinstance(root, dict):
        raise _RefusedError("it is not a YAML mapping")
    return root


def _bounded(events: Iterator[object]) -> Iterator[object]:
    for count, event in enumerate(events):
        if count >= MOST_EVENTS:
            raise _RefusedError(f"it holds more than {MOST_EVENTS // 2} values")
        yield event


def _document(events: Iterator[object]) -> object:
    root, documents = None, 0
    for event in events:
        if isinstance(event, DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _RefusedError("it holds a second YAML document")
        elif isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent | AliasEvent):
            root = _value(event, events, 1)
    return root


def _value(event: object, events: Iterator[object], depth: int) -> object:
    if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
        raise _RefusedError("anchors and aliases ('&', '*') are not allowed")
    if getattr(event, "ctag", None) is not None:
        raise _RefusedError("tags ('!') are not allowed")
    if depth > MOST_LEVELS:
        raise _RefusedError(f"it is nested deeper than {MOST_LEVELS} levels")
    if isinstance(event, MappingStartEvent):
        return _mapping(events, depth)
    if isinstance(event, SequenceStartEvent):
        values = []
        while not isinstance(event := next(events), SequenceEndEvent):
            values.append(_value(event, events, depth + 1))
        return values
    return _scalar(event)


def _mapping(events: Iterator[object], depth: int) -> dict[str, object]:
    values: dict[str, object] = {}
    while not isinstance(event := next(events), MappingEndEvent):
        key = _value(event, events, depth + 1)
        if not isinstance(key, str):
            raise _RefusedError("a key is a list or a mapping")
        if key in values:
            raise _RefusedError(f"the key {key[:_SHORT]!a} is there twice")
        values[str(key)] = _value(next(events), events, depth + 1)
    return values


def _scalar(event: object) -> str:
    text: str = event.value  # type: ignore[attr-defined]  # a ScalarEvent; ruamel types none of it
    if _HALF.search(text):
        raise _RefusedError("a text holds NUL or half of a surrogate pair")
    return text if event.style is not None else _Text(text)  # type: ignore[attr-defined]  # the same
