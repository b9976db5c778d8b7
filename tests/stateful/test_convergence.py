"""A machine with all the bad luck: whatever happens, in whatever order, one quiet pass converges."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

from hypothesis import settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from bridge.core.changes import Kind
from bridge.core.errors import TryAgain
from bridge.core.model import OnDrift, OnSourceDelete
from bridge.core.records import Operation
from tests.stateful import PHASES, RUNS
from tests.stateful.knowing import ALIASES, Knowledge
from tests.worlds import FRAUD, World, mapping

ALIAS = st.sampled_from(ALIASES)
THEIRS = st.sampled_from((*ALIASES, "canary"))
if TYPE_CHECKING:
    from bridge.core.changes import Refusal

PAUSE = st.sampled_from([1, 5, 30, 61])  # seconds
CALLS = ("observe", "version", "holder", "register", "operation", "running", "move_alias", "remove_alias")
LEASE = timedelta(seconds=61)
UNWELL = TryAgain("the outside is unwell")


class Convergence(RuleBasedStateMachine):
    labels: Bundle[str] = Bundle("labels")

    @initialize(
        drift=st.sampled_from(OnDrift),
        conflict=st.sampled_from(["move", "reject"]),
        scope=st.sampled_from(["model", "version"]),
        tells=st.booleans(),
        commit_delay=st.sampled_from([0.0, 0.1, 3.0, 20.0]),
        list_lag=st.sampled_from([0.0, 5.0, 40.0]),
    )
    def begin(
        self, *, drift: OnDrift, conflict: str, scope: str, tells: bool, commit_delay: float, list_lag: float
    ) -> None:
        self.heals = drift is OnDrift.HEAL
        spec = replace(
            mapping(), drift=drift, default_from="production", on_source_delete=OnSourceDelete.UNALIAS
        )  # so that no alias stays that the source has not
        self.world = World([spec], settle=LEASE)
        registry = self.world.registry
        registry.alias_conflict = conflict  # type: ignore[assignment]  # one of the two
        registry.label_scope = scope  # type: ignore[assignment]  # the same
        registry.lists_operations, registry.commit_delay, registry.list_lag = tells, commit_delay, list_lag
        self.world.source.collection(FRAUD)
        self.known = Knowledge(FRAUD, "fraud")
        self.folders = count(1)
        self.processes = count(1)

    # users

    @rule(target=labels, aliases=st.sets(ALIAS, min_size=1, max_size=2))
    def publish(self, aliases: set[str]) -> str:
        content = f"model {next(self.world.serial)}".encode()
        version = self.world.source.publish(FRAUD, {"model.bin": content})
        self.known.publish(version, content)
        for alias in sorted(aliases):
            self.move(alias, version.label)
        return version.label

    @rule(alias=ALIAS, label=labels)
    def move(self, alias: str, label: str) -> None:
        self.world.source.alias(self.known.published[label][0], alias)
        self.known.point(alias, label)

    @rule(alias=ALIAS)
    def remove(self, alias: str) -> None:
        if self.known.aliases.pop(alias, None) is not None:
            self.world.source.unalias(FRAUD, alias)

    @rule(label=consumes(labels))
    def delete(self, label: str) -> None:
        self.world.source.delete(self.known.published[label][0])
        self.known.aliases = {alias: named for alias, named in self.known.aliases.items() if named != label}

    # passes, and what goes wrong in them

    @rule(pause=PAUSE, full=st.booleans())
    def run(self, pause: int, *, full: bool) -> None:
        self.world.clock.advance(pause)
        self.world.sync(full=full)

    @rule(pause=PAUSE, effects=st.integers(0, 40), another=st.booleans())
    def die(self, pause: int, effects: int, *, another: bool) -> None:
        self.world.clock.advance(pause)
        if another:
            self.world.owner = f"process {next(self.processes)}"
        self.world.dies_in_a_pass(effects)

    @rule(lost=st.sampled_from(["register", "register", "move_alias", "remove_alias"]))
    def lose_a_reply(self, lost: str) -> None:
        """Lose the reply to the next such call, whenever it comes."""
        self.world.registry.lost_replies[lost] = 1

    @rule(pause=PAUSE, what=st.sampled_from(["move_alias", "remove_alias"]), goes_on=st.booleans())
    def be_late(self, pause: int, what: str, *, goes_on: bool) -> None:
        """Have such a request take effect when nobody waits for it any more; meanwhile the source goes on."""
        self.world.registry.late[what] = 1
        self.run(pause, full=True)
        self.world.registry.late.clear()
        if goes_on:
            for alias in tuple(self.known.aliases):
                self.remove(alias)
            self.run(1, full=True)

    @rule(pause=PAUSE, what=st.sampled_from(["source", "storage", "failing", *CALLS]))
    def be_unwell(self, pause: int, what: str) -> None:
        world, registry = self.world, self.world.registry
        if what == "source":
            world.source.problem = UNWELL
        elif what == "storage":
            world.storage.problem = UNWELL
        elif what == "failing":
            registry.failing.append(Operation(done=True, error="internal error", lasting=False))
        else:
            registry.problems[what] = UNWELL
        self.run(pause, full=True)
        registry.problems.clear()
        registry.failing.clear()
        world.source.problem = world.storage.problem = None

    @rule(aliases=st.sets(ALIAS, min_size=1), passes=st.integers(1, 3), admits=st.booleans())
    def list_less(self, aliases: set[str], passes: int, *, admits: bool) -> None:
        self.world.source.hide(FRAUD, *aliases, admits=admits)
        for _ in range(passes):
            self.run(1, full=True)
        self.world.source.hide(FRAUD)

    @rule(label=labels)
    def serve_other_bytes(self, label: str) -> None:
        version, content = self.known.published[label]
        self.world.source.serve(version, "model.bin", b"wrong")
        self.run(1, full=True)
        self.world.source.serve(version, "model.bin", content)

    # people at Vertex

    @precondition(lambda self: self.world.registry.versions("fraud"))
    @rule(alias=st.none() | THEIRS)
    def register_by_hand(self, alias: str | None) -> None:
        folder = f"gs://elsewhere/{next(self.folders)}/"
        version_id = self.world.registry.add_by_hand("fraud", folder)
        self.known.foreign[version_id] = folder
        if alias is not None:
            self._move_by_hand(alias, version_id)

    @precondition(lambda self: self.world.registry.versions("fraud"))
    @rule(alias=THEIRS, pick=st.none() | st.integers(0, 7))
    def edit_by_hand(self, alias: str, pick: int | None) -> None:
        there = sorted(self.world.registry.versions("fraud"))
        self._move_by_hand(alias, None if pick is None else there[pick % len(there)])

    @rule(pick=st.integers(0, 7))
    def delete_by_hand(self, pick: int) -> None:
        there = sorted(self.world.registry.versions("fraud"))
        if len(there) > 1:
            version_id = there[pick % len(there)]
            self.world.registry.delete_by_hand("fraud", version_id)
            self.known.deleted.add(version_id)
            self.known.foreign.pop(version_id, None)

    def _move_by_hand(self, alias: str, version_id: str | None) -> None:
        self.world.registry.arrive()  # what comes after it would undo what a person did, which nobody can help
        self.world.registry.move_by_hand("fraud", alias, version_id)
        self.known.edit(alias, version_id)

    # promises

    @rule()
    def be_quiet(self) -> None:
        self.world.registry.lost_replies.clear()
        self.world.clock.advance(LEASE * 2)
        refusals = self._refusals()
        if self.known.deleted or any(refusal.kind is Kind.WAITING for refusal in refusals):
            # An absence is believed from two listings; an operation that has ended, though its version was deleted.
            refusals = self._refusals()
        if guarded := next((refusal for refusal in refusals if refusal.kind is Kind.GUARD), None):
            self._refusals(guarded.remedy.rpartition(" ")[2])  # a person has read it, and runs the command
        assert self.known.unfinished(self.world, heals=self.heals) == []
        assert [plan.changes for plan in self.world.plans()] == [()]

    def _refusals(self, allowed_removals: str | None = None) -> list[Refusal]:
        reports = self.world.sync(full=True, allowed_removals=allowed_removals)
        return [refusal for report in reports if report.plan for refusal in report.plan.refusals]

    @invariant()
    def promises_are_held(self) -> None:
        if hasattr(self, "world"):
            assert self.known.broken(self.world) == []


TestConvergence = Convergence.TestCase
TestConvergence.settings = settings(max_examples=RUNS, stateful_step_count=40, deadline=None, phases=PHASES)
