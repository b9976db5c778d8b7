"""The real app, on a port, over ends in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import requests

from bridge.core.records import Scope
from bridge.service.api import Door, make_routers
from bridge.service.events import Events
from bridge.service.following import Following
from bridge.service.health import Health
from bridge.service.hooks import Hooks
from bridge.service.http import Listener, make_app
from bridge.service.in_force import InForce
from bridge.service.metrics import Metrics, metrics_router
from bridge.service.tokens import Keeper, issue
from bridge.testing.runner import InlineQueue
from tests.worlds import World

if TYPE_CHECKING:
    from fastapi import FastAPI

    from bridge.core.errors import BridgeError

WAIT = 10  # seconds for an answer


class Client(requests.Session):
    """Asks one service, by paths."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.trust_env = False

    def request(self, method: str | bytes, url: str | bytes, **more: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401  whatever requests takes
        assert isinstance(url, str)
        return super().request(method, f"{self.url}{url}", timeout=WAIT, **more)


OPEN: list[Api] = []  # stopped after each test


@dataclass
class Api:
    """A service whose queues work at once; what it sweeps is the world's source."""

    world: World = field(default_factory=World)
    local: bool = True
    refusal: BridgeError | None = None  # of a reload
    reloads: int = 0
    events: Events = field(default_factory=Events)

    def __post_init__(self) -> None:
        self.following = Following(self.world.passes, self.world.specs, Health(), self.world.clock, timedelta(hours=6))
        self.following.health.configured(self.following.connections)
        self.following.watchers.append(self.events.status)
        self.following.queue = self.queue = InlineQueue(self.following.work)
        self.looks = InlineQueue(lambda key, why, full: self.following.look(key.mapping, why, full=full))
        self.app = self._make()
        self.listener = Listener("127.0.0.1", 0)
        self.listener.start(self.app)
        self.client = Client(self.listener.url)
        OPEN.append(self)

    def stop(self) -> None:
        self.client.close()
        self.events.close()
        self.listener.stop()

    def token(self, scope: Scope, name: str | None = None) -> dict[str, str]:
        """Make a token; return the header that holds it."""
        text = issue(self.world.store, name or f"a-{scope}", scope, self.world.clock.now())
        return {"Authorization": f"Bearer {text}"}

    def _make(self) -> FastAPI:
        world, following = self.world, self.following
        since = world.clock.now().isoformat()
        here = InForce(
            world.specs, world.store, world.clock, following, queue=self.queue, looks=self.looks, since=since
        )
        keeper = Keeper(lambda: world.store, local=self.local)
        door = Door(lambda: here, self.events, self._reload, keeper)
        metrics = metrics_router(Metrics(world.clock, Health()), keeper.route(Scope.READ))
        return make_app(Health(), [Hooks(world.clock).router, metrics, *make_routers(door)])

    def _reload(self) -> BridgeError | None:
        self.reloads += 1
        return self.refusal
