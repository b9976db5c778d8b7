"""What a mapping permits, and what a plan says about the state of its model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, assert_never

from bridge.core.changes import (
    AdoptVersion,
    ArrangeFiles,
    Change,
    CopyFiles,
    DeleteFiles,
    DeleteVersion,
    Kind,
    MarkDuplicate,
    MoveAlias,
    Refusal,
    RegisterVersion,
    Removal,
    RemoveAlias,
    checksum_of,
    refuse_frozen,
    refuse_held,
    refuse_paused,
    subject_of,
    version_of,
)
from bridge.core.model import EVERY, Policy, State

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bridge.core.changes import Plan
    from bridge.core.model import Alias, Hold, RemovalGuard

_STATES = (  # the first kind that a plan holds decides
    (Kind.PAUSED, State.HELD),  # before what needs a person: one has seen to it, and nothing happens meanwhile
    (Kind.CONFLICT, State.BLOCKED),
    (Kind.LOCATION, State.BLOCKED),
    (Kind.GUARD, State.BLOCKED),
    (Kind.NAME, State.BLOCKED),
    (Kind.UNCLEAR, State.BLOCKED),
    (Kind.SERVING, State.BLOCKED),
    (Kind.FAILED, State.FAILED),
    (Kind.DRIFT, State.DRIFTED),
    (Kind.HELD, State.HELD),
    (Kind.WAITING, State.PENDING),
    (Kind.DOUBLE, State.SYNCED),  # nothing serves it, and nothing waits for it
    (Kind.KEPT, State.SYNCED),
)
_MEANT = frozenset(
    {Kind.POLICY, Kind.KEPT, Kind.DOUBLE}
)  # it stays as it is until the mapping, the source or Vertex changes


def permit(policy: Policy, step: Change | Refusal) -> Change | Refusal:
    """
    Return the change if the mapping permits it, else why not; a refusal stays one.

        policy       copy  register, adopt  set a new alias  move an alias  remove an alias, delete a version, its files
        sync         yes   yes              yes              yes            yes
        upsert-only  yes   yes              yes              yes            no
        create-only  yes   yes              yes              no             no
    """
    match step:
        case RemoveAlias() | DeleteVersion() | DeleteFiles() if policy is not Policy.SYNC:
            reason = f"it is gone at the source, but policy {policy} removes nothing"
            return Refusal(Kind.POLICY, subject_of(step), reason, "remove it in Vertex, or set 'policy: sync'")
        case MoveAlias(alias, previous=previous) if policy is Policy.CREATE_ONLY and previous is not None:
            reason = f"it has moved at the source, but policy {policy} moves nothing"
            return Refusal(Kind.POLICY, f"alias {alias}", reason, "move it in Vertex, or set 'policy: sync'")
        case (
            CopyFiles()
            | ArrangeFiles()
            | RegisterVersion()
            | AdoptVersion()
            | MoveAlias()
            | MarkDuplicate()
            | Refusal()
        ):
            return step
        case RemoveAlias() | DeleteVersion() | DeleteFiles():
            return step
        case _:
            assert_never(step)


@dataclass(frozen=True, slots=True)
class Count:
    """How many aliases and versions there are of something."""

    aliases: int = 0
    versions: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.aliases + other.aliases, self.versions + other.versions)


NONE = Count()


def guard_removals(
    plan: Plan, guard: RemovalGuard, has: Count, *, allowed: Collection[str] = (), beside: Count = NONE
) -> Plan:
    """
    Refuse all removals of a plan together if they are too many of what the mapping `has`: aliases, or versions.

    `beside` is how many the mapping's other models lose in the same pass. `allowed` are checksums, printed with
    such refusals, of the removals of single models that a person let pass.
    """
    removals = tuple(change for change in plan.changes if isinstance(change, Removal))
    checksum = checksum_of(plan.key, removals)
    kinds = [type(removal) for removal in removals]
    lost = Count(kinds.count(RemoveAlias), kinds.count(DeleteVersion)) + beside
    if _is_accident(guard, lost.versions, has.versions):
        reason = f"{lost.versions} of {has.versions} registered versions would be deleted at once"
    elif _is_accident(guard, lost.aliases, has.aliases):
        reason = f"{lost.aliases} of {has.aliases} mirrored aliases would be removed at once"
    else:
        return plan
    if not removals or checksum in allowed:
        return plan
    reason = f"{reason}; more than {guard} is refused"
    remedy = f"if that is meant, run: bridge sync {plan.key.mapping} --allow-removals {checksum}"
    refused = (Refusal(Kind.GUARD, subject_of(removal), reason, remedy) for removal in removals)
    kept = tuple(change for change in plan.changes if change not in removals)
    return replace(plan, changes=kept, refusals=(*plan.refusals, *refused))


def _is_accident(guard: RemovalGuard, lost: int, of: int) -> bool:
    return lost >= guard.min_count and lost > guard.max_share * of


def brings_versions(plan: Plan) -> bool:
    """Tell whether a plan puts anything into the bucket, or registers anything from it."""
    return any(isinstance(change, CopyFiles | ArrangeFiles | RegisterVersion) for change in plan.changes)


def stay_out(plan: Plan, refusal: Refusal | None) -> Plan:
    """Bring no version to a bucket that is refused; aliases of versions that are registered move all the same."""
    if refusal is None or not brings_versions(plan):
        return plan
    brought = {c.version for c in plan.changes if isinstance(c, CopyFiles | ArrangeFiles | RegisterVersion)}
    kept = tuple(change for change in plan.changes if version_of(change) not in brought)
    checksum = checksum_of(plan.checksum, "misplaced")
    return replace(plan, changes=kept, refusals=(*plan.refusals, refusal), checksum=checksum)


def show_holds(plan: Plan, holds: Mapping[Alias, Hold]) -> Plan:
    """Tell of the aliases that a person holds though nothing would change them."""
    refused = {(refusal.kind, refusal.about) for refusal in plan.refusals}
    held = (refuse_held(hold, plan.key) for alias, hold in sorted(holds.items()) if alias != EVERY)
    idle = tuple(f"{each.about}: {each.reason}" for each in held if (each.kind, each.about) not in refused)
    return replace(plan, holds=idle)


def pause(plan: Plan, hold: Hold | None) -> Plan:
    """Hold all changes of a plan while a person pauses its model, and say so even if there are none."""
    if hold is None:
        return plan
    about = tuple(map(subject_of, plan.changes)) or (_whole(plan),)
    held = tuple(refuse_paused(each, hold, plan.key) for each in about)
    checksum = checksum_of(plan.checksum, "paused")
    return replace(plan, changes=(), refusals=(*plan.refusals, *held), checksum=checksum)


def freeze(plan: Plan, until: datetime | None) -> Plan:
    """Hold all changes of a plan if its mapping is frozen. A plan that is held is not the plan that is not."""
    if until is None or not plan.changes:
        return plan
    held = tuple(refuse_frozen(change, until) for change in plan.changes)
    checksum = checksum_of(plan.checksum, "frozen")
    return replace(plan, changes=(), refusals=(*plan.refusals, *held), checksum=checksum)


def state_after(plan: Plan) -> tuple[State, Refusal | None]:
    """Say which state a model is in once the plan's changes are made, and the refusal that is the reason."""
    for kind, state in _STATES:
        for refusal in plan.refusals:
            if refusal.kind is kind:
                return state, refusal
    return State.SYNCED, None


def looks_again(plan: Plan) -> bool:
    """Tell whether the next listing of the source may decide what this plan could not, though it be the same."""
    return any(refusal.kind is Kind.WAITING for refusal in plan.refusals)


def ends_at(plan: Plan) -> str | None:
    """Return the first time at which a refusal ends by itself; None if only a change at either side ends them."""
    ends = (refusal.until for refusal in plan.refusals if refusal.until is not None)
    return min(ends, key=datetime.fromisoformat, default=None)


def is_behind(plan: Plan) -> bool:
    """Tell whether a plan leaves something as it should not be; a pause that holds back nothing does not."""
    alone = (Kind.PAUSED, _whole(plan))
    return any(each.kind not in _MEANT and (each.kind, each.about) != alone for each in plan.refusals)


def _whole(plan: Plan) -> str:
    return f"model {plan.key.model}"


def is_settled(plan: Plan) -> bool:
    """Tell whether, once the plan's changes are made, looking again at the same source would find nothing to do."""
    return all(refusal.kind in _MEANT for refusal in plan.refusals)
