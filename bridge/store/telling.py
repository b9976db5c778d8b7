"""Counts for those who look on, and what people were told already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, func, select

from bridge.core.model import State
from bridge.core.records import Tally
from bridge.store.database import Database
from bridge.store.rows import key_row
from bridge.store.tables import statuses, told

if TYPE_CHECKING:
    from bridge.core.model import ModelKey

_TALLY = (
    select(
        statuses.c.mapping,
        statuses.c.state,
        func.count().label("models"),
        func.max(statuses.c.attempt).label("attempt"),
    )
    .group_by(statuses.c.mapping, statuses.c.state)
    .order_by(statuses.c.mapping, statuses.c.state)
)


class SqlTelling(Database):
    """The part of the Store port that is for those who look on."""

    def tally(self) -> tuple[Tally, ...]:
        """Count the models by mapping and state."""
        return tuple(
            Tally(row["mapping"], State(row["state"]), row["models"], row["attempt"]) for row in self._rows(_TALLY)
        )

    def tell(self, key: ModelKey, about: str, word: str) -> bool:
        """Remember what people are told; False: it is what they were told last."""
        added = self._insert(told).values({**key_row(key), "about": about, "word": word})
        changed = added.on_conflict_do_update(
            index_elements=("mapping", "model", "about"), set_={"word": word}, where=told.c.word != word
        )
        with self._transaction() as connection:
            return connection.execute(changed.returning(told.c.word)).first() is not None

    def untell(self, key: ModelKey, about: str) -> bool:
        """Forget what they were told; False: there was nothing."""
        at = and_(told.c.mapping == key.mapping, told.c.model == key.model, told.c.about == about)
        with self._transaction() as connection:
            return connection.execute(delete(told).where(at)).rowcount == 1
