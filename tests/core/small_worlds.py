"""Small worlds for Hypothesis, and a Vertex small enough to be believed: what a plan does when it is applied."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from hypothesis import strategies as st

from bridge.core.changes import (
    AdoptVersion,
    ArrangeFiles,
    CopyFiles,
    DeleteFiles,
    DeleteVersion,
    MarkDuplicate,
    MoveAlias,
    RegisterVersion,
    RemoveAlias,
)
from bridge.core.departures import absent, in_question
from bridge.core.desired import Desired, desire
from bridge.core.model import (
    DEFAULT,
    Absences,
    Alias,
    Known,
    MappingRecord,
    MappingSpec,
    ModelVersion,
    OnDrift,
    OnSourceDelete,
    Policy,
    SourceState,
    TargetState,
    Tombstone,
)
from bridge.core.naming import is_our_name
from bridge.core.planner import make_plan
from bridge.core.settling import took_effect
from tests.core.builders import BASE, KEY, foreign, hold, ours, record, source, spec, uri, version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from bridge.core.changes import Change, Plan

K = TypeVar("K")
V = TypeVar("V")

LABELS = ("v1", "v2", "v3", "v4")
ALIASES = (Alias("production"), Alias("staging"), Alias("champion"))
SOURCE_ALIASES = (*ALIASES, "Staging", "best_model", "default", "latest", "v3")  # some illegal, some that collide
NEXT_ID = 100  # of a version in Vertex: above every id that a world begins with


@dataclass(frozen=True)
class World:
    """One model as the source, Vertex and the store have it."""

    spec: MappingSpec
    source: SourceState
    actual: TargetState
    known: Known
    absent_before: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()  # labels of what the source says it has no more; listed ones it has

    @property
    def desired(self) -> Desired:
        return desire(self.spec, self.source)

    def plan(self) -> Plan:
        return make_plan(self.spec, BASE, self.desired, self.actual, self.known, absences=self.absences)

    @property
    def absences(self) -> Absences:
        now = absent({each.id for each in self.source.versions}, self.known.records)
        absences = Absences(now, now & self.absent_before)
        asked = in_question(self.spec, self.desired, self.actual, self.known, absences)
        gone = frozenset(each.id for each in asked if each.label in self.deleted and each not in self.source.versions)
        return replace(absences, deleted=gone)

    def after(self, plan: Plan) -> World:
        """Return the world after a pass with that plan, as reconcile makes one."""
        world = self
        for change in plan.changes:
            world = world._made(change)
            assert took_effect(change, world.actual) or isinstance(change, DeleteFiles)
        absent_before = self.absences.now if self.source.complete else self.absent_before
        world = replace(world, absent_before=absent_before)
        seen = frozenset(self.desired.aliases) if self.source.complete else self.known.seen_before
        return replace(world, known=replace(world.known, seen_before=seen))

    def shuffled(self, random: Random) -> World:
        """Return the same world, with every dict in another order."""

        def reordered(mapping: Mapping[K, V]) -> dict[K, V]:
            return dict(random.sample(list(mapping.items()), len(mapping)))

        known = replace(self.known, mirrored=reordered(self.known.mirrored), holds=reordered(self.known.holds))
        return replace(self, source=replace(self.source, aliases=reordered(self.source.aliases)), known=known)

    def ours(self, version: ModelVersion) -> bool:
        """Tell whether a version has our mark and a record: the definition, apart from the planner's."""
        rows = {(row.artifact_uri, row.version_id) for row in self.known.records}
        return version.marked and (version.artifact_uri, version.id) in rows

    def _made(self, change: Change) -> World:  # noqa: PLR0911  one kind a case
        match change:
            case CopyFiles(artifact_uri=folder) | ArrangeFiles(artifact_uri=folder):
                assert folder not in self.actual.committed, "a whole folder is left as it is"
                return replace(self, actual=replace(self.actual, committed=self.actual.committed | {folder}))
            case RegisterVersion():
                return self._registered(change)
            case AdoptVersion():
                raise AssertionError("nobody has it adopted")
            case MoveAlias(alias, artifact_uri=folder):
                [to] = [each for each in self.actual.versions if each.artifact_uri == folder and self.ours(each)]
                return self._with_alias(alias, to.id)
            case RemoveAlias(alias):
                return self._with_alias(alias, None)
            case MarkDuplicate(version_id):
                versions = (replace(v, duplicate=True) if v.id == version_id else v for v in self.actual.versions)
                return replace(self, actual=replace(self.actual, versions=tuple(versions)))
            case DeleteVersion():
                return self._deleted(change)
            case DeleteFiles():
                assert not any(each.artifact_uri in change.folders for each in self.actual.versions), "it is served"
                assert not any(row.artifact_uri in change.folders for row in self.known.records), "it is recorded"
                left = self.actual.committed - set(change.folders)
                graves = tuple(
                    each for each in self.known.tombstones if each.record.artifact_uri != change.artifact_uri
                )
                known = replace(self.known, tombstones=graves)
                return replace(self, actual=replace(self.actual, committed=left), known=known)

    def _deleted(self, change: DeleteVersion) -> World:
        [gone] = [each for each in self.actual.versions if each.id == change.version_id]
        assert self.ours(gone), "what is not ours is not deleted"
        assert is_our_name(gone.artifact_uri, self.actual.model, change.version), "what a person made is not deleted"
        assert (gone.aliases, gone.endpoints) == (frozenset(), ()), "what is in use is not deleted"
        assert all(each.id != change.version.id for each in self.source.versions), "what is there is not deleted"
        versions = tuple(each for each in self.actual.versions if each != gone)
        [row] = [
            row for row in self.known.records if (row.artifact_uri, row.version_id) == (gone.artifact_uri, gone.id)
        ]
        rows = tuple(each for each in self.known.records if each != row)
        graves = (*self.known.tombstones, Tombstone(row, "2026-01-06T09:00:00+00:00", "it is gone"))
        known = replace(self.known, records=rows, tombstones=graves)
        return replace(self, actual=replace(self.actual, versions=versions), known=known)

    def _registered(self, change: RegisterVersion) -> World:
        folder, versions = change.artifact_uri, self.actual.versions
        assert folder in self.actual.committed, "bytes come before names"
        assert not any(each.artifact_uri == folder and self.ours(each) for each in versions), "it is there already"
        first = frozenset() if versions else frozenset({DEFAULT})  # Vertex's own doing
        made = ModelVersion(str(NEXT_ID + len(versions)), folder, first, marked=True)
        row = MappingRecord(KEY, change.version, folder, made.id, "2026-01-05T09:00:00+00:00")
        others = tuple(each for each in self.known.records if each.source.id != change.version.id)
        return replace(
            self,
            actual=replace(self.actual, exists=True, versions=(*versions, made)),
            known=replace(self.known, records=(*others, row)),
        )

    def _with_alias(self, alias: Alias, holder: str | None) -> World:
        versions = tuple(
            replace(each, aliases=each.aliases | {alias} if each.id == holder else each.aliases - {alias})
            for each in self.actual.versions
        )
        mirrored = {name: at for name, at in self.known.mirrored.items() if name != alias}
        if holder is not None:
            mirrored[alias] = holder
        return replace(
            self,
            actual=replace(self.actual, versions=versions),
            known=replace(self.known, mirrored=mirrored),
        )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """
    Draw a world of at most four versions of ours and two of others, with aliases wherever they may be.

    Each source version is absent from Vertex, registered, deleted by hand, or has lost its mark. The model
    has exactly one `default` if it exists, as Vertex sees to.
    """
    rows: list[MappingRecord] = []
    versions: list[ModelVersion] = []
    for number, label in enumerate(LABELS, start=1):
        fate = draw(st.sampled_from(["absent", "registered", "deleted", "unmarked"]))
        if fate != "absent":
            rows.append(record(label, str(number)))
        if fate in ("registered", "unmarked"):
            versions.append(ours(label, at=str(number), marked=fate == "registered"))
    busy = draw(st.sets(st.integers(0, 3)))
    versions = [replace(each, endpoints=("an-endpoint",) if n in busy else ()) for n, each in enumerate(versions)]
    versions += [foreign(str(50 + n), marked=draw(st.booleans())) for n in range(draw(st.integers(0, 2)))]
    actual = TargetState(KEY.model, bool(versions), draw(with_aliases(versions)), draw(folders()))
    known = draw(memories(tuple(rows), actual))
    before = draw(st.frozensets(st.sampled_from([version(label).id for label in LABELS])))
    deleted = draw(st.frozensets(st.sampled_from(LABELS)))
    return World(draw(specs()), draw(source_states()), actual, known, before, deleted)


