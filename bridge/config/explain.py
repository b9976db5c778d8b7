"""
Checks a part of a file against its model, and says in our words, at their place, what pydantic finds.

pydantic leads to an error by keys and indices, and by the tag of a variant where it had to
choose one; a tag is no key of any file (it begins with NUL, which yaml_reader refuses), so the way through
the tree skips it.
"""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError

from bridge.config.schema_bridge import (
    MlflowWebhookYaml,
    MlflowYaml,
    SecretYaml,
    VertexYaml,
    WandbWebhookYaml,
    WandbYaml,
)
from bridge.config.schema_models import Strict
from bridge.config.wrong import SECRET_ADVICE, Fault, Wrong, did_you_mean, kind_of

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from bridge.config.report import Report
    from bridge.config.schema_models import Known
    from bridge.config.yaml_reader import Node

Model = TypeVar("Model", bound=Strict)
Way = tuple[int | str, ...]

_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_ON_KEY = "[key]"  # pydantic's last step to a key instead of its value

_WEBHOOKS = (WandbWebhookYaml, MlflowWebhookYaml)
_HOLD_SECRETS = (WandbYaml, MlflowYaml, VertexYaml, *_WEBHOOKS)


def validate(model: type[Model], node: Node, report: Report, known: Known) -> Model | None:
    """
    Return what `node` says as a `model`, or None if it cannot; whatever is wrong goes into the report.

    Unknown keys are reported and then left out, so that they hide nothing else that is wrong.
    """
    plain = node.plain
    unknown = [error for error in _errors(model, plain, known) if error["type"] == "extra_forbidden"]
    for error in unknown:
        _explain(error, model, node, report)
        plain = _without(plain, _way_in(node, error["loc"]))
    wrong = _errors(model, plain, known)
    for error in wrong:
        _explain(error, model, node, report)
    return None if wrong else model.model_validate(plain, context=known)


def _errors(model: type[Strict], plain: object, known: Known) -> list[ErrorDetails]:
    try:
        model.model_validate(plain, context=known)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _explain(error: ErrorDetails, root: type[Strict], node: Node, report: Report) -> None:
    loc = error["loc"]
    on_key = loc[-1:] == (_ON_KEY,) and _way_in(node, loc) == _way_in(node, loc[:-1])  # no key of that very name
    if on_key:
        loc = loc[:-1]
    secret = _way_to_secret(root, loc[:-1] if error["type"] == "missing" else loc)
    if secret is not None:  # whatever is wrong there: no word of what was written
        note(report, node, Fault(SECRET_ADVICE, secret=True), secret)
        return
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, Wrong):
        for fault in cause.faults:
            note(report, node, replace(fault, on_key=fault.on_key or on_key), loc)
        return
    holder = _type_at(root, loc[:-1])
    if error["type"] == "extra_forbidden":
        may_be_secret = holder in _HOLD_SECRETS  # a misspelled api_key holds one all the same
        note(report, node, Fault(_unknown(holder, str(loc[-1])), on_key=True, secret=may_be_secret), loc)
    else:
        may_be_secret = _type_at(root, loc) in _WEBHOOKS  # in place of {token: …, secret: …}
        note(report, node, Fault(_message(error, holder), on_key=on_key, secret=may_be_secret), loc)


def note(report: Report, root: Node, fault: Fault, loc: Way = ()) -> None:
    """Report a fault, found at `loc` below `root`, with its place; a secret's lines are hidden."""
    at = key_at = root.at
    node = root
    for step in _way_in(root, (*loc, *fault.below)):
        key_at = node.keys.get(str(step), node.below[step].at)
        node = node.below[step]
        at = node.at
    if fault.secret:
        report.hide(at.file, range(key_at.line, node.last_line + 1))
    report.add(fault.message, key_at if fault.on_key else at)


def _unknown(holder: object, key: str) -> str:
    fields = _fields(holder)
    advice = _advice(holder).get(key) or did_you_mean(key, fields, "known keys:")
    return f"unknown key {key!r}; {advice}"


def _message(error: ErrorDetails, holder: object) -> str:  # noqa: PLR0911  one kind of error a case
    kind, found, limits = error["type"], error["input"], error.get("ctx", {})
    step = str(error["loc"][-1]) if error["loc"] else ""
    advice = _advice(holder).get(step)
    match kind:
        case "missing":
            return f"missing key {step!r}; {advice}" if advice else f"missing key {step!r}"
        case "literal_error":
            words = re.findall(r"'([^']*)'", limits["expected"])
            said = repr(found) if isinstance(found, str) else kind_of(found)
            near = advice or did_you_mean(str(found), words, "write one of")
            return f"expected {limits['expected'].replace(chr(39), '')}, found {said}; {near}"
        case "string_type" if isinstance(found, int | float):
            return f"expected a text, found {kind_of(found)}; write it in quotes"
        case "too_short":
            return "expected at least one entry, found none"
        case "greater_than_equal" | "less_than_equal":
            return f"expected {'at least' if 'ge' in limits else 'at most'} {limits.get('ge', limits.get('le'))}"
        case "value_error":
            return str(limits["error"])
        case _:
            return f"expected {_EXPECTED[kind]}, found {kind_of(found)}"


def _without(plain: object, way: Way) -> object:
    """Return a copy without the value that `way` leads to."""
    changed = copy.deepcopy(plain)
    holder: Any = changed  # lists and dicts, as deep as the way goes
    for step in way[:-1]:
        holder = holder[step]
    del holder[way[-1]]
    return changed


def _way_in(node: Node, loc: Way) -> Way:
    """Return the steps of `loc` that exist in the tree: without tags, and without a key that is missing."""
    way = []
    for step in loc:
        if step in node.below:
            way.append(step)
            node = node.below[step]
    return tuple(way)


def _way_to_secret(root: type[Strict], loc: Way) -> Way | None:
    """Return the first part of `loc` that leads to where a secret's reference stands, if it does."""
    ways = (loc[:end] for end in range(len(loc) + 1))
    return next((way for way in ways if _type_at(root, way) is SecretYaml), None)


def _type_at(root: object, loc: Way) -> object:
    """Follow pydantic's steps through the types of a model; None where they lead nowhere."""
    here = root
    for step in loc:
        here = _type_below(_bare(here), step)
    return _bare(here)


def _type_below(here: object, step: int | str) -> object:
    if get_origin(here) in (Union, UnionType):
        return next((variant for variant in get_args(here) if Tag(str(step)) in get_args(variant)), None)
    if get_origin(here) in (list, dict):
        return get_args(here)[-1]
    return _fields(here).get(str(step))


def _bare(here: object) -> object:
    """Take off `Annotated` and `| None`."""
    if get_origin(here) is Annotated:
        return _bare(get_args(here)[0])
    if get_origin(here) in (Union, UnionType):
        some = [variant for variant in get_args(here) if variant is not type(None)]
        return _bare(some[0]) if len(some) == 1 else here
    return here


def _fields(model: object) -> dict[str, object]:
    fields = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else {}
    return {field.alias or name: field.annotation for name, field in fields.items()}


def _advice(model: object) -> dict[str, str]:
    return model.advice if isinstance(model, type) and issubclass(model, Strict) else {}
