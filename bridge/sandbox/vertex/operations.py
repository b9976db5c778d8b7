"""Long-running operations: begun by a call, in effect later, done later still. No timers: looked at when asked."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from bridge.sandbox.vertex import filters, pages
from bridge.sandbox.vertex.errors import Refused, grpc_status, refusal
from bridge.sandbox.vertex.messages import (
    any_pb2,
    empty_pb2,
    moment,
    operations_pb2,
    pack,
    types,
)
from bridge.sandbox.vertex.names import parent_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.sandbox.faults import Fault, Kind
    from bridge.sandbox.vertex.messages import Message, MessageType
    from bridge.sandbox.vertex.state import State

# (request, when it takes effect in seconds since the epoch) -> the operation's response. Raises Refused: that
# becomes the operation's error, and nothing of the effect remains.
Effect: TypeAlias = "Callable[[Message, float], Message]"


@dataclass(frozen=True, slots=True)
class Work:
    """What an operation of one method does."""

    request: MessageType
    metadata: MessageType
    effect: Effect


class Operations:
    """
    google.longrunning.Operations.

    An operation is a row with the request that began it, so it survives a restart and still takes effect in time.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._database = state.storage.database
        self._works: dict[str, Work] = {}
        self._fault: Kind | None = None  # of the call that is being answered

    @contextmanager
    def struck_by(self, fault: Fault | None) -> Iterator[None]:
        """Have the operation that this call begins, if it begins one, go as the fault says."""
        self._fault = fault.kind if fault else None
        try:
            yield
        finally:
            self._fault = None

    def add(self, method: str, work: Work) -> None:
        """Say what operations of `method` do."""
        self._works[method] = work

    def has(self, method: str) -> bool:
        """Say if calls of `method` begin operations."""
        return method in self._works

    def begin(self, method: str, resource: str, request: Message) -> Message:
        """
        Note an operation on `resource` (a whole name) and return it; what is due at once has happened by then.

        `request` must say all that the effect needs: ids given out by the service are filled in by the caller.
        """
        switches, now = self._state.switches, self._state.clock.now()
        parent = resource if switches.operation_parent == "model" else parent_of(resource)
        name = f"{parent}/operations/{self._state.storage.new_id()}"
        work = self._works[method]
        generic = types.GenericOperationMetadata(create_time=moment(now), update_time=moment(now))
        # SQLite keeps an infinite REAL, and nothing is ever due then.
        commit_at = now + (math.inf if self._fault == "operation_never_ends" else switches.commit_delay)
        outcome = None
        if self._fault == "operation_fails":
            outcome = _failed(refusal("INTERNAL", f"{method}: the sandbox was told to fail here")).SerializeToString()
        self._database.execute(
            "INSERT INTO operations (name, method, resource, request, metadata, begun_at, commit_at, done_at, outcome) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                name,
                method,
                resource,
                work.request.serialize(request),
                pack(work.metadata(generic_metadata=generic)).SerializeToString(),
                now,
                commit_at,
                max(commit_at, now + switches.lro_seconds),
                outcome,
            ),
        )
        self.settle()
        return self._get(name)

    def is_running(self, method: str, resource: str) -> bool:
        """Say if an operation of `method` on `resource` is not done yet."""
        found = self._database.execute(
            "SELECT 1 FROM operations WHERE method = ? AND resource = ? AND done_at > ?",
            (method, resource, self._state.clock.now()),
        ).fetchone()
        return found is not None

    def settle(self) -> None:
        """Let everything take effect whose time has come, in the order of the times."""
        due = self._database.execute(
            "SELECT name, method, request, commit_at FROM operations "
            "WHERE outcome IS NULL AND commit_at <= ? ORDER BY commit_at, seq",
            (self._state.clock.now(),),
        ).fetchall()
        for name, method, request, commit_at in due:
            with self._state.storage.transaction():
                outcome = self._outcome(self._works[method], request, commit_at)
                self._database.execute(
                    "UPDATE operations SET outcome = ? WHERE name = ?", (outcome.SerializeToString(), name)
                )

    def _outcome(self, work: Work, request: bytes, at: float) -> Message:
        try:
            with self._state.storage.transaction():
                response = work.effect(work.request.deserialize(request), at)
        except Refused as error:
            return _failed(error)
        return operations_pb2.Operation(response=pack(response), done=True)

    def _get(self, name: str) -> Message:
        row = self._database.execute(
            "SELECT name, metadata, done_at, outcome FROM operations WHERE name = ?", (name,)
        ).fetchone()
        if row is None:
            raise refusal("NOT_FOUND", f"there is no operation {name}")
        return self._shown(*row)

    def _shown(self, name: str, metadata: bytes, done_at: float, outcome: bytes | None) -> Message:
        operation = operations_pb2.Operation()
        if outcome is not None and done_at <= self._state.clock.now():
            operation.ParseFromString(outcome)
        operation.name = name
        operation.metadata.CopyFrom(any_pb2.Any.FromString(metadata))
        return operation

    def GetOperation(self, request: Message) -> Message:
        """Return the operation as it is now."""
        return self._get(request.name)

    def WaitOperation(self, request: Message) -> Message:
        """Return the operation as it is now: the method may return at once (operations.proto, WaitOperation)."""
        return self._get(request.name)

    def ListOperations(self, request: Message) -> Message:
        """
        List the operations named `{request.name}/operations/*`, oldest first.

        Guess: those of a location are not those of its models. The filter knows `done` alone, the rest is the
        switches operations_listed and operations_list_lag.
        """
        switches, now = self._state.switches, self._state.clock.now()
        rows = self._database.execute(
            "SELECT name, metadata, done_at, outcome FROM operations "
            "WHERE name > ? AND name < ? AND begun_at + ? <= ? ORDER BY seq",
            # "0" follows "/": what lies between starts with the first of the two
            (f"{request.name}/operations/", f"{request.name}/operations0", switches.operations_list_lag, now),
        ).fetchall()
        conditions = filters.parse_filter(request.filter, {"done": "= !="})
        found = [
            operation
            for operation in (self._shown(*row) for row in rows)
            if all(is_met.holds({"done": str(operation.done).lower()}, {}) for is_met in conditions)
        ]
        listed, token = pages.page(found if switches.operations_listed else [], request, switches.page_size_max)
        return operations_pb2.ListOperationsResponse(operations=listed, next_page_token=token)

    def CancelOperation(self, request: Message) -> Message:
        """
        End an operation that has not taken effect with the error CANCELLED; leave any other alone.

        "Starts asynchronous cancellation ... not guaranteed" (operations.proto); where the line runs is a guess.
        """
        self._get(request.name)
        outcome = _failed(refusal("CANCELLED", f"operation {request.name} was cancelled"))
        self._database.execute(
            "UPDATE operations SET outcome = ?, done_at = ? WHERE name = ? AND outcome IS NULL",
            (outcome.SerializeToString(), self._state.clock.now(), request.name),
        )
        return empty_pb2.Empty()

    def DeleteOperation(self, request: Message) -> Message:
        """Forget an operation that is done. One that runs is refused (guess): deleting "does not cancel" it."""
        if not self._get(request.name).done:
            raise refusal("FAILED_PRECONDITION", f"operation {request.name} is not done, so it cannot be deleted")
        self._database.execute("DELETE FROM operations WHERE name = ?", (request.name,))
        return empty_pb2.Empty()


def _failed(error: Refused) -> Message:
    operation = operations_pb2.Operation(done=True)
    operation.error.code = grpc_status(error).value[0]
    operation.error.message = error.message
    return operation
