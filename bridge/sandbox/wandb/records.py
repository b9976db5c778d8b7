"""
Rows as values that answer GraphQL fields.

A record's dataclass fields are its table's columns, by name. A GraphQL field is answered by the attribute or
method of that name, else by the column of that name in snake case (`resolvers`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from bridge.sandbox.wandb.ids import global_id


@dataclass(frozen=True, slots=True)
class Record:
    """One row; `kinds` is what its id may say it is, mostly the name of its GraphQL type."""

    table: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]

    key: int

    @property
    def id(self) -> str:
        """The row's GraphQL id."""
        return global_id(self.kinds[0], self.key)

    @classmethod
    def columns(cls) -> str:
        """List the columns for a SELECT, in the order of the constructor."""
        return ", ".join(f'{cls.table}."{field.name}"' for field in dataclasses.fields(cls))


@dataclass(frozen=True, slots=True)
class Sql:
    """A condition and its parameters."""

    text: str
    parameters: tuple[object, ...] = ()

    def __and__(self, other: Sql) -> Sql:
        """Both must hold."""
        return Sql(f"{self.text} AND {other.text}", self.parameters + other.parameters)


ALWAYS = Sql("1")
