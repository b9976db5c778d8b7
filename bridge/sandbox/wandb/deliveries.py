"""
The way of a webhook after its event: noted in the event's own transaction, sent when that is kept, remembered.

    noted      a row, Pending, with the whole request; a change that is undone takes its rows with it
    held back  as the switch `webhook_delivery` has it: not yet due
    sent       by one thread, in order of position, once each: nobody documents a second try
    ended      Finished (2xx) or Failed; a row that was Pending when the server stopped is sent when it starts
"""

from __future__ import annotations

import ipaddress
import json
import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, assert_never, cast
from urllib.parse import urlsplit

import requests

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from bridge.sandbox.clock import SandboxClock
    from bridge.sandbox.wandb.context import Context
    from bridge.sandbox.wandb.payloads import Webhook
    from bridge.sandbox.wandb.store import Store

State = Literal["Finished", "Failed", "Pending"]  # the words of W&B's history of an automation

AT_ONCE = 0.0
NEVER = math.inf  # due when the other half of the pair has come
SEND_TIMEOUT = 5.0  # seconds of real time, to connect and between bytes; the real one is unknown
STOP_TIMEOUT = 15.0  # seconds of real time for a request under way to end
BEYOND_LOOPBACK = "the sandbox sends nothing beyond loopback"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One line of an automation's history. Times are by the SandboxClock."""

    automation: str  # its name
    event_type: str  # as in the payload
    state: State
    http_status: int | None  # None: nothing was sent, or nothing answered
    reason: str | None  # why it failed
    happened_at: float
    ended_at: float | None
    body: bytes  # b"" of an automation that does nothing


# Noting, in a transaction


def note(context: Context, automation_key: int, event_type: str, webhook: Webhook) -> None:
    """Note a webhook that is to be sent, as often and when the switch has it."""
    match context.switches.webhook_delivery:
        case "once":
            _insert(context, automation_key, event_type, webhook, AT_ONCE)
        case "doubled":
            _insert(context, automation_key, event_type, webhook, AT_ONCE)
            _insert(context, automation_key, event_type, webhook, AT_ONCE)
        case "skipped":
            pass
        case "late":
            _insert(context, automation_key, event_type, webhook, context.now + context.switches.webhook_delay)
        case "reordered":
            _insert_as_pair(context, automation_key, event_type, webhook)
        case never:
            assert_never(never)


def note_nothing_done(context: Context, automation_key: int, event_type: str) -> None:
    """Note that an automation was triggered that does nothing; that it has a history is a guess."""
    context.write(
        f"INSERT INTO deliveries (automation_key, event_type, state, happened_at, ended_at, {_POSITION[0]})"  # noqa: S608  our own texts
        f" VALUES (?, ?, 'Finished', ?, ?, {_POSITION[1]})",
        automation_key,
        event_type,
        context.now,
        context.now,
    )


_POSITION = ("position", "(SELECT coalesce(max(position), 0) + 1 FROM deliveries)")


def _insert(context: Context, automation_key: int, event_type: str, webhook: Webhook, due_at: float) -> int:
    return context.write(
        "INSERT INTO deliveries (automation_key, event_type, state, happened_at, due_at, url, headers, body,"  # noqa: S608  our own texts
        f" {_POSITION[0]}) VALUES (?, ?, 'Pending', ?, ?, ?, ?, ?, {_POSITION[1]})",
        automation_key,
        event_type,
        context.now,
        due_at,
        webhook.url,
        json.dumps(dict(webhook.headers)),
        webhook.body,
    )


def _insert_as_pair(context: Context, automation_key: int, event_type: str, webhook: Webhook) -> None:
    """Hold the first of two back until the second has come, which then goes before it."""
    waiting = context.rows("SELECT key, position FROM deliveries WHERE state = 'Pending' AND due_at = ?", NEVER)
    key = _insert(context, automation_key, event_type, webhook, AT_ONCE if waiting else NEVER)
    for first, position in waiting:
        context.write(
            "UPDATE deliveries SET due_at = ?, position = (SELECT position FROM deliveries WHERE key = ?)"
            " WHERE key = ?",
            AT_ONCE,
            key,
            first,
        )
        context.write("UPDATE deliveries SET position = ? WHERE key = ?", position, key)


