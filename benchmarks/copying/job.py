"""What a process is asked to do, and what it says that cost; both go from process to process as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Job:
    """Files to copy, and the way to do it."""

    way: str
    files: int
    size: int  # bytes
    changed: int
    digests: tuple[str, ...]  # md5 of each slice: of the files, and of those that are changed; none: no file has one
    source: str  # URL
    sink: str  # URL
    tools: str  # the folder where phys is built, and where the files are listed for it
    settings: Mapping[str, int] = field(default_factory=dict)  # of CopySettings, that are not its defaults

    @property
    def name(self) -> str:
        """The files' folder at the source."""
        return f"{self.files}x{self.size}"

    def url(self, number: int) -> str:
        """Return where a slice is."""
        return f"{self.source}/{self.name}/f{number:05}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one copy cost the process that made it, and those that it started."""

    seconds: float
    cpu: float  # seconds
    memory: float  # MB at most, above what it held before; of processes that it started nothing is known
    disk: int  # bytes written
    requests: int  # to the target
    objects: int  # at the target
    sent: int  # bytes to the target
