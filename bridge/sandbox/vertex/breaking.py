"""Carries out the faults that struck a call; over REST, what belongs to the wire is left to serving."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bridge.sandbox.answers import Answers
from bridge.sandbox.faults import Struck
from bridge.sandbox.traffic import exchange
from bridge.sandbox.vertex.errors import refusal

if TYPE_CHECKING:
    from bridge.sandbox.faults import Fault
    from bridge.sandbox.traffic import Traffic
    from bridge.sandbox.vertex.errors import Code, Refused
    from bridge.sandbox.vertex.messages import Message
    from bridge.sandbox.vertex.methods import Method

REMEMBERED = 256  # questions whose last two answers are kept, for stale_list
_CODES: dict[int, Code] = {  # google/rpc/code.proto
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
}


class Breaking:
    """The faults of one stand-in. A reply that is lost, cut or changed is UNAVAILABLE: gRPC checks its frames."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._answers: Answers[Message] = Answers(REMEMBERED)

    def note(self, method: Method) -> Fault | None:
        """Note a call; return what is to go wrong with it later. Raises Refused, or over REST Struck."""
        try:
            return self._traffic.note("vertex", method.name, write=method.is_write)
        except Struck as struck:
            if exchange.get() is not None:
                raise
            raise _refused(struck.fault) from struck

    def spoil(self, fault: Fault | None, question: tuple[str, bytes], answer: Message) -> Message:
        """Return the answer that the caller gets. Raises Refused if none."""
        if fault is None:
            self._answers.remember(question, answer)
        elif exchange.get() is None:
            if fault.kind == "stale_list":
                return self._answers.older(question, answer)
            if fault.kind == "slow":
                time.sleep(fault.seconds)  # noqa: TID251  real time is what the fault is about
            if fault.kind in ("timeout_after", "half_body", "corrupt_byte"):
                raise _refused(fault)
        return answer


def _refused(fault: Fault) -> Refused:
    time.sleep(fault.seconds)  # noqa: TID251  real time is what the fault is about
    if fault.kind == "status":
        return refusal(_CODES.get(fault.status, "UNAVAILABLE"), "the sandbox was told to fail here")
    return refusal("UNAVAILABLE", "the connection broke before the reply")
