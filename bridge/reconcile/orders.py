"""What one key is to follow, and what was seen when it was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.core.policy import NONE, Count

if TYPE_CHECKING:
    from bridge.core.changes import Plan
    from bridge.core.desired import Desired
    from bridge.core.model import Absences, MappingSpec, ModelKey, SourceState, TargetState
    from bridge.core.settling import Settlement


@dataclass(frozen=True, slots=True)
class Beside:
    """What the mapping's other models have, and lose, in the same pass: the guard looks at a whole mapping."""

    has: Count = NONE
    loses: Count = NONE


@dataclass(frozen=True, slots=True)
class Order:
    """What one key is to follow: a mapping, one collection's state from a sweep, and who or what asked."""

    spec: MappingSpec
    key: ModelKey
    name: str  # of the model, as the mapping writes it: Vertex's display name
    state: SourceState
    why: str = "sync"
    allowed_removals: frozenset[str] = frozenset()  # the checksums of those that pass the guard
    beside: Beside = Beside()
    fingerprint: str = ""  # of what is desired; empty: not reckoned yet


@dataclass(frozen=True, slots=True)
class Sight:
    """Both sides as they were seen together, and the plan that follows from them."""

    state: SourceState
    desired: Desired
    actual: TargetState
    settlement: Settlement
    absences: Absences
    plan: Plan

    @property
    def is_sighting(self) -> bool:
        """Whether what is absent here counts as seen to be so; a collection that is not found has been asked for."""
        return self.desired.complete and not (self.desired.is_missing and self.absences.unsaid)
