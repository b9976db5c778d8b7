"""Who is told what, and never twice."""

from __future__ import annotations

import json
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from bridge.core.changes import MoveAlias, RemoveAlias
from bridge.core.errors import TryAgain
from bridge.core.model import Alias, ModelKey, SourceVersion, State, VersionRef
from bridge.core.records import Status
from bridge.service.notifying import MOST_WAITING, Channel, Notice, Notifier, slack_body, webhook_body
from bridge.testing.store import MemoryStore
from tests.sources.servers import HANG_UP, Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = ModelKey("fraud", "fraud")
STATUS = Status(KEY, State.SYNCED, "", "", "fraud-detector", "2026-01-05T09:00:00+00:00", None)
BLOCKED = replace(STATUS, state=State.BLOCKED, message="2 of 3 aliases would go", remedy="look at the source")
FAILED = replace(STATUS, state=State.FAILED, message="there is no such collection", remedy="check the name")
V7 = SourceVersion("acme", "fraud-detector", "v7", "id", None, "")
MOVE = MoveAlias(Alias("production"), V7, "gs://x/", VersionRef("6", "v6"))
NO_WAIT = (0.0, 0.0, 0.0)
NOBODY = "http://127.0.0.1:1"


class Desk:
    """Where notifications arrive."""

    def __init__(self, server: ScriptedServer, store: MemoryStore) -> None:
        self.server = server
        self.store = store
        self.counted: Counter[tuple[str, str]] = Counter()
        self.notifier = self.another()

    def another(self) -> Notifier:
        channel = Channel("webhook", f"{self.server.url}/hunter2", webhook_body, NO_WAIT)
        return Notifier(self.store, [channel], lambda *what: self.counted.update([what]))

    def told(self, *events: object, by: Notifier | None = None) -> list[dict[str, Any]]:
        """Return all that was told, when it has been told of these events too."""
        notifier = by or self.notifier
        for event in events:
            if isinstance(event, Status):
                notifier.stood(event)
            elif isinstance(event, MoveAlias | RemoveAlias):
                notifier.made(KEY, event)
        notifier.start()
        notifier.stop()
        return [json.loads(asked.body) for asked in self.server.asked]


@contextmanager
def answering(*replies: Reply) -> Iterator[Desk]:
    left = iter(replies)
    with ScriptedServer(lambda _: next(left, Reply())) as server:
        yield Desk(server, MemoryStore())


def test_a_person_is_told_what_is_wrong_and_what_to_do() -> None:
    with answering() as desk:
        told = desk.told(BLOCKED)
        assert told == [
            {
                "id": told[0]["id"],
                "event": "blocked",
                "mapping": "fraud",
                "model": "fraud",
                "text": "blocked: 2 of 3 aliases would go",
                "remedy": "look at the source",
                "alias": None,
            }
        ]
        assert desk.counted == {("webhook", "sent"): 1}


def test_nothing_is_told_twice_and_a_recovery_only_of_what_was_told() -> None:
    with answering() as desk:
        told = desk.told(STATUS, BLOCKED, BLOCKED, FAILED, STATUS, STATUS, FAILED)

    assert [each["event"] for each in told] == ["blocked", "failed", "recovered", "failed"]


def test_a_restart_and_a_second_service_know_what_was_told() -> None:
    with answering() as desk:
        desk.told(FAILED)
        desk.told(FAILED, by=desk.another())
        told = desk.told(STATUS, by=desk.another())

    assert [each["event"] for each in told] == ["failed", "recovered"]


@pytest.mark.parametrize(
    ("attempt", "next_try", "event"),
    [(1, "later", []), (2, "later", []), (3, "later", ["failed"]), (1, None, ["failed"])],
)
def test_what_may_mend_itself_is_told_when_it_has_failed_three_times(
    attempt: int, next_try: str | None, event: list[str]
) -> None:
    with answering() as desk:
        told = desk.told(replace(FAILED, attempt=attempt, next_try=next_try))

    assert [each["event"] for each in told] == event


@pytest.mark.parametrize("state", [State.PENDING, State.COPYING, State.HELD, State.DEGRADED, State.DRIFTED])
def test_other_states_are_no_event(state: State) -> None:
    with answering() as desk:
        assert desk.told(FAILED, replace(STATUS, state=state), FAILED)[1:] == []


def test_a_move_is_told_with_both_versions_and_a_removal_is_no_move() -> None:
    first = replace(MOVE, previous=None)
    foreign = replace(MOVE, previous=VersionRef("6", None))
    with answering() as desk:
        told = desk.told(MOVE, first, foreign, RemoveAlias(Alias("production"), VersionRef("6", "v6")))

    assert [(each["event"], each["alias"], each["text"]) for each in told] == [
        ("moved", "production", "alias production moved from v6 to v7"),
        ("moved", "production", "alias production moved to v7"),
        ("moved", "production", "alias production moved from @6 to v7"),
    ]


