"""What webhooks get for an answer, over HTTP, and what they set off; nothing is asked of anybody."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from bridge.core.webhooks import FRESH
from bridge.service.allowance import AT_ONCE
from bridge.service.health import Health
from bridge.service.hooks import Door, Heard, Hooks
from bridge.service.http import Listener, make_app
from bridge.service.once import MOST, Once
from bridge.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT = 10
TOKEN, SECRET = "t0ken", "s3cret"
MIB = 1 << 20


def mac(signed: bytes) -> str:
    return base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()


@dataclass
class Bench:
    """A service's doors, open on loopback; and what came through, by connection."""

    hooks: Hooks
    clock: FakeClock
    url: str = ""
    given: list[str | None] = field(default_factory=list)
    numbers: int = 0

    def give(self, name: str | None) -> str:
        self.given.append(name)
        return f"look-{len(self.given)}"

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> requests.Response:
        return requests.post(f"{self.url}/hooks/{path}", data=body, headers=headers, timeout=WAIT)

    def wandb(self, body: bytes | None = None, connection: str = "acme", **said: Any) -> requests.Response:  # noqa: ANN401  what JSON can spell
        """Send what W&B would; `said` is its payload."""
        sent = json.dumps(said).encode() if body is None else body
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Wandb-Signature": mac(sent)}
        return self.post(f"wandb/{connection}", sent, headers)

    def mlflow(self, name: object = "churn", **changed: Any) -> requests.Response:  # noqa: ANN401  the same
        """Send what MLflow would: a new delivery, unless an `id` is given."""
        self.numbers += 1
        id_, at = changed.get("id", str(self.numbers)), changed.get("at", str(int(self.clock.now().timestamp())))
        said = {"entity": "model_version_alias", "action": "created", "timestamp": "…", "data": {"name": name}}
        body = changed.get("body", json.dumps(said).encode())
        headers = {"X-MLflow-Delivery-Id": id_, "X-MLflow-Timestamp": at}
        headers["X-MLflow-Signature"] = f"v1,{mac(f'{id_}.{at}.'.encode() + body)}"
        return self.post(f"mlflow/{changed.get('connection', 'ml')}", body, headers)


@pytest.fixture
def bench() -> Iterator[Bench]:
    clock = FakeClock()
    made = Bench(Hooks(clock), clock)
    door = Door("wandb", TOKEN, SECRET, lambda name: name in ("fraud", "churn"), made.give)
    made.hooks.open({"acme": door, "ml": replace(door, kind="mlflow", token=None)})
    listener = Listener("127.0.0.1", 0)
    listener.start(make_app(Health(), [made.hooks.router]))
    made.url = listener.url
    yield made
    listener.stop()


def heard(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["heard"]


def test_a_genuine_one_has_what_it_names_looked_at(bench: Bench) -> None:
    assert heard(bench.wandb(collection="fraud", event="ADD_ARTIFACT_ALIAS")) == (202, "heeded")
    assert heard(bench.mlflow("churn")) == (202, "heeded")
    assert bench.given == ["fraud", "churn"]
    assert bench.hooks.heard == {("acme", Heard.HEEDED): 1, ("ml", Heard.HEEDED): 1}


def test_a_payload_that_names_nothing_has_the_connection_looked_at(bench: Bench) -> None:
    assert heard(bench.wandb(b"{}")) == (202, "heeded")
    assert heard(bench.wandb(collection="")) == (202, "heeded")
    assert bench.given == [None, None]


def test_the_answer_has_the_id_that_the_log_will_have_of_all_that_comes_of_it(bench: Bench) -> None:
    assert bench.wandb(collection="fraud").json()["id"] == "look-1"
    assert bench.mlflow("churn").json()["id"] == "look-2"
    assert "id" not in bench.wandb(collection="unheard-of").json()


@pytest.mark.parametrize("name", ["unheard-of", "fraud\n", "\ud800", "fraud" * 1000])
def test_a_collection_that_no_mapping_follows_is_counted_and_that_is_all(bench: Bench, name: str) -> None:
    assert heard(bench.wandb(collection=name)) == (202, "unknown")
    assert heard(bench.mlflow(name)) == (202, "unknown")
    assert bench.given == []
    assert bench.hooks.heard == {("acme", Heard.UNKNOWN): 1, ("ml", Heard.UNKNOWN): 1}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {TOKEN}"},
        {"X-Wandb-Signature": mac(b"{}")},
        {"Authorization": f"Bearer {TOKEN}", "X-Wandb-Signature": mac(b"{} ")},
        {"Authorization": "Bearer other", "X-Wandb-Signature": mac(b"{}")},
        {"X-MLflow-Delivery-Id": "1", "X-MLflow-Timestamp": "1", "X-MLflow-Signature": "v1,"},
    ],
)
def test_a_forged_one_is_refused_whatever_it_says(bench: Bench, headers: dict[str, str]) -> None:
    for path in ("wandb/acme", "mlflow/ml"):
        answer = bench.post(path, b"{}", headers)
        assert heard(answer) == (401, "forged")
        assert TOKEN not in answer.text
        assert SECRET not in answer.text
    assert bench.given == []


