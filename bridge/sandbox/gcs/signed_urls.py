"""When a signed URL is over; its signature is not checked, since everybody may do everything here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bridge.sandbox.gcs.errors import GcsError, invalid

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams


def refuse_expired(query: QueryParams, now: float) -> None:
    """
    Refuse a URL whose time is over: V4 by X-Goog-Date and X-Goog-Expires (seconds), V2 by Expires (epoch seconds).

    The codes are those of cloud.google.com/storage/docs/xml-api/reference-status. Raises GcsError.
    """
    try:
        if "X-Goog-Date" in query:
            begun = datetime.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            ends = begun.timestamp() + int(query["X-Goog-Expires"])
        elif "Expires" in query:
            ends = int(query["Expires"])
        else:
            return
    except (KeyError, ValueError):
        raise invalid("the time of this signed URL makes no sense", xml_code="AuthenticationRequired") from None
    if now > ends:
        raise GcsError(400, "invalid", "the signed URL's time is over", xml_code="ExpiredToken")
