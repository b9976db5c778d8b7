"""The stand-in's schema against every GraphQL document of the installed SDK."""

from __future__ import annotations

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from graphql import GraphQLSchema, parse, validate

from bridge.sandbox.wandb.resolvers import schema_without

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = re.compile(rb"(?:query|mutation|subscription) ([A-Z]\w*) ?[({]")
FRAGMENT = re.compile(rb"\s*fragment \w+ on \w+ \{")
DOCUMENT_MAX = 20_000  # bytes


def sdk_folder() -> Path:
    """Find the SDK without importing it."""
    spec = importlib.util.find_spec("wandb")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def python_documents() -> Iterator[tuple[str, str]]:
    """Read the constants of the SDK's modules `_generated/operations.py`."""
    for path in sorted(sdk_folder().glob("**/_generated/operations.py")):
        room = path.parent.parent.relative_to(sdk_folder()).as_posix()
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            match statement:
                case ast.Assign([ast.Name(name)], ast.Constant(str(text))) if name.endswith("_GQL"):
                    yield f"{room}:{name}", text


def core_documents() -> Iterator[tuple[str, str]]:
    """Read the documents of the SDK's Go program, which stand in the binary as plain text."""
    binary = (sdk_folder() / "bin" / "wandb-core").read_bytes()
    for found in DOCUMENT.finditer(binary):
        end = end_of_block(binary, found.start())
        while end and FRAGMENT.match(binary, end):
            end = end_of_block(binary, end)
        if end:
            yield f"core:{found[1].decode()}", binary[found.start() : end].decode()


def end_of_block(binary: bytes, start: int) -> int | None:
    """Return where the block that opens after `start` ends; None if it stops being text before."""
    depth = 0
    for at in range(start, min(len(binary), start + DOCUMENT_MAX)):
        letter = binary[at : at + 1]
        if letter in (b"{", b"("):
            depth += 1
        elif letter in (b"}", b")"):
            depth -= 1
            if depth == 0 and letter == b"}":
                return at + 1
        elif not letter.isascii() or (letter < b" " and letter not in b"\t\n\r"):
            return None
    return None


@cache
def documents() -> dict[str, str]:
    return dict(python_documents()) | dict(core_documents())


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return schema_without(frozenset())


def test_the_documents_of_the_sdk_are_found() -> None:
    assert len(documents()) == 120  # wandb 0.31.0: if this changes, look at what is new


@pytest.mark.parametrize("name", sorted(documents()))
def test_the_schema_allows_the_document(schema: GraphQLSchema, name: str) -> None:
    assert validate(schema, parse(documents()[name])) == []


def test_a_planted_unknown_field_is_found(schema: GraphQLSchema) -> None:
    [error] = validate(schema, parse("{ viewer { shoeSize } }"))
    assert "shoeSize" in error.message