def specs() -> st.SearchStrategy[MappingSpec]:
    """Draw a mapping: any policy, any answer to drift, a few ways to choose aliases and versions."""
    return st.builds(
        spec,
        st.sampled_from(list(Policy)),
        drift=st.sampled_from(list(OnDrift)),
        named=st.sampled_from([{}, {"best_model": "champion"}, {"production": "live", "staging": None}]),
        others=st.sampled_from(["pass", "slug", "drop"]),
        default_from=st.sampled_from([None, *ALIASES]),
        newest=st.sampled_from([None, 0, 1]),
        on_source_delete=st.sampled_from(list(OnSourceDelete)),
    )


@st.composite
def source_states(draw: st.DrawFn) -> SourceState:
    """Draw what the source says: some of the versions, with some of the aliases."""
    labels = draw(st.lists(st.sampled_from(LABELS), unique=True).map(sorted))
    aliases = draw(st.dictionaries(st.sampled_from(SOURCE_ALIASES), st.sampled_from(labels))) if labels else {}
    return source(*labels, aliases=aliases, complete=draw(st.booleans()))


@st.composite
def with_aliases(draw: st.DrawFn, versions: list[ModelVersion]) -> tuple[ModelVersion, ...]:
    """Put each alias on one version or none, and `default` on one."""
    if not versions:
        return ()
    ids = [each.id for each in versions]
    holders = {alias: draw(st.sampled_from([None, *ids])) for alias in ALIASES} | {DEFAULT: draw(st.sampled_from(ids))}
    return tuple(
        replace(each, aliases=frozenset(alias for alias, holder in holders.items() if holder == each.id))
        for each in versions
    )


def folders() -> st.SearchStrategy[frozenset[str]]:
    """Draw the folders that are whole."""
    return st.frozensets(st.sampled_from([uri(label) for label in LABELS]))


@st.composite
def memories(draw: st.DrawFn, rows: tuple[MappingRecord, ...], actual: TargetState) -> Known:
    """Draw what the store remembers besides `rows`: aliases set where they are, or elsewhere, or never."""
    mirrored: dict[Alias, str] = {}
    for alias in (*ALIASES, DEFAULT):
        holder = actual.holder(alias)
        put = draw(st.sampled_from([holder.id if holder else None, "1", "2", "9", None]))  # "9" is not there any more
        if put is not None:
            mirrored[alias] = put
    seen = draw(st.none() | st.frozensets(st.sampled_from([*ALIASES, DEFAULT]), max_size=2))
    held = draw(st.frozensets(st.sampled_from([*ALIASES, DEFAULT]), max_size=2))
    return Known(rows, mirrored, seen, {alias: hold(alias) for alias in sorted(held)})
