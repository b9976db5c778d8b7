"""A budget of requests that tests look at."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Counting:
    """A limit that lets everything pass, and remembers."""

    taken: int = 0
    slowed: int = 0
    answers: list[int | None] = field(default_factory=list)

    def take(self) -> None:
        self.taken += 1

    def slow(self, after: float | None = None) -> None:  # noqa: ARG002  the port's
        self.slowed += 1

    def answered(self, status: int | None) -> None:
        self.answers.append(status)
