"""What goes over the wire when a file is sent: credentials, sessions, answers that are odd, connections that break."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from google.auth.credentials import AnonymousCredentials, Credentials

from bridge.copying.budget import Budget
from bridge.copying.gcs.client import Place
from bridge.copying.gcs.uploading import BREAKS, Uploader
from bridge.copying.gcs.wire import LONGEST_WAIT, Unwell, Wire, wait_for
from bridge.copying.pace import Pace
from bridge.copying.verifying import VerifiedStream
from bridge.core.errors import BridgeError, NeedsPerson, TryAgain
from bridge.core.model import ArtifactFile
from bridge.core.records import Upload
from bridge.core.settings import CopySettings
from bridge.net.lines import Lines
from bridge.testing.clock import FakeClock
from bridge.testing.store import MemoryStore
from tests.contracts.buckets import crc32c
from tests.copying.conftest import bucket_at
from tests.readers import reading
from tests.sources.servers import HANG_UP, Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.core.ports import Uploads
    from tests.sources.servers import Asked

MIB = 1 << 20
LARGE = 9 * MIB
FOLDER = "gs://models/v7/"
CONTENT = b"12345"
STORED = Reply(body=json.dumps({"size": "5", "crc32c": crc32c(CONTENT), "generation": "7"}).encode())


def put(url: str, size: int = len(CONTENT), uploads: Uploads | None = None) -> None:
    """Send a file of five bytes, or a large one, to a bucket at a server."""
    content = CONTENT if size == len(CONTENT) else b"x" * size
    with closing(bucket_at(url, uploads)) as storage:
        storage.put(FOLDER, ArtifactFile("model.bin", size, None), reading(content))


def in_a_row(*replies: Reply) -> Callable[[Asked], Reply]:
    left = iter(replies)
    return lambda _: next(left)


def session(location: str = "/upload/here?upload_id=a-secret") -> Reply:
    return Reply(headers={"Location": location})


class Tokens(Credentials):
    """Credentials whose token is another one after each refresh."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # it has no types
        self.refreshed = 0

    def refresh(self, _: object) -> None:
        self.refreshed += 1
        self.token = f"token-{self.refreshed}"


@contextmanager
def wired(url: str, credentials: Credentials) -> Iterator[Callable[[], object]]:
    file = ArtifactFile("model.bin", len(CONTENT), None)
    with closing(Wire(url, credentials, Pace(1), Lines(1))) as wire:
        uploader = Uploader(wire, MemoryStore(), FakeClock(), CopySettings())
        place = Place("models", "v7/model.bin")
        yield lambda: uploader.at_once(place, VerifiedStream(file, reading(CONTENT)))


# credentials


def test_a_token_goes_along_and_is_asked_for_once() -> None:
    with ScriptedServer(lambda _: STORED) as server, wired(server.url, Tokens()) as send:
        send()
        send()

    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer token-1"] * 2


def test_a_token_that_is_refused_is_renewed_once() -> None:
    with ScriptedServer(in_a_row(Reply(401), STORED)) as server, wired(server.url, Tokens()) as send:
        send()

    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer token-1", "Bearer token-2"]
    assert server.asked[0].body.partition(b"{")[2] != b""


def test_nobody_in_particular_has_no_token() -> None:
    with ScriptedServer(lambda _: STORED) as server, wired(server.url, AnonymousCredentials()) as send:
        send()

    assert "authorization" not in server.asked[0].headers


# the pace


@pytest.mark.parametrize(
    ("refusal", "limit"),
    [
        pytest.param(Reply(429), 4, id="429"),
        pytest.param(Reply(503), 4, id="503"),
        pytest.param(Reply(403, b'{"error": {"errors": [{"reason": "rateLimitExceeded"}]}}'), 4, id="403, by its word"),
        pytest.param(Reply(500), 8, id="500 is no word of how much"),
    ],
)
def test_a_bucket_that_has_too_much_to_do_is_sent_half_as_many_files_at_a_time(refusal: Reply, limit: int) -> None:
    pace = Pace(8, processors=8)
    with (
        ScriptedServer(in_a_row(refusal, STORED)) as server,
        closing(Wire(server.url, AnonymousCredentials(), pace, Lines(1))) as wire,
    ):
        wire.insist("GET", "/storage/v1/b/models/o/x", {})

    assert (pace.lane(1).limit, pace.lane(LARGE).limit) == (limit, limit)


# sessions


@pytest.mark.parametrize("location", ["/upload/here?upload_id=a-secret", "http://198.51.100.7/upload/here?upload_id=a"])
def test_the_bytes_go_to_the_server_that_we_know_whatever_it_says(location: str) -> None:
    def script(asked: Asked) -> Reply:
        return session(location) if asked.path.startswith("/upload/storage") else Reply(409)

    with ScriptedServer(script) as server, pytest.raises(NeedsPerson):
        put(server.url, LARGE)

    sent = server.asked[-1]
    assert (sent.path.partition("=")[0], len(sent.body)) == ("/upload/here?upload_id", LARGE)
    assert sent.headers["content-range"] == f"bytes 0-{LARGE - 1}/{LARGE}"
    assert "transfer-encoding" not in sent.headers


