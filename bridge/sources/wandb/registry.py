"""A registry of W&B's: what it lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.core.errors import NotFound
from bridge.sources.wandb.choosing import PAGE, REGISTRY_PREFIX, Listed, path_of

if TYPE_CHECKING:
    from bridge.sources.wandb.session import Api, Artifact, WandbSession


@dataclass(frozen=True, slots=True)
class Registry:
    """One registry of an organization; its place is called as in "wandb-registry-model"."""

    session: WandbSession
    connection: str
    organization: str | None
    place: str

    def versions(self, names: list[str] | None = None, alias_filter: dict[str, object] | None = None) -> list[Artifact]:
        """List all versions, or those of these collections. Raises NeedsPerson if the SDK cannot read one of them."""

        def listed(api: Api) -> list[Artifact]:
            registries = api.registries(self.organization, filter=self._filter)
            place = registries if names is None else registries.collections(filter={"name": {"$in": names}})
            return list(self.session.paged(place.versions(filter=alias_filter, per_page=PAGE), PAGE))

        return self.session.call(listed)

    def collections(self, names: list[str] | None = None) -> dict[str, Listed]:
        """List all collections, or those of these names. Raises NotFound if there is no such registry."""
        only: dict[str, object] | None = None if names is None else {"name": {"$in": names}}

        def collections(api: Api) -> dict[str, Listed]:
            search = api.registries(self.organization, filter=self._filter).collections(filter=only, per_page=PAGE)
            found = self.session.paged(search, PAGE)
            return {c.name: Listed(path_of(c, c.name), frozenset(c.tags)) for c in found}

        listed = self.session.call(collections)
        if not listed and not self.session.call(
            lambda api: list(api.registries(self.organization, filter=self._filter))
        ):
            raise NotFound(
                f"W&B connection {self.connection!r} has no registry {self._filter['name']!r} in {self.organization!r}",
                "check the spelling, and that the API key's account may see it",
            )
        return listed

    @property
    def _filter(self) -> dict[str, str]:
        return {"name": self.place.removeprefix(REGISTRY_PREFIX)}
