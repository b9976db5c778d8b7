"""What every use of Google's client shares: how it is made, how objects are named, what its errors mean."""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage  # no py.typed  # noqa: TID251  this is its room
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse  # noqa: TID251  the same
from requests import RequestException
from requests.adapters import BaseAdapter

from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.naming import MAX_PATH_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests import PreparedRequest, Response

    from bridge.core.ports import Limit

TIMEOUT = 60  # seconds per request
SCHEME = "gs://"
MARK = {"managed-by": "registry-bridge"}  # metadata of all that is written here; nothing without it is ever removed

OURS = "give the bridge's account the role roles/storage.objectAdmin on the bucket"
THEIRS = "give the bridge's account the role roles/storage.objectViewer on that bucket"

RATES = frozenset({"rateLimitExceeded", "userRateLimitExceeded"})  # what a 403 can mean, too: later
_QUOTAS = frozenset({"quotaExceeded", "dailyLimitExceeded"})

_REASON = re.compile(r'"reason":\s*"(\w+)"')

_UNWELL = (
    api.TooManyRequests,
    api.ServerError,
    api.RetryError,
    auth.TransportError,
    RequestException,
    urllib3.exceptions.HTTPError,  # downloads read below requests, and so do their errors
    ConnectionError,
)


@dataclass(frozen=True, slots=True)
class Place:
    """An object's name in a bucket."""

    bucket: str
    name: str

    def __str__(self) -> str:
        return f"gs://{self.bucket}/{self.name}"


def connect(project: str, endpoint: str | None) -> storage.Client:
    """Make a client; `endpoint` is a URL only for the sandbox, which needs no credentials. Raises NeedsPerson."""
    # Otherwise the client asks for the bucket's metadata behind our back, which needs a right of its own.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    with translated("the credentials for Google Cloud Storage"):
        if endpoint:
            return storage.Client(project, AnonymousCredentials(), client_options={"api_endpoint": endpoint})
        return storage.Client(project)


def limit_to(client: storage.Client, limit: Limit) -> None:
    """Have every request of the client keep to a budget, which is told how it was answered."""
    session = client._http  # noqa: SLF001  it has no public name
    for prefix, adapter in tuple(session.adapters.items()):
        session.mount(prefix, _Limited(adapter, limit))


class _Limited(BaseAdapter):
    """Passes requests on. A session's own hooks are called for answers alone, and a server that hangs has none."""

    def __init__(self, adapter: BaseAdapter, limit: Limit) -> None:
        super().__init__()
        self._adapter = adapter
        self._limit = limit

    def send(self, request: PreparedRequest, *args: Any, **more: Any) -> Response:  # noqa: ANN401  passed on
        self._limit.take()
        try:
            answer = self._adapter.send(request, *args, **more)
        except RequestException:
            self._limit.answered(None)
            raise
        self._limit.answered(answer.status_code)
        return answer

    def close(self) -> None:
        self._adapter.close()


def split(uri: str) -> tuple[str, str]:
    """Return bucket and name of a gs:// URI; the name is all that follows, whatever is in it. Raises NeedsPerson."""
    bucket, slash, name = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME) or not bucket or not slash:
        raise NeedsPerson(
            f"{uri!a} is not a place in Google Cloud Storage", "write it as gs://bucket/path where the source has it"
        )
    return bucket, name


def place_in(folder: str, path: str) -> Place:
    """Name the object of a file in a folder. Raises NeedsPerson for a name that is too long."""
    bucket, prefix = split(folder)
    name = prefix + path
    if len(name.encode()) > MAX_PATH_BYTES:
        raise NeedsPerson(
            f"the object's name {name[:60]!a}… would be longer than {MAX_PATH_BYTES} bytes",
            "give the mapping a shorter bucket folder, or log the version with shorter file names",
        )
    return Place(bucket, name)


def aside(folder: str) -> str:
    """Return where what is under way is kept: beside a folder, which holds nothing but its files."""
    return f"{split(folder)[1].removesuffix('/')}.unfinished/"


def reasons(text: str) -> set[str]:
    """Return the service's own words for a refusal, out of an answer in JSON."""
    return set(_REASON.findall(text))


@contextlib.contextmanager
def translated(
    what: str, *, rights: str = OURS, absent: str = "create it, or mend 'bucket' of the connection"
) -> Iterator[None]:
    """
    Turn the client's errors into ours. Bodies of answers are not repeated: they may hold anything.

    `rights` is the remedy if access is refused, `absent` if there is no such bucket.
    """
    try:
        yield
    except (api.Forbidden, api.Unauthorized) as denied:
        said = reasons(f"{denied.message} {json.dumps(denied.errors)}")  # of a download only the text says it
        if said & RATES:
            raise TryAgain(f"{what}: Google Cloud Storage has had too many requests (HTTP {denied.code})") from denied
        if said & _QUOTAS:
            raise NeedsPerson(
                f"{what}: the project's quota of Google Cloud Storage is used up (HTTP {denied.code})",
                "ask Google for a larger one, or sync again when it is renewed",
            ) from denied
        raise NeedsPerson(f"{what}: Google Cloud Storage refuses access (HTTP {denied.code})", rights) from denied
    except api.NotFound as gone:
        raise NeedsPerson(f"{what}: the bucket does not exist", absent) from gone
    except _UNWELL as unwell:
        raise TryAgain(f"{what}: Google Cloud Storage is unwell ({type(unwell).__name__})") from unwell
    except auth.GoogleAuthError as missing:
        raise NeedsPerson(
            f"{what}: there are no usable Google credentials here",
            "run 'gcloud auth application-default login', or set GOOGLE_APPLICATION_CREDENTIALS",
        ) from missing
    except DataCorruption as corrupt:
        raise TryAgain(f"{what}: other bytes arrived than were stored") from corrupt
    except (api.GoogleAPIError, InvalidResponse) as refused:
        raise NeedsPerson(
            f"{what}: Google Cloud Storage refused the request ({refused})", "mend what it names"
        ) from refused
