"""Pages and read masks of list calls."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, TypeVar

from bridge.sandbox.vertex.errors import refusal
from bridge.sandbox.vertex.messages import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.sandbox.vertex.messages import Message

Row = TypeVar("Row")


def page(rows: Sequence[Row], request: Message, size_max: int) -> tuple[list[Row], str]:
    """
    Cut out the page that `request` asks for; return it and the token of the next one, "" after the last.

    Size 0 means `size_max`, more is cut down to it (guess: the sizes are in no document).
    """
    if request.page_size < 0:
        raise refusal("INVALID_ARGUMENT", f"page_size {request.page_size} is negative")
    size = min(request.page_size or size_max, size_max)
    start = _offset(request.page_token)
    end = start + size
    return list(rows[start:end]), _token(end) if end < len(rows) else ""


def masked(message: Message, read_mask: Message) -> Message:
    """Keep only the fields of `read_mask`; an empty mask keeps all."""
    mask = plain(read_mask)
    if not mask.paths:
        return message
    whole = plain(message)
    if not mask.IsValidForDescriptor(whole.DESCRIPTOR):
        raise refusal(
            "INVALID_ARGUMENT", f"read_mask {list(mask.paths)} has a field that {whole.DESCRIPTOR.name} lacks"
        )
    part = type(whole)()
    mask.MergeMessage(whole, part)
    return type(message).wrap(part)


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(b"offset:%d" % offset).decode()


def _offset(token: str) -> int:
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token).removeprefix(b"offset:"))
    except (binascii.Error, ValueError):
        raise refusal("INVALID_ARGUMENT", f"page_token {token!r} was not given out by this service") from None
