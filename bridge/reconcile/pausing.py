"""A person pauses a mapping, one of its models or an alias, and resumes it; beside whatever process works on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.core.changes import refuse_paused
from bridge.core.deeds import Paused, Resumed
from bridge.core.errors import NeedsPerson
from bridge.core.model import EVERY, Alias, Hold, ModelKey, State
from bridge.core.naming import alias_problem

if TYPE_CHECKING:
    from datetime import timedelta

    from bridge.core.ports import Clock, Store
    from bridge.core.records import Status


@dataclass(frozen=True, slots=True)
class Pauses:
    """
    Pauses of a mapping, whose key has EVERY for a model, or of one model; of all of it, or of one alias.

    They are kept in the store as holds, those of all as holds of EVERY alias; whoever works on a model looks at them
    before each change. Once they count, the journal tells who said so.
    """

    store: Store
    clock: Clock

    def begin(self, key: ModelKey, who: str, why: str, lasts: timedelta | None, alias: str | None = None) -> Hold:
        """
        Let nothing be changed from now on, or one alias not, until it is over or resumed; in place of an earlier pause.

        Raises NeedsPerson if Vertex can have no such alias.
        """
        until = (self.clock.now() + lasts).isoformat() if lasts is not None else None
        hold = Hold(_held(alias), who, why, until)
        self.store.save_hold(key, hold)
        self.store.jot(key, Paused(why, until, hold.alias), who, self.clock.now())
        for status in self._statuses(key):
            if alias is None:
                said = refuse_paused(f"model {status.key.model}", hold, status.key)
                held = replace(
                    due(status), state=State.HELD, message=f"{said.about}: {said.reason}", remedy=said.remedy
                )
                self.store.save_status(replace(held, next_try=until))
            elif status.fingerprint is None:  # it may be held, or drifted, and for another time than from now on
                self.store.save_status(due(status))
        return hold

    def end(self, key: ModelKey, who: str, alias: str | None = None) -> bool:
        """
        End a pause, and with a mapping's those of its models; False if there was none. Each is looked at again.

        Those of single aliases end one by one. Raises NeedsPerson if it is of a model whose whole mapping is paused: it
        would stay paused.
        """
        held = _held(alias)
        whole = self.store.holds(ModelKey(key.mapping, EVERY), self.clock.now()).get(held)
        if key.model != EVERY and whole is not None:
            option, what = ("", "") if alias is None else (f" --alias {alias}", f"alias {alias} of ")
            raise NeedsPerson(
                f"{key} is not resumed alone: {whole.who} paused {what}the whole mapping: {whole.why}",
                f"resume all of it: bridge resume {key.mapping}{option}",
            )
        statuses = self._statuses(key)
        keys = (key, *(status.key for status in statuses))
        was_paused = any(held in self.store.holds(each, self.clock.now()) for each in keys)
        for each in keys:
            self.store.lift_hold(each, held)
        if was_paused:
            self.store.jot(key, Resumed(held), who, self.clock.now())
        for status in statuses:
            # After the lifting: a pass that still saw the pause says so before this, or sees that it has ended.
            if alias is None or (was_paused and EVERY not in self.store.holds(status.key, self.clock.now())):
                self.store.save_status(replace(due(status), state=State.PENDING, message="it was resumed", remedy=""))
        return was_paused

    def _statuses(self, key: ModelKey) -> list[Status]:
        of_mapping = (status for status in self.store.statuses() if status.key.mapping == key.mapping)
        return [status for status in of_mapping if key.model in (EVERY, status.key.model)]


def _held(alias: str | None) -> Alias:
    if alias is None:
        return EVERY
    if (problem := alias_problem(alias)) is not None:
        raise NeedsPerson(f"{alias!a} is no alias of Vertex AI ({problem})", "name it as Vertex has it")
    return Alias(alias)


def due(status: Status) -> Status:
    """
    Return a status that says neither that all is well nor that it was tried, so that it is, once more.

    Nor since when the model is behind: what the store has of that may be newer than the status, and stays.
    """
    return replace(status, fingerprint=None, attempt=0, next_try=None, tried=None, behind_since=None)
