"""Refusals: the exception classes of google-api-core, made from the name of their code."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal, TypeAlias

import grpc
from google.api_core import exceptions

Code: TypeAlias = Literal[
    "ABORTED",
    "ALREADY_EXISTS",
    "CANCELLED",
    "FAILED_PRECONDITION",
    "INTERNAL",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "UNAVAILABLE",
    "UNIMPLEMENTED",
]

Refused = exceptions.GoogleAPICallError


def refusal(code: Code, message: str) -> exceptions.GoogleAPICallError:
    """
    Make the exception for a code: `refusal("NOT_FOUND", ...)` is a google.api_core.exceptions.NotFound.

    The texts are this project's own, except where a comment names a source (facts-vertex, decision 5).
    """
    error: exceptions.GoogleAPICallError = exceptions.from_grpc_status(grpc.StatusCode[code], message)
    return error


def grpc_status(error: Refused) -> grpc.StatusCode:
    """Return the code of a refusal; its `value` is (number, text)."""
    return error.grpc_status_code


def http_status(error: Refused) -> int:
    """Return the code that a REST front answers with."""
    return int(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
