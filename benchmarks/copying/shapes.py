"""The shapes that are copied, and what is to be reached with each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
FEW = 16  # files


@dataclass(frozen=True, slots=True)
class Shape:
    """Some files of one size."""

    files: int
    size: int  # bytes
    ways: tuple[str, ...]  # see work.py; one after the other in each round
    goals: Mapping[str, str]  # by what rows.py calls a figure
    rounds: int = 5
    delay: int = 0  # ms that the target takes to answer
    cap: int = 0  # MB/s at which the target takes one stream; 0: as it can
    changed: int = 0  # files that differ from those of the version before, if that was copied already

    def __str__(self) -> str:
        size = f"{self.size // GIB} GiB" if self.size >= GIB else f"{self.size // MIB} MiB"
        small = f"{self.size // KIB} KiB" if self.size >= KIB else f"{self.size} B"
        told = f"{self.files:,} x {size if self.size >= MIB else small}"
        told += f", answers after {self.delay} ms" if self.delay else ""
        told += f", {self.cap} MB/s a stream" if self.cap else ""
        return told + (f", {self.files - self.changed} of them unchanged" if self.changed else "")

    @property
    def total(self) -> int:
        """Bytes of all files."""
        return self.files * self.size


_NONE = {"disk": "<= 0"}
_LARGE = {"x naive": ">= 3", "x limit": ">= 0.6", "CPU": "<= 1.3", "memory": "<= 100", **_NONE}

SHAPES = (
    Shape(1, 2 * GIB, ("limit:1", "naive", "rclone", "ours"), _LARGE),
    Shape(16, 64 * MIB, ("limit:1", "limit:8", "naive", "rclone", "ours"), _LARGE),
    Shape(
        2000,
        64 * KIB,
        ("limit:1", "limit:8", "naive", "rclone", "ours"),
        {"x naive": ">= 4", "CPU": "<= 8", "memory": "<= 100", **_NONE},
    ),
    Shape(2000, 64 * KIB, ("limit:64", "ours"), {"files/s": ">= 800", "memory": "<= 150", **_NONE}, rounds=3, delay=60),
    Shape(1, 2 * GIB, ("ours",), {"x cap": ">= 1.3", "memory": "<= 200", **_NONE}, rounds=3, cap=120),
    Shape(100_000, 64, ("kept",), {"memory": "<= 100"}, rounds=1),
    Shape(200, 10 * MIB, ("again",), {"sent": "<= 0.1"}, rounds=3, changed=10),
)
# Of a version as large as they may be; not among the others, since it takes ten minutes.
MILLION = Shape(1_000_000, 64, ("kept",), {"memory": "<= 512"}, rounds=1)


def quick(shape: Shape) -> Shape:
    """Return a smaller one, measured once: to see that the measurement works, not what is measured."""
    if shape.files <= FEW:
        return replace(shape, size=shape.size // 4, rounds=1)
    return replace(shape, files=shape.files // 10, changed=shape.changed // 10, rounds=1)
