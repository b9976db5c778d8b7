"""Server-sent events: what is told, to whom, and that nobody is waited for."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bridge.core.errors import TryAgain
from bridge.core.model import SourceVersion, State
from bridge.core.records import Progress, Status
from bridge.service import api as api_module
from bridge.service.events import KEPT, LISTENERS, WAITING, Events, Listener
from tests.service.apis import Api
from tests.worlds import FRAUD, KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest
    import requests

V0 = SourceVersion("wandb", FRAUD, "v0", "id-0", "d0", "https://wandb.test/v0")


def status(state: State, message: str = "") -> Status:
    return Status(KEY, state, message, "", FRAUD, "2026-01-05T09:00:00+00:00", None)


def progress(done: int) -> Progress:
    return Progress(V0, done, 2, 10 * done, 20, 5.0, None)


@contextmanager
def listening(api: Api, **headers: str) -> Iterator[Iterator[dict[str, str]]]:
    with api.client.get(
        "/v1/events", stream=True, headers={k.replace("_", "-"): v for k, v in headers.items()}
    ) as told:
        assert told.headers["Content-Type"].startswith("text/event-stream")
        lines = told.iter_lines(chunk_size=1, decode_unicode=True)
        assert next(lines) == ": listening"
        yield events(lines)


def events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    found: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            found[name] = value
        elif found:
            yield found
            found = {}


def states(told: Iterator[dict[str, str]], count: int) -> list[str]:
    return [json.loads(next(told)["data"])["state"] for _ in range(count)]


def test_whoever_listens_is_told_how_models_are() -> None:
    api = Api()
    api.world.publish("production")
    with listening(api) as told:
        api.following.sweep("wandb")
        assert states(told, 1) == ["PENDING"]
        event = next(told)
        api.world.source.problem = TryAgain("W&B is unwell")
        api.following.sweep("wandb")
        api.following.sweep("wandb")
        api.world.source.problem = None
        api.following.sweep("wandb")

        assert event["event"] == "state"
        assert json.loads(event["data"]) == {
            "mapping": "fraud",
            "model": "fraud",
            "state": "SYNCED",
            "message": "",
            "remedy": "",
            "next_try": None,
        }
        assert states(told, 2) == ["DEGRADED", "SYNCED"], "each once"


def test_whoever_listens_is_told_how_far_copies_are_and_so_is_who_asks_for_the_model() -> None:
    api = Api()
    api.world.publish("production")
    api.following.sweep("wandb")
    with listening(api) as told:
        api.events.progress(progress(1))
        event = next(told)
    copies = api.client.get("/v1/models/fraud/fraud").json()["copies"]

    assert (event["event"], [json.loads(event["data"])]) == ("progress", copies)
    assert copies == [
        {
            "version": f"{FRAUD}:v0",
            "files_done": 1,
            "files": 2,
            "bytes_done": 10,
            "bytes": 20,
            "rate": 5.0,
            "seconds_left": None,
        }
    ]


def test_a_copy_is_forgotten_when_it_is_whole_and_when_its_model_is_at_something_else() -> None:
    told = Events()
    told.progress(progress(1))
    told.status(status(State.COPYING))
    assert told.copies(FRAUD) == [progress(1)]
    assert told.copies("another") == []
    told.progress(progress(2))
    assert told.copies(FRAUD) == []
    told.progress(progress(1))
    told.status(status(State.FAILED))
    assert told.copies(FRAUD) == []


def test_who_comes_back_hears_what_came_after_what_was_heard_last() -> None:
    api = Api()
    with listening(api) as told:
        for message in ("one", "two", "three"):
            api.events.status(status(State.FAILED, message))
        first = next(told)
    with listening(api, Last_Event_ID=first["id"]) as told:
        assert [json.loads(next(told)["data"])["message"] for _ in range(2)] == ["two", "three"]
    for unknown in ("0123abcd-7", "nonsense", "-", f"{first['id'].partition('-')[0]}-x"):
        with listening(api, Last_Event_ID=unknown) as told:
            assert json.loads(next(told)["data"])["message"] == "one", "all that is kept"


def test_a_name_from_outside_cannot_forge_an_event() -> None:
    api = Api()
    with listening(api) as told:
        api.events.status(status(State.FAILED, "x\n\nevent: state\ndata: {}\r\n\u2028"))
        assert json.loads(next(told)["data"])["message"].startswith("x\n\nevent")


def test_a_quiet_stream_shows_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "HEARTBEAT", 0.01)
    api = Api()
    with api.client.get("/v1/events", stream=True) as told:
        lines = told.iter_lines(chunk_size=1, decode_unicode=True)
        assert [next(lines) for _ in range(5)] == [": listening", "", ": still here", "", ": still here"]


def test_a_listener_that_is_too_slow_is_let_go_and_nobody_waits() -> None:
    async def story() -> None:
        told = Events()
        slow, quick = told.listen(), told.listen()
        assert slow is not None
        assert quick is not None
        for number in range(WAITING + 1):
            told.status(status(State.FAILED, str(number)))
            assert await quick.next(1) is not None
        assert (slow.is_too_slow, quick.is_too_slow) == (True, False)
        told.status(status(State.FAILED, "more"))
        heard = 0
        while not slow.is_over:
            assert await slow.next(1) is not None
            heard += 1
        assert heard == WAITING
        assert (await quick.next(1)) is not None

    asyncio.run(story())


def test_what_is_kept_is_bounded_and_so_are_listeners() -> None:
    async def story() -> None:
        told = Events()
        for number in range(KEPT + 5):
            told.status(status(State.FAILED, str(number)))
        late = told.listen("another-1")
        assert late is not None
        first = await late.next(1)
        assert first is not None
        assert first.data["message"] == "5"
        others: list[Listener | None] = [told.listen() for _ in range(LISTENERS - 1)]
        assert None not in others
        assert told.listen() is None
        told.leave(late)
        told.leave(late)
        assert told.listen() is not None

    asyncio.run(story())


def test_a_listener_that_waits_hears_at_once_what_another_thread_tells() -> None:
    async def story() -> None:
        told = Events()
        listener = told.listen()
        assert listener is not None
        heard = asyncio.create_task(listener.next(10))
        await asyncio.to_thread(told.status, status(State.SYNCED))
        event = await heard
        assert event is not None
        assert await listener.next(0.001) is None
        assert not listener.is_over

    asyncio.run(story())


def test_a_listener_whose_loop_has_ended_is_no_ones_trouble() -> None:
    told = Events()

    async def begin() -> None:
        told.listen()

    asyncio.run(begin())
    told.status(status(State.SYNCED))
    told.close()


def test_a_service_that_stops_ends_its_streams_and_takes_no_other() -> None:
    api = Api()
    with api.client.get("/v1/events", stream=True) as told:
        lines = told.iter_lines(chunk_size=1, decode_unicode=True)
        assert next(lines) == ": listening"
        api.events.close()
        assert list(lines) == [""]
    refused: requests.Response = api.client.get("/v1/events")

    assert refused.status_code == 503
    assert refused.json()["error"] == "there are too many listeners, or the service is stopping"
