"""Writing down what a settlement found, before anything else is done about a model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bridge.core.model import Facts, MappingRecord, ModelKey, SourceVersion
    from bridge.core.ports import Clock, Store
    from bridge.reconcile.orders import Order, Sight


@dataclass(frozen=True, slots=True)
class Notes:
    """Takes down what was seen of one model; `homes` says where Vertex may have a version from."""

    store: Store
    clock: Clock
    facts: Callable[[str], Facts]  # of a folder
    homes: Callable[[SourceVersion, Iterable[MappingRecord]], tuple[str, ...]]

    def take(self, order: Order, sight: Sight) -> None:
        """Save what the settlement found, collections' new names, and aliases that are where they should be."""
        key, settlement = order.key, sight.settlement
        for record in settlement.landed:
            self.store.save_record(replace(record, facts=self.facts(record.artifact_uri)))
            self.store.close_intent(key, record.artifact_uri)
        for grave in settlement.buried:
            self.store.bury(grave.record, grave.why, self.clock.now())
        for alias, version_id in settlement.mirrored.items():
            self.store.save_mirrored(key, alias, version_id)
        for entry, outcome in settlement.outcomes.items():
            self.store.finish(entry, outcome, "settled by the next pass", self.clock.now())
        now_called = {version.id: version for version in order.state.versions}
        for record in settlement.known.records:
            version = now_called.get(record.source.id, record.source)
            if version.collection != record.source.collection:
                self.store.save_record(replace(record, source=version))
        self._aliases_in_place(key, sight)

    def _aliases_in_place(self, key: ModelKey, sight: Sight) -> None:
        known = sight.settlement.known
        recorded = {record.artifact_uri for record in known.records}
        for alias, version in sight.desired.aliases.items():
            homes = self.homes(version, known.records)
            holder, meant = sight.actual.holder(alias), next(filter(recorded.__contains__, homes), None)
            in_place = holder is not None and holder.artifact_uri == meant
            if holder and in_place and known.mirrored.get(alias) != holder.id:
                self.store.save_mirrored(key, alias, holder.id)
