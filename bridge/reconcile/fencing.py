"""Ends that cause an effect only while a model's lease is held."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.reconcile.read_only import AskedCopier, AskedRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.core.model import (
        Alias,
        Container,
        Facts,
        Manifest,
        SourceVersion,
    )
    from bridge.core.ports import Store
    from bridge.core.records import Lease
    from bridge.reconcile.leasing import Leases
    from bridge.reconcile.reconciler import Reconciler


def fenced(reconciler: Reconciler, store: Store, lease: Lease, leases: Leases) -> Reconciler:
    """Return a reconciler that works for as long as a lease is held, and stops before its next effect then."""
    return replace(
        reconciler,
        store=store,
        registry=FencedRegistry(reconciler.registry, lease, leases),
        copier=FencedCopier(reconciler.copier, lease, leases),
    )


@dataclass(frozen=True, slots=True)
class FencedRegistry(AskedRegistry):
    """A registry that is written to only while a lease is held."""

    lease: Lease
    leases: Leases

    def register(
        self,
        model: str,
        name: str,
        version: SourceVersion,
        artifact_uri: str,
        container: Container,
        *,
        facts: Facts,
        first: bool,
    ) -> str:
        """See the port."""
        self.leases.check(self.lease)
        return self.registry.register(model, name, version, artifact_uri, container, facts=facts, first=first)

    def move_alias(self, model: str, alias: Alias, version_id: str) -> None:
        """See the port."""
        self.leases.check(self.lease)
        self.registry.move_alias(model, alias, version_id)

    def remove_alias(self, model: str, alias: Alias, version_id: str) -> None:
        """See the port."""
        self.leases.check(self.lease)
        self.registry.remove_alias(model, alias, version_id)

    def mark_ours(self, model: str, version_id: str) -> None:
        """See the port."""
        self.leases.check(self.lease)
        self.registry.mark_ours(model, version_id)

    def mark_duplicate(self, model: str, version_id: str, of: str) -> None:
        """See the port."""
        self.leases.check(self.lease)
        self.registry.mark_duplicate(model, version_id, of)

    def delete(self, model: str, version_id: str) -> str | None:
        """See the port."""
        self.leases.check(self.lease)
        return self.registry.delete(model, version_id)


@dataclass(frozen=True, slots=True)
class FencedCopier(AskedCopier):
    """A copier that begins a folder only while a lease is held; what has begun harms nobody: see Storage."""

    lease: Lease
    leases: Leases

    def copy(self, version: SourceVersion, folder: str) -> Manifest:
        """See the port."""
        self.leases.check(self.lease)
        return self.copier.copy(version, folder)

    def remove(self, version: SourceVersion, folder: str, go_on: Callable[[], None]) -> int:
        """See the port. The lease is asked before each object: whoever has it by now may be filling the folder."""

        def held() -> None:
            self.leases.check(self.lease)
            go_on()

        held()
        return self.copier.remove(version, folder, held)

    def arrange(self, version: SourceVersion, copied: str, folder: str, renames: Sequence[tuple[str, str]]) -> Manifest:
        """See the port."""
        self.leases.check(self.lease)
        return self.copier.arrange(version, copied, folder, renames)

    def adopt(self, version: SourceVersion, folder: str, kept: str, *, deep: bool = False) -> Manifest:
        """See the port."""
        self.leases.check(self.lease)
        return self.copier.adopt(version, folder, kept, deep=deep)
