"""The control API sets the scene and tells what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
import wandb

from bridge.sandbox.address import API_KEY, BUCKET
from bridge.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("controlled")) as world:
        yield world


def ask(world: World, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  whatever it answers
    answer = requests.request(method, f"{world.control_url}{path}", json=body, timeout=20)
    return answer.json() if answer.content else answer.status_code


def test_it_explains_itself(own: World) -> None:
    text = requests.get(own.control_url, timeout=5).text
    assert "POST   /faults" in text


def test_calls_are_counted_by_service_and_method(own: World) -> None:
    assert ask(own, "DELETE", "/calls") == 204
    requests.get(f"{own.gcs.url}/storage/v1/b/{BUCKET}", timeout=5)
    assert ask(own, "GET", "/calls") == [{"service": "gcs", "method": "buckets.get", "write": False, "count": 1}]


def test_a_fault_is_armed_shown_and_lifted(own: World) -> None:
    number = ask(own, "POST", "/faults", {"service": "gcs", "kind": "status", "status": 503})["number"]
    assert ask(own, "GET", "/faults")[str(number)]["kind"] == "status"
    assert requests.get(f"{own.gcs.url}/storage/v1/b/{BUCKET}", timeout=5).status_code == 503
    ask(own, "POST", "/faults", {"service": "gcs", "kind": "reset", "count": None})
    assert ask(own, "DELETE", "/faults/999") == 204
    assert ask(own, "DELETE", "/faults") == 204
    assert ask(own, "GET", "/faults") == {}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"service": "gcs", "kind": "operation_fails"}, "gcs cannot do 'operation_fails'"),
        ({"service": "gcs", "kind": "status", "often": 3}, "often"),
        ({"kind": "status"}, "service"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_in_a_sentence(own: World, body: object, error: str) -> None:
    assert error in ask(own, "POST", "/faults", body)["error"]


def test_switches_are_shown_and_changed(own: World) -> None:
    assert ask(own, "GET", "/switches/vertex")["alias_conflict"] == "move"
    assert ask(own, "PATCH", "/switches/vertex", {"alias_conflict": "reject"})["alias_conflict"] == "reject"
    assert own.vertex.switches.alias_conflict == "reject"
    assert ask(own, "PATCH", "/switches/wandb", {"url_lifetime": 5})["url_lifetime"] == 5
    assert "alias_conflict" in ask(own, "PATCH", "/switches/vertex", {"alias_conflict": "sometimes"})["error"]
    assert "a switch has no 'aliases'; choose from" in ask(own, "PATCH", "/switches/vertex", {"aliases": 1})["error"]
    assert ask(own, "GET", "/switches/gcs")["error"] == "'gcs' has no switches; choose wandb or vertex"


@pytest.mark.parametrize("change", [{"page_size_max": 0}, {"commit_delay": -1}], ids=str)
def test_a_switch_that_no_service_could_have_is_refused(own: World, change: dict[str, int]) -> None:
    [name] = change
    assert ask(own, "PATCH", "/switches/vertex", change)["error"].startswith(f"{name} must be")


def test_time_passes_when_it_is_told_to(own: World) -> None:
    before = ask(own, "GET", "/clock")["now"]
    assert ask(own, "POST", "/clock", {"advance": 3600})["now"] >= before + 3600


@pytest.mark.parametrize("seconds", [-5, 1e300])
def test_time_does_not_go_back_nor_beyond_what_dates_can_say(own: World, seconds: float) -> None:
    before = ask(own, "GET", "/clock")["now"]
    assert "time can be advanced by 0 to" in ask(own, "POST", "/clock", {"advance": seconds})["error"]
    assert 0 <= ask(own, "GET", "/clock")["now"] - before < 60


def test_what_is_not_served_says_where_to_look(own: World) -> None:
    assert ask(own, "GET", "/nothing")["error"] == "there is no GET /nothing; GET / says what there is"


def test_a_secret_is_kept_and_not_repeated(own: World) -> None:
    said = ask(own, "POST", "/wandb/secrets", {"entity": "acme-team", "name": "HOOK", "value": "s3cret"})
    assert said == {"entity": "acme-team", "name": "HOOK"}


def test_people_and_their_organizations_are_made(own: World) -> None:
    ask(own, "POST", "/wandb/organizations", {"name": "umbrella", "registries": ["model", "dataset"]})
    ask(own, "POST", "/wandb/teams", {"name": "umbrella-ml", "organization": "umbrella"})
    made = ask(own, "POST", "/wandb/users", {"name": "ann", "api_key": "local-" + "n" * 40, "organization": "umbrella"})
    assert "api_key" not in made
    api = wandb.Api(overrides={"base_url": own.wandb.url}, api_key="local-" + "n" * 40)
    assert sorted(registry.name for registry in api.registries("umbrella")) == ["dataset", "model"]
    assert "organization" in ask(own, "POST", "/wandb/teams", {"name": "x"})["error"]
    assert ask(own, "POST", "/wandb/teams", {"name": "x", "organization": "nobody"})["error"]


def test_a_reset_forgets_everything_at_the_same_addresses(own: World) -> None:
    environment = own.environment()
    own.wandb.seed_version("acme_org/wandb-registry-model/gone", {"f": b"1"})
    ask(own, "POST", "/faults", {"service": "gcs", "kind": "reset", "count": None})
    assert ask(own, "POST", "/reset") == 204
    assert own.environment() == environment
    assert ask(own, "GET", "/faults") == {}
    assert ask(own, "GET", "/calls") == []
    api = wandb.Api(overrides={"base_url": own.wandb.url}, api_key=API_KEY)
    assert list(api.registries("acme").collections()) == []


def test_a_stored_byte_is_flipped_and_the_objects_digests_stay(own: World) -> None:
    upload = f"{own.gcs.url}/upload/storage/v1/b/{BUCKET}/o"
    one = f"{own.gcs.url}/storage/v1/b/{BUCKET}/o/rotten"
    told = requests.post(upload, b"bytes", params={"uploadType": "media", "name": "rotten"}, timeout=5).json()

    assert ask(own, "POST", "/gcs/corrupt", {"bucket": BUCKET, "name": "rotten", "offset": 1}) == 204
    assert requests.get(one, {"alt": "media"}, timeout=5).content == b"b\x86tes"
    after = requests.get(one, timeout=5).json()
    assert [after[what] for what in ("size", "crc32c", "md5Hash")] == [
        told[what] for what in ("size", "crc32c", "md5Hash")
    ]


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"name": "nowhere"}, f"there is no object gs://{BUCKET}/nowhere"),
        ({"name": "short", "offset": 2}, f"gs://{BUCKET}/short has 2 bytes, and none at 2"),
        ({"name": "short", "offset": -1}, f"gs://{BUCKET}/short has 2 bytes, and none at -1"),
    ],
)
def test_a_byte_that_is_not_there_is_not_flipped(own: World, asked: dict[str, object], error: str) -> None:
    upload = f"{own.gcs.url}/upload/storage/v1/b/{BUCKET}/o"
    requests.post(upload, b"ab", params={"uploadType": "media", "name": "short"}, timeout=5)

    assert ask(own, "POST", "/gcs/corrupt", {"bucket": BUCKET, **asked}) == {"error": error}
