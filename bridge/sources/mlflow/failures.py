"""
What went wrong, as one of our errors.

MLflow's client says INTERNAL_ERROR of a server that refuses, hangs, answers 503 or shows a login page alike
(measured with mlflow 3.17.2). What happened is told by the error of `requests` that its own was raised under,
or by the status in its text. Its texts hold URLs and whole bodies, so none of them is passed on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
import urllib3

from bridge.core.errors import BridgeError, NeedsPerson, NotFound, TryAgain
from bridge.core.limits import UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.core.ports import Limit

UNWELL = frozenset({408, 409, 425, 429, 499, *range(500, 600)}) - {501}

_NO_JSON = "not in a valid JSON format"
_STATUS = re.compile(r"failed with error code (\d{3}) !=|too many (\d{3}) error responses")
_STATUS_OF = {
    "RESOURCE_DOES_NOT_EXIST": 404,
    "NOT_FOUND": 404,
    "PERMISSION_DENIED": 403,
    "CUSTOMER_UNAUTHORIZED": 401,
    "UNAUTHENTICATED": 401,
    "ABORTED": 409,
    "RESOURCE_CONFLICT": 409,
    "REQUEST_LIMIT_EXCEEDED": 429,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL_ERROR": 500,
    "TEMPORARILY_UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
# With no retries, urllib3 wraps a silence in what requests takes for a connection that could not be made.
_SILENT = (urllib3.exceptions.ReadTimeoutError, TimeoutError)
_BAD_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
)


@dataclass(frozen=True, slots=True)
class Failures:
    """Says what failed, in the words of one connection."""

    connection: str
    tracking_uri: str
    workspace: str | None = None
    limit: Limit = UNLIMITED  # is told when the server asks for fewer requests

    @property
    def where(self) -> str:
        """Name the connection and its server, without credentials."""
        inside = f", workspace {self.workspace!a}" if self.workspace else ""
        return f"MLflow connection {self.connection!r} ({shown(self.tracking_uri)}{inside})"

    def of(self, problem: BaseException, what: str) -> BridgeError:  # noqa: PLR0911  one reason a line
        """Translate what MLflow's client or `requests` raised; `what` was asked for, as in "has no {what}"."""
        chain = list(_chain(problem))
        for each in chain:
            if isinstance(each, BridgeError):
                return each
            if isinstance(each, requests.RequestException) and (known := self._of_transport(each)):
                return known
        text = str(problem)
        if _NO_JSON in text or isinstance(problem, requests.JSONDecodeError):
            return self.page()
        code = getattr(problem, "error_code", None)
        if not hasattr(problem, "json") and (status := _status(text)) is not None:
            return self.status(status, what)
        if code == "RESOURCE_DOES_NOT_EXIST" and self.workspace and "orkspace" in text:
            return NotFound(
                f"{self.where} has no such workspace",
                "check the connection's workspace, and that the account may see it",
            )
        if code == "FEATURE_DISABLED" and self.workspace:
            return NeedsPerson(
                f"{self.where} does not know workspaces", "take 'workspace' out of the connection, or enable them there"
            )
        if code is None:
            return TryAgain(f"{self.where} cannot be asked for {what}: {type(problem).__name__}")
        return self.status(_STATUS_OF.get(code, 400), what, code)

    def status(self, status: int, what: str, code: str | None = None, after: float | None = None) -> BridgeError:
        """Say what an HTTP status means; `code` is MLflow's word for it, which it gives for things of its own."""
        said = f"(HTTP {status})" if code is None else f"({code})"
        if status == requests.codes.unauthorized:
            return NeedsPerson(
                f"{self.where} does not accept who we say we are {said}",
                "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, for the bridge",
            )
        if status == requests.codes.forbidden:
            return NeedsPerson(
                f"{self.where} does not let this account read {what} {said}",
                "grant the account READ on it, and on the experiment that it was logged in",
            )
        if status == requests.codes.not_found and code is not None:
            return NotFound(f"{self.where} has no {what}", "check the spelling, and that the account may see it")
        if status == requests.codes.too_many_requests:
            self.limit.slow(after)
        if status in UNWELL:
            return TryAgain(f"{self.where} is unwell, asked for {what} {said}", after)
        return NeedsPerson(
            f"{self.where} does not answer as MLflow does when asked for {what} {said}",
            "check the connection's tracking_uri, and the server's log",
        )

    def page(self) -> NeedsPerson:
        """Say that something else has answered."""
        return NeedsPerson(
            f"{self.where} answers with a page instead of JSON; probably a login page stands before it",
            "give the bridge a way past it, such as MLFLOW_TRACKING_TOKEN or an address inside your network",
        )

    def _of_transport(self, problem: requests.RequestException) -> BridgeError | None:  # noqa: PLR0911  the same
        if isinstance(problem, requests.exceptions.SSLError):
            return NeedsPerson(
                f"{self.where} shows a certificate that cannot be verified",
                "name its authority's file in MLFLOW_TRACKING_SERVER_CERT_PATH where the bridge runs",
            )
        if isinstance(problem, requests.Timeout) or any(isinstance(each, _SILENT) for each in _chain(problem)):
            return TryAgain(f"{self.where} did not answer in time")
        if isinstance(problem, requests.ConnectionError):
            return TryAgain(f"{self.where} cannot be reached ({_reason(problem)})")
        if isinstance(problem, requests.exceptions.RetryError) and (status := _status(str(problem))) is not None:
            return self.status(status, "anything")
        if isinstance(problem, requests.TooManyRedirects):
            return self.page()
        if isinstance(problem, _BAD_ADDRESS):
            return NeedsPerson(f"{self.where} has no address that can be asked", "mend the connection's tracking_uri")
        return None


def shown(uri: str) -> str:
    """Return an address as it may be shown: without user, password and query."""
    parts = urlsplit(uri)
    if not parts.netloc:
        return uri
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def broke(problem: BaseException) -> bool:
    """Tell whether a connection broke that had been there, as one does that the server had just let go of."""
    return any(isinstance(each, urllib3.exceptions.ProtocolError | ConnectionResetError) for each in _chain(problem))


def is_untold(problem: BaseException) -> bool:
    """Tell whether MLflow's client has lost the status: an error in JSON that has none of MLflow's codes."""
    said = getattr(problem, "json", None)
    return isinstance(said, dict) and not said.get("error_code")


def status_in(problem: BaseException) -> int | None:
    """Return the HTTP status that an error of MLflow's client tells of, as far as it does; None: no answer."""
    if is_untold(problem):
        return _status(str(problem))
    return _status(str(problem)) or _STATUS_OF.get(str(getattr(problem, "error_code", None)))


def _chain(problem: BaseException) -> Iterator[BaseException]:
    """Go through an error and all that it was raised under, which urllib3 also keeps as `reason` and as arguments."""
    seen: set[int] = set()
    left: list[object] = [problem]
    while left:
        each = left.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            left += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]


def _reason(problem: BaseException) -> str:
    """Return the operating system's word for it, or else the kind of the innermost error."""
    innermost = problem
    for each in _chain(problem):
        if isinstance(each, OSError) and each.strerror:
            return each.strerror
        innermost = each
    return type(innermost).__name__


def _status(text: str) -> int | None:
    found = _STATUS.search(text)
    return int(found[1] or found[2]) if found else None
