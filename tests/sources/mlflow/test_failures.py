"""Servers that are away, unwell, behind a login page, or say no: what a person is told of them."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import socket
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.core.errors import BridgeError, NeedsPerson, NotFound, TryAgain
from bridge.core.model import ArtifactFile, SourceVersion
from bridge.sandbox.faults import Fault
from bridge.sources.mlflow.failures import shown
from bridge.sources.mlflow.proxied import ArtifactServer
from bridge.sources.mlflow.session import MlflowSession
from bridge.sources.mlflow.source import MlflowSource
from bridge.testing.clock import FakeClock
from tests.sources.mlflow_people import models
from tests.sources.publishers import new_name
from tests.sources.servers import HANG_UP, Asked, Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.sandbox.mlflow.server import MlflowServer
    from tests.sources.mlflow_people import MlflowPublisher

PAGE = b"<!doctype html><title>Sign in</title><form>top secret</form>"
JSON = {"Content-Type": "application/json"}
ETAG = {"ETag": '"as-s3-gives-it"'}
SECRET = "hunter2"
CHURN = SourceVersion("acme", "models:/churn", "1", "1@1000-00000000", None, "http://x")


@contextmanager
def source_of(url: str, workspace: str | None = None) -> Iterator[MlflowSource]:
    with closing(MlflowSource("acme", url, FakeClock(), workspace=workspace)) as source:
        yield source


def told(code: str, message: str = "no") -> bytes:
    return json.dumps({"error_code": code, "message": message}).encode()


def problems(source: MlflowSource) -> list[BridgeError]:
    """Return what each way to ask fails with."""
    found = []
    ways: list[Callable[[], object]] = [
        lambda: source.sweep([models("churn")]),
        lambda: source.describe(CHURN),
        lambda: source.open(CHURN, ArtifactFile("f", 1, None)),
        lambda: source.is_gone("models:/churn", "champion"),
    ]
    for ask in ways:
        with pytest.raises(BridgeError) as caught:
            ask()
        found.append(caught.value)
    return found


def check(found: list[BridgeError], kind: type[BridgeError], *says: str) -> None:
    for problem in found:
        assert type(problem) is kind
        text = str(problem)
        assert all(each in text for each in says)
        assert "connection 'acme' (http://127.0.0.1:" in text
        assert "top secret" not in text
        assert SECRET not in text
        assert "\n" not in text
        assert problem.__suppress_context__ or problem.__context__ is None, "MLflow's own texts hold bodies and URLs"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_that_is_unwell_is_for_another_time(status: int) -> None:
    with ScriptedServer(lambda _: Reply(status, b"top secret")) as server, source_of(server.url) as source:
        check(problems(source), TryAgain, f"(HTTP {status})")
        assert len(server.asked) == 4, "nothing is tried again"


@pytest.mark.parametrize("code", ["TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"])
def test_a_server_that_says_that_it_is_unwell_is_for_another_time(code: str) -> None:
    with ScriptedServer(lambda _: Reply(400, told(code), JSON)) as server, source_of(server.url) as source:
        check(problems(source), TryAgain, f"({code})")


@pytest.mark.parametrize("body", [b"top secret", told("UNAUTHENTICATED"), b'{"detail": "top secret"}'])
def test_credentials_that_are_not_accepted_need_a_person(body: bytes) -> None:
    with ScriptedServer(lambda _: Reply(401, body)) as server, source_of(server.url) as source:
        variables = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
        check(problems(source), NeedsPerson, *variables)


@pytest.mark.parametrize("body", [b"Permission denied, top secret", told("PERMISSION_DENIED"), b'{"error": {}}'])
def test_what_may_not_be_read_needs_a_person(body: bytes) -> None:
    with ScriptedServer(lambda _: Reply(403, body)) as server, source_of(server.url) as source:
        check(problems(source), NeedsPerson, "does not let this account read", "grant the account READ")


def test_a_login_page_is_called_one() -> None:
    page = Reply(200, PAGE, {"Content-Type": "text/html"})
    with ScriptedServer(lambda _: page) as server, source_of(server.url) as source:
        check(problems(source), NeedsPerson, "a page instead of JSON; probably a login page stands before it")


def test_a_redirect_to_a_login_page_is_one() -> None:
    def script(asked: Asked) -> Reply:
        return Reply(200, PAGE) if asked.path.startswith("/login") else Reply(302, headers={"Location": "/login?x"})

    with ScriptedServer(script) as server, source_of(server.url) as source:
        check(problems(source), NeedsPerson, "a page instead of JSON")


@pytest.mark.parametrize("status", [400, 404, 410, 418])
def test_a_server_that_is_not_mlflow_needs_a_person_and_nothing_is_gone(status: int) -> None:
    with ScriptedServer(lambda _: Reply(status, b"top secret")) as server, source_of(server.url) as source:
        check(problems(source), NeedsPerson, "does not answer as MLflow does", "check the connection's tracking_uri")


def test_a_model_that_the_server_does_not_know_is_not_found() -> None:
    def script(_: Asked) -> Reply:
        return Reply(404, told("RESOURCE_DOES_NOT_EXIST"), JSON)

    with ScriptedServer(script) as server, source_of(server.url) as source:
        check(problems(source)[1:], NotFound, "registered model 'churn'")


def test_a_port_where_nobody_listens_is_for_another_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    begun = time.monotonic()
    with source_of(f"http://127.0.0.1:{port}") as source:
        check(problems(source), TryAgain, "cannot be reached (Connection refused)")
    assert time.monotonic() - begun < 5


def test_a_server_that_takes_connections_and_is_silent_is_reported_within_ten_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        with source_of(f"http://127.0.0.1:{silent.getsockname()[1]}") as source, pytest.raises(TryAgain) as caught:
            source.sweep([models("churn")])
    assert time.monotonic() - begun < 10
    assert "an answer of MLflow connection 'acme'" in str(caught.value)
    assert "was not there within 8 s" in str(caught.value)


def test_a_server_that_does_not_end_its_answers_is_for_another_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        source_of(f"http://127.0.0.1:{silent.getsockname()[1]}") as source,
        pytest.raises(TryAgain, match="did not answer in time"),
    ):
        source.is_gone("models:/churn", "champion")


@pytest.mark.parametrize("hang_ups", [1, 2])
def test_a_connection_that_breaks_is_made_anew_once(hang_ups: int) -> None:
    left = [HANG_UP] * hang_ups
    answer = {"registered_model": {"name": "churn", "creation_timestamp": 1}}

    def script(_: Asked) -> Reply:
        return left.pop() if left else Reply(200, json.dumps(answer).encode(), JSON)

    with ScriptedServer(script) as server, source_of(server.url) as source:
        if hang_ups == 1:
            assert source.is_gone("models:/churn", "champion")
        else:
            with pytest.raises(TryAgain, match="cannot be reached"):
                source.is_gone("models:/churn", "champion")


def test_credentials_in_an_address_are_used_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedServer(lambda _: Reply(503)) as server:
        with source_of(server.url.replace("//", f"//me:{SECRET}@")) as source:
            check(problems(source), TryAgain, "(HTTP 503)")
        expected = base64.b64encode(f"me:{SECRET}".encode()).decode()
        assert {asked.headers["authorization"] for asked in server.asked} == {f"Basic {expected}"}
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("uri", "shows"),
    [
        ("https://me:hunter2@h:1/base?token=hunter2#x", "https://h:1/base"),
        ("postgresql://me:hunter2@h/db", "postgresql://h/db"),
        ("databricks://profile", "databricks://profile"),
        ("databricks", "databricks"),
        ("sqlite:///x.db", "sqlite:///x.db"),
    ],
)
def test_an_address_is_shown_without_its_secrets(uri: str, shows: str) -> None:
    assert shown(uri) == shows


def test_mlflows_own_variables_say_who_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "a-token")
    with ScriptedServer(lambda _: Reply(503)) as server:
        with source_of(server.url) as source:
            problems(source)
        assert {asked.headers["authorization"] for asked in server.asked} == {"Bearer a-token"}


# workspaces


def serving_workspaces(known: str) -> Callable[[Asked], Reply]:
    """Answer as a server with one workspace, which holds nothing."""

    def script(asked: Asked) -> Reply:
        if asked.path.endswith("/server-info"):
            return Reply(200, b'{"workspaces_enabled": true}', JSON)
        if asked.headers.get("x-mlflow-workspace") != known:
            return Reply(404, told("RESOURCE_DOES_NOT_EXIST", "Workspace 'other' not found"), JSON)
        return Reply(200, b"{}", JSON)

    return script


def test_a_connection_stays_in_its_workspace() -> None:
    pattern = models(".*", is_pattern=True)
    with (
        ScriptedServer(serving_workspaces("team-a")) as server,
        source_of(server.url, "team-a") as source,
        source_of(server.url, "other") as other,
    ):
        assert "shows no model to this account" in str(source.sweep([pattern]).failed[pattern])
        with pytest.raises(NotFound, match=r"workspace 'other'\) has no such workspace"):
            other.sweep([pattern])


def test_a_server_without_workspaces_needs_a_person() -> None:
    with ScriptedServer(lambda _: Reply(200, b"{}", JSON)) as server, source_of(server.url, "team-a") as source:
        check(problems(source), NeedsPerson, "does not know workspaces")


# files


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("method", "status", "kind", "says"),
    [
        ("mlflow-artifacts/artifacts LIST", 503, TryAgain, "HTTP 503"),
        ("mlflow-artifacts/artifacts LIST", 403, NeedsPerson, "does not let this account read files of"),
        ("model-versions/get-download-uri", 403, NeedsPerson, "does not let this account read version 1"),
        ("runs/get", 403, NeedsPerson, "does not let this account read run"),
    ],
)
def test_a_listing_that_fails_says_of_what(
    people: MlflowPublisher, method: str, status: int, kind: type[BridgeError], says: str
) -> None:
    version = _published(people)
    with people.fault(Fault("mlflow", "status", method, count=None, status=status)), pytest.raises(kind, match=says):
        people.source.describe(version)


def test_a_server_that_gives_out_no_files_needs_a_person() -> None:
    version = {"name": "churn", "version": "1", "creation_timestamp": 1000, "source": "x", "status": "READY"}
    swept = replace(CHURN, id=f"1@1000-{hashlib.sha256(b'x').hexdigest()[:8]}")

    def script(asked: Asked) -> Reply:
        for path, answer in {
            "/registered-models/get?": {"registered_model": {"name": "churn", "creation_timestamp": 1}},
            "/model-versions/get?": {"model_version": version},
            "/get-download-uri?": {"artifact_uri": "mlflow-artifacts:/1/m"},
        }.items():
            if path in asked.path:
                return Reply(200, json.dumps(answer).encode(), JSON)
        return Reply(503, b"disabled due to the mlflow server running in `--no-serve-artifacts` mode, top secret")

    with ScriptedServer(script) as server, source_of(server.url) as source, pytest.raises(NeedsPerson) as caught:
        source.describe(swept)
    check([caught.value], NeedsPerson, "runs with --no-serve-artifacts")


@pytest.mark.parametrize("status", [404, 501])
def test_a_server_that_signs_no_urls_is_not_asked_to_again(status: int) -> None:
    """MLflow 2 has no page that says what it can do; one that says it signs may yet not."""

    def script(asked: Asked) -> Reply:
        if asked.path.endswith("/server-info"):
            return Reply(404) if status == 404 else Reply(200, b'{"multipart_downloads_enabled": true}', JSON)
        return Reply(status) if "/presigned/" in asked.path else Reply(200, b"bytes")

    with ScriptedServer(script) as server, closing(session_of(server.url)) as files:
        for _ in range(2):
            with files.open("1/m/a b+#", "f", 0) as pieces:
                assert b"".join(pieces) == b"bytes"
        asked = [each.path.rpartition("mlflow")[2] for each in server.asked]

    signing = [] if status == 404 else ["-artifacts/presigned/1/m/a%20b%2B%23"]
    assert asked == ["/server-info", *signing, *["-artifacts/artifacts/1/m/a%20b%2B%23"] * 2]


def test_a_server_that_was_unwell_when_asked_whether_it_signs_is_asked_again() -> None:
    left = [Reply(503)]

    def script(asked: Asked) -> Reply:
        if asked.path.endswith("/server-info"):
            return left.pop() if left else Reply(200, b'{"multipart_downloads_enabled": true}', JSON)
        if "/presigned/" in asked.path:
            return Reply(200, json.dumps({"url": f"{server.url}/bucket"}).encode(), JSON)
        return Reply(200, b"from the bucket" if asked.path == "/bucket" else b"through the server")

    with ScriptedServer(script) as server, closing(session_of(server.url)) as files:
        read = []
        for _ in range(2):
            with files.open("1/m/f", "f", 0) as pieces:
                read.append(b"".join(pieces))

    assert read[-1] == b"from the bucket"


def test_a_folder_that_is_listed_and_shows_nothing_hides_something() -> None:
    """MLflow lists an object named `a//b` as an empty folder `a`."""

    def script(asked: Asked) -> Reply:
        files = [{"path": "a", "is_dir": True}, {"path": "model.pkl", "file_size": 1}]
        return Reply(200, json.dumps({"files": [] if asked.path.endswith("a") else files}).encode(), JSON)

    refused = pytest.raises(NeedsPerson, match="the folder 'a/' in '1/m' is listed and shows no files")
    with ScriptedServer(script) as server, closing(session_of(server.url)) as files, refused:
        files.list("1/m")


def test_a_signed_url_that_has_expired_is_signed_again_and_gets_no_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", SECRET)
    content = bytes(range(256)) * 10
    signed = 0

    def script(asked: Asked) -> Reply:
        nonlocal signed
        if asked.path.endswith("/server-info"):
            return Reply(200, b'{"multipart_downloads_enabled": true}', JSON)
        if "/presigned/" in asked.path:
            assert asked.headers["authorization"] == f"Bearer {SECRET}"
            signed += 1
            answer = {"url": f"{server.url}/bucket?signed={signed}", "headers": {"x-mine": "yes"}}
            return Reply(200, json.dumps(answer).encode(), JSON)
        assert "authorization" not in asked.headers
        assert asked.headers["x-mine"] == "yes"
        if asked.start == 0:
            return Reply(200, content, ETAG, cut=100)
        return Reply(206, content[asked.start :], ETAG) if asked.path.endswith("=2") else Reply(403)

    with (
        ScriptedServer(script) as server,
        closing(session_of(server.url)) as files,
        files.open("1/m/f", "f", 0) as pieces,
    ):
        assert b"".join(pieces) == content
    assert signed == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Reply(302, headers={"Location": "http://127.0.0.1:9/"}), NeedsPerson),
        (Reply(404), NeedsPerson),
        (Reply(503), TryAgain),
    ],
)
def test_a_store_that_answers_otherwise_is_not_followed(answer: Reply, kind: type[BridgeError]) -> None:
    def script(asked: Asked) -> Reply:
        if asked.path.endswith("/server-info"):
            return Reply(200, b'{"multipart_downloads_enabled": true}', JSON)
        if "/presigned/" in asked.path:
            return Reply(200, json.dumps({"url": f"{server.url}/bucket"}).encode(), JSON)
        return answer

    with (
        ScriptedServer(script) as server,
        closing(session_of(server.url)) as files,
        pytest.raises(kind, match=f"HTTP {answer.status}"),
        files.open("1/m/f", "f", 0) as pieces,
    ):
        next(pieces)


def test_a_signed_url_that_leads_inside_is_not_asked_for_and_files_come_through_the_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def script(asked: Asked) -> Reply:
        if asked.path.endswith("/server-info"):
            return Reply(200, b'{"multipart_downloads_enabled": true}', JSON)
        if "/presigned/" in asked.path:
            return Reply(200, json.dumps({"url": f"http://169.254.169.254/token?{SECRET}"}).encode(), JSON)
        return Reply(200, b"through the server")

    with (
        ScriptedServer(script) as server,
        closing(session_of(server.url)) as files,
        files.open("1/m/f", "f", 0) as pieces,
    ):
        assert b"".join(pieces) == b"through the server"
    assert "'169.254.169.254'" in caplog.text
    assert SECRET not in caplog.text


def session_of(url: str) -> ArtifactServer:
    return ArtifactServer(MlflowSession("acme", url), FakeClock())


@pytest.mark.sandbox
@pytest.mark.parametrize(("status", "kind"), [(401, NeedsPerson), (403, NeedsPerson), (503, TryAgain)])
def test_a_file_that_is_refused_says_so(people: MlflowPublisher, status: int, kind: type[BridgeError]) -> None:
    version = _published(people)
    with (
        people.fault(Fault("mlflow", "status", "mlflow-artifacts/artifacts GET", count=None, status=status)),
        pytest.raises(kind, match=rf"'f' of models:/.*/1 .*\(HTTP {status}\)"),
        people.source.open(version, ArtifactFile("f", 1, None)) as pieces,
    ):
        next(pieces)


@pytest.mark.sandbox
def test_an_outage_and_a_lockout_are_told_apart(people: MlflowPublisher, server: MlflowServer) -> None:
    version = _published(people)
    assert server.url
    with people.outage():
        assert {type(problem) for problem in problems(people.source)} == {TryAgain}
    with people.lockout():
        assert {type(problem) for problem in problems(people.source)} == {NeedsPerson}
    assert people.source.describe(version).files


def _published(people: MlflowPublisher) -> SourceVersion:
    name = new_name()
    people.publish(name, {"f": b"1"})
    [state] = people.source.sweep([models(name)]).found[models(name)]
    return state.versions[0]
