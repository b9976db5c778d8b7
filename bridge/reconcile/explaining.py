"""What a person asks about, looked at on both sides, and answered whatever it is; writes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.core.errors import BridgeError, NotFound
from bridge.core.explaining import explain
from bridge.core.nearest import in_place, nearest
from bridge.core.refs import may_mean, means
from bridge.core.scenes import NOTHING, Answer, Scene, Verdict, not_read, tried
from bridge.reconcile.sweeping import selects

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.core.model import MappingSpec, Tombstone
    from bridge.core.records import Status
    from bridge.core.refs import Ref
    from bridge.reconcile.passes import Passes, Report

ELSEWHERE = "not affected: no mapping brings it to Vertex"


@dataclass(frozen=True, slots=True)
class Explained:
    """A model that was asked about."""

    spec: MappingSpec
    report: Report
    answers: tuple[Answer, ...]
    graves: tuple[Tombstone, ...] = ()  # what is left of the model's versions that the bridge has deleted


@dataclass(frozen=True, slots=True)
class Explainer:
    """Answers for any reference."""

    passes: Passes

    def explain(self, ref: Ref, specs: Sequence[MappingSpec]) -> tuple[list[Explained], list[Answer]]:
        """
        Return the models that a reference means, with answers; and answers for what no model of a mapping is.

        At least one of the two holds something.
        """
        before = self.passes.known()
        meant = {spec.name: spec for spec in specs if may_mean(ref, spec)}
        found: list[Explained] = []
        for report in self.passes.plan(list(meant.values())):
            if means(ref, report.key, report.status.collection):
                spec, graves = meant[report.key.mapping], self.passes.store.tombstones(report.key)
                answers = self._answers(ref, spec, report, before.get(report.key), graves)
                found.append(Explained(spec, report, answers, graves))
        if found:
            return found, []
        filtered = [answer for spec in meant.values() for answer in self._filtered(ref, spec)]
        return [], filtered or list(_unfollowed(ref, specs))

    def _answers(
        self, ref: Ref, spec: MappingSpec, report: Report, before: Status | None, graves: tuple[Tombstone, ...]
    ) -> tuple[Answer, ...]:
        sight, plan = report.sight, report.plan
        if sight is None or plan is None:
            answer = not_read(report.status, self.passes.store.mirrored(report.key))
            if before is not None and before.attempt:
                answer = replace(answer, verdict=Verdict.FAILED, reason=tried(before))
            return *(self._filtered(ref, spec) if spec.source.tags else ()), answer
        known = sight.settlement.known
        return explain(ref, Scene(spec, sight.state, sight.desired, sight.actual, known, plan, before, graves))

    def _filtered(self, ref: Ref, spec: MappingSpec) -> Iterator[Answer]:
        """Look for a collection that a mapping would follow, did it carry the tags that the mapping asks for."""
        place, _, name = ref.name.rpartition("/")
        is_chosen = spec.source.is_pattern or spec.source.tags  # else it was asked for just so
        if not (ref.at_source and is_chosen and in_place(place, spec.source) and selects(spec.source, name)):
            return
        plain = replace(spec.source, name=name, is_pattern=False, tags=frozenset())
        try:
            problem = self.passes.source(spec.source.connection).sweep([plain]).failed.get(plain)
        except BridgeError as unwell:
            problem = unwell
        about = f"collection {name}"
        if problem is None:
            tags = ", ".join(sorted(spec.source.tags)) or "(none)"
            reason = f"mapping {spec.name} follows only what carries the tags {tags}, and it does not ({spec.origin})"
            remedy = "tag it at the source, or take the tags out of the mapping"
            yield Answer(about, Verdict.FILTERED, reason, ELSEWHERE, remedy)
        elif isinstance(problem, NotFound):
            yield Answer(about, Verdict.ABSENT, problem.reason, ELSEWHERE, problem.remedy)
        else:
            yield Answer(about, Verdict.UNREAD, str(problem), ELSEWHERE, NOTHING)


def _unfollowed(ref: Ref, specs: Sequence[MappingSpec]) -> Iterator[Answer]:
    yield Answer(
        ref.name, Verdict.UNFOLLOWED, "no mapping follows it", ELSEWHERE, "see what there is: bridge plan --all"
    )
    for spec, why in nearest(ref, specs):
        yield Answer(f"mapping {spec.name}", Verdict.UNFOLLOWED, why, ELSEWHERE, f"if it should, change {spec.origin}")
