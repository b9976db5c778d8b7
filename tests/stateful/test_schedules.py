"""Schedules of faults, drawn from numbers: which effect dies or fails, which bytes and listings are wrong, and when."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

from bridge.core.changes import Kind
from bridge.core.errors import TryAgain
from tests.stateful import SOAK
from tests.stateful.knowing import ALIASES, Knowledge
from tests.worlds import FRAUD, Crash, Fuse, World, mapping

SCHEDULES = 20_000 if SOAK else 500
LEASE = timedelta(seconds=61)
EFFECTS = 60  # so many points are there in the passes of a schedule, roughly
FILES = 6


@dataclass
class Trouble(Fuse):
    """What happens to the process at its nth point: before an effect, or after it, where its reply is lost."""

    points: dict[int, str] = field(default_factory=dict)
    opened: dict[int, str] = field(default_factory=dict)  # of the nth file that is opened at the source
    met: Counter[str] = field(default_factory=Counter)
    _at: int = 0
    _opens: int = 0

    def burn(self) -> None:
        self._at += 1
        what = self._met(self.points.pop(self._at, None))
        if what == "die":
            raise Crash
        if what == "fail":
            raise TryAgain("the outside was unwell, and what it did is not known")

    def open(self) -> str | None:
        self._opens += 1
        what = self._met(self.opened.pop(self._opens, None))
        if what == "break":
            raise TryAgain("the connection broke")
        return what

    def end(self) -> None:
        self.points, self.opened = {}, {}

    def _met(self, what: str | None) -> str | None:
        self.met.update([what] if what else [])
        return what


@dataclass
class Schedule:
    """One run of one model through some passes, all that goes wrong being drawn from its number."""

    number: int

    def __post_init__(self) -> None:
        self.chance = chance = random.Random(self.number)  # noqa: S311  so that a schedule can be repeated
        kinds = chance.choices(("die", "fail"), k=chance.randint(1, 3))
        points = {chance.randint(1, EFFECTS): kind for kind in kinds}
        files = ("corrupt", "cut", "break")
        opened = {chance.randint(1, FILES): chance.choice(files) for _ in range(chance.randint(0, 2))}
        self.trouble = Trouble(points=points, opened=opened)
        spec = replace(mapping(), default_from=chance.choice((None, "production")))
        self.world = World([spec], settle=LEASE, fuse=self.trouble)
        registry = self.world.registry
        registry.alias_conflict = chance.choice(("move", "reject"))
        registry.label_scope = chance.choice(("model", "version"))
        registry.commit_delay = chance.choice((0.0, 0.1, 20.0))
        registry.list_lag = chance.choice((0.0, 5.0, 40.0))
        registry.lists_operations = chance.choice((True, False))
        self.world.source.meanwhile = self._open
        self.world.source.collection(FRAUD)
        self.known = Knowledge(FRAUD, "fraud")

    def run(self) -> list[str]:
        """Return the promises that were broken on the way, or at the end."""
        for _ in range(self.chance.randint(2, 5)):
            self._use()
            with suppress(Crash, TryAgain):
                self.world.sync(full=self.chance.random() < 0.3)
            self._serve(None)
            if broken := self.known.broken(self.world):
                return broken
            self.world.clock.advance(self.chance.choice((1, 10, 40, 61)))
        return self._quiet()

    def _quiet(self) -> list[str]:
        self.trouble.end()
        self.world.source.hide(FRAUD)
        self.world.source.problem = None
        self.world.clock.advance(LEASE * 2)
        plans = [report.plan for report in self.world.sync(full=True)]
        if any(refusal.kind is Kind.WAITING for plan in plans if plan for refusal in plan.refusals):
            self.world.sync(full=True)
        left = [f"P1: planned again: {plan.changes}" for plan in self.world.plans() if plan.changes]
        return [*self.known.broken(self.world), *self.known.unfinished(self.world, heals=True), *left]

    def _use(self) -> None:
        """Let users do something, and the source say less than it has, or nothing."""
        source, chance = self.world.source, self.chance
        if chance.random() < 0.7 or not self.known.published:
            content = f"model {next(self.world.serial)}".encode()
            self.known.publish(source.publish(FRAUD, {"model.bin": content}), content)
        for alias in chance.sample(ALIASES, chance.randint(0, 2)):
            label = chance.choice(sorted(self.known.published))
            source.alias(self.known.published[label][0], alias)
            self.known.point(alias, label)
        if self.known.aliases and chance.random() < 0.3:
            alias = chance.choice(sorted(self.known.aliases))
            del self.known.aliases[alias]
            source.unalias(FRAUD, alias)
        hidden = chance.sample(ALIASES, chance.choice((0, 0, 1, 3)))
        source.hide(FRAUD, *hidden, admits=chance.random() < 0.5)
        source.problem = TryAgain("the source is unwell") if chance.random() < 0.1 else None
        self.trouble.met.update(["hide"] if hidden else [])

    def _open(self) -> None:
        self._serve(self.trouble.open())

    def _serve(self, what: str | None) -> None:
        """Serve bytes from now on as they are, or as a fault has them; it is told of no single file, so of all."""
        for version, content in self.known.published.values():
            served = {"corrupt": bytes([content[0] ^ 1]) + content[1:], "cut": content[:-1]}.get(what or "", content)
            self.world.source.serve(version, "model.bin", served)


def test_whatever_fails_no_promise_is_broken_and_a_quiet_pass_converges() -> None:
    met: Counter[str] = Counter()
    for number in range(SCHEDULES):
        schedule = Schedule(number)
        assert schedule.run() == [], f"in schedule {number}: {schedule.trouble}"
        met += schedule.trouble.met
    assert set(met) == {"die", "fail", "corrupt", "cut", "break", "hide"}, "everything did go wrong"
    assert sum(met.values()) >= SCHEDULES
