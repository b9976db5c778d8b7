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
from bridge.core.model import OnDrift
from bridge.core.records import Operation
from tests.stateful import PHASES, SOAK
from tests.stateful.knowing import ALIASES, Knowledge
from tests.worlds import FRAUD, World, mapping

if TYPE_CHECKING:
    from bridge.core.model import SourceVersion

ALIAS = st.sampled_from(ALIASES)
THEIRS = st.sampled_from((*ALIASES, "canary"))
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
        self.world = World([replace(mapping(), drift=drift, default_from="production")], settle=LEASE)
        registry = self.world.registry
        registry.alias_conflict = conflict  # type: ignore[assignment]  # one of the two
        registry.label_scope = scope  # type: ignore[assignment]  # the same
        registry.lists_operations, registry.commit_delay, registry.list_lag = tells, commit_delay, list_lag
        self.world.source.collection(FRAUD)
        self.known = Knowledge(FRAUD, "fraud")
        self.rotten: set[str] = set()
        self.folders = count(1)
        self.processes = count(1)

    # users

    @rule(target=labels, aliases=st.sets(ALIAS, max_size=2))
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

    # passes, and processes that die

    @rule(full=st.booleans())
    def run(self, *, full: bool) -> None:
        self.world.sync(full=full)

    @rule(effects=st.integers(0, 40))
    def die(self, effects: int) -> None:
        self.world.dies_in_a_pass(effects)

    @rule()
    def come_back_as_another_process(self) -> None:
        self.world.owner = f"process {next(self.processes)}"

    @rule(seconds=st.sampled_from([1, 10, 61]))
    def wait(self, seconds: int) -> None:
        self.world.clock.advance(seconds)

    # the outside

    @rule(method=st.sampled_from(["register", "move_alias", "remove_alias"]), times=st.integers(1, 2))
    def lose_replies(self, method: str, times: int) -> None:
        self.world.registry.lost_replies[method] = times

    @rule(method=st.sampled_from(["observe", "version", "register", "operation", "running", "move_alias"]))
    def be_unwell(self, method: str) -> None:
        self.world.registry.problems[method] = UNWELL

    @rule(what=st.sampled_from(["source", "storage"]))
    def be_away(self, what: str) -> None:
        if what == "source":
            self.world.source.problem = UNWELL
        else:
            self.world.storage.problem = UNWELL

    @rule()
    def fail_an_operation(self) -> None:
        self.world.registry.failing.append(Operation(done=True, error="internal error", lasting=False))

    @rule(aliases=st.sets(ALIAS, min_size=1), admits=st.booleans())
    def list_less(self, aliases: set[str], *, admits: bool) -> None:
        self.world.source.hide(FRAUD, *aliases, admits=admits)

    @rule(label=labels)
    def serve_other_bytes(self, label: str) -> None:
        if any(version.label == label for version in self._listed()):
            self.world.source.serve(self.known.published[label][0], "model.bin", b"wrong")
            self.rotten.add(label)

    @rule()
    def mend(self) -> None:
        world, registry = self.world, self.world.registry
        registry.lost_replies.clear()
        registry.problems.clear()
        registry.failing.clear()
        world.source.problem = world.storage.problem = None
        world.source.hide(FRAUD)
        for version in self._listed():
            if version.label in self.rotten:
                world.source.serve(version, "model.bin", self.known.published[version.label][1])
        self.rotten.clear()

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
    @rule(alias=THEIRS, pick=st.integers(0, 7))
    def move_by_hand(self, alias: str, pick: int) -> None:
        there = sorted(self.world.registry.versions("fraud"))
        self._move_by_hand(alias, there[pick % len(there)])

    @precondition(lambda self: self.world.registry.versions("fraud"))
    @rule(alias=ALIAS)
    def remove_by_hand(self, alias: str) -> None:
        self._move_by_hand(alias, None)

    @rule(pick=st.integers(0, 7))
    def delete_by_hand(self, pick: int) -> None:
        there = sorted(self.world.registry.versions("fraud"))
        if len(there) > 1:
            version_id = there[pick % len(there)]
            self.world.registry.delete_by_hand("fraud", version_id)
            self.known.deleted.add(version_id)
            self.known.foreign.pop(version_id, None)

    def _move_by_hand(self, alias: str, version_id: str | None) -> None:
        self.world.registry.move_by_hand("fraud", alias, version_id)
        self.known.edit(alias, version_id)

    # promises

    @rule()
    def be_quiet(self) -> None:
        self.mend()
        self.world.clock.advance(LEASE * 2)
        plans = [report.plan for report in self.world.sync(full=True)]
        if any(refusal.kind is Kind.WAITING for plan in plans if plan for refusal in plan.refusals):
            self.world.sync(full=True)  # an absence is believed from two listings
        assert self.known.unfinished(self.world, heals=self.heals) == []
        assert [plan.changes for plan in self.world.plans()] == [()]

    @invariant()
    def promises_are_held(self) -> None:
        if hasattr(self, "world"):
            assert self.known.broken(self.world) == []

    def _listed(self) -> list[SourceVersion]:
        selector = self.world.specs[0].source
        problem, self.world.source.problem = self.world.source.problem, None
        (state,) = self.world.source.sweep([selector]).found[selector]
        self.world.source.problem = problem
        return list(state.versions)


TestConvergence = Convergence.TestCase
TestConvergence.settings = settings(
    max_examples=3000 if SOAK else 300, stateful_step_count=40, deadline=None, phases=PHASES
)
