"""
Where a version's files are, and which of these places may be read.

`source` of a version is an untrusted URI: the server takes `s3://`, `gs://` and `dbfs:/` without looking, and
older servers take local paths and any host (measured with mlflow 3.17.2).

    the URI resolves to                     its files are read
    mlflow-artifacts:/1/models/m-…          through the tracking server
    mlflow-artifacts://that-server/…        the same; another host is refused
    gs://bucket/…, s3://bucket/…            from the bucket, if the connection's `artifact_stores` name it
    runs:/<run>/model                       below the run's folder; or, if that is empty, those of the model
                                            of that name that the run has logged
    file:, a path, http(s):, dbfs:, …       never
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from bridge.core.errors import NeedsPerson
from bridge.sources.mlflow.proxied import ArtifactServer, check_servable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from bridge.core.model import ArtifactFile, SourceVersion
    from bridge.core.ports import Clock, ObjectStore
    from bridge.sources.mlflow.records import Version
    from bridge.sources.mlflow.session import MlflowSession

MOST_LOGGED = 50  # models of one run that are looked through

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)
_CLIMBS = re.compile(r"(^|[/\\])(\.|%2e){2}($|[/\\])|%2e|%2f|%5c", re.IGNORECASE)


class Folder(Protocol):
    """Where the files of one version are."""

    def list(self) -> Sequence[ArtifactFile]:
        """List all of them, by path; paths are not checked. Raises NeedsPerson if there are none."""
        ...

    def open(self, path: str, start: int) -> AbstractContextManager[Iterator[bytes]]:
        """Stream one of them."""
        ...


@dataclass(frozen=True, slots=True)
class ServerFolder:
    """A folder that the tracking server gives out."""

    server: ArtifactServer
    root: str  # "1/models/m-4e4c/artifacts"
    version: SourceVersion

    def list(self) -> Sequence[ArtifactFile]:
        """See Folder. Names that the server could not be asked for are refused."""
        files = _some(self.server.list(self.root), self.version)
        for file in files:
            check_servable(file.path, str(self.version))
        return files

    def open(self, path: str, start: int) -> AbstractContextManager[Iterator[bytes]]:
        """See Folder."""
        return self.server.open(f"{self.root}/{path}", f"{path!a} of {self.version}", start)


@dataclass(frozen=True, slots=True)
class BucketFolder:
    """A folder in a bucket."""

    store: ObjectStore
    uri: str  # without a "/" at its end
    version: SourceVersion

    def list(self) -> Sequence[ArtifactFile]:
        """See Folder."""
        return _some(self.store.list(f"{self.uri}/"), self.version)

    def open(self, path: str, start: int) -> AbstractContextManager[Iterator[bytes]]:
        """See Folder."""
        return self.store.open(f"{self.uri}/{path}", start)


class Artifacts:
    """Finds the folder of a version. Thread-safe."""

    def __init__(
        self,
        session: MlflowSession,
        clock: Clock,
        stores: tuple[str, ...],
        gcs: Callable[[], ObjectStore] | None,
        *,
        per_host: int,
    ) -> None:
        self._session = session
        self._server = ArtifactServer(session, clock, per_host)
        self._allowed = tuple(f"{store.rstrip('/')}/" for store in stores)
        self._make = {"gs": gcs, "s3": partial(_s3, per_host)}
        self._lock = threading.Lock()
        self._stores: dict[str, ObjectStore] = {}

    def close(self) -> None:
        """Close the connections to object stores that were made here."""
        self._server.close()
        if (s3 := self._stores.pop("s3", None)) is not None:
            s3.close()  # type: ignore[attr-defined]  # ours; that of gs:// belongs to who made it

    def folder(self, version: SourceVersion, found: Version) -> Folder:
        """Find where the files are. Raises NeedsPerson if they may not be read, or are nowhere."""
        uri = self._session.download_uri(found.model, found.number)
        scheme, rest = _split(uri)
        if scheme != "runs":
            return self._at(uri, version)
        run_id, _, path = rest.strip("/").partition("/")
        run = self._session.run(run_id)
        folder = self._at(f"{run.artifacts.rstrip('/')}/{path}".rstrip("/"), version)
        if not path or not run.models or _has_files(folder):
            return folder
        name, _, below = path.partition("/")
        for model_id in run.models[:MOST_LOGGED]:
            logged, location = self._session.logged_model(model_id)
            if logged == name:
                return self._at(f"{location.rstrip('/')}/{below}".rstrip("/"), version)
        return folder

    def _at(self, uri: str, version: SourceVersion) -> Folder:
        scheme, rest = _split(uri)
        if scheme in ("mlflow-artifacts", "gs", "s3") and _CLIMBS.search(rest):
            raise NeedsPerson(
                f"the URI of the files of {version} holds '..' or an encoded separator, which is refused",
                "register the version again with a plain URI",
            )
        if scheme == "mlflow-artifacts":
            return ServerFolder(self._server, self._path_on_server(rest, version), version)
        if scheme in ("gs", "s3"):
            return self._in_bucket(scheme, uri.rstrip("/"), version)
        kind = f"a {scheme!a} URI" if scheme else "a local path"
        raise NeedsPerson(
            f"the files of {version} are at {kind}, which the bridge does not read",
            "log the model through a tracking server that serves artifacts, or to a gs:// or s3:// bucket "
            "of the connection's artifact_stores",
        )

    def _path_on_server(self, rest: str, version: SourceVersion) -> str:
        host, path = "", rest
        if rest.startswith("//"):
            host, _, path = rest[2:].partition("/")
        own = urlsplit(self._session.tracking_uri).netloc.rpartition("@")[2]
        if not self._session.is_http or host.lower() not in ("", own.lower()):
            raise NeedsPerson(
                f"the files of {version} are on another artifact server, {host[:80]!a}",
                "register the version again with a URI of this tracking server",
            )
        path = path.strip("/")
        if not path:
            raise NeedsPerson(
                f"the URI of the files of {version} is that of all artifacts", "register it with its own folder"
            )
        check_servable(path, f"the folder of {version}")
        return path

    def _in_bucket(self, scheme: str, uri: str, version: SourceVersion) -> Folder:
        if not f"{uri}/".startswith(self._allowed):
            raise NeedsPerson(
                f"the files of {version} are at {uri[:200]!a}, where MLflow connection {version.connection!r} "
                "may not read",
                "add it to artifact_stores of the connection",
            )
        make = self._make[scheme]
        if make is None:
            raise NeedsPerson(
                f"the files of {version} are at a {scheme}:// URI, and the connection cannot read such",
                "add a connection to Vertex AI, whose credentials are used for gs://",
            )
        with self._lock:
            if scheme not in self._stores:
                self._stores[scheme] = make()
        return BucketFolder(self._stores[scheme], uri, version)


def _split(uri: str) -> tuple[str, str]:
    found = _SCHEME.fullmatch(uri)
    return (found[1].lower(), found[2]) if found else ("", uri)


def _some(files: Sequence[ArtifactFile], version: SourceVersion) -> Sequence[ArtifactFile]:
    """Refuse an empty listing, which is also what MLflow answers of a folder that is not there."""
    if not files:
        raise NeedsPerson(
            f"the artifacts of {version} are empty or gone", "look at the version in MLflow, and log the model again"
        )
    return files


def _has_files(folder: Folder) -> bool:
    try:
        return bool(folder.list())
    except NeedsPerson:
        return False


def _s3(per_host: int) -> ObjectStore:
    from bridge.sources.mlflow.s3 import S3Store  # noqa: PLC0415  boto3 is loaded by those alone who need it

    return S3Store(per_host)
