"""A source in memory: a test writes what it publishes, and how it misbehaves."""

from __future__ import annotations

import base64
import hashlib
import re
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import xxhash

from bridge.core.errors import IntegrityError, NeedsPerson, NotFound
from bridge.core.model import ArtifactFile, Description, Digest, Facts, SourceState, SourceVersion, Sweep
from bridge.core.naming import check_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bridge.core.errors import BridgeError
    from bridge.core.model import CollectionSelector

PIECE = 1 << 16  # bytes that `open` yields at once

Algorithm = Literal["md5", "xxh128"]
NO_FACTS = Facts()


@dataclass
class _Version:
    version: SourceVersion
    files: dict[str, bytes]
    algorithm: Algorithm | None
    facts: Facts
    served: dict[str, bytes] = field(default_factory=dict)  # where it differs from what was published


@dataclass
class _Collection:
    tags: frozenset[str] = frozenset()
    versions: list[_Version] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)  # alias -> SourceVersion.id
    published: int = 0
    hidden: frozenset[str] = frozenset()  # aliases that a sweep leaves out
    admits: bool = True  # ... and whether it says so


class MemorySource:
    """
    The Source port over dicts. Collections are named by their full path, "acme_org/wandb-registry-model/fraud".

    `problem` is raised by every call while it is set: TryAgain for a source that is unwell, NeedsPerson for
    one that denies access. `failing` says the same of single collections, by path, and `describing` of what
    `describe` raises for single versions, by id. What is in `unlisted`, by path, no pattern shows; asked for by its
    name it fails with that, or is there all the same (None). `meanwhile` is called
    whenever a file is opened. `calls` lists the port's methods in the order in which they were called, and
    `asked` the aliases that were asked for by name.
    """

    def __init__(self, connection: str = "wandb") -> None:
        self.connection = connection
        self.problem: BridgeError | None = None
        self.failing: dict[str, BridgeError] = {}
        self.describing: dict[str, BridgeError] = {}
        self.unlisted: dict[str, BridgeError | None] = {}
        self.meanwhile: Callable[[], object] = lambda: None
        self.calls: list[str] = []
        self.asked: list[str] = []
        self._collections: dict[str, _Collection] = {}
        self._deleted: dict[str, _Version] = {}  # by id
        self._serial = 0

    # what a test writes

    def collection(self, path: str, *, tags: Iterable[str] = ()) -> None:
        """Make a collection that has no versions yet, or set the tags of one that is there."""
        self._collections.setdefault(path, _Collection()).tags = frozenset(tags)

    def publish(
        self,
        path: str,
        files: Mapping[str, bytes],
        *aliases: str,
        algorithm: Algorithm | None = "md5",
        digest: str | None = None,
        keeps_digest: bool = True,
        facts: Facts = NO_FACTS,
    ) -> SourceVersion:
        """
        Add a version, v0 being a collection's first, and move `aliases` to it.

        The source keeps digests of its files by `algorithm`, or none. `digest` is the version's own; without
        it, it is a function of paths and contents, so the same files have the same digest again. MLflow's
        versions have none: `keeps_digest` False.
        """
        there = self._collections.setdefault(path, _Collection())
        self._serial += 1
        label = f"v{there.published}"
        version = SourceVersion(
            self.connection,
            path,
            label,
            f"id-{self._serial}",
            (digest or _digest_of(files)) if keeps_digest else None,
            f"https://{self.connection}.test/{path}/{label}",
        )
        there.published += 1
        there.versions.append(_Version(version, dict(files), algorithm, facts))
        for alias in aliases:
            self.alias(version, alias)
        return version

    def alias(self, version: SourceVersion, alias: str) -> None:
        """Make an alias name this version, and no other of its collection."""
        self._collections[version.collection].aliases[alias] = version.id

    def unalias(self, path: str, alias: str) -> None:
        """Take an alias away."""
        del self._collections[path].aliases[alias]

    def delete(self, version: SourceVersion) -> None:
        """Delete a version with its aliases; its label is not used again."""
        there = self._collections[version.collection]
        self._deleted[version.id] = self._of(version)
        there.versions = [each for each in there.versions if each.version.id != version.id]
        there.aliases = {alias: named for alias, named in there.aliases.items() if named != version.id}

    def restore(self, version: SourceVersion) -> None:
        """Have a version that was deleted again, just as it was but for its aliases."""
        there = self._collections[version.collection]
        there.versions = sorted([*there.versions, self._deleted.pop(version.id)], key=lambda held: held.version.label)

    def rename(self, path: str, new: str) -> None:
        """Give a collection another path; its versions stay what they are."""
        there = self._collections[new] = self._collections.pop(path)
        for held in there.versions:
            held.version = replace(held.version, collection=new)

    def delete_collection(self, path: str) -> None:
        """Delete a collection; one made again under its path starts at v0 with new ids."""
        del self._collections[path]

    def serve(self, version: SourceVersion, path: str, content: bytes) -> None:
        """Serve other bytes for a file than were published: corrupted, truncated, too many."""
        self._of(version).served[path] = content

    def hide(self, path: str, *aliases: str, admits: bool = True) -> None:
        """
        Leave aliases out of a collection's listings from now on, though they are there if asked for by name.

        The listing says that it is not complete, unless `admits` is False: then it lies. Hiding none ends it.
        """
        there = self._collections[path]
        there.hidden, there.admits = frozenset(aliases), admits

    # the port

    def sweep(self, selectors: Sequence[CollectionSelector]) -> Sweep:
        """See the port."""
        self._begin("sweep")
        found: dict[CollectionSelector, tuple[SourceState, ...]] = {}
        failed: dict[CollectionSelector, BridgeError] = {}
        for selector in selectors:
            chosen = [path for path in sorted(self._collections) if self._selects(selector, path)]
            if selector.is_pattern:
                chosen = [path for path in chosen if path not in self.unlisted]
            failing = self.failing | self.unlisted
            problem = next((failing[path] for path in chosen if path in failing), None)
            if problem is None and not chosen and not selector.is_pattern:
                problem = NotFound(
                    f"connection {self.connection!r} has no collection {selector.name!r} in {selector.place}",
                    "check the spelling",
                )
            if problem is None:
                found[selector] = tuple(self._state(path) for path in chosen)
            else:
                failed[selector] = problem
        return Sweep(found, failed)

    def describe(self, version: SourceVersion) -> Description:
        """See the port."""
        self._begin("describe")
        if version.id in self.describing:
            raise self.describing[version.id]
        held = self._of(version)
        check_paths(held.files)
        files = tuple(
            ArtifactFile(path, len(content), _file_digest(content, held.algorithm))
            for path, content in sorted(held.files.items())
        )
        return Description(files, held.facts)

    @contextmanager
    def open(self, version: SourceVersion, file: ArtifactFile, start: int = 0) -> Iterator[Iterator[bytes]]:
        """See the port."""
        self._begin("open")
        self.meanwhile()
        held = self._of(version)
        if file.path not in held.files:
            raise NeedsPerson(f"{version} has no file {file.path!a}", "log the version again")
        content = held.served.get(file.path, held.files[file.path])
        yield (content[at : at + PIECE] for at in range(start, len(content), PIECE))

    def is_gone(self, collection: str, alias: str, selector: CollectionSelector | None = None) -> bool:  # noqa: ARG002  nothing here is left out by one
        """See the port."""
        self._begin("is_gone")
        self.asked.append(alias)
        if (there := self._collections.get(collection)) is None:
            raise NotFound(f"there is no collection {collection!r}", "see whether it was renamed")
        return alias not in there.aliases

    def is_deleted(self, version: SourceVersion, selector: CollectionSelector) -> bool:  # noqa: ARG002  the same
        """See the port. A version that is in another collection now was renamed with its own."""
        self._begin("is_deleted")
        self.asked.append(str(version))
        if version.collection in self.failing:
            raise self.failing[version.collection]
        place = version.collection.rpartition("/")[0]
        beside = [each for path, each in self._collections.items() if path.rpartition("/")[0] == place]
        if not beside:
            raise NeedsPerson(f"{place} shows no collection at all: that is not believed", "look at the rights")
        return all(held.version.id != version.id for each in beside for held in each.versions)

    def check_access(self) -> str | None:
        """See the port."""
        self._begin("check_access")
        return "a test"

    def _begin(self, method: str) -> None:
        self.calls.append(method)
        if self.problem is not None:
            raise self.problem

    def _selects(self, selector: CollectionSelector, path: str) -> bool:
        place, _, name = path.rpartition("/")
        in_place = place == selector.place or place.endswith(f"/{selector.place}")
        named = re.fullmatch(selector.name, name) is not None if selector.is_pattern else name == selector.name
        return in_place and named and selector.tags <= self._collections[path].tags

    def _state(self, path: str) -> SourceState:
        there = self._collections[path]
        listed = {alias: named for alias, named in there.aliases.items() if alias not in there.hidden}
        versions = tuple(each.version for each in there.versions)
        complete = not there.hidden or not there.admits
        return SourceState(path, path.rpartition("/")[2], versions, listed, complete)

    def _of(self, version: SourceVersion) -> _Version:
        there = self._collections.get(version.collection, _Collection())
        held = next((each for each in there.versions if each.version.id == version.id), None)
        if held is None:
            raise NotFound(f"{version} is gone, or another one has its place", "run the sync again")
        if held.version.digest != version.digest:
            raise IntegrityError(f"{version} has another digest than when it was listed", "log it again")
        return held


def _file_digest(content: bytes, algorithm: Algorithm | None) -> Digest | None:
    if algorithm is None:
        return None
    raw = xxhash.xxh128(content).digest() if algorithm == "xxh128" else _md5(content)
    return Digest(algorithm, base64.b64encode(raw).decode())


def _digest_of(files: Mapping[str, bytes]) -> str:
    listing = "".join(f"{path}:{_md5(content).hex()}\n" for path, content in sorted(files.items()))
    return _md5(listing.encode()).hex()


def _md5(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()
