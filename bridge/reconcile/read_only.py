"""Ends that pass questions on; for commands that only look, a write is a bug, and stops before it can do harm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from bridge.core.model import (
        Alias,
        BucketPlace,
        Manifest,
        ManifestHeader,
        ModelVersion,
        SourceVersion,
        StoredFile,
        TargetState,
    )
    from bridge.core.ports import Bucket, Copier, Registry
    from bridge.core.records import Operation


def _refuse(*_: object, **__: object) -> NoReturn:
    raise AssertionError("a command that only looks tried to write")


@dataclass(frozen=True, slots=True)
class AskedRegistry:
    """What a registry answers; whoever stands before it says what becomes of writes."""

    registry: Registry

    def check_access(self) -> None:
        """See the port."""
        self.registry.check_access()

    def models(self) -> tuple[str, ...]:
        """See the port."""
        return self.registry.models()

    def observe(self, model: str) -> TargetState:
        """See the port."""
        return self.registry.observe(model)

    def version(self, model: str, version_id: str) -> ModelVersion | None:
        """See the port."""
        return self.registry.version(model, version_id)

    def holder(self, model: str, alias: Alias) -> ModelVersion | None:
        """See the port."""
        return self.registry.holder(model, alias)

    def operation(self, name: str) -> Operation:
        """See the port."""
        return self.registry.operation(name)

    def running(self, model: str) -> tuple[str, ...]:
        """See the port."""
        return self.registry.running(model)


@dataclass(frozen=True, slots=True)
class ReadOnlyRegistry(AskedRegistry):
    """A registry that only answers."""

    register = move_alias = remove_alias = mark_ours = mark_duplicate = delete = staticmethod(_refuse)


@dataclass(frozen=True, slots=True)
class AskedCopier:
    """What a copier tells; whoever stands before it says what becomes of writes."""

    copier: Copier

    def compare(self, version: SourceVersion, folder: str, *, deep: bool = False) -> Manifest:
        """See the port."""
        return self.copier.compare(version, folder, deep=deep)

    def manifest(self, folder: str) -> Manifest | None:
        """See the port."""
        return self.copier.manifest(folder)

    def header(self, folder: str) -> ManifestHeader | None:
        """See the port."""
        return self.copier.header(folder)


@dataclass(frozen=True, slots=True)
class ReadOnlyCopier(AskedCopier):
    """A copier that only tells what is there."""

    copy = arrange = adopt = remove = staticmethod(_refuse)


@dataclass(frozen=True, slots=True)
class ReadOnlyBucket:
    """A bucket that only tells what is there; it has no way to write."""

    bucket: Bucket

    def manifest(self, folder: str) -> Manifest | None:
        """See the port."""
        return self.bucket.manifest(folder)

    def header(self, folder: str) -> ManifestHeader | None:
        """See the port."""
        return self.bucket.header(folder)

    def held(self, folder: str) -> Iterator[StoredFile]:
        """See the port."""
        return self.bucket.held(folder)

    def reread(self, folder: str, files: Iterable[StoredFile]) -> Iterator[tuple[StoredFile, StoredFile]]:
        """See the port."""
        return self.bucket.reread(folder, files)

    def read(self, folder: str, path: str, start: int = 0) -> AbstractContextManager[Iterator[bytes]]:
        """See the port."""
        return self.bucket.read(folder, path, start)

    def where(self, folder: str) -> BucketPlace | None:
        """See the port."""
        return self.bucket.where(folder)

    def lacking(self, folder: str) -> tuple[str, ...]:
        """See the port."""
        return self.bucket.lacking(folder)
