"""The Source port over W&B: registry collections and project collections."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from bridge.core.errors import BridgeError, IntegrityError, NeedsPerson, NotFound, TryAgain
from bridge.core.limits import UNLIMITED
from bridge.core.model import ArtifactFile, CollectionSelector, Description, SourceState, SourceVersion, Sweep
from bridge.core.naming import check_paths
from bridge.net.lines import PER_HOST, Lines
from bridge.sources.facts import facts_in
from bridge.sources.mlmodel import metadata_facts
from bridge.sources.streams import open_url
from bridge.sources.waiting import within
from bridge.sources.wandb.choosing import PAGE, REGISTRY_PREFIX, Listed, chosen, names_of, page_of, path_of
from bridge.sources.wandb.deleted import is_deleted
from bridge.sources.wandb.manifests import check_manifest, read_manifest
from bridge.sources.wandb.registry import Registry
from bridge.sources.wandb.session import NoSuchVersion, WandbSession, manifest_url
from bridge.sources.wandb.urls import PAGE as URLS_PAGE, FileUrls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from bridge.core.packed import Packed
    from bridge.core.ports import Limit
    from bridge.sources.wandb.session import Api, Artifact

Found: TypeAlias = "dict[CollectionSelector, tuple[SourceState, ...]]"
Failed: TypeAlias = "dict[CollectionSelector, BridgeError]"

GIVE_UP_AFTER = 2  # places in a row that W&B did not answer for


class WandbSource:
    """
    One connection to W&B.

    A sweep costs, whatever the number of collections, a request per 1,000 versions of each registry that is
    watched, and one per 1,000 collections where a pattern or tags choose them; and two per project collection.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        api_key: Callable[[], str],
        organization: str | None = None,
        *,
        per_host: int = PER_HOST,
        patience: float = 300.0,  # seconds for a manifest, which may be of a million files
        limit: Limit = UNLIMITED,
    ) -> None:
        self._name = name
        self._base_url = base_url.rstrip("/")
        self._organization = organization
        self._patience = patience
        self._session = WandbSession(name, self._base_url, api_key, limit=limit)
        self._lines = Lines(per_host)
        self._urls = FileUrls(self._file_urls)

    def close(self) -> None:
        """Close the connections that files are read over."""
        self._lines.close()

    # sweep

    def sweep(self, selectors: Sequence[CollectionSelector]) -> Sweep:
        """See the port. What cannot be read fails alone; after two places that did not answer, no more are tried."""
        found: Found = {}
        failed: Failed = {}
        # The collections of a project are asked for one by one, those of a registry together.
        groups: dict[str | CollectionSelector, list[CollectionSelector]] = defaultdict(list)
        for selector in selectors:
            groups[selector if "/" in selector.place else selector.place].append(selector)
        in_a_row = 0
        problem: BridgeError = TryAgain("")
        for group in groups.values():
            if in_a_row < GIVE_UP_AFTER:
                try:
                    self._sweep_place(group, found, failed)
                except TryAgain as unwell:
                    in_a_row, problem = in_a_row + 1, unwell
                except NeedsPerson as refused:
                    problem = refused
                else:
                    in_a_row = 0
                    continue
            failed |= dict.fromkeys(group, problem)
        if failed and not found and not any(isinstance(each, NotFound) for each in failed.values()):
            raise next(iter(failed.values()))  # nothing could be read, so it is the connection
        return Sweep(found, failed)

    def _sweep_place(self, group: list[CollectionSelector], found: Found, failed: Failed) -> None:
        place = group[0].place
        if "/" in place:
            for selector in group:
                found[selector] = (self._project_collection(selector),)
            return
        registry = self._registry(place)
        rows = self._registry_rows(registry, group, failed)
        listed = _listed_collections(registry, group, rows)
        for selector in group:
            names = chosen(selector, listed)
            if selector in failed:
                continue
            if not names and not selector.is_pattern:
                failed[selector] = self._missing(selector)
                continue
            try:
                found[selector] = tuple(self._state(listed[name].path, name, rows.get(name, ())) for name in names)
            except TryAgain as problem:
                failed[selector] = problem

    def _registry_rows(
        self, registry: Registry, group: list[CollectionSelector], failed: Failed
    ) -> dict[str, list[Artifact]]:
        """
        List the versions of a registry with their aliases, by collection.

        One artifact that the SDK cannot read (101 keys of metadata) ends a whole listing; then the collections
        are listed one by one, and only the selectors of its own are failed.
        """
        names = names_of(group)
        try:
            return _rows(registry, group, names)
        except NotFound:
            raise
        except NeedsPerson:
            if names is not None and len(names) == 1:
                raise
        listed = registry.collections()
        rows: dict[str, list[Artifact]] = {}
        for name in sorted({name for selector in group for name in chosen(selector, listed)}):
            try:
                rows |= _rows(registry, group, [name])
            except NeedsPerson as problem:
                failed |= {selector: problem for selector in group if name in chosen(selector, listed)}
        return rows

    def _project_collection(self, selector: CollectionSelector) -> SourceState:
        if selector.is_pattern or selector.tags:
            raise NeedsPerson(
                f"collections of the project {selector.place} cannot be chosen by a pattern or by tags",
                "name each of them in a mapping of its own, or link them into a registry",
            )
        path = f"{selector.place}/{selector.name}"

        def rows(api: Api) -> list[Artifact]:
            # Listing an absent collection fails in the same way as a malformed answer; asking for it does not.
            api.artifact_collection(selector.artifact_type, path)
            return list(self._session.paged(api.artifacts(selector.artifact_type, path, per_page=PAGE), PAGE))

        try:
            return self._state(path, selector.name, self._session.call(rows))
        except NotFound as absent:
            raise self._missing(selector) from absent

    def _state(self, path: str, name: str, artifacts: Iterable[Artifact]) -> SourceState:
        versions: list[SourceVersion] = []
        aliases: dict[str, str] = {}
        for artifact in sorted(artifacts, key=lambda artifact: int(artifact.version[1:])):
            version = SourceVersion(
                self._name,
                path,
                artifact.version,
                artifact.id or "",
                artifact.digest,
                page_of(artifact, self._base_url, self._organization),
            )
            versions.append(version)
            for alias in artifact.aliases:
                if aliases.setdefault(alias, version.id) != version.id:
                    raise TryAgain(f"{path}: alias {alias!r} moved while W&B was listing it")
        return SourceState(path, name, tuple(versions), aliases)

    def _registry(self, place: str) -> Registry:
        return Registry(self._session, self._name, self._organization, place)

    def _missing(self, selector: CollectionSelector) -> NotFound:
        reason = f"W&B connection {self._name!r} has no collection {selector.name!r} in {selector.place}"
        return NotFound(reason, "check the spelling, and that the API key's account may see it")

    # files

    def describe(self, version: SourceVersion) -> Description:
        """See the port. The manifest is checked against the artifact's own digest, which covers paths and digests."""

        def contents(api: Api) -> tuple[str, dict[str, Any]]:
            artifact = self._same(api, version)
            return manifest_url(artifact), artifact.metadata

        url, metadata = self._session.call(contents)
        what = f"the manifest of {version}"

        def signed(renew: bool) -> str:  # noqa: FBT001  the shape that open_url asks for
            return self._session.call(contents)[0] if renew else url

        def read() -> Packed[ArtifactFile]:
            with open_url(self._lines, signed, what, checked=True, source=self._base_url) as pieces:
                return read_manifest(version, pieces)

        files = within(self._patience, read, what)
        check_paths(file.path for file in files)
        check_manifest(version, files)
        self._urls.know(version, files)
        return Description(files, facts_in(self, version, files, metadata_facts(metadata)))

    def open(
        self, version: SourceVersion, file: ArtifactFile, start: int = 0
    ) -> AbstractContextManager[Iterator[bytes]]:
        """See the port."""
        given: str | None = None

        def url(renew: bool) -> str:  # noqa: FBT001  the shape that open_url asks for
            nonlocal given
            given = self._urls.url(version, file.path, refused=given if renew else None)
            if given is None:
                raise NeedsPerson(f"W&B gives no URL for {file.path!a} of {version}", "log the version again")
            return given

        what, checked = f"{file.path!a} of {version}", file.digest is not None
        return open_url(self._lines, url, what, start, checked=checked, source=self._base_url)

    def is_gone(self, collection: str, alias: str, selector: CollectionSelector | None = None) -> bool:
        """See the port. `artifact_exists()` is no proof: it says False for 401, 403, 429 and 500 too."""
        try:
            self._session.call(lambda api: api.artifact(f"{collection}:{alias}"))
        except NoSuchVersion:  # which W&B says of a collection that is not there, too
            self._demand(collection, selector)
            return True
        return False

    def _demand(self, collection: str, selector: CollectionSelector | None) -> None:
        """Raise NotFound if a collection is not there."""
        _, project, name = collection.split("/")
        if not project.startswith(REGISTRY_PREFIX):
            kind = selector.artifact_type if selector else "model"
            self._session.call(lambda api: api.artifact_collection(kind, collection))
        elif name not in self._registry(project).collections([name]):
            reason = f"W&B connection {self._name!r} has no collection {collection!r} any more"
            raise NotFound(reason, "see whether it was renamed: the next sweep lists it under its new name")

    def is_deleted(self, version: SourceVersion, selector: CollectionSelector) -> bool:
        """See the port."""
        return is_deleted(self._session, version, self._registry(selector.place))

    def check_access(self) -> str:
        """See the port."""
        return self._session.account(self._organization)

    def _same(self, api: Api, version: SourceVersion) -> Artifact:
        """Fetch a version by its label, and make sure that it is the one that was swept."""
        artifact: Artifact = api.artifact(str(version))
        if artifact.id != version.id:
            reason = f"{version} is not what it was when it was listed: another artifact has its place"
            raise NotFound(reason, "run the sync again, so that the collection is listed anew")
        if artifact.digest != version.digest:
            reason = f"{version} has the digest {artifact.digest}, and had {version.digest} when it was listed"
            raise IntegrityError(reason, "log it as a new version, and ask W&B: a version's digest never changes")
        return artifact

    def _file_urls(self, version: SourceVersion, names: list[str] | None) -> dict[str, str]:
        def urls(api: Api) -> dict[str, str]:
            files = self._same(api, version).files(names=names, per_page=URLS_PAGE)
            return {file.name: file.direct_url for file in islice(files, URLS_PAGE)}

        return self._session.call(urls)


def _rows(registry: Registry, group: list[CollectionSelector], names: list[str] | None) -> dict[str, list[Artifact]]:
    wanted = [selector.aliases for selector in group]
    alias_filter: dict[str, object] | None = None
    if None not in wanted:
        alias_filter = {"alias": {"$in": sorted(frozenset().union(*(aliases or () for aliases in wanted)))}}
    by_collection: dict[str, list[Artifact]] = defaultdict(list)
    for artifact in registry.versions(names, alias_filter):
        by_collection[artifact.name.rpartition(":")[0]].append(artifact)
    return by_collection


def _listed_collections(
    registry: Registry, group: list[CollectionSelector], rows: dict[str, list[Artifact]]
) -> dict[str, Listed]:
    """Say which collections there are: those with rows, and, where that is not enough, those W&B lists."""
    listed = {name: Listed(path_of(versions[0], name)) for name, versions in rows.items()}
    if any(selector.is_pattern or selector.tags for selector in group):
        return listed | registry.collections()
    absent = [selector for selector in group if selector.name not in listed]
    return listed | registry.collections(names_of(absent)) if absent else listed
