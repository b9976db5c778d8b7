"""Who may ask for what: every route of the app, with every scope."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.core.errors import NeedsPerson
from bridge.core.records import Scope
from bridge.service.tokens import digest_of, find, issue
from bridge.testing.clock import FakeClock
from bridge.testing.store import MemoryStore
from tests.service.apis import Api

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.routing import BaseRoute

PAUSE = {"reason": "incident 7"}
NEEDS: dict[tuple[str, str], Scope | None] = {  # None: anybody may
    ("GET", "/livez"): None,
    ("GET", "/readyz"): None,
    ("GET", "/docs"): None,
    ("GET", "/docs/oauth2-redirect"): None,
    ("GET", "/openapi.json"): None,
    ("POST", "/hooks/wandb/{connection}"): None,  # whoever has the connection's secret, which a token is not
    ("POST", "/hooks/mlflow/{connection}"): None,
    ("GET", "/metrics"): Scope.READ,
    ("GET", "/v1/mappings"): Scope.READ,
    ("GET", "/v1/mappings/{name}"): Scope.READ,
    ("GET", "/v1/models"): Scope.READ,
    ("GET", "/v1/models/{mapping}/{model}"): Scope.READ,
    ("GET", "/v1/journal"): Scope.READ,
    ("GET", "/v1/events"): Scope.READ,
    ("POST", "/v1/mappings/{name}/sync"): Scope.SYNC,
    ("POST", "/v1/models/{mapping}/{model}/retry"): Scope.SYNC,
    ("POST", "/v1/retry"): Scope.SYNC,
    ("POST", "/v1/mappings/{name}/pause"): Scope.ADMIN,
    ("POST", "/v1/mappings/{name}/resume"): Scope.ADMIN,
    ("POST", "/v1/reload"): Scope.ADMIN,
}


@pytest.fixture
def api() -> Api:
    made = Api(local=False)
    made.events.close()  # a stream would never end: it is refused after the token is not
    return made


def routes(found: Sequence[BaseRoute]) -> Iterator[tuple[str, str, Scope | None]]:
    for route in found:
        if (included := getattr(route, "original_router", None)) is not None:
            yield from routes(included.routes)
            continue
        for method in getattr(route, "methods", None) or {"?"}:
            if method != "HEAD":
                yield method, getattr(route, "path", "?"), getattr(route, "scope", None)


def ask(api: Api, method: str, path: str, headers: dict[str, str]) -> int:
    filled = path.format(name="fraud", mapping="fraud", model="fraud", connection="acme")
    return api.client.request(method, filled, headers=headers, json=PAUSE if "pause" in path else None).status_code


def test_every_route_is_in_the_table(api: Api) -> None:
    assert {(method, path): scope for method, path, scope in routes(api.app.routes)} == NEEDS


@pytest.mark.parametrize(("method", "path"), [pytest.param(*each, id=" ".join(each)) for each in NEEDS])
def test_a_route_is_open_to_just_the_scopes_that_the_table_says(api: Api, method: str, path: str) -> None:
    needed = NEEDS[method, path]
    for scope in Scope:
        status = ask(api, method, path, api.token(scope))
        may = needed is None or scope.includes(needed)
        assert (status == 403) is not may, (scope, status)
        assert status != 401
    for strangers in ({}, {"Authorization": "Bearer bridge_guessed"}, {"Authorization": "Basic YTpi"}):
        status = ask(api, method, path, strangers)
        assert (status == 401) is (needed is not None), (strangers, status)


def test_a_token_without_the_scope_is_told_which_one_it_has_and_which_is_needed(api: Api) -> None:
    answer = api.client.post("/v1/mappings/fraud/sync", headers=api.token(Scope.READ, "ci"))

    assert answer.status_code == 403
    assert answer.json() == {
        "error": "the token 'ci' has the scope read, and this needs sync",
        "remedy": "use another token: bridge token create --scope sync",
    }


def test_scopes_include_those_before_them() -> None:
    assert [[a.includes(b) for b in Scope] for a in Scope] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


def test_a_token_that_is_revoked_lets_nobody_in(api: Api) -> None:
    header = api.token(Scope.READ, "ci")
    assert ask(api, "GET", "/v1/mappings", header) == 200
    api.world.store.revoke_token("ci")
    answer = api.client.get("/v1/mappings", headers=header)

    assert answer.status_code == 401
    assert answer.json()["error"] == "the token is not known, or was revoked"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_who_asked_is_told_by_the_name_of_the_token(api: Api) -> None:
    api.world.publish("production")
    api.client.post("/v1/mappings/fraud/sync", headers=api.token(Scope.SYNC, "ci"))
    paused = api.client.post("/v1/mappings/fraud/pause", json=PAUSE, headers=api.token(Scope.ADMIN, "ann"))

    assert paused.json()["who"] == "token ann"


def test_only_a_digest_of_a_token_is_kept() -> None:
    store, at = MemoryStore(), FakeClock().now()
    text = issue(store, "ci", Scope.SYNC, at)
    (kept,) = store.tokens()

    assert text not in repr(kept)
    assert (kept.digest, find(text, [kept]), find(text + "x", [kept])) == (digest_of(text), kept, None)
    assert len(text) > 43
    assert issue(store, "other", Scope.SYNC, at) != text
    with pytest.raises(NeedsPerson, match="there is a token 'ci' already"):
        issue(store, "ci", Scope.ADMIN, at)


# this machine


def test_this_machine_needs_no_token_where_nobody_else_is_listened_to() -> None:
    assert ask(Api(), "POST", "/v1/reload", {}) == 200


def test_a_token_that_is_sent_counts_on_this_machine_too() -> None:
    api = Api()
    assert ask(api, "POST", "/v1/reload", api.token(Scope.READ)) == 403
    assert ask(api, "POST", "/v1/reload", {"Authorization": "Bearer bridge_guessed"}) == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost"}, 200),
        ({"Host": "[::1]:8470"}, 200),
        ({"Host": "evil.test"}, 403),
        ({"Host": "127.0.0.1.evil.test:8470"}, 403),
        ({"Host": "localhost", "Origin": "http://localhost"}, 200),
        ({"Origin": "http://evil.test"}, 403),
        ({"Origin": "http://127.0.0.1:3000"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_page_of_another_site_cannot_ask_through_a_browser_here(headers: dict[str, str], status: int) -> None:
    api = Api()
    assert ask(api, "POST", "/v1/reload", headers) == status
    assert api.reloads == (status == 200)


def test_a_page_of_another_site_with_a_token_may() -> None:
    api = Api()
    assert ask(api, "GET", "/v1/mappings", api.token(Scope.READ) | {"Host": "bridge.acme.test"}) == 200
