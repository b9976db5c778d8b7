"""The configuration that is in force, as the API asks for it: its mappings, its models, and what works on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.core.errors import NeedsPerson, NotFound
from bridge.core.model import EVERY, ModelKey
from bridge.core.refs import model_to_retry
from bridge.service.refusing import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.core.model import MappingSpec
    from bridge.core.ports import Clock, Queue, Store
    from bridge.core.records import Status
    from bridge.service.following import Following


@dataclass(frozen=True, slots=True)
class InForce:
    """The configuration that is in force, and what works by it."""

    specs: Sequence[MappingSpec]
    store: Store
    clock: Clock
    following: Following
    queue: Queue  # of models
    looks: Queue  # of mappings, whose key has EVERY for a model: their source is looked at, then their models
    since: str  # ISO 8601, UTC: tells it from any other that was in force

    def spec(self, name: str) -> MappingSpec:
        """Return a mapping. Raises Refused."""
        for spec in self.specs:
            if spec.name == name:
                return spec
        choices = ", ".join(sorted(spec.name for spec in self.specs)) or "(none)"
        raise Refused(404, f"there is no mapping {name!a}", f"choose from: {choices}")

    def status(self, mapping: str, model: str) -> Status:
        """Return what is known of a model. Raises Refused."""
        self.spec(mapping)
        status = self.store.status(ModelKey(mapping, model))
        if status is None:
            raise Refused(
                404, f"the store knows no model {model!a} of mapping {mapping!a}", "see what it knows: GET /v1/models"
            )
        return status

    def meant(self, ref: str) -> Status:
        """Return what is known of the model that a reference means. Raises Refused."""
        known = {status.key: status for status in self.store.statuses()}
        try:
            return known[model_to_retry(ref, known.values(), {spec.name for spec in self.specs})]
        except NeedsPerson as problem:
            raise Refused(404 if isinstance(problem, NotFound) else 409, problem.reason, problem.remedy) from problem

    def left(self, mapping: str) -> int:
        """Count what is yet to be done for a mapping. Looks first: they submit models before they end."""
        looks = self.looks.left(mapping)
        return looks + self.queue.left(mapping)

    def scope(self, mapping: str, model: str | None) -> ModelKey:
        """Return what a pause is of. Raises Refused."""
        self.spec(mapping)
        return ModelKey(mapping, EVERY) if model is None else self.status(mapping, model).key
