"""How much of a machine, and of both ends, copying may take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB, GIB = 1 << 20, 1 << 30

SMALLEST_PART = 5 * MIB  # of an XML multipart upload, but for its last (cloud.google.com/storage/quotas)
_STEP = 256 << 10  # what a resumable session takes its pieces in


class UnfitSettings(ValueError):
    """Settings that make no sense: the name of each unfit field, and a sentence that names it too."""

    def __init__(self, faults: tuple[tuple[str, str], ...]) -> None:
        super().__init__("; ".join(sentence for _, sentence in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class CopySettings:
    """The limits of copying, and from which size on a file is sent in which way. Raises UnfitSettings."""

    parallel_files: int = 64  # on their way at a time, in all versions together, at most
    parallel_versions: int = 4  # copied at a time, at most
    per_host: int = 64  # connections to one host, at most
    memory: int = 256 * MIB  # bytes on their way, in all, at most
    max_bandwidth: int | None = None  # bytes per second; None: no limit
    one_request: int = 8 * MIB  # bytes; a file up to this size goes in one request
    parts_above: int = GIB  # bytes; a larger file goes in parts at the same time if one stream is slow
    slow_stream: int = 150_000_000  # bytes per second; slower than this is slow
    part: int = 8 * MIB  # bytes; four are on their way, and sent again after a kill
    leftovers_after: timedelta = timedelta(days=7)  # what was begun and not finished since then is removed

    def __post_init__(self) -> None:
        faults = tuple(self._faults())
        if faults:
            raise UnfitSettings(faults)

    def _faults(self) -> Iterator[tuple[str, str]]:
        for field in ("parallel_files", "parallel_versions", "per_host", "slow_stream"):
            if getattr(self, field) < 1:
                yield field, f"{field} must be at least 1"
        if self.max_bandwidth is not None and self.max_bandwidth < 1:
            yield "max_bandwidth", "max_bandwidth must be more than nothing; leave it out for no limit"
        if not 1 <= self.one_request <= self.memory // 2:
            sentence = "one_request must be more than nothing and at most half of memory, which holds such files whole"
            yield "one_request", sentence
        if self.parts_above <= self.one_request:
            yield "parts_above", "parts_above must be more than one_request, up to which a file goes whole"
        if self.part < SMALLEST_PART or self.part % _STEP:
            yield "part", "part must be at least 5MiB, as Cloud Storage wants it, and a multiple of 0.25MiB"
        if self.leftovers_after < timedelta(hours=1):
            # Copies say every ten minutes that they go on.
            yield "leftovers_after", "leftovers_after must be at least 1h, or what is being sent would be removed"
