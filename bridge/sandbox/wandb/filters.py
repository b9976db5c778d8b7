"""The SDK's filters, which look like MongoDB's, as SQL conditions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bridge.sandbox.wandb.errors import Refused
from bridge.sandbox.wandb.ids import seconds_of
from bridge.sandbox.wandb.records import ALWAYS, Sql

Operand = Any  # whatever JSON the client sent
Field = Callable[[str, Operand], Sql]  # an operator and its operand -> the condition

COMPARISONS = {"$eq": "=", "$ne": "<>", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
NEGATED = {"$ne": "$eq", "$nin": "$in"}


def column(expression: str, read: Callable[[Operand], object] = lambda operand: operand) -> Field:
    """Make a field of one SQL expression; `read` brings an operand into the column's own form."""

    def condition(operator: str, operand: Operand) -> Sql:
        match operator:
            case "$in" | "$nin":
                negation = "NOT " if operator == "$nin" else ""
                wanted = json.dumps([read(one) for one in operand])
                return Sql(f"{expression} {negation}IN (SELECT value FROM json_each(?))", (wanted,))  # noqa: S608  our own texts
            case "$exists":
                return Sql(f"({expression} IS NOT NULL) = ?", (bool(operand),))
            case "$regex":
                return Sql(f"{expression} REGEXP ?", (_pattern(operand),))
            case "$contains":
                return Sql(f"instr({expression}, ?) > 0", (operand,))
            case "$not":
                return negated(conditions(condition, operand))
            case _ if operator in COMPARISONS:
                return Sql(f"{expression} {COMPARISONS[operator]} ?", (read(operand),))
            case _:
                raise Refused(f"unknown filter operator {operator!r}", 400)

    return condition


def _pattern(operand: Operand) -> str:
    try:
        re.compile(operand)
    except (re.error, TypeError) as error:
        raise Refused(f"not a regular expression: {operand!r}", 400) from error
    return str(operand)


def moment(expression: str) -> Field:
    """Make a field of a column of times; operands are ISO texts."""

    def read(operand: Operand) -> float:
        try:
            return seconds_of(operand)
        except (TypeError, ValueError) as error:
            raise Refused(f"not a time: {operand!r}", 400) from error

    return column(expression, read)


def any_of(table: str, link: str, expression: str) -> Field:
    """Make a field of many values, rows of `table` for which `link` holds: one of them must fit; for $ne, none."""
    single = column(expression)

    def condition(operator: str, operand: Operand) -> Sql:
        if operator in NEGATED:
            return negated(condition(NEGATED[operator], operand))
        if operator == "$exists":
            some = Sql(f"EXISTS (SELECT 1 FROM {table} WHERE {link})")  # noqa: S608  our own texts
            return some if operand else negated(some)
        if operator == "$not":
            return negated(conditions(condition, operand))
        inner = single("$eq" if operator == "$contains" else operator, operand)
        return Sql(f"EXISTS (SELECT 1 FROM {table} WHERE {link} AND {inner.text})", inner.parameters)  # noqa: S608  our own texts

    return condition


def metadata(expression: str, path: str) -> Field:
    """Make a field of a value inside a JSON column; `path` is dotted, as in `metrics.auc`."""
    keys = "".join(f'."{key}"' for key in path.replace('"', "").replace("'", "").split("."))
    return column(f"json_extract({expression}, '${keys}')")


def negated(condition: Sql) -> Sql:
    """Hold where `condition` does not; where it is NULL, too."""
    return Sql(f"NOT coalesce(({condition.text}), 0)", condition.parameters)


def conditions(field: Field, value: Operand) -> Sql:
    """Read what stands right of a field's name: a plain value, or operators."""
    if not isinstance(value, Mapping):
        return field("$eq", value)
    whole = ALWAYS
    for operator, operand in value.items():
        whole &= field(operator, operand)
    return whole


def sql_filter(text: str | None, fields: Callable[[str], Field | None]) -> Sql:
    """
    Translate a JSON filter; `fields` finds a field by its name.

    Refuses an unknown name: an answer that ignored part of the question would be wrong.
    """
    try:
        parsed = json.loads(text) if text else None
    except ValueError as error:
        raise Refused(f"a filter is not JSON: {text!r}", 400) from error
    return _whole(parsed or {}, fields)


def _whole(parsed: Operand, fields: Callable[[str], Field | None]) -> Sql:
    if not isinstance(parsed, Mapping):
        raise Refused(f"a filter is not an object: {parsed!r}", 400)
    whole = ALWAYS
    for name, value in parsed.items():
        whole &= _one(name, value, fields)
    return whole


def _one(name: str, value: Operand, fields: Callable[[str], Field | None]) -> Sql:
    match name:
        case "$and":
            return _joined("AND", value, fields)
        case "$or":
            return _joined("OR", value, fields)
        case "$nor":
            return negated(_joined("OR", value, fields))
        case "$not":
            return negated(_whole(value, fields))
        case _:
            field = fields(name)
            if field is None:
                raise Refused(f"unknown filter field {name!r}", 400)
            return conditions(field, value)


def _joined(word: str, parts: Sequence[Operand], fields: Callable[[str], Field | None]) -> Sql:
    inner = [_whole(part, fields) for part in parts]
    if not inner:
        return ALWAYS if word == "AND" else Sql("0")
    text = f" {word} ".join(f"({part.text})" for part in inner)
    return Sql(f"({text})", tuple(value for part in inner for value in part.parameters))