# Looking, and letting go


def is_due(database: sqlite3.Connection, now: float) -> bool:
    """Say if something waits to be sent; costs one look into an index."""
    return database.execute(f"SELECT 1 {_DUE} LIMIT 1", (now,)).fetchone() is not None


_DUE = "FROM deliveries WHERE state = 'Pending' AND due_at <= ?"


def release_halves(database: sqlite3.Connection) -> None:
    """Make the half of a pair due whose other half never came."""
    database.execute("UPDATE deliveries SET due_at = ? WHERE due_at = ?", (AT_ONCE, NEVER))


def history(database: sqlite3.Connection) -> list[Delivery]:
    """Return every delivery of the automations that are there, in the order in which they were or will be sent."""
    found = database.execute(
        "SELECT a.name, d.event_type, d.state, d.http_status, d.reason, d.happened_at, d.ended_at, d.body"
        " FROM deliveries d JOIN automations a ON a.key = d.automation_key ORDER BY d.position"
    )
    return [Delivery(*row) for row in found]


# Sending


class Courier:
    """
    The one thread that sends what is due.

    Who has noted something wakes it, after the commit. Should the process die between an answer and its note,
    the request is sent again after the restart.
    """

    def __init__(self, store: Store, clock: SandboxClock) -> None:
        self._store = store
        self._clock = clock
        self._state = threading.Condition()
        self._calls = 0  # how often it was woken
        self._answered = 0  # the calls after which everything due was sent
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Send what an earlier life left, and from now on whatever is due when somebody calls `wake`."""
        self.wake()
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the request it is at; the others stay Pending. Idempotent."""
        with self._state:
            self._stopping = True
            self._state.notify_all()
        if self._thread.is_alive():
            self._thread.join(STOP_TIMEOUT)

    def wake(self) -> None:
        """Have everything sent that is due; returns at once."""
        with self._state:
            self._calls += 1
            self._state.notify_all()

    def wait(self, timeout: float) -> None:
        """Wait until everything is sent that was due at the last call. Raises TimeoutError after real seconds."""
        with self._state:
            calls = self._calls
            if not self._state.wait_for(lambda: self._answered >= calls, timeout):
                raise TimeoutError(f"webhooks are still being sent after {timeout} s")

    def _run(self) -> None:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._stopping or self._calls > self._answered)
                calls = self._calls
            while not self._stopping and self._send_next():
                pass
            with self._state:
                if self._stopping:
                    return
                self._answered = calls
                self._state.notify_all()

    def _send_next(self) -> bool:
        """Send the first that is due; say if there was one."""
        with self._store.reading() as database:
            query = f"SELECT key, url, headers, body {_DUE} ORDER BY position LIMIT 1"
            row = database.execute(query, (self._clock.now(),)).fetchone()
        if row is None:
            return False
        key, url, headers, body = row
        state, status, reason = post(url, json.loads(headers), body)
        with self._store.writing() as database:
            database.execute(
                "UPDATE deliveries SET state = ?, http_status = ?, reason = ?, ended_at = ? WHERE key = ?",
                (state, status, reason, self._clock.now(), key),
            )
        return True


def post(url: str, headers: Mapping[str, str], body: bytes) -> tuple[State, int | None, str | None]:
    """
    Send one request to a loopback address; return how it ended, the HTTP status, and why it failed.

    Neither proxies nor redirects are followed: they may lead elsewhere. That only 2xx is well is a guess.
    """
    try:
        encoded = {name: value.encode() for name, value in headers.items()}
        request = requests.Request("POST", url, headers=cast("dict[str, str | bytes]", encoded), data=body).prepare()
        # requests has brought the URL into the form in which it will be used, so nobody can read it otherwise.
        if not _is_loopback(urlsplit(request.url or "").hostname or ""):
            return "Failed", None, BEYOND_LOOPBACK
        with requests.Session() as session:
            session.trust_env = False
            answer = session.send(request, timeout=SEND_TIMEOUT, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:
        return "Failed", None, str(error)
    if requests.codes.ok <= answer.status_code < requests.codes.multiple_choices:
        return "Finished", answer.status_code, None
    return "Failed", answer.status_code, f"the endpoint answered {answer.status_code}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