def test_a_session_is_in_no_log_and_in_no_message(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        ScriptedServer(in_a_row(session(), Reply(503), Reply(503), Reply(503), Reply(503))) as server,
        pytest.raises(TryAgain) as raised,
    ):
        put(server.url, LARGE)

    assert "a-secret" not in caplog.text + repr(raised.value)


def stored(size: int) -> Reply:
    said = {"size": str(size), "crc32c": crc32c(b"x" * size), "generation": "7"}
    return Reply(body=json.dumps(said).encode())


@pytest.mark.parametrize("status", [404, 410])
def test_an_upload_that_the_bucket_has_forgotten_is_begun_anew(status: int) -> None:
    again = session("/upload/again?upload_id=another")
    with ScriptedServer(in_a_row(session(), Reply(status), again, stored(LARGE))) as server:
        put(server.url, LARGE)

    assert [(asked.path.partition("?")[0], len(asked.body)) for asked in server.asked[1::2]] == [
        ("/upload/here", LARGE),
        ("/upload/again", LARGE),
    ]


def test_a_bucket_that_forgets_every_upload_is_for_another_time() -> None:
    def script(asked: Asked) -> Reply:
        return session() if asked.path.startswith("/upload/storage") else Reply(404)

    with ScriptedServer(script) as server, pytest.raises(TryAgain, match=f"has forgotten the upload {BREAKS} times"):
        put(server.url, LARGE)


@pytest.mark.parametrize("location", ["", "https://storage.example.com", "nonsense", "/up load?id=a", "/ä?id=a"])
def test_a_session_without_an_address_is_for_another_time(location: str) -> None:
    with ScriptedServer(lambda _: session(location)) as server, pytest.raises(TryAgain, match="did not say where"):
        put(server.url, LARGE)


def test_a_large_file_whose_connection_breaks_goes_on_where_the_bucket_is() -> None:
    kept = Reply(308, headers={"Range": f"bytes=0-{4 * MIB - 1}"})
    with ScriptedServer(in_a_row(session(), HANG_UP, HANG_UP, kept, stored(LARGE))) as server:
        put(server.url, LARGE)

    assert [asked.headers.get("content-range") for asked in server.asked[1:]] == [
        f"bytes 0-{LARGE - 1}/{LARGE}",
        f"bytes */{LARGE}",
        f"bytes */{LARGE}",
        f"bytes {4 * MIB}-{LARGE - 1}/{LARGE}",
    ]
    assert len(server.asked[-1].body) == LARGE - 4 * MIB


def test_a_bucket_that_takes_nothing_is_for_another_time_and_the_upload_is_kept() -> None:
    def script(asked: Asked) -> Reply:
        if asked.path.startswith("/upload/storage"):
            return session()
        return Reply(308) if asked.headers["content-range"].startswith("bytes */") else HANG_UP

    uploads = MemoryStore()
    with (
        ScriptedServer(script) as server,
        pytest.raises(TryAgain, match=f"does not get beyond 0 of {LARGE} bytes"),
    ):
        put(server.url, LARGE, uploads)

    upload = uploads.upload(f"{FOLDER}model.bin")
    assert upload is not None
    assert upload.address == "/upload/here?upload_id=a-secret"
    assert "a-secret" not in repr(upload)


def test_an_upload_is_gone_on_with_by_another_process() -> None:
    uploads = MemoryStore()
    uploads.save_upload(
        Upload(f"{FOLDER}model.bin", "/upload/old?upload_id=o", "session", LARGE, None, "2026-01-05T09:00:00+00:00")
    )
    kept = Reply(308, headers={"Range": f"bytes=0-{8 * MIB - 1}"})
    with ScriptedServer(in_a_row(kept, stored(LARGE))) as server:
        put(server.url, LARGE, uploads)

    assert [(asked.path, len(asked.body)) for asked in server.asked] == [
        ("/upload/old?upload_id=o", 0),
        ("/upload/old?upload_id=o", LARGE - 8 * MIB),
    ]
    assert uploads.upload(f"{FOLDER}model.bin") is None


def test_an_upload_that_may_not_be_gone_on_with_is_given_up() -> None:
    def script(asked: Asked) -> Reply:
        return session() if asked.path.startswith("/upload/storage") else Reply(401)

    with ScriptedServer(script) as server, pytest.raises(NeedsPerson, match=r"refuses access \(HTTP 401\)"):
        put(server.url, LARGE)

    bodies = [asked for asked in server.asked if asked.headers.get("content-range", "").startswith("bytes 0-")]
    assert len(bodies) == BREAKS + 1


