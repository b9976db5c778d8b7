"""
Webhooks: what a source is set up to send, and whether one was sent by who shares a secret with us.

Every comparison takes the same time, whatever the values.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

DELIVERY = "x-mlflow-delivery-id"
TIMESTAMP = "x-mlflow-timestamp"
MLFLOW = "x-mlflow-signature"
WANDB = "x-wandb-signature"
BEARER = "authorization"
FRESH = timedelta(seconds=300)  # so far may MLflow's clock be from ours, its tries to deliver again included

_WIRE = "latin-1"  # how the bytes of headers are read


@dataclass(frozen=True, slots=True)
class Webhook:
    """What a source is set up to do when something changes there."""

    name: str
    url: str  # where it goes
    events: tuple[str, ...]  # in the source's own words
    happened: Literal["created", "changed", "unchanged", "removed"] = "unchanged"  # just now
    is_on: bool = True


def is_of_wandb(headers: Mapping[str, str], body: bytes, *, token: str | None, secret: str | None) -> bool:
    """Tell whether a request shows the access token and the signature, those of the two that are not None."""
    has_token = _same(headers.get(BEARER), f"Bearer {token}") or token is None
    has_signature = _same(headers.get(WANDB), mac(secret or "", body)) or secret is None
    return has_token and has_signature and (token, secret) != (None, None)


def is_of_mlflow(headers: Mapping[str, str], body: bytes, *, secret: str) -> bool:
    """Tell whether a request's delivery id, timestamp and body are signed. A missing one is empty."""
    signed = f"{headers.get(DELIVERY, '')}.{headers.get(TIMESTAMP, '')}.".encode(_WIRE)
    return _same(headers.get(MLFLOW), f"v1,{mac(secret, signed + body)}")


def is_fresh(timestamp: str | None, now: datetime) -> bool:
    """Tell whether MLflow sent a request a short time ago, by its header; it counts seconds since 1970."""
    try:
        sent = float(timestamp or "nan")
    except ValueError:
        return False
    return abs(now.timestamp() - sent) <= FRESH.total_seconds()


def mac(secret: str, signed: bytes) -> str:
    """Sign, as both services do."""
    return base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).decode()


def _same(shown: str | None, wanted: str) -> bool:
    return hmac.compare_digest((shown or "").encode(_WIRE), wanted.encode())
