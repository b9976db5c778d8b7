"""
What single values must look like: functions from a value to itself that raise Wrong.

Shapes are pydantic's business (schema_bridge, schema_mapping); these are the rules that types do not give.
"""

from __future__ import annotations

import re
import warnings

from bridge.config import units
from bridge.config.wrong import Fault, Wrong
from bridge.core.naming import label_value

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"

_MAX_REGEX = 500  # characters


def name(text: str) -> str:
    """Accept a mapping's or a connection's name."""
    if not re.fullmatch(NAME_PATTERN, text):
        raise Wrong(f"{text!r} is not a name; use 1 to 63 of a-z, 0-9, '_' and '-', with a letter or digit first")
    return text


def plain(text: str) -> str:
    """Accept a text that reads as what it is: not empty, no white space around it, nothing unprintable."""
    if not text.strip():
        raise Wrong("expected a text, found an empty one")
    if text != text.strip() or not text.isprintable():
        raise Wrong(f"{text!r} holds a character that cannot be seen, or white space around it")
    return text


def part(text: str) -> str:
    """Accept one part of a path of W&B: a registry, an entity, a project or a collection."""
    if "/" in plain(text):
        raise Wrong(f"{text!r} must not hold '/'")
    return text


def registry(text: str) -> str:
    """Accept a registry's name as W&B's pages show it, without the prefix of the project behind it."""
    if part(text).startswith("wandb-registry-"):
        raise Wrong(f"write the registry as {text.removeprefix('wandb-registry-')!r}, without 'wandb-registry-'")
    return text


def regex(text: str) -> str:
    """Accept a pattern over the whole name of a collection."""
    if "/" in text:
        raise Wrong("a collection's name holds no '/', so its pattern must not either")
    if len(text) > _MAX_REGEX:
        raise Wrong(f"a pattern has at most {_MAX_REGEX} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # re only warns of what a later Python will read differently
            re.compile(text)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise Wrong(f"this regular expression does not compile: {error}") from error
    return text


def duration(text: str) -> str:
    """Accept a duration: `10m`."""
    units.duration(text)
    return text


def interval(text: str) -> str:
    """Accept a duration that is not zero."""
    if not units.duration(text):
        raise Wrong("an interval must be longer than nothing")
    return text


def percentage(text: str) -> str:
    """Accept a percentage: `30%`."""
    units.share(text)
    return text


def owner(text: str) -> str:
    """Accept a legal label value of Google Cloud."""
    if label_value(text) != text:
        raise Wrong(f"{text!r} is not a label value; use at most 63 of a-z, 0-9, '_' and '-'")
    return text


def route(text: str) -> str:
    """Accept an HTTP path."""
    if not re.fullmatch(r"/[^\s?#]*", text) or not text.isprintable():
        raise Wrong(f"{text!r} is not a path; expected one like /predict")
    return text


def image(text: str) -> str:
    """Accept the address of a container image."""
    if re.search(r"\s|://", plain(text)):
        raise Wrong(f"{text!r} is not an image; expected one like europe-docker.pkg.dev/project/folder/name@sha256:…")
    return text


def variables(table: dict[str, str]) -> dict[str, str]:
    """Accept names of variables that Vertex accepts: C identifiers."""
    bad = [key for key in table if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key)]
    if bad:
        message = "{!r} is not a variable's name; use letters, digits and '_', and no digit first"
        raise Wrong(*(Fault(message.format(key), (key,), on_key=True) for key in bad))
    return table
