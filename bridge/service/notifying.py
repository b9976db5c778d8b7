"""
Tells people, in Slack or by a webhook of theirs, that a model is blocked, has failed, has recovered, or an alias moved.

    event      told when
    blocked    a guard, a conflict or a policy wants a person
    failed     trying again changes nothing, or was in vain three times in a row
    recovered  all is well again with a model of which one of the two was told
    moved      an alias was set on another version

Nothing is told twice: the store remembers, for all processes that share it, and it is asked before anything is sent.
So what dies between the two is not told at all. And it is sent again only if it was surely not taken.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError

from bridge.config.report import visible
from bridge.core.changes import MoveAlias
from bridge.core.errors import BridgeError
from bridge.core.model import State
from bridge.core.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.config.model import Config
    from bridge.core.changes import Change
    from bridge.core.model import ModelKey
    from bridge.core.ports import Store
    from bridge.core.records import Status

log = logging.getLogger(__name__)

MOST_WAITING = 1000  # events; what comes on top is dropped and counted
IN_VAIN = 3  # tries after which a failure that may mend itself is told
PAUSES = (1.0, 4.0, 15.0)  # seconds between tries to send
TIMEOUT = (5, 10)  # seconds to connect, and to be answered
LONGEST = 2000  # characters of a text
LAST_WORDS = 5.0  # seconds at most for what waits when the service stops
_STATE = "state"
_NOT_TAKEN = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)  # after any other it may have been


@dataclass(frozen=True, slots=True)
class Notice:
    """One event, as the webhook is sent it. Texts may quote anything that came from outside."""

    event: str  # blocked, failed, recovered or moved
    mapping: str
    model: str
    text: str
    remedy: str = ""
    alias: str | None = None
    id: str = field(default_factory=partial(secrets.token_hex, 8))  # of the event, however often it is sent

    def __str__(self) -> str:
        remedy = f" What to do: {self.remedy}" if self.remedy else ""
        return visible(f"{self.mapping} -> model {self.model}: {self.text}{remedy}")[:LONGEST]


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a notice is not known to have arrived; `is_sure` if nobody can have taken it."""

    reason: str
    is_sure: bool


class Channel:
    """Somewhere to tell it. The URL is a secret: it is in no message, and no redirect is followed."""

    def __init__(
        self, name: str, url: str, body: Callable[[Notice], dict[str, Any]], pauses: tuple[float, ...] = PAUSES
    ) -> None:
        self.name = name
        self._url = url
        self._body = body
        self._pauses = pauses

    def send(self, notice: Notice, is_over: threading.Event) -> bool:
        """
        Send it; tell whether it is known to have arrived.

        It is sent again a few times, but once more at most when it is over, for as long as it was surely not taken.
        """
        reason = ""
        for pause in (0.0, *self._pauses):
            was_over = is_over.wait(pause)
            failure = self._once(notice)
            if failure is None:
                return True
            reason = failure.reason
            if was_over or not failure.is_sure:
                break
        log.warning("the notification of %s could not be sent to %s: %s", notice.event, self.name, reason)
        return False

    def _once(self, notice: Notice) -> _Failure | None:
        try:
            answer = requests.post(self._url, json=self._body(notice), timeout=TIMEOUT, allow_redirects=False)
        except requests.RequestException as problem:
            return _Failure(type(problem).__name__, not _had_connection(problem))  # its text holds the URL
        if HTTPStatus(200) <= answer.status_code < HTTPStatus(300):
            return None
        return _Failure(f"HTTP {answer.status_code}", answer.status_code in _NOT_TAKEN)


def _had_connection(problem: requests.RequestException) -> bool:
    if isinstance(problem, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return False
    cause = problem.args[0] if problem.args else None
    return not (isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError))


def slack_body(notice: Notice) -> dict[str, Any]:
    """Return what Slack's incoming webhooks take: plain text, in which nothing is a link, a mention or bold."""
    said = f"[{notice.event}] {notice}"
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):  # docs.slack.dev: these three, no others
        said = said.replace(char, entity)
    return {"text": said, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False}


def webhook_body(notice: Notice) -> dict[str, Any]:
    """Return the event as JSON values."""
    return asdict(notice)


_BODIES = {"slack": slack_body, "webhook": webhook_body}


def channels_of(config: Config) -> list[Channel]:
    """Return the channels that a configuration names. Raises NeedsPerson if the secret of one is not there."""
    return [Channel(name, url.read(), _BODIES[name]) for name, url in config.notify.items()]


class Notifier(Witness):
    """Takes note of events at once, and tells them from a thread of its own."""

    def __init__(self, store: Store, channels: list[Channel], count: Callable[[str, str], None]) -> None:
        self._store = store
        self._channels = channels
        self._count = count  # is given a channel and a result
        self._waiting: queue.Queue[Status | Notice | None] = queue.Queue(MOST_WAITING)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell_all, name="notifications", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def stop(self, patience: float = LAST_WORDS) -> None:
        """Tell what waits, if that takes no more than so many seconds, and end."""
        self._over.set()
        with suppress(queue.Full):  # then it does not sleep
            self._waiting.put_nowait(None)
        if self._thread.is_alive():
            self._thread.join(patience)

    def stood(self, status: Status) -> None:
        """See Witness."""
        self._offer(status)

    def made(self, key: ModelKey, change: Change) -> None:
        """See Witness."""
        if isinstance(change, MoveAlias):
            before = f"from {change.previous.label or f'@{change.previous.version_id}'} " if change.previous else ""
            text = f"alias {change.alias} moved {before}to {change.to.label}"
            self._offer(Notice("moved", key.mapping, key.model, text, alias=change.alias))

    def _offer(self, event: Status | Notice) -> None:
        if not self._channels:
            return
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            for channel in self._channels:
                self._count(channel.name, "dropped")

    def _tell_all(self) -> None:
        while (event := self._next()) is not None:
            try:
                notice = event if isinstance(event, Notice) else self._news(event)
            except BridgeError as problem:
                log.warning("whether to notify anybody cannot be told: %s", problem)
                continue
            if notice is not None:
                for channel in self._channels:
                    self._count(channel.name, "sent" if channel.send(notice, self._over) else "failed")

    def _next(self) -> Status | Notice | None:
        try:
            return self._waiting.get(block=not self._over.is_set())
        except queue.Empty:
            return None

    def _news(self, status: Status) -> Notice | None:
        """Return what is new to people in how a model stands, and remember that they are told."""
        key, event = status.key, _event_of(status)
        if event is None:
            return None
        if event == "recovered":
            well = Notice(event, key.mapping, key.model, "all is well again")
            return well if self._store.untell(key, _STATE) else None
        unwell = Notice(event, key.mapping, key.model, f"{event}: {status.message}", status.remedy)
        return unwell if self._store.tell(key, _STATE, event) else None


def _event_of(status: Status) -> str | None:
    match status.state:
        case State.BLOCKED:
            return "blocked"
        case State.FAILED if status.next_try is None or status.attempt >= IN_VAIN:
            return "failed"
        case State.SYNCED:
            return "recovered"
        case _:
            return None
