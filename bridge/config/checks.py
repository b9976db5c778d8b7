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
VERSION_PATTERN = r"^[0-9]{1,4}(\.[0-9]{1,4}){1,2}$"

_MAX_REGEX = 500  # characters
_RESERVED_WORKSPACES = ("workspaces", "api", "ajax-api", "static-files")


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


def registered_model(text: str) -> str:
    """Accept the name of a model of MLflow: what mlflow 3.17.2 lets be created and people can read."""
    if re.search(r"[/:]", plain(text)):
        raise Wrong(f"{text!r} must hold neither '/' nor ':'")
    if text == "." or text.startswith(".."):  # mlflow/utils/validation.py:701, path_not_unique
        raise Wrong(f"{text!r} is no name of a model, because MLflow takes it for a path")
    return text


def mlflow_alias(text: str) -> str:
    """Accept an alias that MLflow can hold (mlflow 3.17.2, mlflow/utils/validation.py:723-750)."""
    if re.fullmatch(r"latest|v\d+", text, re.IGNORECASE):
        raise Wrong(f"MLflow lets no alias be named {text!r}; name one that is set by somebody")
    if not re.fullmatch(r"[\w-]{1,255}", text):
        raise Wrong(f"{text!r} is no alias of MLflow; use letters, digits, '_' and '-'")
    return text


def workspace(text: str) -> str:
    """Accept the name of a workspace of MLflow (3.17.2, mlflow/store/workspace/abstract_store.py:146)."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,61}[a-z0-9]", text):
        advice = "use 2 to 63 of a-z, 0-9 and '-', with a letter or digit first and last"
        raise Wrong(f"{text!r} is not a workspace's name; {advice}")
    if text in _RESERVED_WORKSPACES:
        raise Wrong(f"{text!r} is a name that MLflow keeps for itself; write another workspace")
    return text


def tag_keys(table: dict[str, str]) -> dict[str, str]:
    """Accept keys that a "key=value" can be read back from."""
    bad = [key for key in table if "=" in key]
    if bad:
        raise Wrong(
            *(Fault(f"the key of a tag must not hold '=', as {key!r} does", (key,), on_key=True) for key in bad)
        )
    return table


def unique(entries: list[str]) -> list[str]:
    """Accept a list without twins."""
    twins = [index for index, entry in enumerate(entries) if entry in entries[:index]]
    if twins:
        raise Wrong(*(Fault(f"{entries[index]!r} is listed twice", (index,)) for index in twins))
    return entries


def framework_version(text: str) -> str:
    """Accept a version with its minor number, which is what tells one prebuilt container from another."""
    if not re.fullmatch(VERSION_PATTERN, text, re.ASCII):
        raise Wrong(f'{text!r} is not a version; write it like "1.5" or "1.5.2"')
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


def size(text: str) -> str:
    """Accept a size: `8MiB`."""
    units.size(text)
    return text


def rate(text: str) -> str:
    """Accept a rate: `200MB/s`."""
    units.rate(text)
    return text


def budget(text: str) -> str:
    """Accept a budget of requests: `60/m`."""
    units.budget(text)
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
