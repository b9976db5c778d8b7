"""`bridge run` as a whole: one service after another, as the configuration changes, behind one port."""

from __future__ import annotations

import logging
import os
import threading
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING

from bridge.app import Bridge
from bridge.config.addresses import is_loopback
from bridge.core.errors import BridgeError, NeedsPerson
from bridge.core.records import Scope
from bridge.run.clock import SystemClock
from bridge.service.api import Door, make_routers
from bridge.service.events import Events
from bridge.service.health import Health
from bridge.service.hooks import Hooks
from bridge.service.http import Listener, make_app
from bridge.service.metrics import Metrics, metrics_router
from bridge.service.service import FINISHING, Service
from bridge.service.tokens import Keeper
from bridge.service.tracing import traces_from

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.config.model import Config
    from bridge.core.ports import Tokens

log = logging.getLogger(__name__)

NO_PATIENCE = timedelta(0)  # with another process that has a model: it is asked again later


class Daemon:
    """A service that can be given another configuration. Its methods may be called from any thread."""

    def __init__(self, load: Callable[[], Config]) -> None:
        self._load = load
        self.health = Health()
        self.hooks = Hooks(SystemClock())
        self.metrics = Metrics(SystemClock(), self.health)
        self.metrics.live.webhooks = lambda: {(name, str(word)): n for (name, word), n in self.hooks.heard.items()}
        self.events = Events()
        self._traces = traces_from(os.environ)
        self._turn = threading.Lock()  # of reloading, or stopping
        self._stopped = False
        self._config = load()
        self._listener = Listener(self._config.service.host, self._config.service.port)
        self._retiring: dict[threading.Thread, Service] = {}
        self._bridge: Bridge | None = None  # of the service in force
        try:
            self._service = self._make(self._config)
        except BaseException:
            self._listener.stop()
            raise

    def start(self) -> None:
        """Begin to serve and to follow."""
        keeper = Keeper(lambda: self._service.in_force.store, local=is_loopback(self._config.service.host))
        door = Door(lambda: self._service.in_force, self.events, self.reload, keeper)
        routers = [self.hooks.router, metrics_router(self.metrics, keeper.route(Scope.READ)), *make_routers(door)]
        self._listener.start(make_app(self.health, routers))
        self._begin()
        log.info("listening on %s; mappings: %d", self._listener.url, len(self._config.mappings))

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._listener.url

    def reload(self) -> BridgeError | None:
        """Go on with the configuration as it is now in the files; if it is not valid, with the last good one: why."""
        with self._turn:
            return None if self._stopped else self._reload()

    def _reload(self) -> BridgeError | None:
        try:
            config = self._load()
            service = self._make(config)
        except BridgeError as problem:
            self.health.misconfigured(str(problem))
            self.metrics.reloaded(accepted=False)
            log.error("the new configuration is refused, and the last good one goes on: %s", problem)  # noqa: TRY400  a person's mistake has no traceback
            return problem
        if (config.service.host, config.service.port) != (self._config.service.host, self._config.service.port):
            log.warning("'listen' has changed: that needs a restart; the port stays %s", self._listener.url)
        before, self._service, self._config = self._service, service, config
        # What is under way goes on with what it was begun with, for as long as it takes: its leases keep the new
        # service from the same models.
        patience = threading.TIMEOUT_MAX / 2
        retiring = threading.Thread(target=before.stop, args=(patience,), name="retiring", daemon=True)
        retiring.start()
        self._retiring = self._alive() | {retiring: before}
        self._begin()
        self.metrics.reloaded(accepted=True)
        log.info("the new configuration is in force; mappings: %d", len(config.mappings))
        return None

    def stop(self) -> bool:
        """Stop within the grace of the configuration; tell whether everything has ended, so that nothing is lost."""
        with self._turn:
            self._stopped = True
        self.health.ending()
        log.info("stopping")
        grace, began = self._config.service.grace.total_seconds(), monotonic()
        ended = self._service.stop(grace)
        for thread in self._alive():
            thread.join(max(0.0, began + grace * FINISHING - monotonic()))
        self.events.close()
        self._listener.stop()
        for retired in self._alive().values():
            retired.cut_short()
            ended = False
        self._traces.close()
        return ended

    def _begin(self) -> None:
        self._service.start()
        self.hooks.open(self._service.doors)

    def _alive(self) -> dict[threading.Thread, Service]:
        return {thread: service for thread, service in self._retiring.items() if thread.is_alive()}

    def _make(self, config: Config) -> Service:
        bridge = Bridge(config, patience=NO_PATIENCE, before=self._bridge)
        try:
            _refuse_to_be_open(config.service.host, bridge.store)
            service = Service(bridge, self.health, self.metrics, self.events, self._traces)
        except BaseException:
            bridge.close()
            raise
        self._bridge = bridge
        return service


def _refuse_to_be_open(host: str, tokens: Tokens) -> None:
    if not is_loopback(host) and not tokens.tokens():
        raise NeedsPerson(
            f"the service would listen on {host}, where other machines reach it, and no token keeps them out",
            "make one: bridge token create --scope admin; or have it listen on 127.0.0.1",
        )
