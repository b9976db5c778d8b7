"""The Source port over MLflow's model registry."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from bridge.core.errors import BridgeError, IntegrityError, NeedsPerson, NotFound
from bridge.core.limits import UNLIMITED
from bridge.core.model import MLFLOW_PLACE, Description, Facts
from bridge.core.naming import check_paths
from bridge.net.lines import PER_HOST
from bridge.sources.facts import facts_in
from bridge.sources.mlflow.artifacts import Artifacts
from bridge.sources.mlflow.filters import named
from bridge.sources.mlflow.records import READY, STAGES
from bridge.sources.mlflow.session import MlflowSession
from bridge.sources.mlflow.watching import PATIENCE, Watcher
from bridge.sources.waiting import within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from bridge.core.model import ArtifactFile, CollectionSelector, SourceVersion, Sweep
    from bridge.core.ports import Clock, Limit, ObjectStore
    from bridge.sources.mlflow.artifacts import Folder
    from bridge.sources.mlflow.records import Version

MOST_FOLDERS = 256  # versions whose folders are remembered at a time
BELIEVED = timedelta(minutes=1)  # so long a version that was there is taken to be there


class MlflowSource:
    """
    One connection to MLflow; who we are there is said by MLflow's own variables.

    `stores` are the URIs, "s3://bucket/prefix", below which files may be read from a bucket: where a version's
    files are is written by whoever may register a version, and is not to lead the bridge anywhere else.
    `gcs` makes the reader of `gs://` when it is first needed. See `watching` for what a sweep costs.
    """

    def __init__(
        self,
        name: str,
        tracking_uri: str,
        clock: Clock,
        *,
        workspace: str | None = None,
        stores: tuple[str, ...] = (),
        gcs: Callable[[], ObjectStore] | None = None,
        full_every: timedelta = timedelta(minutes=10),
        per_host: int = PER_HOST,
        limit: Limit = UNLIMITED,
    ) -> None:
        self._clock = clock
        self._session = MlflowSession(name, tracking_uri, workspace, limit)
        self._watcher = Watcher(self._session, clock, full_every)
        self._artifacts = Artifacts(self._session, clock, stores, gcs, per_host=per_host)
        self._looking = threading.Lock()
        self._folders: dict[str, tuple[Folder, datetime]] = {}  # by id of a version: where its files are, as of when

    def close(self) -> None:
        """Close the connections that files are read over; those of MLflow's client are the whole process's."""
        self._artifacts.close()

    def sweep(self, selectors: Sequence[CollectionSelector]) -> Sweep:
        """See the port. What cannot be read fails alone."""
        return self._watcher.sweep(selectors)

    def describe(self, version: SourceVersion) -> Description:
        """See the port. MLflow keeps no digests."""
        found = self._same(version)
        folder = self._artifacts.folder(version, found)
        files = folder.list()
        check_paths(file.path for file in files)
        self._remember(version, folder)
        try:
            return Description(files, facts_in(self, version, files, self._told(found)))
        finally:
            self._folders.pop(version.id, None)  # whoever copies looks again whether the version is there

    def open(
        self, version: SourceVersion, file: ArtifactFile, start: int = 0
    ) -> AbstractContextManager[Iterator[bytes]]:
        """See the port. That the version is still there is looked at once a minute."""
        with self._looking:  # files of a version are opened by many threads, and one look serves them all
            folder, since = self._folders.get(version.id, (None, None))
            if folder is None or since is None or self._clock.now() - since > BELIEVED:
                folder = self._artifacts.folder(version, self._same(version))
                self._remember(version, folder)
        return folder.open(file.path, start)

    def is_gone(self, collection: str, alias: str, selector: CollectionSelector | None = None) -> bool:
        """See the port. A stage is an alias of its own name."""
        name = collection.removeprefix(f"{MLFLOW_PLACE}/")
        model = self._session.model(name)
        of_aliases = selector is None or selector.aliases is None or alias in selector.aliases
        if of_aliases and alias in model.aliases:
            return False
        if alias not in (STAGES if selector is None else selector.stages):
            return True
        written = named(name)
        versions = model.highest if written is None else self._session.versions(written)
        return not any(version.stage == alias and version.status == READY for version in versions)

    def is_deleted(self, version: SourceVersion, selector: CollectionSelector) -> bool:  # noqa: ARG002  any may select it
        """See the port. A model that was renamed has its versions under the same numbers, of the same times."""
        name, number = version.collection.removeprefix(f"{MLFLOW_PLACE}/"), int(version.label)
        try:
            there = self._session.version(name, number)
        except NotFound:
            there = None
        if there is not None and there.id == version.id:
            return False
        if any(found.id == version.id for found in self._session.versions(f"version_number = {number}")):
            return False
        if there is None and not (self._session.newest_versions(1) or self._session.models()):
            raise NeedsPerson(
                f"{self._session.failures.where} shows no model; without permission MLflow answers an empty list",
                "grant the account READ on the models; one that is shown is proof enough",
            )
        return True

    def check_access(self) -> None:
        """See the port. MLflow does not tell who we are, and shows an empty list to whom it shows nothing."""
        what = f"an answer of {self._session.failures.where}"
        within(PATIENCE, lambda: self._session.newest_versions(1), what)

    def _same(self, version: SourceVersion) -> Version:
        """Ask for a version by its label, and make sure that it is the one that was swept."""
        name = version.collection.removeprefix(f"{MLFLOW_PLACE}/")
        found = self._session.version(name, int(version.label))
        if found.id != version.id:
            raise NotFound(
                f"{version} is not what it was when it was listed: another version has its place",
                "run the sync again, so that the model is listed anew",
            )
        if version.digest is not None:
            raise IntegrityError(
                f"{version} had the digest {version.digest} when it was listed, and MLflow keeps none",
                "check that the store and the connection belong together",
            )
        if found.status != READY:
            raise NeedsPerson(f"{version} is not READY any longer, but {found.status}", "look at it in MLflow")
        return found

    def _remember(self, version: SourceVersion, folder: Folder) -> None:
        if len(self._folders) >= MOST_FOLDERS:
            self._folders.clear()
        self._folders[version.id] = folder, self._clock.now()

    def _told(self, found: Version) -> Facts:
        """Return what the registry and the run say; a run may be gone, and its version may be copied all the same."""
        if found.run_id is None:
            return Facts()
        try:
            return Facts(run_id=found.run_id, metrics=self._session.run(found.run_id).metrics)
        except BridgeError:
            return Facts(run_id=found.run_id)
