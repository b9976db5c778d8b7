"""Alive, ready and well are three different things."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import requests

from bridge.core.errors import NeedsPerson
from bridge.service.health import IN_VAIN, Health, Hearing
from bridge.service.http import Listener, make_app

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT = 10


def ready() -> Health:
    health = Health()
    health.configured(["acme", "ml"])
    health.store(None)
    health.swept("acme", None)
    health.swept("ml", None)
    return health


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener("127.0.0.1", 0)
    yield made
    made.stop()


def test_a_service_is_not_ready_before_all_has_been_tried_once() -> None:
    health = Health()
    assert not health.is_store_well, "nobody knows yet"
    assert health.report()["unready"] == {"configuration": "it is not loaded yet", "store": "it was not asked yet"}
    health.configured(["acme", "ml"])
    health.store(None)
    health.swept("ml", None)
    assert health.report() == {"ready": False, "unready": {"sweeps": "not yet of acme"}, "degraded": {}}
    health.swept("acme", None)
    assert health.report() == {"ready": True, "unready": {}, "degraded": {}}


def test_an_upstream_outage_is_degraded_and_not_unready() -> None:
    health = ready()
    assert health.swept("acme", "W&B is unwell")
    assert not health.swept("acme", "W&B is unwell")
    assert health.report() == {"ready": True, "unready": {}, "degraded": {"connection acme": "W&B is unwell"}}
    assert health.swept("acme", None)
    assert health.report()["degraded"] == {}


@pytest.mark.parametrize(
    ("status", "word"), [(None, "no answer"), (429, "HTTP 429"), (500, "HTTP 500"), (503, "HTTP 503")]
)
def test_an_api_that_stops_answering_is_degraded_until_its_first_good_answer(status: int | None, word: str) -> None:
    health = ready()
    for _ in range(IN_VAIN - 1):
        health.answered("vertex", status)
        health.answered("gcs", 200)
    assert health.report()["degraded"] == {}
    health.answered("vertex_uploads", status)

    said = f"5 requests in a row or more were in vain, the last: {word}"
    assert health.report() == {"ready": True, "unready": {}, "degraded": {"api vertex": said}}
    health.answered("gcs", 200)
    assert list(health.report()["degraded"]) == ["api vertex"], "another API's word"
    health.answered("vertex", 200)
    assert health.report()["degraded"] == {}
    health.answered("vertex", status)
    assert health.report()["degraded"] == {}


@pytest.mark.parametrize("status", [200, 308, 401, 403, 404, 409])
def test_an_api_that_answers_now_and_then_is_not_away(status: int) -> None:
    health = ready()
    for _ in range(IN_VAIN):
        for _ in range(IN_VAIN - 1):
            health.answered("gcs", 503)
        health.answered("gcs", status)

    assert health.report()["degraded"] == {}


def test_a_new_configuration_listens_anew_and_not_to_what_a_retired_service_hears() -> None:
    health = ready()
    hearing = Hearing(health)
    for _ in range(IN_VAIN):
        hearing.answered("mlflow", None)
    assert list(health.report()["degraded"]) == ["api mlflow"]
    health.configured(["acme"])
    hearing.answered("mlflow", None)
    assert health.report()["degraded"] == {}
    hearing.stop()
    for _ in range(IN_VAIN):
        hearing.answered("mlflow", None)
    assert health.report()["degraded"] == {}


def test_a_store_that_does_not_answer_is_unready_until_it_does() -> None:
    health = ready()
    assert health.is_store_well
    health.store("the store is busy")
    assert not health.is_store_well
    assert health.report() == {"ready": False, "unready": {"store": "the store is busy"}, "degraded": {}}
    health.store(None)
    assert health.is_store_well
    assert health.report()["ready"]


def test_a_configuration_that_was_refused_is_degraded_until_one_is_in_force() -> None:
    health = ready()
    health.misconfigured("bridge.yaml:1:1: no")
    assert health.report() == {"ready": True, "unready": {}, "degraded": {"configuration": "bridge.yaml:1:1: no"}}
    health.configured(["acme", "other"])
    assert health.report() == {"ready": False, "unready": {"sweeps": "not yet of other"}, "degraded": {}}


def test_a_sweep_that_a_retired_service_ends_is_no_news_of_the_configuration_in_force() -> None:
    health = ready()
    health.configured(["ml"])

    assert not health.swept("acme", "W&B is unwell")
    assert health.report() == {"ready": True, "unready": {}, "degraded": {}}
    health.configured(["acme", "ml"])
    assert health.report()["unready"] == {"sweeps": "not yet of acme"}


def test_a_service_that_stops_is_not_ready() -> None:
    health = ready()
    health.ending()

    assert health.report()["unready"] == {"service": "it is stopping"}


def test_both_questions_are_answered_over_http(listener: Listener) -> None:
    health = ready()
    listener.start(make_app(health))

    def ask(path: str) -> tuple[int, object]:
        answer = requests.get(f"{listener.url}{path}", timeout=WAIT)
        return answer.status_code, answer.json()

    assert ask("/livez") == (200, {"alive": True})
    assert ask("/readyz") == (200, {"ready": True, "unready": {}, "degraded": {}})
    health.store("the store is busy")
    assert ask("/readyz") == (503, {"ready": False, "unready": {"store": "the store is busy"}, "degraded": {}})
    assert ask("/livez") == (200, {"alive": True})
    assert ask("/nothing")[0] == 404


def test_a_port_that_is_taken_is_told_with_what_to_do(listener: Listener) -> None:
    port = int(listener.url.rpartition(":")[2])
    with pytest.raises(NeedsPerson) as refused:
        Listener("127.0.0.1", port)

    assert str(refused.value) == (
        f"the service cannot listen on 127.0.0.1:{port}: another process has it; "
        "stop what has it, or write another 'listen' under 'service' in bridge.yaml"
    )


def test_the_other_loopback_address_will_do_too() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        made = Listener("::1", 0)
    except NeedsPerson:
        pytest.skip("this machine has no IPv6 address")
    with closing(socket.socket()):
        assert made.url.startswith("http://[::1]:")
        made.stop()
        made.stop()
