"""`bridge run` as a whole: one service after another, as the configuration changes, behind one port."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from bridge.app import Bridge
from bridge.core.errors import BridgeError, ConfigErrors
from bridge.service.health import Health
from bridge.service.http import Listener, make_app
from bridge.service.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.config.model import Config

log = logging.getLogger(__name__)

NO_PATIENCE = timedelta(0)  # with another process that has a model: it is asked again later


class Daemon:
    """A service that can be given another configuration. Its methods are called from one thread."""

    def __init__(self, load: Callable[[], Config]) -> None:
        self._load = load
        self.health = Health()
        self._config = load()
        self._listener = Listener(self._config.service.host, self._config.service.port)
        self._retiring: dict[threading.Thread, Service] = {}
        try:
            self._service = self._make(self._config)
        except BaseException:
            self._listener.stop()
            raise

    def start(self) -> None:
        """Begin to serve and to follow."""
        self._listener.start(make_app(self.health))
        self._service.start()
        log.info("listening on %s; mappings: %d", self._listener.url, len(self._config.mappings))

    def reload(self) -> None:
        """Go on with the configuration as it is now in the files, if it is valid; else with the last good one."""
        try:
            config = self._load()
            service = self._make(config)
        except (ConfigErrors, BridgeError) as problem:
            self.health.misconfigured(str(problem))
            log.error("the new configuration is refused, and the last good one goes on: %s", problem)  # noqa: TRY400  a person's mistake has no traceback
            return
        if (config.service.host, config.service.port) != (self._config.service.host, self._config.service.port):
            log.warning("'listen' has changed: that needs a restart; the port stays %s", self._listener.url)
        before, self._service, self._config = self._service, service, config
        # What is under way goes on with what it was begun with, for as long as it takes: its leases keep the new
        # service from the same models.
        patience = threading.TIMEOUT_MAX / 2
        retiring = threading.Thread(target=before.stop, args=(patience,), name="retiring", daemon=True)
        retiring.start()
        self._retiring = self._alive() | {retiring: before}
        service.start()
        log.info("the new configuration is in force; mappings: %d", len(config.mappings))

    def stop(self) -> bool:
        """Stop within the grace of the configuration; tell whether everything has ended, so that nothing is lost."""
        self.health.ending()
        log.info("stopping")
        ended = self._service.stop(self._config.service.grace.total_seconds())
        self._listener.stop()
        for retired in self._alive().values():
            retired.cut_short()
            ended = False
        return ended

    def _alive(self) -> dict[threading.Thread, Service]:
        return {thread: service for thread, service in self._retiring.items() if thread.is_alive()}

    def _make(self, config: Config) -> Service:
        bridge = Bridge(config, patience=NO_PATIENCE)
        try:
            return Service(bridge, self.health)
        except BaseException:
            bridge.close()
            raise
