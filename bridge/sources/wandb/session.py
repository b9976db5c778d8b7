"""
One connection to W&B through its SDK: the only module that imports `wandb`.

`wandb.Api` speaks to a process of its own (wandb-core), which can die; then every call fails, a new Api
says AuthenticationError, and only teardown() helps (measured with wandb 0.31.0). So a call that fails in
one of these ways is made once more after a teardown, and only then is its error believed.
"""

from __future__ import annotations

import contextlib
import os
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import wandb
from wandb import Api, Artifact
from wandb.apis.public import ArtifactCollection
from wandb.errors import AuthenticationError, Error
from wandb.sdk.lib.asyncio_manager import AlreadyJoinedError
from wandb.sdk.lib.service.service_connection import WandbApiFailedError
from wandb.sdk.mailbox import MailboxClosedError

from bridge.core.errors import BridgeError, NeedsPerson, NotFound, TryAgain
from bridge.core.limits import UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bridge.core.ports import Limit

__all__ = [
    "Api",
    "Artifact",
    "ArtifactCollection",
    "NoSuchVersion",
    "WandbSession",
    "artifact_state",
    "manifest_url",
]

T = TypeVar("T")

_DENIED = (401, 403)
# All that the SDK was seen to raise. RuntimeError ("registry search is not enabled"), AttributeError and LookupError
# are what it makes of a server that does not answer, or of half an answer.
_ERRORS = (
    Error,
    WandbApiFailedError,
    MailboxClosedError,
    AlreadyJoinedError,
    ValueError,
    OSError,
    RuntimeError,
    AttributeError,
    LookupError,
)
_NOT_FOUND = ("not found", "Could not find")
_NO_SUCH_VERSION = "artifact membership"
_TIMED_OUT = "did not respond in time"
_NOT_RUNNING = "the service process is not running"
_MANIFEST = "query FetchArtifactManifest($id: ID!) { artifact(id: $id) { currentManifest { file { directUrl } } } }"
_STATE = "query ArtifactState($id: ID!) { artifact(id: $id) { state artifactSequence { name } } }"


class NoSuchVersion(NotFound):
    """Nothing has that label or alias: the project is there, and the collection may be."""


class WandbSession:
    """A `wandb.Api` that is made when first needed and made again when its core process is gone. Thread-safe."""

    def __init__(
        self, name: str, base_url: str, api_key: Callable[[], str], timeout: int = 20, limit: Limit = UNLIMITED
    ) -> None:
        self._name = name
        self._base_url = base_url
        self._api_key = api_key
        self._timeout = timeout  # seconds, per request
        self._limit = limit
        self._lock = threading.Lock()
        self._api: Api | None = None

    def call(self, work: Callable[[Api], T]) -> T:
        """
        Run `work` with the Api, the whole of it a second time if the core process was lost.

        That counts as one request; for what else it asks for, `work` goes through `paged`.

        Raises NotFound, NeedsPerson or TryAgain.
        """
        for believed in (False, True):
            api: Api | None = None
            self._limit.take()
            try:
                api = self._connected()
                answer = work(api)
            except _ERRORS as problem:
                self._limit.answered(_status(problem))
                if believed or not _core_is_lost(problem):
                    raise self._translated(problem) from problem
            else:
                self._limit.answered(HTTPStatus.OK)
                return answer
            self._revive(api)
        raise AssertionError  # the second round returns or raises

    def account(self, organization: str | None) -> str:
        """Return whose the API key is. Raises NotFound if the organization is not there for it."""

        def asked(api: Api) -> str:
            if organization is not None:  # what the SDK knows of the account it does not ask for a second time
                next(iter(api.registries(organization, per_page=1)), None)
            return str(api.viewer.username)

        return self.call(asked)

    def paged(self, found: Iterable[T], size: int) -> Iterator[T]:
        """Go through what the SDK fetches in pages of that size, and count every page after the first."""
        for number, each in enumerate(found):
            if number and number % size == 0:
                self._limit.take()  # for the page that has just come: the SDK does not tell before it asks
                self._limit.answered(HTTPStatus.OK)
            yield each

    def _connected(self) -> Api:
        with self._lock:
            if self._api is None:
                os.environ.setdefault("WANDB_SILENT", "true")  # its notices would mix with our output
                self._api = Api(overrides={"base_url": self._base_url}, timeout=self._timeout, api_key=self._api_key())
            return self._api

    def _revive(self, lost: Api | None) -> None:
        with self._lock:
            if self._api is not None and self._api is not lost:
                return  # another thread was faster
            with contextlib.suppress(Exception):  # ConnectionResetError among others: what it talks to is gone
                wandb.teardown()
            self._api = None

    def _translated(self, problem: Exception) -> BridgeError:
        where = f"W&B connection {self._name!r} ({self._base_url})"
        cause = _cause(problem)
        status = _status(problem)
        if isinstance(cause, ValueError) and any(text in str(cause) for text in _NOT_FOUND):
            kind = NoSuchVersion if str(cause).startswith(_NO_SUCH_VERSION) else NotFound
            return kind(f"{where}: {cause}", "check the name, and that the API key's account may see it")
        if status in _DENIED or isinstance(cause, AuthenticationError):
            return NeedsPerson(
                f"{where} refused the API key" + (f" (HTTP {status})" if status else ""),
                "give the connection the key of an account that may read these collections",
            )
        if isinstance(cause, ValueError):
            return NeedsPerson(f"{where}: {_short(cause)}", "mend at W&B what it names")
        if _TIMED_OUT in str(problem):
            self._limit.slow()  # as it may be: the SDK tries a 429 again by itself, and tells nobody
            return TryAgain(f"{where} did not answer within {self._timeout} s")
        return TryAgain(f"{where} does not answer as it should: {_short(problem)}")


