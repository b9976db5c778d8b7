"""People at the source, one per end: they publish, move aliases, delete and tag, so that a source can be read."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, ClassVar, Protocol

import wandb

from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.model import CollectionSelector, Facts
from bridge.sandbox.address import API_KEY, ORG_ENTITY, ORGANIZATION
from bridge.sandbox.wandb.switches import WandbSwitches
from bridge.sources.mlmodel import read_mlmodel
from bridge.sources.wandb.source import WandbSource
from bridge.testing.source import MemorySource
from tests.sources.servers import Between, Reply, graphql_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pytest

    from bridge.core.model import SourceVersion
    from bridge.core.ports import Source
    from bridge.sandbox.world import World

PLACE = "wandb-registry-model"
REGISTRY = f"{ORG_ENTITY}/{PLACE}"
ODD_PLACE = "wandb-registry-odd-of-source-tests"  # apart, as one unreadable artifact ends any listing of its registry
TOO_MUCH_METADATA = {f"key{n}": n for n in range(101)}
_numbers = count(1)


def new_name(stem: str = "detector") -> str:
    """Return the name of a collection that nobody else uses."""
    return f"{stem}-{next(_numbers)}-of-source-tests"


def selector(
    name: str,
    *,
    is_pattern: bool = False,
    tags: frozenset[str] = frozenset(),
    aliases: frozenset[str] | None = None,
    place: str = PLACE,
) -> CollectionSelector:
    """Select a collection of the registry that all these tests share."""
    return CollectionSelector("acme", place, name, is_pattern=is_pattern, tags=tags, aliases=aliases)


class Publisher(Protocol):
    """
    What a person can do at a source, and how things are called there.

    `name` is the last part of a collection's path, labels are those that `publish` returned.
    """

    keeps_digests: ClassVar[bool]  # of versions and of their files
    numbering: ClassVar[str]  # what stands before the number in a label
    odd_alias: ClassVar[str]  # as odd as the end lets people have one

    @property
    def source(self) -> Source:
        """Return the source that reads what is published here."""
        ...

    def path(self, name: str) -> str:
        """Return a collection's full path."""
        ...

    def selector(
        self,
        name: str,
        *,
        is_pattern: bool = False,
        tags: frozenset[str] = frozenset(),
        aliases: frozenset[str] | None = None,
    ) -> CollectionSelector:
        """Select a collection, or those that a pattern matches; tags are what `tag_of` returned."""
        ...

    def tag_of(self, word: str) -> str:
        """Spell a word as a tag."""
        ...

    def run_of(self, name: str, label: str) -> str | None:
        """Return the run that a version is from, if the end itself knows it."""
        ...

    def publish(self, name: str, files: Mapping[str, bytes], *aliases: str) -> str:
        """Add a version, move the aliases to it; return its label."""
        ...

    def alias(self, name: str, label: str, alias: str) -> None:
        """Move an alias to a version."""
        ...

    def unalias(self, name: str, label: str, alias: str) -> None:
        """Take an alias from a version."""
        ...

    def delete(self, name: str, label: str) -> None:
        """Delete a version with its aliases."""
        ...

    def delete_collection(self, name: str) -> None:
        """Delete a collection; the labels of the next one of that name begin anew."""
        ...

    def rename(self, name: str, new: str) -> None:
        """Give a collection another name; its versions stay what they are."""
        ...

    def tag(self, name: str, *tags: str) -> None:
        """Give a collection tags, which are what `tag_of` returned."""
        ...

    def outage(self) -> AbstractContextManager[None]:
        """Make the service fail, for the time of a with block."""
        ...

    def lockout(self) -> AbstractContextManager[None]:
        """Make the service refuse the reader, for the time of a with block."""
        ...


class WandbNames:
    """How things are called at W&B."""

    keeps_digests: ClassVar[bool] = True
    numbering: ClassVar[str] = "v"
    odd_alias: ClassVar[str] = "best one (ever)"

    def path(self, name: str) -> str:
        return f"{REGISTRY}/{name}"

    def selector(
        self,
        name: str,
        *,
        is_pattern: bool = False,
        tags: frozenset[str] = frozenset(),
        aliases: frozenset[str] | None = None,
    ) -> CollectionSelector:
        return selector(name, is_pattern=is_pattern, tags=tags, aliases=aliases)

    def tag_of(self, word: str) -> str:
        return word

    def run_of(self, name: str, label: str) -> str | None:  # noqa: ARG002  it is another's to use them
        return None