def test_what_cannot_be_sent_is_given_up_after_a_few_tries_without_a_word_of_the_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    channel = Channel("webhook", "http://127.0.0.1:1/hunter2", webhook_body, NO_WAIT)
    assert not channel.send(Notice("blocked", "fraud", "fraud", "no"), threading.Event())
    assert "the notification of blocked could not be sent to webhook: ConnectionError" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_channel_that_is_well_again_in_time_gets_it_and_can_tell_that_it_is_the_same_event() -> None:
    replies = iter([Reply(503), Reply(429), Reply(204), Reply(204)])
    with ScriptedServer(lambda _: next(replies)) as server:
        channel = Channel("webhook", f"{server.url}/hook", webhook_body, NO_WAIT)
        assert channel.send(Notice("blocked", "fraud", "fraud", "no"), threading.Event())
        assert channel.send(Notice("blocked", "fraud", "fraud", "no"), threading.Event())

    first, second, third, another = (json.loads(asked.body)["id"] for asked in server.asked)
    assert first == second == third != another


@pytest.mark.parametrize("first", [{"url": NOBODY}, {"proxies": {"http": NOBODY}}, {"timeout": None}])
def test_what_had_no_connection_is_sent_again(monkeypatch: pytest.MonkeyPatch, first: dict[str, Any]) -> None:
    post, changes = requests.post, [first]

    def otherwise_at_first(url: str, **more: object) -> requests.Response:
        asked = {"url": url, **more} | (changes.pop() if changes else {})
        if asked["timeout"] is None:
            raise requests.ConnectTimeout
        return post(**asked)  # type: ignore[arg-type]  # what it was called with

    monkeypatch.setattr(requests, "post", otherwise_at_first)
    with ScriptedServer(lambda _: Reply()) as server:
        channel = Channel("slack", server.url, slack_body, NO_WAIT)
        assert channel.send(Notice("blocked", "fraud", "fraud", "no"), threading.Event())

    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "reply", [HANG_UP, Reply(500), Reply(502), Reply(504), Reply(404), Reply(302, headers={"Location": "/elsewhere"})]
)
def test_what_may_have_been_taken_is_not_sent_again_and_no_redirect_is_followed(reply: Reply) -> None:
    with answering(reply) as desk:
        assert len(desk.told(MOVE)) == 1
    assert desk.counted == {("webhook", "failed"): 1}
    assert [asked.path for asked in desk.server.asked] == ["/hunter2"]


def test_what_is_not_answered_in_time_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.service.notifying.TIMEOUT", (5, 0.05))
    over = threading.Event()

    def late(_: object) -> Reply:
        over.wait(10)
        return Reply()

    with ScriptedServer(late) as server:
        channel = Channel("slack", server.url, slack_body, NO_WAIT)
        assert not channel.send(Notice("blocked", "fraud", "fraud", "no"), threading.Event())
        over.set()

    assert len(server.asked) == 1


def test_one_that_stops_tries_once_and_does_not_wait() -> None:
    over = threading.Event()
    over.set()
    with ScriptedServer(lambda _: Reply(503)) as server:
        channel = Channel("slack", server.url, slack_body, (3600.0,))
        assert not channel.send(Notice("blocked", "fraud", "fraud", "no"), over)

    assert len(server.asked) == 1


def test_too_many_events_are_dropped_and_counted_and_nobody_waits() -> None:
    with answering() as desk:
        for _ in range(MOST_WAITING + 5):
            desk.notifier.made(KEY, MOVE)

        assert desk.counted == {("webhook", "dropped"): 5}


def test_without_a_channel_nothing_is_kept_and_nothing_asked() -> None:
    store = MemoryStore()
    notifier = Notifier(store, [], lambda *_: None)
    notifier.start()
    notifier.stood(FAILED)
    notifier.stop()

    assert store.tell(KEY, "state", "failed"), "nobody was told"
    assert all(thread.name != "notifications" for thread in threading.enumerate()), "and stopping waits for nothing"


def test_a_store_that_does_not_answer_loses_one_event_and_not_the_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unwell(*_: object) -> bool:
        raise TryAgain("the store is busy")

    with answering() as desk:
        monkeypatch.setattr(desk.store, "tell", unwell)
        told = desk.told(FAILED, MOVE)

    assert [each["event"] for each in told] == ["moved"]
    assert "whether to notify anybody cannot be told: the store is busy" in caplog.text


def test_slack_is_sent_text_in_which_nothing_is_a_link_a_mention_or_a_line_of_its_own() -> None:
    hostile = "<!channel> <https://evil.example|click> & *bold*\n[recovered] \u202ereversed"
    body = slack_body(Notice("failed", "fraud", "fraud", hostile, "mend it"))

    assert body["mrkdwn"] is False
    assert body["text"] == (
        "[failed] fraud -&gt; model fraud: &lt;!channel&gt; &lt;https://evil.example|click&gt; &amp; *bold*\\n"
        "[recovered] \\u202ereversed What to do: mend it"
    )


def test_a_text_without_an_end_is_cut() -> None:
    assert len(str(Notice("failed", "fraud", "fraud", "x" * 100_000))) == 2000
