"""What one GraphQL operation works with: its transaction, who asks, the switches, and what it has read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from bridge.sandbox.wandb.errors import Refused
from bridge.sandbox.wandb.ids import row_key

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from bridge.sandbox.wandb.blobs import Blobs
    from bridge.sandbox.wandb.records import Record
    from bridge.sandbox.wandb.signing import Signer
    from bridge.sandbox.wandb.switches import WandbSwitches

R = TypeVar("R", bound="Record")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and the entities whose projects they may see: their own, their teams', their organizations'."""

    user_key: int  # 0: nobody, that is the server itself
    entity_keys: frozenset[int]


class Context:
    """
    One operation's view of the store.

    Rows are read once and kept, one by one or, for a whole page, in one go (`load`, `load_children`). A write
    forgets all of them.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        asker: Asker,
        *,
        now: float,
        switches: WandbSwitches,
        signer: Signer,
        blobs: Blobs,
    ) -> None:
        self.database = database
        self.asker = asker
        self.now = now
        self.switches = switches
        self.signer = signer
        self.blobs = blobs
        self._rows: dict[tuple[type[Record], int], Record] = {}
        self._children: dict[tuple[type[Record], str, int], list[Record]] = {}

    # Reading

    def rows(self, query: str, *parameters: object) -> list[tuple[object, ...]]:
        """Run a query."""
        return self.database.execute(query, parameters).fetchall()

    def value(self, query: str, *parameters: object) -> object:
        """Return the first column of a query's first row; None if there is none."""
        row = self.database.execute(query, parameters).fetchone()
        return None if row is None else row[0]

    def find(self, record: type[R], condition: str, *parameters: object) -> R | None:
        """Return the first row that meets `condition`."""
        found = self.find_all(record, f"{condition} LIMIT 1", *parameters)
        return found[0] if found else None

    def find_all(self, record: type[R], condition: str, *parameters: object) -> list[R]:
        """Return every row that meets `condition`, which may end in ORDER BY."""
        query = f"SELECT {record.columns()} FROM {record.table} WHERE {condition}"  # noqa: S608  our own texts
        return [record(*row) for row in self.database.execute(query, parameters)]

    def get(self, record: type[R], key: int) -> R:
        """Return the row with this key, which exists: a foreign key says so."""
        row = self._rows.get((record, key))
        if row is None:
            self.load(record, [key])
            row = self._rows[record, key]
        return row  # type: ignore[return-value]  # the key holds the type

    def by_id(self, record: type[R], text: str | None) -> R | None:
        """Return the row that a GraphQL id names."""
        key = row_key(text or "", *record.kinds)
        return None if key is None else self.find(record, "key = ?", key)

    def require(self, record: type[R], text: str | None) -> R:
        """Return the row that a GraphQL id names. Refuses if there is none."""
        row = self.by_id(record, text)
        if row is None:
            raise Refused(f"{record.kinds[0]} {text} not found", 404)
        return row

    def load(self, record: type[R], keys: Iterable[int]) -> None:
        """Read these rows in one go."""
        missing = {key for key in keys if (record, key) not in self._rows}
        if missing:
            for row in self.find_all(record, f"{record.table}.key IN {_LISTED}", json.dumps(list(missing))):
                self._rows[record, row.key] = row

    def children(self, record: type[R], parent: str, key: int) -> Sequence[R]:
        """Return the rows whose column `parent` is `key`, oldest first."""
        if (record, parent, key) not in self._children:
            self.load_children(record, parent, [key])
        return self._children[record, parent, key]  # type: ignore[return-value]  # the key holds the type

    def load_children(self, record: type[R], parent: str, keys: Iterable[int]) -> None:
        """Read the children of all these rows in one go."""
        wanted = list(keys)
        for key in wanted:
            self._children[record, parent, key] = []
        condition = f"{parent} IN {_LISTED} ORDER BY key"
        for row in self.find_all(record, condition, json.dumps(wanted)):
            self._children[record, parent, getattr(row, parent)].append(row)

    # Writing

    def write(self, statement: str, *parameters: object) -> int:
        """Run a statement that changes rows; return the key of the row it inserted, if it did."""
        self._rows.clear()
        self._children.clear()
        return self.database.execute(statement, parameters).lastrowid or 0


_LISTED = "(SELECT value FROM json_each(?))"