@dataclass
class MemoryPublisher(WandbNames):
    """Writes into a MemorySource, which knows of a model what it is told."""

    source: MemorySource = field(default_factory=lambda: MemorySource("acme"))

    def publish(self, name: str, files: Mapping[str, bytes], *aliases: str) -> str:
        return self.source.publish(f"{REGISTRY}/{name}", files, *aliases, facts=_facts_of(files)).label

    def alias(self, name: str, label: str, alias: str) -> None:
        self.source.alias(self._version(name, label), alias)

    def unalias(self, name: str, label: str, alias: str) -> None:
        assert self._version(name, label)
        self.source.unalias(f"{REGISTRY}/{name}", alias)

    def delete(self, name: str, label: str) -> None:
        self.source.delete(self._version(name, label))

    def delete_collection(self, name: str) -> None:
        self.source.delete_collection(f"{REGISTRY}/{name}")

    def rename(self, name: str, new: str) -> None:
        self.source.rename(f"{REGISTRY}/{name}", f"{REGISTRY}/{new}")

    def tag(self, name: str, *tags: str) -> None:
        self.source.collection(f"{REGISTRY}/{name}", tags=tags)

    @contextmanager
    def outage(self) -> Iterator[None]:
        self.source.problem = TryAgain("the source is unwell")
        yield
        self.source.problem = None

    @contextmanager
    def lockout(self) -> Iterator[None]:
        self.source.problem = NeedsPerson("the source refuses access", "ask for access")
        yield
        self.source.problem = None

    def _version(self, name: str, label: str) -> SourceVersion:
        chosen = selector(name)
        [state] = self.source.sweep([chosen]).found[chosen]
        return next(version for version in state.versions if version.label == label)


def _facts_of(files: Mapping[str, bytes]) -> Facts:
    try:
        return read_mlmodel(files["MLmodel"], "MLmodel") if "MLmodel" in files else Facts()
    except NeedsPerson as problem:
        return Facts(unread=problem.reason)


@dataclass
class SandboxPublisher(WandbNames):
    """Seeds the stand-in, and moves aliases with the real SDK; what the source reads passes `between`."""

    source: WandbSource
    world: World
    between: Between

    def publish(self, name: str, files: Mapping[str, bytes], *aliases: str) -> str:
        seeded = self.world.wandb.seed_version(f"{REGISTRY}/{name}", files, aliases=aliases)
        return f"v{seeded.version_index}"

    def alias(self, name: str, label: str, alias: str) -> None:
        artifact = self._api().artifact(f"{REGISTRY}/{name}:{label}")
        artifact.aliases.append(alias)
        artifact.save()

    def unalias(self, name: str, label: str, alias: str) -> None:
        artifact = self._api().artifact(f"{REGISTRY}/{name}:{label}")
        artifact.aliases.remove(alias)
        artifact.save()

    def delete(self, name: str, label: str) -> None:
        self._api().artifact(f"{REGISTRY}/{name}:{label}").unlink()

    def delete_collection(self, name: str) -> None:
        self._api().artifact_collection("model", f"{REGISTRY}/{name}").delete()

    def rename(self, name: str, new: str) -> None:
        collection = self._api().artifact_collection("model", f"{REGISTRY}/{name}")
        collection.name = new
        collection.save()

    def tag(self, name: str, *tags: str) -> None:
        collection = self._api().artifact_collection("model", f"{REGISTRY}/{name}")
        collection.tags = list(tags)
        collection.save()

    @contextmanager
    def outage(self) -> Iterator[None]:
        self.between.answers["*"] = graphql_error("the database is away")
        yield
        del self.between.answers["*"]

    @contextmanager
    def lockout(self) -> Iterator[None]:
        self.between.answers["*"] = Reply(403, b'{"error": "permission denied"}')
        yield
        del self.between.answers["*"]

    def _api(self) -> wandb.Api:
        return wandb.Api(overrides={"base_url": self.world.wandb.url}, api_key=API_KEY)


def keep_wandb_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK write below `folder` only, and say nothing."""
    monkeypatch.setenv("WANDB_SILENT", "true")
    for name in ("DIR", "CACHE_DIR", "DATA_DIR", "CONFIG_DIR", "ARTIFACT_DIR"):
        monkeypatch.setenv(f"WANDB_{name}", str(folder))


@contextmanager
def sandbox_people(world: World) -> Iterator[SandboxPublisher]:
    """Open a source over the stand-in; its switches are as they were afterwards."""
    with (
        Between(world.wandb.url) as between,
        closing(WandbSource("acme", between.url, lambda: API_KEY, ORGANIZATION)) as source,
    ):
        yield SandboxPublisher(source, world, between)
        world.wandb.switches = WandbSwitches()