@pytest.mark.parametrize("body", [b"", b'{"collection": "fra', b"[]", b"7", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(bench: Bench, body: bytes) -> None:
    assert heard(bench.wandb(body)) == (400, "malformed")
    assert heard(bench.mlflow(body=body)) == (400, "malformed")
    assert bench.given == []


@pytest.mark.parametrize("name", [7, None, ["fraud"], {"a": "b"}, True])
def test_a_name_of_a_wrong_type_is_refused(bench: Bench, name: object) -> None:
    assert heard(bench.mlflow(name)) == (400, "malformed")
    if name is not None:
        assert heard(bench.wandb(collection=name)) == (400, "malformed")
    assert heard(bench.mlflow(body=b'{"data": []}')) == (400, "malformed")
    assert bench.given == []


def test_one_of_up_to_a_mebibyte_is_taken_and_a_longer_one_is_not(bench: Bench) -> None:
    frame = len(json.dumps({"collection": "fraud", "more": ""}))
    assert heard(bench.wandb(collection="fraud", more="x" * (MIB - frame))) == (202, "heeded")
    assert heard(bench.wandb(collection="fraud", more="x" * (MIB - frame + 1))) == (413, "too_long")
    assert heard(bench.wandb(b"x" * (10 * MIB))) == (413, "too_long")
    assert heard(bench.mlflow(body=b"x" * (10 * MIB))) == (413, "too_long")
    assert bench.given == ["fraud"]


def test_a_connection_that_takes_none_is_not_found_signed_or_not(bench: Bench) -> None:
    assert [bench.wandb(connection=name, collection="fraud").status_code for name in ("other", "ml")] == [404, 404]
    assert [bench.mlflow(connection=name).status_code for name in ("other", "acme")] == [404, 404]
    assert bench.post("wandb/other", b"", {}).status_code == 404
    assert bench.post("other/acme", b"", {}).status_code == 404
    assert requests.get(f"{bench.url}/hooks/wandb/acme", timeout=WAIT).status_code == 405
    assert (bench.given, bench.hooks.heard) == ([], {})


def test_a_delivery_is_heeded_once(bench: Bench) -> None:
    assert heard(bench.mlflow(id="a")) == (202, "heeded")
    assert heard(bench.mlflow(id="a")) == (202, "repeated")
    bench.clock.advance(299)
    assert heard(bench.mlflow(id="a")) == (202, "repeated")
    assert heard(bench.mlflow(id="b")) == (202, "heeded")
    assert bench.given == ["churn", "churn"]


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_stale_one_is_refused(bench: Bench, seconds: int) -> None:
    at = str(int(bench.clock.now().timestamp()) + seconds)
    assert heard(bench.mlflow(at=at)) == (401, "stale")
    assert heard(bench.mlflow(at="soon")) == (401, "stale")
    assert bench.given == []


def test_too_many_are_told_when_to_come_back_and_that_one_is_heeded_then(bench: Bench) -> None:
    door = bench.hooks._doors["ml"]  # noqa: SLF001  600 requests over HTTP would take a second
    for number in range(AT_ONCE):
        signed = {"x-mlflow-timestamp": str(bench.clock.now().timestamp()), "x-mlflow-delivery-id": f"n{number}"}
        assert bench.hooks._heed("ml", door, signed, b'{"data": {"name": "churn"}}')[0] is Heard.HEEDED  # noqa: SLF001  the same
    assert bench.post("mlflow/ml", b"{}", {}).status_code == 401, "forged ones have no part in it"
    refused = bench.mlflow(id="late")
    assert (heard(refused), refused.headers["Retry-After"]) == ((429, "too_many"), "1")
    assert heard(bench.wandb(collection="fraud")) == (202, "heeded")
    bench.clock.advance(1)
    assert heard(bench.mlflow(id="late")) == (202, "heeded")


def test_one_that_ends_in_its_middle_is_no_trouble(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    place = urlsplit(bench.url)
    with socket.create_connection((place.hostname, place.port or 0), WAIT) as connection:
        connection.sendall(b"POST /hooks/wandb/acme HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    while ("acme", Heard.TOO_SLOW) not in bench.hooks.heard:
        threading.Event().wait(0.001)
    assert heard(bench.wandb(collection="fraud")) == (202, "heeded")
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_one_that_does_not_arrive_in_time_is_not_waited_for() -> None:
    hooks = Hooks(FakeClock(), patience=0.01)
    listener = Listener("127.0.0.1", 0)
    listener.start(make_app(Health(), [hooks.router]))
    place = urlsplit(listener.url)
    with socket.create_connection((place.hostname, place.port or 0), WAIT) as connection:
        connection.sendall(b"POST /hooks/wandb/acme HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        answer = connection.recv(1000)
    listener.stop()
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_doors_are_those_of_the_configuration_in_force(bench: Bench) -> None:
    bench.hooks.open({"ml": Door("mlflow", None, "another", lambda _name: True, bench.give)})
    assert bench.wandb(collection="fraud").status_code == 404
    assert heard(bench.mlflow()) == (401, "forged")


def test_what_was_there_is_forgotten_in_time_and_never_more_than_some_is_kept() -> None:
    clock = FakeClock()
    once = Once(clock, FRESH)
    for number in range(MOST + 1):
        once.add(str(number))
    assert [str(number) in once for number in (0, 1, MOST)] == [False, True, True]
    clock.advance(FRESH.total_seconds())
    assert "1" in once
    clock.advance(1)
    assert "1" not in once
    once.add("new")
    assert len(once) == 1


def test_each_kind_of_refusal_is_told_once_until_one_is_heeded(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        for _ in range(3):
            bench.post("wandb/acme", b"", {})
            bench.wandb(b"[]")
        bench.wandb(collection="fraud")
    told = [record.message.partition(": ")[0] for record in caplog.records if record.name.startswith("bridge")]
    kinds = [f"a webhook of connection acme is refused ({code})" for code in (401, 400)]
    assert told == kinds * 2
