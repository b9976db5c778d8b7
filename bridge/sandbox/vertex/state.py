"""What every part of the stand-in is given."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.sandbox.vertex.switches import VertexSwitches

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.sandbox.clock import SandboxClock
    from bridge.sandbox.vertex.storage import Storage


@dataclass
class State:
    """Shared by the parts; `switches` is replaced at run time, so read it when it matters and do not keep it."""

    storage: Storage
    clock: SandboxClock
    object_names: Callable[[str, str], list[str]] | None  # (bucket, prefix) -> names of objects; None: cannot look
    switches: VertexSwitches = field(default_factory=VertexSwitches)
    # draws who answers a prediction, and shuffles aliases
    random: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311  shares, not secrets
