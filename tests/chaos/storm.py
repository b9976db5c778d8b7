"""One storm: doings one after another while Vertex is watched; then quiet; then judgement."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tests.chaos.oracle import judge
from tests.chaos.scene import PATIENCE, unpack
from tests.chaos.seen import Look, Quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tests.chaos.doings import Doing
    from tests.chaos.ledger import Ledger
    from tests.chaos.oracle import Violation
    from tests.chaos.people import People
    from tests.chaos.scene import Scene
    from tests.chaos.seen import ModelRow, StoredObject

WATCHED_EVERY = 0.1  # seconds
LOOKED_AT = 3.0  # seconds after which a look at a model has seen the end of a storm
SETTLES_WITHIN = 150.0  # seconds: the lease of a service that was killed lasts 60
UNDER_WAY = ("PENDING", "COPYING", "REGISTERING", "DEGRADED")


@dataclass
class Watch:
    """Looks at Vertex again and again, in a thread of its own; keeps every look that shows something else."""

    scene: Scene
    looks: list[Look] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _trouble: list[Exception] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(PATIENCE)
        if self._trouble:
            raise self._trouble[0]

    def _watch(self) -> None:
        while not self._ended.wait(WATCHED_EVERY):
            try:
                look = self.scene.look()
            except Exception as trouble:  # noqa: BLE001  told by the thread that waits
                self._trouble.append(trouble)
                return
            if not self.looks or look.versions != self.looks[-1].versions:
                self.looks.append(look)


@dataclass
class Storms:
    """Storm after storm over one scene; `tell` is given a line for all that happens."""

    scene: Scene
    people: People
    ledger: Ledger
    tell: Callable[[str], None]
    actions: Counter[str] = field(default_factory=Counter)
    last: deque[str] = field(default_factory=lambda: deque(maxlen=40))
    _objects: Mapping[str, StoredObject] = field(default_factory=dict)

    def rage(self, doings: Iterable[tuple[float, Doing]]) -> list[Violation]:
        """Let all of it happen, let things be quiet, and judge."""
        with Watch(self.scene) as watch:
            for pause, doing in doings:
                threading.Event().wait(pause)
                self._do(doing)
            self._note("quiet")
            self.people.calm()
            quiet = self._quiet()
        found = judge(self.ledger, watch.looks, quiet, self._objects)
        self._objects = quiet.objects
        return found

    def _do(self, doing: Doing) -> None:
        for service in self.scene.services:
            service.check()
        self.actions[type(doing).__name__] += 1
        self._note(f"{doing}")
        outcome = self.people.do(doing)
        if outcome != "done":
            self._note(f"    {outcome}")

    def _note(self, line: str) -> None:
        spelled = f"{self.scene.world.clock.now():.3f} {line}"
        self.last.append(spelled)
        self.tell(spelled)

    def _quiet(self) -> Quiet:
        rows = self._settled()
        before = self.scene.written()
        objects = self.scene.objects()
        aliases, labels = unpack(self.scene.sources([collection for collection, _ in self.ledger.live()]))
        journal = tuple(reversed(self.scene.bridge("history", "--json", "--limit", "100000")))
        rebuilt = self.scene.rebuilt()
        look = self.scene.look()
        rotten = any(
            (collection, label) in self.ledger.rotten
            for collection, _ in self.ledger.live()
            for label in self.ledger.current(collection).values()
        )
        return Quiet(
            look,
            objects,
            aliases,
            labels,
            rows,
            journal,
            {} if rotten else dict(self.scene.written() - before),  # what is wrong at the source is tried again
            self.scene.leaks(),
            rebuilt,
            tuple(self._complaints()),
        )

    def _settled(self) -> tuple[ModelRow, ...]:
        """Wait until the bridge has looked at every model twice, and says that nothing is under way."""
        since = self.scene.world.clock.now()
        looks: dict[str, set[float]] = {model: set() for _, model in self.ledger.live()}
        while True:
            rows = self.scene.rows()
            for row in rows:
                if row.model in looks and row.looked_at >= since + LOOKED_AT:
                    looks[row.model].add(row.looked_at)
            said = {row.model: row for row in rows}
            is_settled = all(
                len(seen) > 1 and said[model].state not in UNDER_WAY and not self._fails(said[model])
                for model, seen in looks.items()
            )
            if is_settled or self.scene.world.clock.now() > since + SETTLES_WITHIN:
                self._note(f"settled: {is_settled}, after {self.scene.world.clock.now() - since:.1f} s")
                return rows
            threading.Event().wait(0.5)

    def _fails(self, row: ModelRow) -> bool:
        """Tell whether a model has failed, and not because of a version that is rotten."""
        collection = self.ledger.collection(row.model)
        rotten = any((collection, label) in self.ledger.rotten for label in self.ledger.current(collection).values())
        return row.state == "FAILED" and not rotten

    def _complaints(self) -> Iterator[str]:
        for service in self.scene.services:
            service.check()
            yield from service.complaints
            yield from service.bugs()
