"""Range of a download and Content-Range of an upload."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridge.sandbox.gcs.errors import GcsError, invalid

RANGE = re.compile(r"bytes=(\d*)-(\d*)")
CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


def wanted_slice(header: str | None, size: int) -> range | None:
    """
    Say which bytes of a body of `size` bytes are asked for; None means all of it, as a 200.

        bytes=2-5   from 2 to 5, both included, cut at the end
        bytes=2-    from 2 to the end
        bytes=-3    the last 3, or all if there are fewer
        other       all; that several ranges at once are ignored is a guess

    Raises 416 if the first byte asked for does not exist.
    """
    match = RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        wanted = range(max(0, size - int(last)), size)
    else:
        wanted = range(int(first), min(size, int(last) + 1) if last else size)
        if last and int(last) < int(first):
            return None
    if not wanted:
        error = GcsError(416, "requestedRangeNotSatisfiable", f"{header} is beyond the {size} bytes there are")
        error.xml_code = "InvalidRange"
        error.headers["content-range"] = f"bytes */{size}"
        raise error
    return wanted


@dataclass(frozen=True, slots=True)
class ContentRange:
    """`bytes first-last/total`; `bytes */total` has no first and last, `/*` no total."""

    first: int | None
    last: int | None
    total: int | None

    @property
    def is_question(self) -> bool:
        """Whether it carries no bytes and asks how many are held."""
        return self.first is None


def content_range(header: str) -> ContentRange:
    """Parse a Content-Range header; raises 400 if it contradicts itself."""
    match = CONTENT_RANGE.fullmatch(header.strip())
    if match is None:
        raise invalid(f"Content-Range {header!r} cannot be read")
    first, last = (None if text is None else int(text) for text in match.group(1, 2))
    total = None if match[3] == "*" else int(match[3])
    if first is not None and last is not None and (last < first or (total is not None and last >= total)):
        raise invalid(f"Content-Range {header!r} contradicts itself")
    return ContentRange(first, last, total)
