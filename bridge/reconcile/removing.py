"""Removing what is gone at its source, alias, version or folder: each is looked at once more before it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.core.departures import taken_by
from bridge.core.errors import NeedsPerson, NotFound, TryAgain
from bridge.core.naming import is_our_name, sources_of
from bridge.core.settling import gone_at_source
from bridge.reconcile.registering import wait_for

if TYPE_CHECKING:
    from bridge.core.changes import DeleteFiles, DeleteVersion, RemoveAlias
    from bridge.core.model import AliasRules, CollectionSelector, ModelKey, ModelVersion, SourceState, SourceVersion
    from bridge.core.ports import Clock, Copier, Registry, Source, Store

AGAIN = "the next pass plans anew"


@dataclass(frozen=True, slots=True)
class Remover:
    """
    Removes what one model has of what is gone.

    The record turns into a tombstone as soon as Vertex has the version no more, and only a tombstone has a folder
    removed: a death in between leaves one whose folder may still be there, and the next pass goes on with it.
    What a person made and the bridge adopted is refused, whoever planned it: neither version nor folder is touched.
    """

    source: Source
    copier: Copier
    registry: Registry
    store: Store
    clock: Clock
    key: ModelKey
    selector: CollectionSelector

    def version(self, change: DeleteVersion) -> str:
        """
        Delete a version of which `confirm_deleted` has just been asked, and bury its record.

        Raises NeedsPerson if something needs it now, or TryAgain.
        """
        self._refuse_adopted(change, change.artifact_uri)
        model, version_id = self.key.model, change.version_id
        there = self.registry.version(model, version_id)
        if there is not None:
            self._refuse_needed(there, change)
            name = self.registry.delete(model, version_id)
            operation = wait_for(name, self.registry, self.clock) if name is not None else None
            if operation is not None and operation.error is not None:
                reason = f"Vertex could not delete @{version_id} of model {model}: {operation.error}"
                raise NeedsPerson(reason, "mend what it names") if operation.lasting else TryAgain(reason)
            if self.registry.version(model, version_id) is not None:
                raise TryAgain(f"@{version_id} of model {model} was deleted, but still shows")
        for record in self.store.records(self.key):
            if (record.artifact_uri, record.version_id) == (change.artifact_uri, version_id):
                self.store.bury(record, gone_at_source(change.version), self.clock.now())
        return f"was @{version_id}" if there is not None else f"@{version_id} was gone already"

    def files(self, change: DeleteFiles) -> str:
        """Remove a version's folders, as above. Raises NeedsPerson if one is needed after all, or TryAgain."""
        self._refuse_adopted(change, *change.folders)
        graves = self.store.tombstones(self.key)
        if not any(each.record.artifact_uri == change.artifact_uri and not each.files_removed for each in graves):
            raise NeedsPerson(f"no tombstone says that the bridge deleted the version of {change.artifact_uri}", AGAIN)
        intents, versions = self.store.intents(self.key), self.registry.observe(self.key.model).versions
        used = taken_by(self.store.all_records()) | {intent.artifact_uri for intent in intents}
        used |= {version.artifact_uri for version in versions}
        if needed := [folder for folder in change.folders if folder in used]:
            raise NeedsPerson(f"{needed[0]} is the folder of another version by now, so it is not removed", AGAIN)
        removed = sum(self.copier.remove(change.version, folder, lambda: None) for folder in change.folders)
        self.store.files_removed(self.key, change.artifact_uri, self.clock.now())
        return f"{removed} objects"

    def confirm_gone(self, change: RemoveAlias, rules: AliasRules, state: SourceState) -> None:
        """Ask the source once more for an alias, by all names it may have there; or for its version."""
        if state.is_missing:  # no collection is left that could be asked for an alias
            for record in self.store.records(self.key):
                if record.version_id == change.previous.version_id:
                    self.confirm_deleted(record.source)
            return
        for name in sources_of(change.alias, rules):
            try:
                is_gone = self.source.is_gone(state.collection, name, self.selector)
            except NotFound as absent:  # renamed or deleted, which the next sweep tells apart
                raise TryAgain(f"alias {change.alias} is not removed now: {absent.reason}") from absent
            if not is_gone:
                raise TryAgain(f"{state.collection} lists no alias {name!r}, yet has it when asked by name")

    def confirm_deleted(self, version: SourceVersion) -> None:
        """Ask the source once more: files may have been copied for hours since the plan was made."""
        if not self.source.is_deleted(version, self.selector):
            raise TryAgain(f"{version} is there again when asked by name", nothing_happened=True)

    def _refuse_adopted(self, change: DeleteVersion | DeleteFiles, *folders: str) -> None:
        for folder in folders:
            if not is_our_name(folder, self.key.model, change.version):
                raise NeedsPerson(f"a person filled {folder}, so neither it nor its version is deleted", AGAIN)

    def _refuse_needed(self, there: ModelVersion, change: DeleteVersion) -> None:
        what = f"@{there.id} of model {self.key.model}"
        if not there.marked or there.artifact_uri != change.artifact_uri:
            raise NeedsPerson(f"{what} is not what the bridge registered any more, so it is not deleted", AGAIN)
        if there.aliases:
            raise NeedsPerson(f"{what} has the alias {min(there.aliases)!r}, so it is not deleted", AGAIN)
        if there.endpoints:
            raise NeedsPerson(f"{what} is deployed to {there.endpoints[0]}, so it is not deleted", "undeploy it")
