"""Why an alias or a version is where it is, or is not, and whether serving suffers from that. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.core.changes import MoveAlias, RemoveAlias
from bridge.core.errors import NeedsPerson
from bridge.core.model import DEFAULT, Alias
from bridge.core.naming import is_version_alias, spell_alias
from bridge.core.scenes import NOTHING, Answer, Verdict

if TYPE_CHECKING:
    from bridge.core.model import MappingRecord, ModelVersion, SourceVersion, Tombstone
    from bridge.core.refs import Ref
    from bridge.core.scenes import Scene

STAGES = ("Staging", "Production", "Archived")  # of MLflow


def explain(ref: Ref, scene: Scene) -> tuple[Answer, ...]:
    """
    Answer for what a reference means in a model: an alias, a version, or all of its aliases.

    At the source a name is taken for a version's label first, then for an alias, as it is spelled there or in Vertex.
    """
    asked = _Asked(scene)
    match ref.version:
        case None:
            return asked.all_aliases()
        case wanted if ref.at_source:
            return asked.at_source(wanted)
        case wanted if wanted.isascii() and wanted.isdigit():
            return (asked.vertex_version(wanted),)
        case wanted:
            return asked.vertex_alias(Alias(wanted))


@dataclass(frozen=True, slots=True)
class _Asked:
    scene: Scene

    # what is meant

    def all_aliases(self) -> tuple[Answer, ...]:
        scene = self.scene
        answers = [self.source_alias(name) for name in sorted({*scene.state.aliases, *scene.state.remarks})]
        told = {alias for name in (*scene.state.aliases, *scene.state.remarks) if (alias := self.spelled(name))}
        there = {alias for version in scene.actual.versions for alias in version.aliases}
        rest = {*there, *scene.desired.aliases, *scene.known.mirrored} - told
        answers += [self.alias(alias, None) for alias in sorted(rest)]
        return tuple(answers) or (self.nothing_to_follow(),)

    def at_source(self, wanted: str) -> tuple[Answer, ...]:
        scene = self.scene
        versions = [version for version in scene.state.versions if version.label == wanted]
        if versions:
            return (self.version(versions[0]),)
        recorded = [record for record in scene.known.records if record.source.label == wanted]
        if recorded:
            return (self.unlisted_version(recorded[-1]),)
        if graves := [grave for grave in scene.graves if grave.record.source.label == wanted]:
            return (self.deleted(f"version {wanted}", graves[-1]),)
        if wanted in scene.state.aliases or wanted in scene.state.remarks:
            return (self.source_alias(wanted),)
        return tuple(map(self.source_alias, self.spelled_so(wanted))) or (self.source_alias(wanted),)

    def vertex_alias(self, alias: Alias) -> tuple[Answer, ...]:
        if alias == DEFAULT:
            return (self.alias(alias, self.scene.spec.default_from),)
        names = self.spelled_so(alias)
        if names:
            return tuple(map(self.source_alias, names))
        known = self.scene.actual.holder(alias) is not None or alias in self.scene.known.mirrored
        return (self.alias(alias, None) if known else self.source_alias(alias),)

    def spelled(self, name: str) -> Alias | None:
        try:
            return spell_alias(name, self.scene.spec.aliases)
        except NeedsPerson:
            return None

    def spelled_so(self, alias: str) -> list[str]:
        names = {*self.scene.state.aliases, *self.scene.state.remarks}
        return sorted(name for name in names if self.spelled(name) == alias)

    def nothing_to_follow(self) -> Answer:
        scene = self.scene
        if (refusal := scene.whole()) is not None:
            return scene.refused(f"model {scene.actual.model}", refusal, "not affected")
        reason = f"{scene.state.collection} has no alias, so there is nothing to follow"
        return Answer(f"model {scene.actual.model}", Verdict.ABSENT, reason, "nothing in Vertex", "set an alias there")

    # aliases

    def source_alias(self, name: str) -> Answer:
        """Answer for an alias by its name at the source: whether the mapping means it, and then where it is."""
        spec, about = self.scene.spec, f"alias {name!a}"
        is_there = name in self.scene.state.aliases or name in self.scene.state.remarks
        if not is_there and (why := self.not_asked_for(name)) is not None:
            return self.left_out(about, Verdict.FILTERED, why, "add it there, and run: bridge check")
        try:
            alias = spell_alias(name, spec.aliases)
        except NeedsPerson as problem:
            serving = "not affected: it names nothing in Vertex"
            return Answer(about, Verdict.BLOCKED, problem.reason, serving, f"{problem.remedy} ({spec.origin})")
        if alias is None:
            why, remedy = self.why_dropped(name)
            return self.left_out(about, Verdict.DROPPED, why, remedy)
        return self.alias(alias, name)

    def not_asked_for(self, name: str) -> str | None:
        """Say which list of the mapping's source leaves an alias out; None if none does."""
        source = self.scene.spec.source
        if source.stages and name in STAGES and name not in source.stages:
            return f"it is a stage, and the mapping follows only the stages {', '.join(sorted(source.stages))}"
        if source.aliases is not None and name not in source.aliases | source.stages:
            listed = ", ".join(sorted(source.aliases)) or "(none)"
            return f"the mapping asks its source only for the aliases {listed}"
        return None

    def why_dropped(self, name: str) -> tuple[str, str]:
        rules = self.scene.spec.aliases
        if name in rules.named:
            return f"the mapping drops it: its aliases say '{name}: null'", "give it a name there instead of null"
        if rules.others == "drop":
            return "the mapping drops all aliases that it does not name, and it does not name this one", "name it there"
        assert is_version_alias(name)  # noqa: S101  there is no other way to be dropped
        why = "the source sets it by itself, so it is mirrored only if the mapping names it"
        return why, f"if it is wanted, write '{name}: {name}' under aliases"

    def left_out(self, about: str, verdict: Verdict, why: str, remedy: str) -> Answer:
        reason = f"{why} ({self.scene.spec.origin})"
        return Answer(about, verdict, reason, "not affected: nothing in Vertex follows it", remedy)

    def alias(self, alias: Alias, name: str | None) -> Answer:
        """Answer for an alias by its name in Vertex."""
        about = f"alias {alias}" if name in (None, alias) else f"alias {alias} ({name!a} at the source)"
        holder, meant = self.scene.actual.holder(alias), self.scene.desired.aliases.get(alias)
        for change in self.scene.plan.changes:
            if isinstance(change, MoveAlias | RemoveAlias) and change.alias == alias:
                return self.scene.pending(about, change, self.scene.serving(alias))
        refusal = self.scene.refusal(f"alias {alias}")
        if refusal is None and meant is not None:
            if holder is not None and self.scene.is_of(holder, meant):
                said, paused = self.scene.spell(holder), self.scene.whole()
                reason = f"it is on {said}, as the source has it{f'; {paused.reason}' if paused else ''}"
                serving = f"not affected: {alias} names {said}"
                return Answer(about, Verdict.IN_PLACE, reason, serving, NOTHING)
            if (arrival := self.scene.arrival(meant)) is not None:  # it is there already, on what is to be adopted
                return self.scene.pending(about, arrival, self.scene.serving(alias))
            refusal = self.scene.refusal(f"version {meant.label}")
        if refusal is None and meant is not None:
            refusal = self.scene.whole()
        if refusal is not None:
            return self.scene.refused(about, refusal, self.scene.serving(alias))
        return self.unmeant(about, alias, name, holder)

    def unmeant(self, about: str, alias: Alias, name: str | None, holder: ModelVersion | None) -> Answer:
        """Answer for an alias that the source does not have, and for which nothing is to be done."""
        serving = self.scene.serving(alias)
        if alias == DEFAULT:
            has = f"nothing at the source has {name!a}, which it follows" if name else "the mapping has no default_from"
            reason = f"{has}, so it stays where it is: Vertex demands exactly one"
            remedy = NOTHING if name else "to have it follow an alias, write default_from in the mapping"
            return Answer(about, Verdict.LEFT, reason, serving, remedy)
        if holder is None:
            reason = f"nothing at {self.scene.state.collection} has it, nor has anything in Vertex"
            return Answer(about, Verdict.ABSENT, reason, serving, "set it at the source, and it follows")
        set_on = self.scene.known.mirrored.get(alias)
        who = (
            f"the bridge set it on @{set_on}, and somebody has moved it since" if set_on else "somebody set it by hand"
        )
        reason = f"the source has no such alias, and {who}, so the bridge does not touch it"
        return Answer(about, Verdict.LEFT, reason, serving, "set it at the source, or remove it in Vertex by hand")

    # versions

    def version(self, version: SourceVersion) -> Answer:
        """Answer for a version that the source lists."""
        scene, about = self.scene, f"version {version.label}"
        serving = self.scene.serving_of(version)
        change = scene.arrival(version)
        if change is not None:
            return self.scene.pending(about, change, serving)
        there = next((each for each in scene.actual.versions if self.scene.is_of(each, version)), None)
        refusal = self.scene.refusal(about)
        if refusal is None and there is not None:
            on = ", ".join(sorted(there.aliases)) or "no alias"
            reason = f"it is {self.scene.spell(there)}, with {on}, from {there.artifact_uri}"
            return Answer(about, Verdict.IN_PLACE, reason, serving, NOTHING)
        if version not in scene.desired.versions:
            return self.unwanted(version)
        refusal = refusal or self.scene.whole()
        assert refusal is not None  # noqa: S101  a desired version is there, is on its way, or is refused
        return self.scene.refused(about, refusal, serving)

    def unwanted(self, version: SourceVersion) -> Answer:
        carried = sorted(name for name, version_id in self.scene.state.aliases.items() if version_id == version.id)
        newest = self.scene.spec.versions.newest
        rule = f"those with a mirrored alias, and the newest {newest}" if newest else "only those with a mirrored alias"
        has = f"has {', '.join(map(ascii, carried))}, which are not mirrored" if carried else "has no alias"
        remedy = "give it an alias that is mirrored, or write 'versions: all' in the mapping"
        why = f"the mapping registers {rule}, and this one {has}"
        return self.left_out(f"version {version.label}", Verdict.FILTERED, why, remedy)

    def unlisted_version(self, record: MappingRecord) -> Answer:
        there = any(version.id == record.version_id for version in self.scene.actual.versions)
        now = f", and Vertex keeps it as @{record.version_id}" if there else ", nor does Vertex have it any more"
        about, reason = f"version {record.source.label}", f"the source does not list it{now}"
        if (answer := self.leaving(about, record)) is not None:
            return answer
        serving = "not affected: it is there" if there else "nothing serves it"
        return Answer(about, Verdict.LEFT if there else Verdict.ABSENT, reason, serving, NOTHING)

    def leaving(self, about: str, record: MappingRecord) -> Answer | None:
        """Answer for a version that goes, or would go if nothing spoke against it; None for any other."""
        serving = "not affected while it is there"
        if (change := self.scene.arrival(record.source)) is not None:
            return self.scene.pending(about, change, serving)
        refusal = self.scene.refusal(f"version {record.source.label}")
        return self.scene.refused(about, refusal, serving) if refusal is not None else None

    def deleted(self, about: str, grave: Tombstone) -> Answer:
        """Answer for a version that the bridge itself has deleted in Vertex."""
        what = f"{self.scene.actual.model}@{grave.record.version_id}"
        reason = f"the bridge deleted {what} ({grave.record.source}) at {grave.removed}: {grave.why}"
        way_back = f"its files may still be there: bridge restore {what} --to-dir DIR"
        return Answer(about, Verdict.ABSENT, reason, "nothing serves it", NOTHING if grave.files_removed else way_back)

    def vertex_version(self, version_id: str) -> Answer:
        """Answer for a version by its id in Vertex."""
        scene, about = self.scene, f"version @{version_id}"
        there = next((each for each in scene.actual.versions if each.id == version_id), None)
        record = next((each for each in scene.known.records if each.version_id == version_id), None)
        if record is not None and there is not None and there.marked:
            on = ", ".join(sorted(there.aliases)) or "no alias"
            reason = f"it is {record.source}, with {on}, from {record.artifact_uri}"
            return Answer(about, Verdict.IN_PLACE, reason, "not affected: it is there", NOTHING)
        if there is not None and (refusal := scene.refusal(about)) is not None:
            return scene.refused(about, refusal, "not affected: no alias is to name it")
        if there is not None:
            why = "it has lost the bridge's label" if record is not None else "the bridge did not register it"
            remedy = f"to have it taken over: bridge adopt {scene.actual.model}@{version_id}"
            reason = f"{why} (from {there.artifact_uri}), and so it is not touched"
            return Answer(about, Verdict.LEFT, reason, "not affected: it is there", remedy)
        if record is None and (graves := [each for each in scene.graves if each.record.version_id == version_id]):
            return self.deleted(about, graves[-1])
        if record is None:
            reason = f"Vertex has no such version of {scene.actual.model}, and the bridge never knew one"
            return Answer(about, Verdict.ABSENT, reason, "nothing serves it", "see what there is: bridge status")
        refusal = self.scene.refusal(f"version {record.source.label}")
        reason = f"the bridge registered it for {record.source}, and somebody has deleted it in Vertex since"
        remedy = refusal.remedy if refusal else f"bridge sync {scene.spec.name} --full"
        return Answer(about, Verdict.DRIFTED, reason, "nothing serves it: it is gone", remedy)
