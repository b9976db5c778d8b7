"""
What several values of one mapping, or one connection, must be together: functions from plain values to faults.

They run whatever else is wrong, so they judge only what has the right type, and say nothing of the rest.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.config import checks
from bridge.config.addresses import is_loopback
from bridge.config.relations_aliases import faults_of_aliases
from bridge.config.relations_selection import faults_of_selection
from bridge.config.wrong import Fault, Wrong, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEEDS_IMAGE = {
    "mirror": "the image that serves the files as they are",
    "custom-mlflow": "an image that runs MLflow's scoring server",
}
_GROUP = re.compile(r"\{([^{}]*)\}")


def faults_of_mapping(said: object) -> Iterator[Fault]:
    """Yield what is wrong between the parts of one rule of a mapping file."""
    yield from faults_of_aliases(said)
    yield from faults_of_selection(said)
    yield from _model(said)
    match said:
        case {"serving": dict(serving)}:
            yield from _ports(serving)
            yield from _layout(serving)
        case _:
            return


def faults_of_connection(said: object) -> Iterator[Fault]:
    """Yield what is wrong between the parts of one connection."""
    match said:
        case {"insecure": True, "endpoint": str(endpoint)} if is_loopback(endpoint):
            return
        case {"insecure": True}:
            message = "insecure is only for an endpoint on this machine, such as endpoint: localhost:9022"
            yield Fault(message, ("insecure",))
        case _:
            return


def _model(said: object) -> Iterator[Fault]:
    what = "collection"
    pattern: str | None
    match said:
        case {"source": {"model": {"regex": str(regex)}}, "target": {"model": str(model)}}:
            what, pattern = "model", regex
        case {"source": {"model": str()}, "target": {"model": str(model)}}:
            what, pattern = "model", None
        case {"source": {"registry": _, "collection": {"regex": str(regex)}}, "target": {"model": str(model)}}:
            pattern = regex
        case {"source": {"collection": str()}, "target": {"model": str(model)}}:
            pattern = None
        case _:
            return
    if problem := _groups_fault(model, what, pattern):
        yield Fault(problem, ("target", "model"))


def _ports(serving: dict[str, object]) -> Iterator[Fault]:
    match serving:
        case {"port": int(), "ports": list()}:
            yield Fault("write port or ports, not both", ("serving", "ports"), on_key=True)
        case _:
            return


def _layout(serving: dict[str, object]) -> Iterator[Fault]:
    """Judge what a layout with an image of the user's own needs, and what means nothing to it."""
    layout = serving.get("layout", "mirror")
    if not isinstance(layout, str) or layout not in _NEEDS_IMAGE:
        return
    if serving.get("image") is None:
        advice = "write image: its address, or layout: auto or layout: prebuilt, which find one of Vertex AI's own"
        yield Fault(f"layout {layout} needs {_NEEDS_IMAGE[layout]}; {advice}", ("serving",))
    for key in ("framework", "framework_version", "accelerator"):
        if serving.get(key) is not None:
            reason = f"it chooses among Vertex AI's own images, and layout {layout} starts yours"
            advice = "leave it out, or write layout: auto or layout: prebuilt"
            yield Fault(f"{key} means nothing here: {reason}; {advice}", ("serving", key), on_key=True)


def _groups_fault(model: str, what: str, pattern: str | None) -> str | None:
    """Say what is wrong with the `{group}`s of a target's model, given its source's pattern, if there is one."""
    asked = _GROUP.findall(model)
    if re.search(r"[{}]", _GROUP.sub("", model)):
        return "'{' and '}' stand only around the name of a group"
    if pattern is None:
        return f"{{{asked[0]}}} needs a source whose {what} is a {{regex: …}} with that group" if asked else None
    try:
        known = re.compile(checks.regex(pattern)).groupindex
    except Wrong:
        return None
    unknown = next((group for group in asked if group not in known), None)
    if unknown is not None:
        return f"the pattern has no group {unknown!r}; {did_you_mean(unknown, known, 'its named groups:')}"
    if not asked:
        return f"many {what}s would land on one model; put a {{group}} of the pattern, (?P<group>…), into its name"
    return None
