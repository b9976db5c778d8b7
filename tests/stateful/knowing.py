"""What a test knows of a world because it did it, and which promises the world breaks; apart from how it is made."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.core.changes import RegisterVersion, RemoveAlias
from bridge.core.model import DEFAULT, State
from bridge.core.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.core.model import ModelKey, SourceVersion
    from tests.worlds import World

ALIASES = ("production", "staging", "champion")


@dataclass
class Knowledge:
    """One model, as its users and the people at Vertex left it."""

    collection: str
    model: str
    published: dict[str, tuple[SourceVersion, bytes]] = field(default_factory=dict)  # by label
    aliases: dict[str, str] = field(default_factory=dict)  # alias -> label, at the source now
    meant: defaultdict[str, set[bytes]] = field(
        default_factory=lambda: defaultdict(set)
    )  # alias -> bytes it was ever on
    foreign: dict[str, str] = field(default_factory=dict)  # version id -> folder: a person registered it
    edits: dict[str, str | None] = field(default_factory=dict)  # alias -> where a person put it last
    by_hand: set[tuple[str, str]] = field(default_factory=set)  # (alias, version id), ever
    deleted: set[str] = field(default_factory=set)  # version ids: a person deleted them
    seen: dict[str, str] = field(default_factory=dict)  # version id -> folder: they were in Vertex
    _told: int = 0  # lines of the journal that were judged

    def publish(self, version: SourceVersion, content: bytes) -> None:
        self.published[version.label] = version, content

    def point(self, alias: str, label: str) -> None:
        self.aliases[alias] = label
        self.meant[alias].add(self.published[label][1])

    def edit(self, alias: str, version_id: str | None) -> None:
        self.edits[alias] = version_id
        if version_id is not None:
            self.by_hand.add((alias, version_id))

    # what is true at every moment

    def broken(self, world: World) -> list[str]:
        """Return the promises that are broken now, whatever has just gone wrong."""
        return [*self._versions(world), *self._names(world), *self._removals(world)]

    def _versions(self, world: World) -> Iterator[str]:
        here = world.registry.versions(self.model)
        ours = {version_id: folder for version_id, folder in here.items() if version_id not in self.foreign}
        if len(set(ours.values())) < len(ours):
            yield f"P2: a folder is registered twice: {ours}"
        contents = {content for _, content in self.published.values()}
        for folder in ours.values():
            if folder not in world.storage.manifests:
                yield f"P3: {folder} is registered without a manifest"
            elif world.storage.objects.get(f"{folder}model.bin") not in contents:
                yield f"P9: {folder} is registered with bytes that nobody published"
        for folder, manifest in world.storage.manifests.items():
            if any(folder + file.path not in world.storage.objects for file in manifest.files):
                yield f"P3: {folder} has a manifest and not all its files"
        for version_id, folder in (self.seen | self.foreign).items():
            if version_id not in self.deleted and here.get(version_id) != folder:
                yield f"P6: @{version_id} is gone or changed, and nobody did that"
        self.seen |= here

    def _names(self, world: World) -> Iterator[str]:
        here, held = world.registry.versions(self.model), world.registry.aliases(self.model)
        for alias, version_id in held.items():
            if alias == DEFAULT or (alias, version_id) in self.by_hand:
                continue
            if version_id in self.foreign:
                yield f"P6: alias {alias} was put on @{version_id}, which a person registered"
            elif world.storage.objects.get(f"{here[version_id]}model.bin") not in self.meant[alias]:
                yield f"P4: alias {alias} is on @{version_id}, whose bytes it never had"
        for alias, edited in self.edits.items():
            kept = edited in self.foreign or alias not in ALIASES
            if kept and edited in here and held.get(alias) != edited:
                yield f"P6: alias {alias} was taken from @{edited}, where a person put it"

    def _removals(self, world: World) -> Iterator[str]:
        """Judge the removals that were begun and made since the last time: the source has no such alias."""
        journal = tuple(reversed(world.store.journal(limit=1 << 20)))
        for entry in journal[self._told :]:
            change = entry.change
            if not isinstance(change, RemoveAlias) or entry.outcome is not Outcome.APPLIED:
                continue
            if entry.key.model == self.model and change.alias in self.aliases:
                yield f"P11: alias {change.alias} was removed, and is on {self.aliases[change.alias]} at the source"
        self._told = len(journal)

    # what is true when all is quiet

    def unfinished(self, world: World, *, heals: bool) -> list[str]:
        """Return what a quiet pass should have brought about, and has not."""
        here, held = world.registry.versions(self.model), world.registry.aliases(self.model)
        if not self.aliases and self.model not in {status.key.model for status in world.store.statuses()}:
            return []
        (status,) = [status for status in world.store.statuses() if status.key.model == self.model]
        on_foreign = {alias for alias in (*self.aliases, DEFAULT) if held.get(alias) in self.foreign}
        if here and set(here) <= set(self.foreign):
            wanted = bool(self.aliases)
            return [f"P1: {status.state}"] if wanted and status.state is not State.BLOCKED else []
        wrong = []
        edited = not heals and bool(self.edits or self.deleted)
        for alias, label in self.aliases.items():
            holder = held.get(alias)
            content = world.storage.objects.get(f"{here[holder]}model.bin") if holder in here else None
            if content != self.published[label][1] and alias not in on_foreign and not edited:
                wrong.append(f"P5: alias {alias} should be on {label}, and is on @{holder}")
        for alias in held:
            left = alias not in self.aliases and alias != DEFAULT and self.edits.get(alias) != held[alias]
            if left and held[alias] not in self.foreign:
                wrong.append(f"P5: alias {alias} is left on @{held[alias]}, and the source has none")
        blocked = bool(on_foreign - ({DEFAULT} if "production" not in self.aliases else set()))
        fine = {State.BLOCKED} if blocked else {State.SYNCED, State.DRIFTED} if edited else {State.SYNCED}
        if status.state not in fine:
            wrong.append(f"P1: {status.state}: {status.message}")
        return [*wrong, *self._open(world, status.key)]

    def _open(self, world: World, key: ModelKey) -> Iterator[str]:
        """Find what is open, but for registrations that nobody wants any more: their versions may still come."""
        unwanted = self.published.keys() - set(self.aliases.values())
        for intent in world.store.intents(key):
            if intent.version.label not in unwanted:
                yield f"P1: an intent is open: {intent}"
        for entry in world.store.unfinished(key):
            if not isinstance(entry.change, RegisterVersion) or entry.change.version.label not in unwanted:
                yield f"P1: the journal has an open line: {entry.change}"
