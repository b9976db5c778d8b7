"""Whether our clock is right, by the dates of those who answer: signatures are good for a few minutes only."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge.doctor.checks import Result, Word, well
from bridge.net.lines import Broken, Lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from bridge.core.ports import Clock

ALLOWED = timedelta(seconds=60)  # dates are in whole seconds, and answers take some


def look_at_clock(url: str, clock: Clock) -> Iterator[Result]:
    """Ask a server for nothing, without credentials, and compare the date of whatever it answers with ours."""
    origin = urlsplit(url)
    shown = f"{origin.scheme}://{origin.netloc.rpartition('@')[2]}"
    about = f"clock, by {shown}"
    before = clock.now()
    try:
        with closing(Lines(1)) as lines:
            reply = lines.ask("HEAD", f"{shown}/", {"Content-Length": "0"})
            reply.close()
    except (Broken, ValueError) as broken:
        yield Result(about, Word.UNKNOWN, f"there was no answer to compare it with ({broken})", "see its connection")
        return
    theirs, after = _date(reply.headers.get("date")), clock.now()
    if theirs is None:
        yield Result(about, Word.UNKNOWN, "its answers have no date", "compare the clocks by hand: date -u")
        return
    ahead = before + (after - before) / 2 - theirs
    if abs(ahead) <= ALLOWED:
        yield well(about, f"ours differs by {abs(ahead).total_seconds():.0f} s")
        return
    said = f"ours is {abs(ahead).total_seconds():.0f} s {'ahead' if ahead > timedelta(0) else 'behind'}"
    yield Result(about, Word.PROBLEM, said, "set the clock of this machine by NTP")


def _date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