@pytest.mark.parametrize("status", [400, 403, 404, 410, 412])
def test_an_upload_that_cannot_be_gone_on_with_is_begun_anew(status: int) -> None:
    uploads = MemoryStore()
    uploads.save_upload(
        Upload(f"{FOLDER}model.bin", "/upload/old?upload_id=o", "session", LARGE, None, "2026-01-05T09:00:00+00:00")
    )
    with ScriptedServer(in_a_row(Reply(status), session(), stored(LARGE))) as server:
        put(server.url, LARGE, uploads)

    assert len(server.asked[-1].body) == LARGE


def test_an_upload_of_other_bytes_is_not_gone_on_with() -> None:
    uploads = MemoryStore()
    uploads.save_upload(
        Upload(f"{FOLDER}model.bin", "/upload/old?upload_id=o", "session", 7, None, "2026-01-05T09:00:00+00:00")
    )
    with ScriptedServer(in_a_row(session(), stored(LARGE))) as server:
        put(server.url, LARGE, uploads)

    assert all(not asked.path.startswith("/upload/old") for asked in server.asked)


# answers


def test_a_small_file_is_sent_again_when_the_connection_breaks() -> None:
    with ScriptedServer(in_a_row(HANG_UP, Reply(503), STORED)) as server:
        put(server.url)

    bodies = [asked.body for asked in server.asked]
    assert len(bodies) == 3
    assert len(set(bodies)) == 1
    assert CONTENT in bodies[0]


@pytest.mark.parametrize("size", [len(CONTENT), LARGE])
@pytest.mark.parametrize("status", [301, 302, 307, 400, 409, 418, 599])
def test_what_a_refusal_says_is_not_repeated_and_no_redirect_is_followed(size: int, status: int) -> None:
    refusal = Reply(status, b"s3cret-words", {"Location": "/elsewhere"})
    with ScriptedServer(lambda _: refusal) as server, pytest.raises(BridgeError) as raised:
        put(server.url, size)

    assert "s3cret-words" not in repr(raised.value)
    assert {asked.path.partition("?")[0] for asked in server.asked} == {"/upload/storage/v1/b/models/o"}


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"size": "x", "crc32c": "", "generation": 1}', b"\xff"]
)
def test_an_answer_that_tells_of_no_object_is_for_another_time(body: bytes) -> None:
    with ScriptedServer(lambda _: Reply(body=body)) as server, pytest.raises(TryAgain, match="its answer"):
        put(server.url)


def test_how_long_a_bucket_wants_to_be_left_alone_is_passed_on() -> None:
    with (
        ScriptedServer(lambda _: Reply(429, headers={"Retry-After": "7"})) as server,
        pytest.raises(TryAgain) as raised,
    ):
        put(server.url)

    assert raised.value.after == 7


def test_a_try_waits_as_long_as_the_bucket_asks_for_but_not_for_hours() -> None:
    assert wait_for(Unwell("HTTP 429", 7.0)) == 7.0
    assert wait_for(Unwell("HTTP 429", 86400.0)) == LONGEST_WAIT
    assert wait_for(Unwell("HTTP 503")) is True
    assert wait_for(TryAgain("the source was unwell")) is False


# ways


def test_a_host_is_asked_over_as_many_connections_as_there_may_be_whoever_asks_and_no_more() -> None:
    together, guard, now = threading.Barrier(2), threading.Lock(), 0
    most = 0

    def script(_: Asked) -> Reply:
        nonlocal now, most
        with guard:
            now += 1
            most = max(most, now)
        together.wait(10)
        threading.Event().wait(0.05)  # in which more would come, if more might
        with guard:
            now -= 1
        return STORED

    budget = Budget(FakeClock(), CopySettings(per_host=2))
    with (
        ScriptedServer(script) as server,
        closing(bucket_at(server.url, budget=budget)) as one,
        closing(bucket_at(server.url, budget=budget)) as other,
        ThreadPoolExecutor(6) as pool,
    ):
        file = ArtifactFile("model.bin", len(CONTENT), None)
        turns = enumerate((one, other) * 3)
        sent = [pool.submit(storage.put, f"{FOLDER}{number}/", file, reading(CONTENT)) for number, storage in turns]
        assert [each.result().size for each in sent] == [len(CONTENT)] * 6
    assert most == 2


def test_the_environments_proxy_is_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ScriptedServer(lambda _: STORED) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        with wired("http://storage.test", AnonymousCredentials()) as send:
            send()
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with wired(proxy.url, AnonymousCredentials()) as send:
            send()

    assert [asked.path.partition("/upload")[0] for asked in proxy.asked] == ["http://storage.test", ""]
