"""Ids and times as the service spells them."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime


def global_id(kind: str, key: int | str) -> str:
    """Return the base64 of `kind:key`; the SDK decodes some of them (apis/public/registries/_utils.py)."""
    return base64.b64encode(f"{kind}:{key}".encode()).decode()


def row_key(text: str, *kinds: str) -> int | None:
    """Return the number in an id of one of `kinds`, or None for any other text."""
    try:
        kind, _, number = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return int(number) if kind in kinds and number.isdecimal() else None


def timestamp(seconds: float) -> str:
    """Return UTC with microseconds, as in 2026-01-05T09:00:00.000000Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_of(text: str) -> float:
    """Read what `timestamp` writes, or any ISO time; one without a zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
