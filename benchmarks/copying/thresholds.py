"""From which size on, and below which speed, each way of sending a file is the better one: what defaults rest on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.copying.measuring import cost, say, staged
from benchmarks.copying.shapes import GIB, MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.table import Row

ROUNDS = 3
IN_ALL = 256 * MIB  # bytes of the files that go in one request or in a session each


@dataclass(frozen=True, slots=True)
class Choice:
    """The same files sent in two ways, by turns."""

    what: str
    files: int
    size: int  # bytes
    one: Mapping[str, int] = field(default_factory=dict)  # settings that lead to the first way
    other: Mapping[str, int] = field(default_factory=dict)  # the same, of the second
    delay: int = 0  # ms that the target takes to answer
    cap: int = 0  # MB/s at which the target takes one stream


def choices() -> Iterator[Choice]:
    """Yield what is compared."""
    for delay in (0, 60):
        for size in (1 * MIB, 4 * MIB, 8 * MIB, 16 * MIB, 32 * MIB):
            files = IN_ALL // size
            what = f"{files} x {size // MIB} MiB, answers after {delay} ms: one request each, to a session each"
            yield Choice(what, files, size, {"one_request": size}, {"one_request": size - 1}, delay)
    in_parts = {"slow_stream": 1 << 40}  # every stream is slow
    for size in (256 * MIB, 512 * MIB, GIB, 2 * GIB):
        what = f"1 x {size // MIB} MiB, 120 MB/s a stream: parts, to a session"
        yield Choice(what, 1, size, {"parts_above": size - 1, **in_parts}, {"parts_above": size}, cap=120)
    for cap in (80, 150, 250, 400):
        what = f"1 x 1 GiB, {cap} MB/s a stream: parts, to a session"
        yield Choice(what, 1, GIB, {"parts_above": GIB - 1, **in_parts}, {"parts_above": GIB}, cap=cap)


def measure() -> list[Row]:
    """Return how many times as quick the first way is as the second, and what memory both take."""
    rows: list[Row] = []
    with staged(2 * GIB) as stage:
        if stage is None:
            return []
        for choice in choices():
            both = [stage.job("ours", choice.files, choice.size, **each) for each in (choice.one, choice.other)]
            costs = [[cost(job, delay=choice.delay, cap=choice.cap) for job in both] for _ in range(ROUNDS)]
            say(f"{choice.what}: {', '.join(f'{one.seconds:.3g} and {other.seconds:.3g} s' for one, other in costs)}")
            rows.append((choice.what, "-", "x as quick", [other.seconds / one.seconds for one, other in costs]))
            for number, way in enumerate(choice.what.partition(": ")[2].split(", to ")):
                memory = [each[number].memory for each in costs]
                rows.append((f"{choice.what.partition(':')[0]}: {way}, memory above idle", "-", "MB", memory))
    return rows
