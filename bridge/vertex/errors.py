"""Turns Google's errors into ours, once, where they enter."""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING

from google.api_core import exceptions as api
from google.auth import exceptions as auth

from bridge.core.errors import NeedsPerson, TryAgain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.core.ports import Limit

# Turned away before anything was done. Base classes, since REST knows fewer kinds than gRPC does.
_TURNED_AWAY = (api.TooManyRequests, api.Conflict)


@contextlib.contextmanager
def translated(what: str, limit: Limit) -> Iterator[None]:
    """
    Raise TryAgain or NeedsPerson for whatever the client raises; `what` says what was tried. NotFound passes.

    `limit` is told when Vertex asks for fewer requests.
    """
    try:
        with _counted(limit):
            yield
    except api.NotFound:
        raise
    except _TURNED_AWAY as busy:
        if isinstance(busy, api.TooManyRequests):
            limit.slow()
        raise TryAgain(f"{what}: Vertex AI asks to come back later ({busy.message})", nothing_happened=True) from busy
    except (api.Forbidden, api.Unauthorized) as denied:
        raise NeedsPerson(
            f"{what}: Vertex AI refuses access ({denied.message})",
            "give the bridge's account the role roles/aiplatform.user in the project",
        ) from denied
    except api.RetryError as unwell:
        if isinstance(unwell.cause, _TURNED_AWAY):
            raise TryAgain(f"{what}: Vertex AI asks to come back later", nothing_happened=True) from unwell
        raise TryAgain(f"{what}: Vertex AI is unwell ({type(unwell.cause).__name__})") from unwell
    except (api.ServerError, api.Cancelled, auth.TransportError) as unwell:
        raise TryAgain(f"{what}: Vertex AI is unwell ({type(unwell).__name__})") from unwell
    except auth.GoogleAuthError as missing:
        raise NeedsPerson(
            f"{what}: there are no usable Google credentials here",
            "run 'gcloud auth application-default login', or set GOOGLE_APPLICATION_CREDENTIALS",
        ) from missing
    except api.GoogleAPICallError as refused:
        raise NeedsPerson(f"{what}: Vertex AI refuses it ({refused.message})", "mend what it names") from refused


def status_of(problem: BaseException | None) -> int | None:
    """Return how Vertex answered, in the words of HTTP; None: it did not."""
    return int(problem.code) if isinstance(problem, api.GoogleAPICallError) and problem.code else None


@contextlib.contextmanager
def _counted(limit: Limit) -> Iterator[None]:
    try:
        yield
    except api.RetryError:  # each of its tries was counted when it failed
        raise
    except Exception as problem:
        limit.answered(status_of(problem) or status_of(problem.__cause__))
        raise
    limit.answered(HTTPStatus.OK)
