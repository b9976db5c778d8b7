"""One configuration at work: the schedule says when, sweeps find what is due, the queue works on it."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from bridge.config.model import VertexConnection, WandbConnection
from bridge.copying.progress import ProgressLines
from bridge.core.errors import BridgeError
from bridge.reconcile.leasing import RENEWED_EVERY
from bridge.run.queue import KeyQueue
from bridge.service.following import Following
from bridge.service.health import Hearing
from bridge.service.hints import Hints
from bridge.service.hooks import Door
from bridge.service.in_force import InForce
from bridge.service.notifying import LAST_WORDS, Notifier, channels_of
from bridge.service.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.app import Bridge
    from bridge.core.records import Tally
    from bridge.run.queue import Submission
    from bridge.service.events import Events
    from bridge.service.health import Health
    from bridge.service.metrics import Metrics
    from bridge.service.tracing import Traces

log = logging.getLogger(__name__)

RETRIES_EVERY = timedelta(seconds=1)
COMPARES_EVERY = timedelta(minutes=1)
LEFTOVERS_EVERY = timedelta(hours=1)
LOOKS = 4  # mappings whose source is looked at because somebody asks, at a time
BEAT = "leases"  # goes on to the very end
FINISHING = 0.8  # of the grace is for what is under way; after that it stops before its next effect
STOPPING = 0.9  # of the grace has passed by then; in the rest people are told, and sweeps end


class Service:
    """A bridge that runs for as long as it is not told to stop; closes the bridge in the end."""

    def __init__(self, bridge: Bridge, health: Health, metrics: Metrics, events: Events, traces: Traces) -> None:
        self._bridge = bridge
        self._traces = traces
        self._health = health
        self._metrics = metrics
        self._notifier = Notifier(bridge.store, channels_of(bridge.config), metrics.notified)
        self._hearing = Hearing(health)
        bridge.audience.members += [metrics, self._notifier, self._hearing]
        settings, config = bridge.config.service, bridge.config
        self.following = Following(
            bridge.passes, config.mappings, health, bridge.clock, settings.full_every, bridge.audience
        )
        self._queue = KeyQueue(self._work, settings.keys, self.following.lane)
        self.following.queue = self._queue
        bridge.budget.aside = self._queue.aside
        self._hints = Hints(self.following.connections, self.following.glance, bridge.pause)
        self.doors = {name: door for name in self.following.connections if (door := self._door(name)) is not None}
        self._looks = KeyQueue(self._look, LOOKS)
        self.in_force = InForce(
            config.mappings,
            bridge.store,
            bridge.clock,
            self.following,
            queue=self._queue,
            looks=self._looks,
            since=bridge.clock.now().isoformat(),
        )
        self._schedule = Schedule(bridge.clock)
        connections = self.following.connections
        for number, connection in enumerate(connections, 1):
            sweep = partial(self._with_store, partial(self.following.sweep, connection))
            self._schedule.once(f"first sweep of {connection}", sweep)
            first = number / len(connections)  # spread over the first interval, and so over every one
            self._schedule.every(config.poll_every, f"sweep of {connection}", sweep, first=first)
        self._schedule.every(RETRIES_EVERY, "retries", self.following.retry)
        compares_every = min(COMPARES_EVERY, settings.full_every)
        compare = partial(self.following.compare, compares_every)
        self._schedule.every(compares_every, "comparing", partial(self._with_store, compare))
        self._schedule.every(RENEWED_EVERY, BEAT, partial(self._with_store, self._beat))
        self._schedule.every(LEFTOVERS_EVERY, "leftovers", partial(self._with_store, self._remove_leftovers))
        bridge.watchers += [ProgressLines(bridge.clock, log.info), events.progress]
        self.following.watchers.append(events.status)

    def start(self) -> None:
        """Begin."""
        self._health.configured(self.following.connections)
        self._metrics.configured((spec.name for spec in self._bridge.config.mappings), self.following.connections)
        self._metrics.live.service = self
        self._notifier.start()
        self._queue.start()
        self._hints.start()
        self._looks.start()
        self._schedule.start()

    def stop(self, grace: float) -> bool:
        """
        Begin nothing more, and end what is under way; tell whether all of it has ended within `grace` seconds.

        Copies that are not done in time are broken off: what they have sent is there, and the next start goes on. If
        something still hangs after that, its lease is given back, so it can have no further effect; the process has to
        end at once then.
        """
        began = monotonic()

        def left_of(share: float) -> float:
            return max(0.0, began + grace * share - monotonic())

        self._hearing.stop()
        self._hints.stop()
        self._schedule.drop_all_but([BEAT])
        self._looks.stop(0)  # one that hangs looks at a source, and begins nothing that way
        if self._queue.stop(left_of(FINISHING)):
            self._break_off()
        left = self._queue.stop(left_of(STOPPING))
        for key in left:
            log.warning("%s is still under way; the next start goes on with it", key)
        self.cut_short()
        self._notifier.stop(min(LAST_WORDS, left_of(1)))
        ended = self._schedule.stop(0 if left else left_of(1)) and not left
        if ended:
            self._bridge.close()
        return ended

    def cut_short(self) -> None:
        """Let nothing that is still under way have any further effect."""
        self._break_off()
        self._bridge.leases.give_all_back()

    def _door(self, connection: str) -> Door | None:
        """Return how a connection takes webhooks, if it does. Raises NeedsPerson if a secret is not there."""
        spec = self._bridge.config.connections[connection]
        if isinstance(spec, VertexConnection) or spec.webhook is None:
            return None
        return Door(
            "wandb" if isinstance(spec, WandbConnection) else "mlflow",
            *spec.webhook.read(),
            partial(self.following.selected, connection),
            partial(self._hints.give, connection),
        )

    # for those who look on

    def tally(self) -> tuple[Tally, ...]:
        """Count the models of the mappings in force; the store keeps those of mappings that are gone, too."""
        names = {spec.name for spec in self._bridge.config.mappings}
        return tuple(tally for tally in self._bridge.store.tally() if tally.mapping in names)

    @property
    def load(self) -> tuple[int, int]:
        """How many models wait, and how many are at work."""
        return self._queue.load

    @property
    def age(self) -> float:
        """How many seconds the oldest has waited."""
        return self._queue.age

    @property
    def leases(self) -> int:
        """How many leases are held."""
        return self._bridge.leases.held

    def _break_off(self) -> None:
        self._bridge.leases.end()
        self._bridge.budget.halted.set()

    def _work(self, submission: Submission) -> None:
        self._with_store(partial(self._trace, submission))

    def _trace(self, submission: Submission) -> None:
        with self._traces.span(submission, self.following.lane(submission.key)) as tell:
            tell(self.following.work(submission.key, submission.why, submission.full))

    def _look(self, submission: Submission) -> None:
        look = partial(self.following.look, submission.key.mapping, submission.why, full=submission.full)
        self._with_store(look)

    def _beat(self) -> None:
        self._bridge.leases.renew()
        self._bridge.leases.probe()  # whether anything is at work or not

    def _remove_leftovers(self) -> None:
        for leftover in self._bridge.leftovers.remove():
            log.info("%s", leftover)

    def _with_store(self, work: Callable[[], object]) -> None:
        """
        Do what only the store can make fail: an outside that is unwell becomes a model's status, not an error.

        Work that has only read does not show that a store is well again that could not be written.
        """
        try:
            work()
            if self._health.is_store_well:
                return
            self._bridge.leases.probe()
        except BridgeError as problem:
            self._health.store(str(problem))
            log.warning("%s", problem)
        else:
            self._health.store(None)