def manifest_url(artifact: Artifact) -> str:
    """
    Return the signed URL of an artifact's manifest.

    The SDK has no public way to it but `manifest`, which takes 1.6 GB and 30 s for a million files (wandb 0.31.0).
    """
    client: Any = artifact._service_api  # noqa: SLF001  see above
    said = client.execute_graphql(_MANIFEST, {"id": artifact.id})
    try:
        return str(said["artifact"]["currentManifest"]["file"]["directUrl"])
    except (LookupError, TypeError):
        raise ValueError(f"W&B gives no URL for the manifest of {artifact.name}") from None


def artifact_state(api: Api, artifact_id: str) -> tuple[str | None, str | None]:
    """
    Return an artifact's state and the name of the collection that it was logged to; None, None: there is none.

    The SDK asks for an artifact by its name, or for all that are listed (wandb 0.31.0).
    """
    client: Any = api._service_api  # noqa: SLF001  see above
    said = client.execute_graphql(_STATE, {"id": artifact_id})
    try:
        found = said["artifact"]
        return (None, None) if found is None else (str(found["state"]), str(found["artifactSequence"]["name"]))
    except (LookupError, TypeError):
        raise ValueError(f"W&B does not say how the artifact {artifact_id!a} is") from None


def _status(problem: Exception) -> int | None:
    """Return the HTTP status that W&B gave, 200 if it said no in JSON; None: it did not answer."""
    cause = _cause(problem)
    status: int | None = getattr(getattr(cause, "response", None), "http_status", None) or None
    return HTTPStatus.OK if status is None and isinstance(cause, ValueError) else status


def _cause(problem: Exception) -> BaseException:
    """Return what an error of the SDK is made of: it wraps, as `exc`, or as the cause of an AuthenticationError."""
    if isinstance(problem, AuthenticationError):
        return problem.__cause__ or problem
    return getattr(problem, "exc", None) or problem


def _core_is_lost(problem: Exception) -> bool:
    """
    Tell whether the core process may be dead, or was torn down for another connection of this process.

    An AuthenticationError may mean that too, unless the core itself has told that the server refused, or did not
    answer; and so may a RuntimeError, which the SDK makes of features that it could not ask for.
    """
    cause = _cause(problem)
    if isinstance(cause, WandbApiFailedError):
        return cause.response is None and _NOT_RUNNING in str(cause)
    return isinstance(
        cause, MailboxClosedError | AlreadyJoinedError | ConnectionError | AuthenticationError | RuntimeError
    ) or isinstance(problem, AuthenticationError)


def _short(problem: BaseException) -> str:
    return (str(problem).splitlines() or [""])[0][:200] or type(problem).__name__
