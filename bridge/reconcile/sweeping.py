"""What sources say: one sweep per connection, an order for each model, and what could not be looked at."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.core.desired import model_name
from bridge.core.errors import BridgeError, NeedsPerson, NotFound, TryAgain
from bridge.core.model import ModelKey, OnSourceDelete, SourceState, State
from bridge.core.naming import model_id
from bridge.core.records import Status
from bridge.reconcile.failing import known, status_of
from bridge.reconcile.orders import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bridge.core.model import CollectionSelector, MappingSpec, Sweep
    from bridge.core.ports import Clock, Source

GONE = "gone"  # in place of a fingerprint, which has 16 hex digits: the source had it once


@dataclass(frozen=True, slots=True)
class Look:
    """What sweeps found."""

    orders: tuple[Order, ...]
    unread: tuple[Status, ...] = ()  # of models that could not be looked at
    gone: tuple[Status, ...] = ()  # of models whose collection a pattern does not find any more
    rivals: tuple[Order, ...] = ()  # that were refused, because they would land on one model
    news: tuple[Status, ...] = ()  # of what was said of models' states, what was not known
    problems: Mapping[str, BridgeError] = field(default_factory=dict)  # by connection: it could not be read at all


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Looks at sources; writes nothing."""

    source: Callable[[str], Source]  # for a connection
    clock: Clock
    is_recorded: Callable[[ModelKey], bool] = lambda _key: False  # whether versions of a model were registered
    is_open: Callable[[ModelKey], bool] = lambda _key: False  # whether something was begun, and its end is not known

    def look(
        self, specs: Sequence[MappingSpec], before: Mapping[ModelKey, Status], beside: Iterable[Order] = ()
    ) -> Look:
        """
        Sweep every connection of these mappings once; `before` is what is known of all models.

        `beside` are orders that were found before, elsewhere, and must not land on the same models.
        """
        by_connection: dict[str, list[MappingSpec]] = defaultdict(list)
        for spec in specs:
            by_connection[spec.source.connection].append(spec)
        by_mapping: dict[str, list[Status]] = defaultdict(list)
        for status in before.values():
            by_mapping[status.key.mapping].append(status)
        orders: list[Order] = []
        unread: list[Status] = []
        gone: list[Status] = []
        problems: dict[str, BridgeError] = {}
        for connection, group in by_connection.items():
            try:
                sweep = self.source(connection).sweep([spec.source for spec in group])
            except Exception as problem:  # noqa: BLE001  one connection's trouble, or bug, does not hold up another
                problems[connection] = known(problem, connection)
                for spec in group:
                    unread += self._troubled(spec, State.DEGRADED, problems[connection], by_mapping[spec.name])
                continue
            for spec in group:
                found, troubled = self._of_mapping(spec, sweep, by_mapping[spec.name])
                orders += found
                unread += (status for status in troubled if status.fingerprint != GONE)
                gone += (status for status in troubled if status.fingerprint == GONE)
        by_model: dict[tuple[str, str], list[Order]] = defaultdict(list)
        for order in (*orders, *beside):
            by_model[_model_of(order)].append(order)
        for model, several in by_model.items():  # what is not there any more is nobody's rival
            by_model[model] = [order for order in several if not order.state.is_missing] or several
        orders = [order for order in orders if order in by_model[_model_of(order)]]
        rivals = [several for several in by_model.values() if len(several) > 1]
        refused = frozenset(order.key for several in rivals for order in several)
        return Look(
            orders=tuple(order for order in orders if order.key not in refused),
            unread=(*unread, *(status for several in rivals for status in self._refused(several))),
            gone=tuple(gone),
            rivals=tuple(order for several in rivals for order in several),
            problems=problems,
        )

    def glance(self, specs: Sequence[MappingSpec], names: Iterable[str], beside: Iterable[Order]) -> tuple[Order, ...]:
        """
        Look at single collections of one connection, by their names, as the mappings that select them follow them.

        Whatever cannot be read, or would land on the model of another collection, among `beside` too, is left to
        the next sweep to tell of. Raises TryAgain or NeedsPerson if nothing can be read.
        """
        asked = [
            (spec, replace(spec.source, name=name, is_pattern=False))
            for name in sorted(names)
            for spec in specs
            if selects(spec.source, name)
        ]
        if not asked:
            return ()
        sweep = self.source(specs[0].source.connection).sweep(list(dict.fromkeys(selector for _, selector in asked)))
        orders = [order for spec, selector in asked for order in _orders_of(spec, sweep.found.get(selector, ()))]
        takers: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
        for order in (*orders, *beside):
            takers[_model_of(order)].add((order.key.mapping, order.state.collection))
        return tuple(order for order in orders if len(takers[_model_of(order)]) == 1)

    def _refused(self, rivals: list[Order]) -> list[Status]:
        """Refuse collections that map to one model: of one mapping's pattern, or of two mappings."""
        names = " and ".join(sorted(f"{rival.state.collection} ({rival.spec.origin})" for rival in rivals))
        problem = NeedsPerson(
            f"{names} map to one Vertex model, {rivals[0].key.model!r}", "make the targets' names tell them apart"
        )
        keys = {rival.key: rival.state.collection for rival in rivals}
        return [self._status(key, State.BLOCKED, problem, collection) for key, collection in keys.items()]

    def _of_mapping(
        self, spec: MappingSpec, sweep: Sweep, before: Sequence[Status]
    ) -> tuple[list[Order], list[Status]]:
        if (trouble := sweep.failed.get(spec.source)) is not None:
            state = State.FAILED if isinstance(trouble, NotFound) else State.DEGRADED
            if isinstance(trouble, NotFound) and not spec.source.is_pattern:
                known = [status for status in before if status.key.model == model_id(spec.target.model)]
                if gone := [status for status in known if status.fingerprint == GONE]:
                    return [], gone
                if missing := [self._missing(spec, status) for status in known if self._needs_a_pass(spec, status)]:
                    return missing, []
            return [], self._troubled(spec, state, trouble, before)
        orders = _orders_of(spec, sweep.found[spec.source])
        missing, told = self._vanished(spec, orders, before) if spec.source.is_pattern else ([], [])
        return [*orders, *missing], told

    def _needs_a_pass(self, spec: MappingSpec, status: Status) -> bool:
        """Tell whether a model whose collection is not found may lose something, or has to be settled a last time."""
        if spec.on_source_delete is not OnSourceDelete.RETAIN and self.is_recorded(status.key):
            return True
        return spec.source.is_pattern and self.is_open(status.key)  # else the mapping fails, which is told

    def _missing(self, spec: MappingSpec, before: Status) -> Order:
        """Have a model follow a collection that was not found as if it were empty; the plan asks before it believes."""
        name = before.collection.rpartition("/")[2]
        state = SourceState(before.collection, name, (), {}, is_missing=True)
        return Order(spec, before.key, model_name(spec, name), state)

    def _vanished(
        self, spec: MappingSpec, found: Sequence[Order], before: Sequence[Status]
    ) -> tuple[list[Order], list[Status]]:
        """
        Say what became of collections that a pattern once found, and does not any more: each is asked for by name.

        One that is gone stays as it is in Vertex, and is not asked for again, unless the mapping wants something to
        go with it; one that may not be read is degraded.
        """
        here = {order.key for order in found}
        names = {
            status.collection.rpartition("/")[2]: status
            for status in before
            if status.key not in here and status.fingerprint != GONE
        }
        lost = {
            replace(spec.source, name=name, is_pattern=False): status
            for name, status in names.items()
            if selects(spec.source, name)
        }
        if not lost:
            return [], []
        try:
            failed = self.source(spec.source.connection).sweep(list(lost)).failed
        except BridgeError as problem:
            failed = dict.fromkeys(lost, problem)
        missing: list[Order] = []
        told: list[Status] = []
        for selector, status in lost.items():
            if isinstance(failed.get(selector), NotFound) and self._needs_a_pass(spec, status):
                missing.append(self._missing(spec, status))
            else:
                told.append(self._lost(status, failed.get(selector)))
        return missing, told

    def _lost(self, before: Status, problem: BridgeError | None) -> Status:
        if isinstance(problem, NotFound):
            return gone(replace(before, looked_at=self.clock.now().isoformat()), OnSourceDelete.RETAIN)
        unlisted = TryAgain(f"{before.collection} is there when asked by name, yet the source does not list it")
        return self._status(before.key, State.DEGRADED, problem or unlisted, before.collection)

    def _troubled(
        self, spec: MappingSpec, state: State, problem: BridgeError, before: Sequence[Status]
    ) -> list[Status]:
        """Say of every model of a mapping that its source could not be read; nothing else changes."""
        if not before or not spec.source.is_pattern:
            key = ModelKey(spec.name, spec.target.model if spec.source.is_pattern else model_id(spec.target.model))
            return [self._status(key, state, problem, f"{spec.source.place}/{spec.source.name}")]
        return [self._status(status.key, state, problem, status.collection) for status in before]

    def _status(self, key: ModelKey, state: State, problem: BridgeError, collection: str) -> Status:
        return status_of(key, state, problem, collection, self.clock.now())


