"""The `filter` and `order_by` of list calls, as aiplatform_v1/types/model_service.py, ListModelsRequest, has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.sandbox.vertex.errors import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from bridge.sandbox.vertex.messages import Message

_CONDITION = re.compile(
    r"""\s*
    (?P<field>[A-Za-z_]+) (?: \. (?P<key> "[^"]*" | [\w-]+ ) )?
    \s* (?P<op> != | = | : ) \s*
    (?P<value> "[^"]*" | [^\s"()]+ )
    \s*""",
    re.VERBOSE,
)
_AND = re.compile(r"AND\b")


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison; `key` is a label's, and then `field` is "labels"."""

    field: str  # snake_case
    key: str | None
    op: str  # "=", "!=" or ":"
    value: str

    def holds(self, fields: Mapping[str, str], labels: Mapping[str, str]) -> bool:
        """Say if a resource with these fields and labels meets the condition."""
        if self.key is not None:
            return self.key in labels if self.op == ":" else labels.get(self.key) == self.value
        return (fields[self.field] == self.value) == (self.op == "=")


def parse_filter(expression: str, fields: Mapping[str, str]) -> list[Condition]:
    """
    Read conditions joined by AND; an empty expression has none, so everything meets it.

    `fields` maps a field to the operators it supports, separated by a space; "labels" supports its own three forms.
    Raises UNIMPLEMENTED for OR, NOT and brackets, INVALID_ARGUMENT for what the service does not document.
    """
    conditions: list[Condition] = []
    position = 0
    while expression[position:].strip():
        found = _CONDITION.match(expression, position)
        if found is None:
            raise refusal("UNIMPLEMENTED", f"filter {expression!r}: the stand-in reads comparisons joined by AND only")
        conditions.append(_condition(found, expression, fields))
        position = found.end()
        if position < len(expression):
            joined = _AND.match(expression, position)
            if joined is None:
                raise refusal("UNIMPLEMENTED", f"filter {expression!r}: the stand-in joins comparisons by AND only")
            position = joined.end()
    return conditions


def _condition(found: re.Match[str], expression: str, fields: Mapping[str, str]) -> Condition:
    field, op, value = snake_case(found["field"]), found["op"], found["value"].strip('"')
    key = found["key"].strip('"') if found["key"] is not None else None
    if field == "labels" and field in fields:
        if key is None and op == ":":  # labels:key
            return Condition(field, key=value, op=":", value="*")
        if key is not None and (op == "=" or (op == ":" and value == "*")):  # labels.key=value, labels.key:*
            return Condition(field, key, op, value)
    elif key is None and op in fields.get(field, "").split():
        return Condition(field, None, op, value)
    raise refusal("INVALID_ARGUMENT", f"filter {expression!r}: {found[0].strip()!r} is not supported")


def order(
    rows: Sequence[Message], order_by: str, fields: Collection[str], value: Callable[[Message, str], Any]
) -> list[Message]:
    """Sort by "display_name, create_time desc"; rows that compare equal keep their order."""
    ordered = list(rows)
    for part in reversed([part.split() for part in order_by.split(",") if part.strip()]):
        field, direction = snake_case(part[0]), part[1:] or ["asc"]
        if field not in fields or direction not in (["asc"], ["desc"]):
            raise refusal("INVALID_ARGUMENT", f"order_by {order_by!r}: {' '.join(part)!r} is not supported")
        ordered.sort(key=lambda row: value(row, field), reverse=direction == ["desc"])
    return ordered


def snake_case(name: str) -> str:
    """Turn displayName into display_name: both are supported."""
    return re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(), name)
