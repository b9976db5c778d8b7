"""
Files that the tracking server gives out: `mlflow-artifacts:`.

Behind an object store the server copies a whole file to its own disk before it sends the first byte, knows no
ranges and no length (measured with mlflow 3.17.2 over S3). So where it can sign a URL of the store, the bytes
are fetched from there; only its S3 repository can.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests

from bridge.core.errors import NeedsPerson, NotFound
from bridge.core.model import ArtifactFile
from bridge.core.packed import pack_files
from bridge.net.insisting import UNWELL
from bridge.net.lines import PER_HOST, Broken, Lines
from bridge.sources.leading import LedInside, led_by_source
from bridge.sources.streams import Answered, fetch, open_stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    from bridge.core.packed import Packed
    from bridge.core.ports import Clock
    from bridge.sources.mlflow.session import MlflowSession
    from bridge.sources.streams import Answer

log = logging.getLogger(__name__)

FILES = "/api/2.0/mlflow-artifacts/artifacts"
PRESIGNED = "/api/2.0/mlflow-artifacts/presigned"
SERVER_INFO = "/api/3.0/mlflow/server-info"
SWITCH = "--no-serve-artifacts"  # named in the answer of a server that was started with it
DETOUR = timedelta(minutes=10)  # so long a store is not tried again that could not be reached

_HEX = re.compile(r"%[0-9A-Fa-f]{2}")


@dataclass(frozen=True, slots=True)
class Signed:
    """What fetches a file from the store for some minutes."""

    url: str
    headers: Mapping[str, str]


class ArtifactServer:
    """The part of a tracking server that gives out files. Thread-safe."""

    def __init__(self, session: MlflowSession, clock: Clock, per_host: int = PER_HOST) -> None:
        self._session = session
        self._clock = clock
        self._signs: bool | None = None  # whether it signs URLs; None: not asked yet
        self._detour_until: datetime | None = None
        self._lines = Lines(per_host)

    def close(self) -> None:
        """Close the connections to the store behind the server."""
        self._lines.close()

    def list(self, root: str) -> Packed[ArtifactFile]:
        """
        List all files below a folder, by path: a request per folder. An absent one is empty.

        Raises NeedsPerson for a folder in it that shows nothing. MLflow makes none; but objects of a bucket whose
        names hold "//", "." or ".." show as one, without the files (mlflow 3.17.2, s3_artifact_repo.py, relpath).
        """
        return pack_files(self._found(root))

    def _found(self, root: str) -> Iterator[ArtifactFile]:
        folders = [""]
        while folders:
            folder = folders.pop()
            path = f"{root}/{folder}".rstrip("/")
            entries = self._listed(path).get("files", ())
            if folder and not entries:
                raise NeedsPerson(
                    f"the folder {folder!a} in {root!a} is listed and shows no files: they may have names that "
                    "MLflow cannot list",
                    "log the version again with plain relative file names, and without empty folders",
                )
            for entry in entries:
                below = f"{folder}{entry['path']}"
                if entry.get("is_dir"):
                    folders.append(f"{below}/")
                else:  # the size of an empty file is left out
                    yield ArtifactFile(below, int(entry.get("file_size", 0)), None)

    def _listed(self, path: str) -> dict[str, Any]:
        response = self._session.get(FILES, params={"path": path})
        if response.status_code == requests.codes.service_unavailable and SWITCH in response.text:
            raise NeedsPerson(
                f"{self._session.failures.where} runs with --no-serve-artifacts, so it gives out no files",
                "start it with --serve-artifacts, or register versions whose files are in a bucket",
            )
        return self._session.json_of(response, f"files of {path!a}")

    def open(self, path: str, what: str, start: int) -> AbstractContextManager[Iterator[bytes]]:
        """Stream a file from byte `start` on; `what` names it in messages."""
        address = f"/{quote(path)}"
        signed: Signed | None = None

        def ask(headers: Mapping[str, str], *, renew: bool) -> Answer:
            nonlocal signed
            try:
                if self._may_sign():
                    if signed is None or renew:
                        signed = self._sign(address, what)
                    if signed is not None and (answer := self._fetch(signed, headers, what)) is not None:
                        return answer
                return Answered(self._session.get(f"{FILES}{address}", headers=headers, stream=True))
            except requests.RequestException as broken:
                raise Broken(type(broken).__name__) from broken

        return open_stream(ask, what, start, renews=self._may_sign())

    def _may_sign(self) -> bool:
        if self._signs is None:
            response = self._session.get(SERVER_INFO)
            if response.status_code in UNWELL:
                return False  # for this time only
            is_known = response.status_code == requests.codes.ok  # MLflow 2 has no such page
            info = self._session.json_of(response, "what it can do") if is_known else {}
            self._signs = info.get("multipart_downloads_enabled") is True
        return self._signs and (self._detour_until is None or self._clock.now() >= self._detour_until)

    def _sign(self, address: str, what: str) -> Signed | None:
        """Have a URL signed; None if the store behind the server cannot do that."""
        response = self._session.get(f"{PRESIGNED}{address}")
        if response.status_code == requests.codes.not_implemented:
            self._signs = False
            return None
        try:
            answer = self._session.json_of(response, what)
        except NotFound:
            raise NeedsPerson(f"{what} is not there, or no more", "log the version again if it was deleted") from None
        url = str(answer.get("url", ""))
        if not url.lower().startswith(("https://", "http://")):
            return None
        headers = answer.get("headers") or {}
        return Signed(url, {str(name): str(value) for name, value in headers.items()})

    def _fetch(self, signed: Signed, headers: Mapping[str, str], what: str) -> Answer | None:
        """
        Fetch from the store, which is shown none of MLflow's credentials, and follow no redirect.

        None if it cannot be reached, or not be led to: only the server may be meant to reach it. Then it is left alone
        for a while.
        """
        check = led_by_source(self._session.tracking_uri, what)
        try:
            return fetch(self._lines, signed.url, {**signed.headers, **headers}, what, check)
        except (Broken, LedInside) as problem:
            where = self._session.failures.where
            log.warning("the store behind %s cannot be reached (%s): files come through it", where, problem)
            self._detour_until = self._clock.now() + DETOUR
            return None


def check_servable(path: str, what: str) -> None:
    """Refuse a name that the server cannot be asked for. Raises NeedsPerson."""
    # It decodes a path once more than it was encoded, and refuses "#" whatever the encoding (mlflow 3.17.2,
    # utils/uri.py, validate_path_is_safe).
    if "#" in path or _HEX.search(path):
        raise NeedsPerson(
            f"{path!a} of {what} cannot be read through the tracking server, which serves no name with '#', or with "
            "'%' before two hex digits",
            "log the version again with another file name",
        )