def gone(before: Status, meaning: OnSourceDelete) -> Status:
    """Say that a model's collection is gone, and what became of the model; it is not asked for again."""
    kept = {
        OnSourceDelete.RETAIN: "Vertex keeps what it had",
        OnSourceDelete.UNALIAS: "its versions stay in Vertex, without the aliases that came from it",
        OnSourceDelete.DELETE: "what could be deleted in Vertex is deleted",
    }
    message = f"the source no longer has it for this mapping; {kept[meaning]} (on_source_delete: {meaning})"
    return Status(before.key, State.SYNCED, message, "", before.collection, before.looked_at, GONE)


def selects(selector: CollectionSelector, name: str) -> bool:
    """Tell whether a selector may mean a collection, going by the name alone."""
    return re.fullmatch(selector.name, name) is not None if selector.is_pattern else selector.name == name


def is_pattern(key: ModelKey) -> bool:
    """Tell whether a key has a pattern's own name, with its {group}, for a model: none of them is known yet."""
    return "{" in key.model


def _model_of(order: Order) -> tuple[str, str]:
    return order.spec.target.connection, order.key.model


def _orders_of(spec: MappingSpec, states: Sequence[SourceState]) -> list[Order]:
    names = ((model_name(spec, state.name), state) for state in states)
    return [Order(spec, ModelKey(spec.name, model_id(name)), name, state) for name, state in names]


def was_well(known: Status) -> bool:
    """Tell whether a model was well; of others, and of one that is gone, is said what tells more than that it waits."""
    return known.state is State.SYNCED and known.fingerprint not in (None, GONE)


def waits(status: Status, at: str) -> Status:
    """Say that a change of a model waits for it since `at`, and nothing else anew."""
    message = "a change is known and waits"
    return replace(status, state=State.PENDING, message=message, remedy="", behind_since=at)
