"""The GCS stand-in, asked by the real client, and by raw requests where the client never goes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

import google_crc32c
import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage  # noqa: TID251  the real client is what the stand-in is tested with
from google.cloud.storage import transfer_manager  # noqa: TID251  the same
from google.cloud.storage._media.requests import XMLMPUPart  # noqa: TID251  the same
from google.cloud.storage.exceptions import DataCorruption  # noqa: TID251  the same

from bridge.sandbox.clock import SandboxClock
from bridge.sandbox.gcs import routes_xml
from bridge.sandbox.gcs.database import CHECKPOINT_EVERY
from bridge.sandbox.gcs.hashes import Digests, crc32c_of_joined
from bridge.sandbox.gcs.server import GcsServer
from bridge.sandbox.traffic import Call, Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.sandbox

Client = Any  # the client library has no types
Bucket = Any
KIB = 1 << 10
MIB = 1 << 20
WEEK = 7 * 24 * 3600
NUMBERS = itertools.count()
NASTY = "d/möd v1#?%41 +.bin"


def md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def crc32c(body: bytes) -> str:
    return base64.b64encode(google_crc32c.value(body).to_bytes(4, "big")).decode()


@contextmanager
def running(data: Path, clock: SandboxClock | None = None) -> Iterator[GcsServer]:
    server = GcsServer(data, traffic=Traffic(), clock=clock or SandboxClock())
    server.start()
    try:
        yield server
    finally:
        server.stop()


def client_of(url: str) -> Client:
    options = {"api_endpoint": url}
    return storage.Client(project="p", credentials=AnonymousCredentials(), client_options=options)


@pytest.fixture(scope="module", autouse=True)
def _no_hidden_requests() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        yield


@pytest.fixture(scope="module")
def clock() -> SandboxClock:
    return SandboxClock()


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return Traffic()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, clock: SandboxClock, traffic: Traffic) -> Iterator[GcsServer]:
    server = GcsServer(tmp_path_factory.mktemp("gcs"), traffic=traffic, clock=clock)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def client(server: GcsServer) -> Iterator[Client]:
    with closing(client_of(server.url)) as client:
        yield client


@pytest.fixture
def bucket(client: Client) -> Bucket:
    return client.create_bucket(f"bucket-{next(NUMBERS)}")


class Http:
    """Raw requests, for what the client cannot be made to send."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:  # noqa: ANN401
        url = path if path.startswith("http") else self.url + path
        return self.session.request(method, url, allow_redirects=False, timeout=30, **options)

    def start_session(
        self, bucket: str, name: str, query: str = "", headers: dict[str, str] | None = None, **resource: str
    ) -> str:
        started = self(
            "POST",
            f"/upload/storage/v1/b/{bucket}/o?uploadType=resumable{query}",
            json={"name": name, **resource},
            headers=headers or {},
        )
        assert started.status_code == 200, started.text
        return started.headers["Location"]

    def put(self, session: str, content_range: str | None, body: bytes = b"", **more: str) -> requests.Response:
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        if content_range is not None:
            headers["Content-Range"] = content_range
        return self("PUT", session, data=body, headers=headers)


@pytest.fixture(scope="module")
def http(server: GcsServer) -> Iterator[Http]:
    http = Http(server.url)
    yield http
    http.session.close()


def reason(response: requests.Response) -> str:
    error = response.json()["error"]
    assert error["code"] == response.status_code
    assert error["message"]
    text: str = error["errors"][0]["reason"]
    return text


# Buckets


def test_a_bucket_is_created_found_listed_and_deleted(client: Client) -> None:
    bucket = client.create_bucket("some-bucket", location="europe-west4")
    assert client.get_bucket("some-bucket").location == "EUROPE-WEST4"
    assert bucket.exists()
    assert "some-bucket" in [found.name for found in client.list_buckets(page_size=1)]
    assert [found.name for found in client.list_buckets(prefix="some-b")] == ["some-bucket"]
    bucket.delete()
    assert not bucket.exists()
    with pytest.raises(exceptions.NotFound):
        bucket.delete()


def test_a_bucket_of_a_taken_name_is_a_conflict(client: Client, bucket: Bucket) -> None:
    with pytest.raises(exceptions.Conflict):
        client.create_bucket(bucket.name)


def test_a_bucket_with_objects_cannot_be_deleted(bucket: Bucket) -> None:
    bucket.blob("x").upload_from_string(b"x")
    with pytest.raises(exceptions.Conflict):
        bucket.delete()
    bucket.delete(force=True)
    assert not bucket.exists()


def test_a_bucket_name_must_be_one(http: Http) -> None:
    assert reason(http("POST", "/storage/v1/b?project=p", json={"name": "No"})) == "invalid"
    assert reason(http("POST", "/storage/v1/b?project=p", json={})) == "invalid"


def test_a_patch_of_a_bucket_merges_and_counts(bucket: Bucket) -> None:
    bucket.labels = {"a": "1", "b": "2"}
    bucket.patch()
    assert bucket.metageneration == 2
    labels = bucket.labels
    del labels["a"]
    bucket.labels = labels
    bucket.patch(if_metageneration_match=2)
    assert bucket.labels == {"b": "2"}
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.patch(if_metageneration_match=2)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.reload(if_metageneration_match=2)
    bucket.update()
    assert bucket.metageneration == 4


def test_everybody_may_do_everything_in_a_bucket(bucket: Bucket, http: Http) -> None:
    assert bucket.test_iam_permissions(["storage.objects.get"]) == ["storage.objects.get"]
    assert bucket.test_iam_permissions([]) == []
    assert list(bucket.get_iam_policy()) == []
    layout = http("GET", f"/storage/v1/b/{bucket.name}/storageLayout").json()
    assert layout["hierarchicalNamespace"] == {"enabled": False}


@pytest.mark.parametrize(
    "resource",
    [{"retentionPolicy": {"retentionPeriod": "1"}}, {"hierarchicalNamespace": {"enabled": True}}],
)
def test_what_a_bucket_cannot_obey_is_refused(http: Http, resource: dict[str, Any]) -> None:
    refused = http("POST", "/storage/v1/b?project=p", json={"name": "obedient", **resource})
    assert (refused.status_code, reason(refused)) == (501, "notImplemented")


# Uploads in one request


@pytest.mark.parametrize("body", [b"", b"hello", b"\r\n--==", os.urandom(3 * MIB), b"\r\n--" * 100_000])
def test_what_is_uploaded_is_what_is_downloaded(bucket: Bucket, body: bytes) -> None:
    blob = bucket.blob(NASTY)
    blob.metadata = {"ü": "ö"}
    blob.upload_from_string(body, content_type="text/plain")
    assert (blob.size, blob.crc32c, blob.md5_hash) == (len(body), crc32c(body), md5(body))
    assert (blob.metageneration, blob.content_type) == (1, "text/plain")
    assert blob.download_as_bytes() == body
    again = bucket.get_blob(NASTY)  # with metadata loaded the client follows the mediaLink
    assert again.download_as_bytes() == body
    assert again.metadata == {"ü": "ö"}
    assert again.storage_class == "STANDARD"


def test_numbers_are_strings_and_links_follow_the_host_header(bucket: Bucket, http: Http) -> None:
    bucket.blob(NASTY).upload_from_string(b"x")
    path = f"/storage/v1/b/{bucket.name}/o/{quote(NASTY, safe='')}"
    resource = http("GET", path, headers={"Host": "sandbox.example:81"}).json()
    assert all(isinstance(resource[key], str) for key in ("size", "generation", "metageneration"))
    assert resource["mediaLink"].startswith(f"http://sandbox.example:81/download{path}?generation=")
    assert resource["id"] == f"{bucket.name}/{NASTY}/{resource['generation']}"


def test_a_media_upload_needs_no_resource(bucket: Bucket, http: Http, server: GcsServer) -> None:
    path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=media&contentEncoding=gzip&name=a%2Fb"
    answer = http("POST", path, data=iter([b"he", b"llo"]), headers={"Content-Type": "text/x"})  # chunked
    assert answer.json()["contentType"] == "text/x"
    assert answer.json()["contentEncoding"] == "gzip"
    assert server.object_names(bucket.name) == ["a/b"]


def test_a_multipart_upload_may_end_its_lines_in_lf(bucket: Bucket, http: Http) -> None:
    body = b'--b\n\n{"name": "lf"}\n--b\ncontent-type: text/x\n\na\r\n\n--b--'
    answer = http(
        "POST",
        f"/upload/storage/v1/b/{bucket.name}/o?uploadType=multipart",
        data=body,
        headers={"Content-Type": "multipart/related; boundary=b"},
    )
    assert answer.json()["contentType"] == "text/x"
    assert bucket.blob("lf").download_as_bytes() == b"a\r\n"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/related", b""),
        ("multipart/related; boundary=b", b"--c\r\n\r\n"),
        ("multipart/related; boundary=b", b"--b\r\n\r\n[]\r\n--b\r\n\r\nx\r\n--b--"),
        ("multipart/related; boundary=b", b"--b\r\n\r\n{\r\n--b\r\n\r\nx\r\n--b--"),
        ("multipart/related; boundary=b", b"--b\r\n\r\n{}\r\n--b\r\n\r\nx\r\n--b--"),
        ("multipart/related; boundary=b", b'--b\r\n\r\n{"name": "x"}\r\n--b\r\n\r\nx'),
        ("multipart/related; boundary=b", b"--b\r\n\r\n" + b" " * (9 * MIB)),
    ],
    ids=["no boundary", "another boundary", "no object", "no JSON", "no name", "no end", "endless JSON"],
)
def test_a_malformed_multipart_upload_is_refused(
    bucket: Bucket, http: Http, server: GcsServer, content_type: str, body: bytes
) -> None:
    path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=multipart"
    answer = http("POST", path, data=body, headers={"Content-Type": content_type})
    assert (answer.status_code, reason(answer)) == (400, "invalid")
    assert server.object_names(bucket.name) == []


@pytest.mark.parametrize("name", [".", "a\nb", "x" * 1025, "\udc80", 7])
def test_a_bad_object_name_is_refused(bucket: Bucket, http: Http, name: object) -> None:
    path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable"
    assert reason(http("POST", path, json={"name": name})) == "invalid"


def test_an_upload_into_a_missing_bucket_is_not_found(client: Client, http: Http) -> None:
    with pytest.raises(exceptions.NotFound):
        client.bucket("nowhere").blob("x").upload_from_string(b"x")
    path = "/upload/storage/v1/b/nowhere/o?uploadType=resumable"
    assert reason(http("POST", path, json={"name": "x"})) == "notFound"


def test_an_upload_of_an_unknown_type_is_refused(bucket: Bucket, http: Http) -> None:
    assert reason(http("POST", f"/upload/storage/v1/b/{bucket.name}/o?uploadType=x")) == "invalid"


def test_encryption_with_other_keys_is_refused(client: Client, bucket: Bucket) -> None:
    with pytest.raises(exceptions.MethodNotImplemented):
        bucket.blob("x", encryption_key=b"k" * 32).upload_from_string(b"x")
    with pytest.raises(exceptions.MethodNotImplemented):
        bucket.blob("x", kms_key_name="k").upload_from_string(b"x")
    assert list(client.list_blobs(bucket)) == []


# Hashes


def _failing_uploads() -> Iterator[Any]:
    wrong_md5, wrong_crc = md5(b"other"), crc32c(b"other")
    yield pytest.param({}, {"md5Hash": wrong_md5}, id="md5Hash in the resource")
    yield pytest.param({}, {"crc32c": wrong_crc}, id="crc32c in the resource")
    yield pytest.param({"X-Goog-Hash": f"md5={md5(b'x')}, crc32c={wrong_crc}"}, {}, id="X-Goog-Hash")
    yield pytest.param({}, {"md5Hash": "bm8="}, id="an md5Hash that is none")
    yield pytest.param({}, {"crc32c": "?"}, id="a crc32c that is none")
    yield pytest.param({"X-Goog-Hash": "sha1=abc"}, {}, id="an unknown hash")


@pytest.mark.parametrize(("headers", "resource"), list(_failing_uploads()))
@pytest.mark.parametrize("kind", ["multipart", "resumable"])
def test_a_wrong_hash_leaves_the_older_object_untouched(
    bucket: Bucket, http: Http, kind: str, headers: dict[str, str], resource: dict[str, str]
) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string(b"old")
    path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType={kind}"
    text = json.dumps({"name": "x", **resource}).encode()
    if kind == "multipart":
        body = b"--b\r\n\r\n" + text + b"\r\n--b\r\n\r\nx\r\n--b--"
        content = {"Content-Type": 'multipart/related; boundary="b"'}
        answer = http("POST", path, data=body, headers={**content, **headers})
    else:
        answer = http("POST", path, data=text)
        if answer.ok:
            session = answer.headers["Location"]
            answer = http("PUT", session, data=b"x", headers={"Content-Range": "bytes 0-0/1", **headers})
            assert http.put(session, "bytes */1").status_code == 410
    assert (answer.status_code, reason(answer)) == (400, "invalid")
    assert bucket.get_blob("x").generation == blob.generation
    assert blob.download_as_bytes() == b"old"


def test_a_wrong_md5_hash_leaves_no_object(bucket: Bucket) -> None:
    blob = bucket.blob("x")
    blob.md5_hash = md5(b"other")
    with pytest.raises(exceptions.BadRequest, match="MD5"):
        blob.upload_from_string(b"x", checksum=None)
    assert not blob.exists()


def test_a_wrong_content_md5_of_a_media_upload_is_refused(bucket: Bucket, http: Http, server: GcsServer) -> None:
    path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=x"
    assert http("POST", path, data=b"x", headers={"Content-MD5": md5(b"y")}).status_code == 400
    assert server.object_names(bucket.name) == []
    assert http("POST", path, data=b"x", headers={"Content-MD5": md5(b"x")}).status_code == 200


@pytest.mark.parametrize("cuts", [(0, 1, 7, 1000), (500,), (0, 0, 1000), (999, 1000)])
def test_the_crc32c_of_joined_pieces_is_that_of_their_bytes(cuts: tuple[int, ...]) -> None:
    body = os.urandom(1000)
    pieces = [body[start:end] for start, end in itertools.pairwise((0, *cuts, 1000))]
    joined = crc32c_of_joined(Digests(len(piece), crc32c(piece), None) for piece in pieces)
    assert joined == Digests(1000, crc32c(body), None)


# Preconditions


def test_generation_zero_means_no_live_object(bucket: Bucket) -> None:
    bucket.blob("x").upload_from_string(b"first", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("x").upload_from_string(b"second", if_generation_match=0)
    assert bucket.blob("x").download_as_bytes() == b"first"


CONDITIONS = (
    "if_generation_match",
    "if_generation_not_match",
    "if_metageneration_match",
    "if_metageneration_not_match",
)
ACTS: dict[str, Callable[[Any, dict[str, int]], object]] = {
    "upload": lambda blob, when: blob.upload_from_string(b"new", **when),
    "reload": lambda blob, when: blob.reload(**when),
    "download": lambda blob, when: blob.download_as_bytes(**when),
    "patch": lambda blob, when: blob.patch(**when),
    "update": lambda blob, when: blob.update(**when),
    "rewrite": lambda blob, when: blob.rewrite(blob.bucket.blob("source"), **when),
    "compose": lambda blob, when: blob.compose([blob.bucket.blob("source")], **when),
    "copy": lambda blob, when: blob.bucket.copy_blob(blob.bucket.blob("source"), blob.bucket, "x", **when),
    "delete": lambda blob, when: blob.delete(**when),
}


@pytest.mark.parametrize(
    ("act", "condition"),
    [
        (act, condition)
        for act in ACTS
        for condition in CONDITIONS
        if not (act == "compose" and "not" in condition)  # the client's compose has none of these
    ],
)
def test_a_condition_that_fails_changes_nothing(bucket: Bucket, act: str, condition: str) -> None:
    bucket.blob("source").upload_from_string(b"source")
    blob = bucket.blob("x")
    blob.upload_from_string(b"x")
    now = blob.generation if "_generation" in condition else blob.metageneration
    wrong, right = (now, now + 1) if "not" in condition else (now + 1, now)
    reads = act in {"reload", "download"} and "not" in condition
    with pytest.raises(exceptions.NotModified if reads else exceptions.PreconditionFailed):
        ACTS[act](bucket.blob("x"), {condition: wrong})
    assert bucket.get_blob("x").generation == blob.generation
    assert bucket.get_blob("x").metageneration == 1
    assert blob.download_as_bytes() == b"x"
    ACTS[act](bucket.blob("x"), {condition: right})


def test_a_condition_on_the_source_of_a_copy_is_checked(bucket: Bucket) -> None:
    source = bucket.blob("source")
    source.upload_from_string(b"source")
    for act in (ACTS["rewrite"], ACTS["copy"]):
        for condition in ("if_source_generation_match", "if_source_metageneration_match"):
            with pytest.raises(exceptions.PreconditionFailed):
                act(bucket.blob("x"), {condition: 9})
        assert not bucket.blob("x").exists()
    compose = bucket.blob("x").compose
    with pytest.raises(exceptions.PreconditionFailed):
        compose([source], if_source_generation_match=[9])
    compose([source], if_source_generation_match=[source.generation])


def test_a_not_match_condition_fails_without_an_object(bucket: Bucket, http: Http) -> None:
    for query in ("ifGenerationNotMatch=5", "ifMetaGenerationNotMatch=5"):
        path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=x&{query}"
        assert http("POST", path, data=b"x").status_code == 412


def test_a_condition_that_is_no_number_is_refused(bucket: Bucket, http: Http) -> None:
    path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=x&ifGenerationMatch=x"
    assert reason(http("POST", path, data=b"x")) == "invalid"


def test_etags_are_conditions_too(bucket: Bucket) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string(b"x")
    blob.reload(if_etag_match=[blob.etag, "other"])
    blob.reload(if_etag_not_match="other")
    with pytest.raises(exceptions.PreconditionFailed):
        blob.reload(if_etag_match="other")
    with pytest.raises(exceptions.NotModified):
        blob.reload(if_etag_not_match=blob.etag)


def test_one_of_many_writers_wins(bucket: Bucket, http: Http) -> None:
    path = f"{http.url}/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=x&ifGenerationMatch=0"

    def write(number: int) -> int:
        with requests.Session() as session:
            return session.post(path, data=bytes([number]) * (2 * MIB), timeout=30).status_code

    with ThreadPoolExecutor(8) as writers:
        assert sorted(writers.map(write, range(8))) == [200] + [412] * 7
    assert len(set(bucket.blob("x").download_as_bytes())) == 1


def test_the_condition_of_a_session_is_about_its_completion(bucket: Bucket, http: Http) -> None:
    session = http.start_session(bucket.name, "x", "&ifGenerationMatch=0")
    assert http.put(session, "bytes 0-0/2", b"a").status_code == 308
    bucket.blob("x").upload_from_string(b"faster")
    assert reason(http.put(session, "bytes 1-1/2", b"b")) == "conditionNotMet"
    assert bucket.blob("x").download_as_bytes() == b"faster"
    assert http.put(session, "bytes */2").status_code == 410


# Resumable uploads


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("size", [0, 1, 256 * KIB, 512 * KIB, 600 * KIB])
def test_the_client_uploads_in_chunks(bucket: Bucket, size: int, known: bool) -> None:  # noqa: FBT001
    body = os.urandom(size)
    blob = bucket.blob(NASTY, chunk_size=256 * KIB)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("google.cloud.storage.blob._MAX_MULTIPART_SIZE", -1)
        blob.upload_from_file(io.BytesIO(body), size=size if known else None, content_type="text/x")
    assert (blob.md5_hash, blob.content_type) == (md5(body), "text/x")
    assert blob.download_as_bytes() == body


def test_a_large_body_goes_through_a_session_in_one_piece(bucket: Bucket) -> None:
    body = os.urandom(9 * MIB)
    blob = bucket.blob("large")
    blob.upload_from_string(body)
    assert blob.md5_hash == md5(body)
    assert bucket.get_blob("large").download_as_bytes() == body


def test_a_session_says_how_much_it_holds(bucket: Bucket, http: Http) -> None:
    session = http.start_session(bucket.name, "x")
    for question in ("bytes */*", "bytes */5"):
        asked = http.put(session, question)
        assert (asked.status_code, asked.headers.get("Range")) == (308, None)
    assert http.put(session, "bytes 0-2/*", b"abc").headers["Range"] == "bytes=0-2"
    assert http.put(session, "bytes */*").headers["Range"] == "bytes=0-2"
    go = http.put(session, "bytes */*", X_GUploader_No_308="yes")
    assert (go.status_code, go.headers["X-Http-Status-Code-Override"]) == (200, "308")
    assert go.headers["Range"] == "bytes=0-2"


def test_bytes_that_are_held_are_skipped(bucket: Bucket, http: Http) -> None:
    session = http.start_session(bucket.name, "x")
    http.put(session, "bytes 0-2/5", b"abc")
    assert http.put(session, "bytes 0-1/5", b"XY").headers["Range"] == "bytes=0-2"
    assert http.put(session, "bytes 1-4/5", b"XYde").json()["md5Hash"] == md5(b"abcde")


def test_a_session_completes_when_told_the_size_it_holds(bucket: Bucket, http: Http, traffic: Traffic) -> None:
    session = http.start_session(bucket.name, "x")
    http.put(session, "bytes 0-2/*", b"abc")
    traffic.reset()
    assert http.put(session, "bytes */3").json()["size"] == "3"
    assert traffic.count(write=True) == 1
    assert http.put(http.start_session(bucket.name, "empty"), "bytes */0").json()["size"] == "0"


def test_a_completed_session_keeps_answering_with_its_object(bucket: Bucket, http: Http) -> None:
    session = http.start_session(bucket.name, "x")
    first = http.put(session, None, b"abc").json()
    bucket.blob("x").upload_from_string(b"other")
    for content_range in ("bytes */*", "bytes */3", "bytes 0-2/3"):
        assert http.put(session, content_range).json() == first
    http("DELETE", session)
    assert http.put(session, "bytes */3").json() == first


def test_the_session_of_a_go_client_is_continued_by_post(bucket: Bucket, http: Http) -> None:
    session = http.start_session(bucket.name, "x").replace("/upload/", "/resumable/upload/")
    answer = http("POST", session, data=b"abc", headers={"Content-Range": "bytes 0-2/3"})
    assert answer.json()["name"] == "x"


def test_a_session_remembers_what_its_start_said(bucket: Bucket, http: Http) -> None:
    headers = {"X-Upload-Content-Type": "text/x", "X-Upload-Content-Length": "3"}
    session = http.start_session(bucket.name, "x", headers=headers, md5Hash=md5(b"abc"))
    assert http.put(session, "bytes 0-0/2", b"a").status_code == 400
    assert http.put(session, None, b"abcd").status_code == 400
    assert http.put(session, "bytes */*").headers["Range"] == "bytes=0-2"  # those that fitted are held
    assert http.put(session, "bytes */3").json()["contentType"] == "text/x"


@pytest.mark.parametrize(
    ("content_range", "body"),
    [
        ("bytes 5-9/10", b"fghij"),
        ("bytes 0-1/10", b"abcd"),
        ("bytes 3-1/10", b"ab"),
        ("bytes 0-9/5", b"abcdefghij"),
        ("bytes */2", b""),
        ("chunks 1", b""),
    ],
    ids=["gap", "too many bytes", "backwards", "beyond the end", "fewer than held", "nonsense"],
)
def test_a_chunk_that_makes_no_sense_is_refused(bucket: Bucket, http: Http, content_range: str, body: bytes) -> None:
    session = http.start_session(bucket.name, "x")
    http.put(session, "bytes 0-2/*", b"abc")
    assert reason(http.put(session, content_range, body)) == "invalid"
    assert http.put(session, "bytes */*").headers["Range"] == "bytes=0-2"


def test_a_start_with_a_length_that_is_no_number_is_refused(bucket: Bucket, http: Http) -> None:
    path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable"
    answer = http("POST", path, json={"name": "x"}, headers={"X-Upload-Content-Length": "x"})
    assert reason(answer) == "invalid"


def test_a_cancelled_session_is_gone(bucket: Bucket, http: Http) -> None:
    untouched, begun = (http.start_session(bucket.name, "x") for _ in range(2))
    http.put(begun, "bytes 0-2/*", b"abc")
    for session in (untouched, begun):
        assert http("DELETE", session).status_code == 499
        assert http.put(session, "bytes */*").status_code == 410
        assert http("DELETE", session).status_code == 410
    assert http.put(begun.replace("upload_id=", "upload_id=x"), "bytes 0-2/3", b"abc").status_code == 404


def test_a_session_lives_for_a_week(tmp_path: Path) -> None:
    clock = SandboxClock()
    with running(tmp_path, clock) as server, closing(client_of(server.url)) as client:
        client.create_bucket("bkt")
        http = Http(server.url)
        with http.session:
            session = http.start_session("bkt", "x")
            http.put(session, "bytes 0-0/*", b"a")
            clock.advance(WEEK - 60)
            assert http.put(session, "bytes */*").status_code == 308
            clock.advance(60)
            assert http.put(session, "bytes */*").status_code == 410
    with running(tmp_path, clock) as server:
        assert list((tmp_path / "bodies").iterdir()) == []


@contextmanager
def half_a_put(url: str, content_range: str, size: int, part: bytes) -> Iterator[socket.socket]:
    """Send the head of a PUT of `size` bytes and the first of them; the rest is up to the block."""
    parts = urlsplit(url)
    head = (
        f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Length: {size}\r\nContent-Range: {content_range}\r\n\r\n"
    )
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30) as connection:
        connection.sendall(head.encode() + part)
        yield connection


def held_bytes(http: Http, session: str, wanted: Callable[[int], bool]) -> int:
    """Ask until the answer is as wanted: the server learns of a body, or of its end, in its own time."""
    for _ in range(5000):
        match = re.fullmatch(r"bytes=0-(\d+)", http.put(session, "bytes */*").headers.get("Range", ""))
        held = int(match[1]) + 1 if match else 0
        if wanted(held):
            return held
    raise AssertionError(held)


def test_a_connection_that_breaks_keeps_what_arrived(bucket: Bucket, http: Http) -> None:
    session = http.start_session(bucket.name, "x")
    body = os.urandom(3 * MIB)
    sent = 2 * MIB + 5
    with half_a_put(session, f"bytes 0-{len(body) - 1}/{len(body)}", len(body), body[:sent]):
        pass
    held_bytes(http, session, lambda held: held == sent)
    rest = http.put(session, f"bytes {sent}-{len(body) - 1}/{len(body)}", body[sent:])
    assert rest.json()["md5Hash"] == md5(body)


def test_a_request_takes_over_from_one_that_hangs(bucket: Bucket, http: Http) -> None:
    session = http.start_session(bucket.name, "x")
    body = os.urandom(3 * MIB)
    whole = f"bytes 0-{len(body) - 1}/{len(body)}"
    with half_a_put(session, whole, len(body), body[: 2 * MIB]) as hanging:
        held_bytes(http, session, lambda held: held > 0)
        assert http.put(session, whole, body).json()["md5Hash"] == md5(body)
        hanging.sendall(b"?" * MIB)
        assert hanging.recv(12) == b"HTTP/1.1 503"
    assert bucket.blob("x").download_as_bytes() == body


def test_a_cancelled_session_takes_no_more_bytes(bucket: Bucket, http: Http, server: GcsServer) -> None:
    session = http.start_session(bucket.name, "x")
    with half_a_put(session, f"bytes 0-{3 * MIB - 1}/*", 3 * MIB, bytes(2 * MIB)) as hanging:
        held_bytes(http, session, lambda held: held > 0)
        assert http("DELETE", session).status_code == 499
        hanging.sendall(bytes(MIB))
        assert hanging.recv(12) == b"HTTP/1.1 503"
    assert server.object_names(bucket.name) == []


def test_clients_that_stall_block_nobody(bucket: Bucket, http: Http) -> None:
    with ExitStack() as stalled:
        for number in range(20):
            session = http.start_session(bucket.name, f"slow-{number}")
            stalled.enter_context(half_a_put(session, f"bytes 0-{4 * MIB - 1}/*", 4 * MIB, bytes(MIB)))
        body = os.urandom(2 * MIB)
        bucket.blob("quick").upload_from_string(body)
        assert bucket.get_blob("quick").download_as_bytes() == body


# Downloads


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=2-5", range(2, 6)),
        ("bytes=2-", range(2, 10)),
        ("bytes=2-99", range(2, 10)),
        ("bytes=-3", range(7, 10)),
        ("bytes=-99", range(10)),
        ("bytes=0-9", range(10)),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=0-1,4-5", None),
        ("lines=1-2", None),
    ],
)
@pytest.mark.parametrize("api", ["/storage/v1/b/{}/o/x?alt=media", "/download/storage/v1/b/{}/o/x?alt=media", "/{}/x"])
def test_a_range_is_answered_in_part(bucket: Bucket, http: Http, api: str, wanted: str, part: range | None) -> None:
    bucket.blob("x").upload_from_string(b"0123456789")
    answer = http("GET", api.format(bucket.name), headers={"Range": wanted})
    if part is None:
        assert (answer.status_code, answer.content) == (200, b"0123456789")
    else:
        assert (answer.status_code, answer.content) == (206, b"0123456789"[part.start : part.stop])
        assert answer.headers["Content-Range"] == f"bytes {part.start}-{part.stop - 1}/10"


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_beyond_the_end_is_not_satisfiable(bucket: Bucket, http: Http, wanted: str) -> None:
    bucket.blob("x").upload_from_string(b"0123456789")
    answer = http("GET", f"/storage/v1/b/{bucket.name}/o/x?alt=media", headers={"Range": wanted})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */10")
    assert http("GET", f"/{bucket.name}/x", headers={"Range": wanted}).status_code == 416


def test_the_client_reads_a_blob_like_a_file(bucket: Bucket) -> None:
    body = os.urandom(700 * KIB)
    blob = bucket.blob("x")
    blob.upload_from_string(body)
    with blob.open("rb", chunk_size=256 * KIB) as file:
        assert file.read(10) == body[:10]
        assert file.read() == body[10:]
        assert file.read() == b""
    assert blob.download_as_bytes(start=5, end=9) == body[5:10]


def test_a_download_says_what_the_object_is(bucket: Bucket, http: Http) -> None:
    blob = bucket.blob("x")
    blob.cache_control = "no-store"
    blob.upload_from_string(b"hello", content_type="text/ü")
    headers = http("GET", f"/storage/v1/b/{bucket.name}/o/x?alt=media").headers
    assert headers["X-Goog-Hash"] == f"crc32c={crc32c(b'hello')},md5={md5(b'hello')}"
    assert headers["X-Goog-Generation"] == str(blob.generation)
    assert headers["X-Goog-Metageneration"] == "1"
    assert headers["X-Goog-Stored-Content-Length"] == headers["Content-Length"] == "5"
    assert headers["X-Goog-Storage-Class"] == "STANDARD"
    assert headers["Cache-Control"] == "no-store"
    assert headers["ETag"] == blob.etag
    assert headers["Last-Modified"].endswith("GMT")
    assert headers["Content-Type"].encode("latin-1").decode() == "text/ü"


def test_a_download_goes_on_while_its_object_is_overwritten(bucket: Bucket, http: Http) -> None:
    body = os.urandom(32 * MIB)
    blob = bucket.blob("x")
    blob.upload_from_string(body)
    with http("GET", f"/storage/v1/b/{bucket.name}/o/x?alt=media", stream=True) as answer:
        bucket.blob("x").upload_from_string(b"new")
        assert answer.content == body


def test_who_hangs_up_is_not_read_for_any_longer(bucket: Bucket, http: Http) -> None:
    bucket.blob("x").upload_from_string(bytes(32 * MIB))
    with http("GET", f"/storage/v1/b/{bucket.name}/o/x?alt=media", stream=True) as answer:
        assert answer.raw.read(10) == bytes(10)
    assert bucket.get_blob("x").size == 32 * MIB


def test_unpacking_gzip_on_the_way_is_refused(bucket: Bucket, http: Http) -> None:
    path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=media&contentEncoding=gzip&name=x"
    packed = gzip.compress(b"hello")
    http("POST", path, data=packed)
    download = f"/storage/v1/b/{bucket.name}/o/x?alt=media"
    assert http("GET", download, headers={"Accept-Encoding": "identity"}).status_code == 501
    assert http("GET", download).content == b"hello"  # requests unpacks it
    assert bucket.blob("x").download_as_bytes(raw_download=True) == packed


# Metadata


def test_a_patch_merges_and_an_update_replaces(bucket: Bucket, http: Http) -> None:
    blob = bucket.blob("x")
    blob.metadata = {"a": "1", "b": "2"}
    blob.upload_from_string(b"x", content_type="text/x")
    generation = blob.generation
    blob.metadata = {"a": None, "c": "3"}
    blob.content_type = "text/y"
    blob.patch()
    assert (blob.generation, blob.metageneration) == (generation, 2)
    assert (blob.metadata, blob.content_type) == ({"b": "2", "c": "3"}, "text/y")
    replaced = http("PUT", f"/storage/v1/b/{bucket.name}/o/x", json={"metadata": {"d": "4", "e": None}}).json()
    assert (replaced["metadata"], replaced["metageneration"]) == ({"d": "4"}, "3")
    assert replaced["contentType"] == "application/octet-stream"
    assert replaced["timeCreated"] <= replaced["updated"]


@pytest.mark.parametrize(("body", "status"), [("{", 400), ("[]", 400), ('{"temporaryHold": true}', 501)])
def test_a_patch_that_cannot_be_obeyed_is_refused(bucket: Bucket, http: Http, body: str, status: int) -> None:
    bucket.blob("x").upload_from_string(b"x")
    assert http("PATCH", f"/storage/v1/b/{bucket.name}/o/x", data=body).status_code == status


def test_an_endless_resource_is_refused(bucket: Bucket, http: Http) -> None:
    answer = http("PATCH", f"/storage/v1/b/{bucket.name}/o/x", data=b" " * (9 * MIB))
    assert (answer.status_code, reason(answer)) == (413, "uploadTooLarge")


def test_what_is_missing_is_not_found(client: Client, bucket: Bucket) -> None:
    for act in ("reload", "download", "patch", "delete", "rewrite", "copy", "compose"):
        with pytest.raises(exceptions.NotFound):
            ACTS[act](bucket.blob("x"), {})
    with pytest.raises(exceptions.NotFound):
        list(client.list_blobs("nowhere"))


def test_a_path_that_is_no_text_or_number_is_refused(bucket: Bucket, http: Http) -> None:
    assert reason(http("GET", f"/storage/v1/b/{bucket.name}/o/%FF")) == "invalid"
    assert reason(http("GET", f"/storage/v1/b/{bucket.name}/o/x?generation=x")) == "invalid"


# Listing


def fill(http: Http, bucket: str, *names: str) -> None:
    for name in names:
        answer = http("POST", f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(name)}", data=b"x")
        assert answer.ok


NAMES = ("a", "a\0", "b/1", "b/2", "b/c/1", "b/c/2", "d", "é/1", "é/2", "\uffff", "\U0001f600", "\U0010ffff/1")


@pytest.fixture(scope="module")
def filled(client: Client, http: Http) -> Bucket:
    bucket = client.create_bucket("filled")
    fill(http, bucket.name, *reversed(NAMES))
    return bucket


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, (list(NAMES), set())),
        ({"delimiter": "/"}, (["a", "a\0", "d", "\uffff", "\U0001f600"], {"b/", "é/", "\U0010ffff/"})),
        ({"delimiter": "/", "prefix": "b/"}, (["b/1", "b/2"], {"b/c/"})),
        ({"delimiter": "/", "prefix": "b/c"}, ([], {"b/c/"})),
        (
            {"delimiter": "/1"},
            (
                ["a", "a\0", "b/2", "b/c/2", "d", "é/2", "\uffff", "\U0001f600"],
                {"b/1", "b/c/1", "é/1", "\U0010ffff/1"},
            ),
        ),
        ({"prefix": "b/c"}, (["b/c/1", "b/c/2"], set())),
        ({"prefix": "\U0010ffff"}, (["\U0010ffff/1"], set())),
        ({"start_offset": "b/2", "end_offset": "d"}, (["b/2", "b/c/1", "b/c/2"], set())),
        ({"start_offset": "b/2", "prefix": "b"}, (["b/2", "b/c/1", "b/c/2"], set())),
        ({"end_offset": "b/2", "prefix": "b"}, (["b/1"], set())),
        ({"prefix": "nothing"}, ([], set())),
    ],
)
def test_a_listing_is_ordered_by_bytes_narrowed_folded_and_paged(
    client: Client, filled: Bucket, query: dict[str, str], expected: tuple[list[str], set[str]], size: int
) -> None:
    listing = client.list_blobs(filled, page_size=size, **query)
    assert ([blob.name for blob in listing], listing.prefixes) == expected


def test_a_page_token_is_a_place_among_the_names(bucket: Bucket, http: Http) -> None:
    fill(http, bucket.name, "a", "b", "c")
    path = f"/storage/v1/b/{bucket.name}/o?maxResults=2&fields=items(name),nextPageToken"
    page = http("GET", path).json()
    assert [item["name"] for item in page["items"]] == ["a", "b"]
    bucket.blob("a").delete()
    fill(http, bucket.name, "b", "bb")
    following = http("GET", path, params={"pageToken": page["nextPageToken"]}).json()
    assert [item["name"] for item in following["items"]] == ["bb", "c"]
    assert "nextPageToken" not in following


@pytest.mark.parametrize("query", ["pageToken=x", "pageToken=eA==", "maxResults=0", "maxResults=x"])
def test_a_page_that_cannot_be_is_refused(bucket: Bucket, http: Http, query: str) -> None:
    assert reason(http("GET", f"/storage/v1/b/{bucket.name}/o?{query}")) == "invalid"


def test_a_listing_by_glob_is_refused_rather_than_wrong(bucket: Bucket, http: Http) -> None:
    assert reason(http("GET", f"/storage/v1/b/{bucket.name}/o?matchGlob=*")) == "notImplemented"
    assert http("GET", f"/storage/v1/b/{bucket.name}/o?softDeleted=False").ok


# Generations


def test_an_overwritten_generation_is_gone(bucket: Bucket) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string(b"old")
    old = blob.generation
    bucket.blob("x").upload_from_string(b"new")
    assert bucket.get_blob("x").generation > old
    assert bucket.get_blob("x", generation=old) is None
    with pytest.raises(exceptions.NotFound):
        blob.download_as_bytes()  # its mediaLink names the generation


def test_a_versioned_bucket_keeps_every_generation(client: Client, bucket: Bucket) -> None:
    bucket.versioning_enabled = True
    bucket.patch()
    generations = []
    for body in (b"one", b"two"):
        blob = bucket.blob("x")
        blob.upload_from_string(body)
        generations.append(blob.generation)
    bucket.blob("x").delete()
    bucket.blob("w").upload_from_string(b"w")
    assert bucket.get_blob("x") is None
    assert bucket.get_blob("x", generation=generations[0]).download_as_bytes() == b"one"
    for size in (1, 2, 100):
        listed = [(blob.name, blob.generation) for blob in client.list_blobs(bucket, versions=True, page_size=size)]
        assert listed[1:] == [("x", generation) for generation in generations]
    assert [blob.name for blob in client.list_blobs(bucket)] == ["w"]
    bucket.blob("x", generation=generations[0]).delete()
    assert bucket.get_blob("x", generation=generations[0]) is None
    assert bucket.get_blob("x", generation=generations[1]).time_deleted is not None
    with pytest.raises(exceptions.Conflict):
        bucket.delete()


# Copies on the server


def test_a_rewrite_keeps_all_metadata(bucket: Bucket, client: Client) -> None:
    source = bucket.blob(NASTY)
    source.metadata = {"a": "1"}
    source.upload_from_string(b"source", content_type="text/x")
    other = client.create_bucket(f"other-{next(NUMBERS)}")
    target = other.blob("copy/" + NASTY)
    assert target.rewrite(source) == (None, 6, 6)
    source.delete()
    target.reload()
    assert (target.metadata, target.content_type, target.metageneration) == ({"a": "1"}, "text/x", 1)
    assert (target.md5_hash, target.download_as_bytes()) == (md5(b"source"), b"source")


def test_a_rewrite_with_properties_replaces_the_metadata(bucket: Bucket) -> None:
    blob = bucket.blob("x")
    blob.metadata = {"a": "1"}
    blob.upload_from_string(b"x", content_type="text/x")
    blob.update_storage_class("NEARLINE")
    assert bucket.get_blob("x").storage_class == "NEARLINE"
    target = bucket.blob("y")
    target.metadata = {"b": "2"}
    target.rewrite(blob)
    assert bucket.get_blob("y").metadata == {"b": "2"}
    assert bucket.get_blob("y").content_type == "text/x"


def test_a_rewrite_may_take_several_calls(server: GcsServer, bucket: Bucket) -> None:
    source = bucket.blob("x")
    source.upload_from_string(b"0123456789")
    server.rewrite_chunk = 4
    try:
        token, *progress = bucket.blob("y").rewrite(source)
        assert progress == [4, 10]
        assert not bucket.blob("y").exists()
        with pytest.raises(exceptions.BadRequest):
            bucket.blob("z").rewrite(source, token=token)
        token, *progress = bucket.blob("y").rewrite(source, token=token)
        assert (token is not None, progress) == (True, [8, 10])
        assert bucket.blob("y").rewrite(source, token=token) == (None, 10, 10)
    finally:
        server.rewrite_chunk = None
    assert bucket.blob("y").download_as_bytes() == b"0123456789"


def test_a_rewrite_token_dies_with_its_source(bucket: Bucket, http: Http) -> None:
    bucket.blob("x").upload_from_string(b"0123456789")
    path = f"/storage/v1/b/{bucket.name}/o/x/rewriteTo/b/{bucket.name}/o/y"
    begun = http("POST", f"{path}?maxBytesRewrittenPerCall=4").json()
    assert (begun["done"], begun["totalBytesRewritten"], begun["objectSize"]) == (False, "4", "10")
    bucket.blob("x").upload_from_string(b"other")
    assert reason(http("POST", f"{path}?rewriteToken={begun['rewriteToken']}")) == "invalid"


@pytest.mark.parametrize(
    "query", ["rewriteToken=x", "rewriteToken=e30=", "maxBytesRewrittenPerCall=x", "sourceGeneration=x"]
)
def test_a_rewrite_that_makes_no_sense_is_refused(bucket: Bucket, http: Http, query: str) -> None:
    bucket.blob("x").upload_from_string(b"x")
    path = f"/storage/v1/b/{bucket.name}/o/x/rewriteTo/b/{bucket.name}/o/y?{query}"
    assert reason(http("POST", path)) == "invalid"


def test_a_copy_of_a_generation_that_is_gone_is_not_found(bucket: Bucket) -> None:
    source = bucket.blob("x")
    source.upload_from_string(b"x")
    with pytest.raises(exceptions.NotFound):
        bucket.blob("y").rewrite(bucket.blob("x", generation=source.generation + 1))
    assert bucket.copy_blob(source, bucket, "y", source_generation=source.generation).md5_hash == md5(b"x")


def test_composing_joins_and_has_no_md5(bucket: Bucket) -> None:
    bodies: list[bytes] = [os.urandom(size) for size in (0, 1, 70_000, 3)]
    sources = [bucket.blob(f"part-{number}") for number in range(len(bodies))]
    for source, part in zip(sources, bodies, strict=True):
        source.upload_from_string(part, content_type="text/x")
    whole = bucket.blob("whole")
    whole.compose(sources)
    assert (whole.md5_hash, whole.component_count, whole.content_type) == (None, 4, "text/x")
    assert (whole.size, whole.crc32c) == (70_004, crc32c(b"".join(bodies)))
    whole.compose([whole, sources[1]])  # onto itself
    assert whole.component_count == 5
    assert whole.download_as_bytes() == b"".join(bodies) + bodies[1]
    copy = bucket.copy_blob(whole, bucket, "copy")
    assert (copy.md5_hash, copy.component_count) == (None, 5)


def test_composing_is_refused_for_none_or_too_many(bucket: Bucket, http: Http) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string(b"x")
    path = f"/storage/v1/b/{bucket.name}/o/whole/compose"
    one = {"name": "x", "generation": None}
    for sources in ([one] * 0, [one] * 33, [{"generation": None}]):
        assert reason(http("POST", path, json={"sourceObjects": sources})) == "invalid"
    assert http("POST", path, json={"sourceObjects": [one] * 32}).json()["componentCount"] == 32


# Batches


def test_a_batch_answers_every_request_in_order(client: Client, bucket: Bucket, traffic: Traffic) -> None:
    blobs = [bucket.blob(name) for name in ("a b", NASTY, "c")]
    for blob in blobs:
        blob.upload_from_string(b"x")
    blobs[0].metadata = {"k": "v"}
    traffic.reset()
    with client.batch(raise_exception=False) as batch:
        blobs[0].patch()
        blobs[1].delete()
        bucket.blob("missing").delete()
        blobs[2].delete(if_generation_match=blobs[2].generation + 1)
    answers = batch._responses  # noqa: SLF001  it has no other way to them
    assert [answer.status_code for answer in answers] == [200, 204, 404, 412]
    assert bucket.get_blob("a b").metadata == {"k": "v"}
    assert traffic.counts()[Call("gcs", "objects.delete", write=True)] == 3
    assert traffic.counts()[Call("gcs", "batch", write=False)] == 1


def batch_body(*requests: str) -> bytes:
    parts = (
        f"--b\r\nContent-Type: application/http\r\nContent-ID: <{number}>\r\n\r\n{request}\r\n\r\n"
        for number, request in enumerate(requests)
    )
    return "".join([*parts, "--b--"]).encode()


def test_a_batch_refers_to_content_ids(bucket: Bucket, http: Http) -> None:
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    body = batch_body(f"GET /storage/v1/b/{bucket.name} HTTP/1.1")
    for path in ("/batch/storage/v1", "/batch"):
        answer = http("POST", path, data=body, headers=headers)
        assert "Content-ID: <response-0>" in answer.text
        assert "HTTP/1.1 200 OK" in answer.text
        assert f"{http.url}/storage/v1/b/{bucket.name}" in answer.text


@pytest.mark.parametrize(
    "body",
    [
        batch_body("GET /download/storage/v1/b/b/o/o HTTP/1.1"),
        batch_body("GET /storage/v1/b/b/o/o?alt=media HTTP/1.1"),
        batch_body("GET"),
        batch_body(*["GET /storage/v1/b HTTP/1.1"] * 1001),
        b"--b\r\n\r\nGET /storage/v1/b HTTP/1.1\r\n",
    ],
    ids=["download", "media", "no request", "too many", "no end"],
)
def test_a_batch_that_makes_no_sense_is_refused(http: Http, body: bytes) -> None:
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    assert reason(http("POST", "/batch/storage/v1", data=body, headers=headers)) == "invalid"


# The XML API


def xml_code(response: requests.Response) -> str:
    assert "<Message>" in response.text
    assert "<Details>" in response.text
    match = re.search("<Code>(.*)</Code>", response.text)
    assert match
    return match[1]


def test_an_object_is_put_read_and_deleted_through_xml(bucket: Bucket, http: Http) -> None:
    path = f"/{bucket.name}/{quote(NASTY)}"
    headers = {
        "Content-Type": "text/x",
        "Cache-Control": "no-store",
        "x-goog-meta-color": "red",
        "x-goog-storage-class": "NEARLINE",
        "X-Goog-Hash": f"md5={md5(b'hello')}",
        "x-goog-if-generation-match": "0",
    }
    put = http("PUT", path, data=b"hello", headers=headers)
    assert put.headers["ETag"] == f'"{hashlib.md5(b"hello", usedforsecurity=False).hexdigest()}"'
    assert xml_code(http("PUT", path, data=b"hello", headers=headers)) == "PreconditionFailed"
    head = http("HEAD", path)
    assert (head.headers["Content-Length"], head.headers["x-goog-meta-color"]) == ("5", "red")
    got = http("GET", path)
    assert (got.content, got.headers["Content-Type"]) == (b"hello", "text/x")
    assert got.headers["ETag"] == put.headers["ETag"]
    assert http("GET", path, headers={"If-None-Match": put.headers["ETag"]}).status_code == 304
    assert bucket.get_blob(NASTY).metadata == {"color": "red"}
    assert bucket.get_blob(NASTY).storage_class == "NEARLINE"
    assert http("DELETE", path).status_code == 204
    assert xml_code(http("GET", path)) == "NoSuchKey"
    assert xml_code(http("DELETE", path)) == "NoSuchKey"
    assert xml_code(http("PUT", "/nowhere/x", data=b"x")) == "NoSuchBucket"


@pytest.mark.parametrize("header", ["X-Goog-Hash", "Content-MD5"])
def test_a_wrong_hash_through_xml_is_a_bad_digest(bucket: Bucket, http: Http, header: str) -> None:
    value = md5(b"other") if header == "Content-MD5" else f"crc32c={crc32c(b'other')}"
    answer = http("PUT", f"/{bucket.name}/x", data=b"x", headers={header: value})
    assert (answer.status_code, xml_code(answer)) == (400, "BadDigest")
    assert not bucket.blob("x").exists()


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("PUT", "/{}/x", {"x-goog-copy-source": "/b/o"}),
        ("POST", "/{}/x", {"x-goog-resumable": "start"}),
        ("POST", "/{}/x?compose", {}),
        ("PUT", "/{}/x?acl", {}),
        ("GET", "/{}", {}),
        ("PUT", "/{}/", {}),
        ("GET", "/", {}),
        ("PATCH", "/{}/x", {}),
    ],
)
def test_what_the_xml_api_cannot_do_is_refused(
    bucket: Bucket, http: Http, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = http(method, path.format(bucket.name), headers=headers)
    assert (answer.status_code, xml_code(answer)) == (501, "NotImplemented")


def test_the_client_uploads_in_parts(client: Client, bucket: Bucket, tmp_path: Path) -> None:
    body = os.urandom(11 * MIB)
    (tmp_path / "body").write_bytes(body)
    blob = bucket.blob(NASTY)
    blob.metadata = {"color": "red"}
    transfer_manager.upload_chunks_concurrently(
        str(tmp_path / "body"), blob, chunk_size=5 * MIB, worker_type=transfer_manager.THREAD
    )
    found = client.bucket(bucket.name).get_blob(NASTY)
    assert (found.size, found.crc32c, found.md5_hash) == (len(body), crc32c(body), None)
    assert found.metadata == {"color": "red"}
    assert found.download_as_bytes() == body


class Parts:
    """An upload in parts, by hand."""

    def __init__(self, http: Http, bucket: str, name: str = "x") -> None:
        self.http = http
        self.path = f"/{bucket}/{name}"
        match = re.search("<UploadId>(.*)</UploadId>", http("POST", f"{self.path}?uploads").text)
        assert match
        self.id = match[1]

    def put(self, number: object, body: bytes, **headers: str) -> requests.Response:
        query = f"?partNumber={number}&uploadId={self.id}"
        return self.http("PUT", self.path + query, data=body, headers=headers)

    def complete(self, *parts: tuple[int, str]) -> requests.Response:
        listed = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in parts)
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>"
        return self.http("POST", f"{self.path}?uploadId={self.id}", data=body)


def test_a_part_that_is_sent_again_replaces_the_first(bucket: Bucket, http: Http) -> None:
    bucket.blob("x").upload_from_string(b"old")
    parts = Parts(http, bucket.name)
    first = parts.put(7, b"first")
    second = parts.put(7, b"second")
    assert second.headers["X-Goog-Hash"] == f"crc32c={crc32c(b'second')},md5={md5(b'second')}"
    assert xml_code(parts.complete((7, first.headers["ETag"]))) == "InvalidPart"
    assert bucket.blob("x").download_as_bytes() == b"old"
    done = parts.complete((7, second.headers["ETag"]))
    assert (done.status_code, done.headers["x-goog-hash"]) == (200, f"crc32c={crc32c(b'second')}")
    assert bucket.blob("x").download_as_bytes() == b"second"
    assert xml_code(parts.complete((7, second.headers["ETag"]))) == "NoSuchUpload"
    assert xml_code(parts.put(8, b"late")) == "NoSuchUpload"


def test_a_part_with_a_wrong_hash_is_a_bad_digest(bucket: Bucket, http: Http) -> None:
    parts = Parts(http, bucket.name)
    wrong = parts.put(1, b"x", **{"X-Goog-Hash": f"crc32c={crc32c(b'y')}"})
    assert (wrong.status_code, xml_code(wrong)) == (400, "BadDigest")
    assert xml_code(parts.complete((1, '"x"'))) == "InvalidPart"


def test_the_client_says_that_a_part_was_corrupted(bucket: Bucket, http: Http, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"x")
    parts = Parts(http, bucket.name)
    headers = {"X-Goog-Hash": f"crc32c={crc32c(b'y')}"}
    part = XMLMPUPart(
        http.url + parts.path, parts.id, str(tmp_path / "body"), 0, 1, 1, headers=headers, checksum=None, retry=None
    )
    with pytest.raises(DataCorruption):
        part.upload(http.session)


def test_parts_must_be_in_order_large_and_listed(bucket: Bucket, http: Http) -> None:
    parts = Parts(http, bucket.name)
    one, two = (parts.put(number, b"small").headers["ETag"] for number in (1, 2))
    assert xml_code(parts.complete()) == "InvalidPartOrder"
    assert xml_code(parts.complete((2, two), (1, one))) == "InvalidPartOrder"
    assert xml_code(parts.complete((1, one), (2, two))) == "EntityTooSmall"
    assert xml_code(parts.put(0, b"x")) == "InvalidArgument"
    assert xml_code(parts.put("x", b"x")) == "InvalidArgument"
    path = f"{parts.path}?uploadId={parts.id}"
    assert xml_code(http("POST", path, data=b"<")) == "MalformedXML"
    conditional = http("POST", f"{parts.path}?uploads", headers={"x-goog-if-generation-match": "0"})
    assert xml_code(conditional) == "InvalidArgument"


def listed(answer: requests.Response) -> tuple[list[tuple[str, str, str]], dict[str, str]]:
    """Read a list of parts: number, ETag and size of each, and all else that it says."""
    root = ET.fromstring(answer.text)  # noqa: S314  the stand-in's own
    said = {child.tag.rpartition("}")[2]: child.text or "" for child in root}
    parts = [tuple(part.findtext(f"{{*}}{tag}", "") for tag in ("PartNumber", "ETag", "Size")) for part in root]
    return [(number, etag, size) for number, etag, size in parts if number], said


def test_parts_that_were_sent_are_listed_by_number(bucket: Bucket, http: Http) -> None:
    parts = Parts(http, bucket.name)
    tags = {number: parts.put(number, b"x" * number).headers["ETag"] for number in (7, 2, 11)}
    found, said = listed(http("GET", f"{parts.path}?uploadId={parts.id}"))
    assert found == [(str(number), tags[number], str(number)) for number in (2, 7, 11)]
    assert (said["Bucket"], said["Key"], said["UploadId"]) == (bucket.name, "x", parts.id)
    assert (said["IsTruncated"], said["PartNumberMarker"]) == ("false", "0")
    assert "NextPartNumberMarker" not in said


def test_a_list_of_parts_comes_in_pages(bucket: Bucket, http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(http, bucket.name)
    for number in (1, 2, 3, 4, 5):
        parts.put(number, b"x")

    def page(more: str) -> tuple[list[str], str, str]:
        found, said = listed(http("GET", f"{parts.path}?uploadId={parts.id}{more}"))
        return [number for number, _, _ in found], said["IsTruncated"], said.get("NextPartNumberMarker", "")

    assert page("&max-parts=2") == (["1", "2"], "true", "2")
    assert page("&max-parts=2&part-number-marker=2") == (["3", "4"], "true", "4")
    assert page("&max-parts=2&part-number-marker=4") == (["5"], "false", "")
    assert page("&part-number-marker=5") == ([], "false", "")
    monkeypatch.setattr(routes_xml, "MOST_LISTED", 3)
    assert page("") == (["1", "2", "3"], "true", "3")
    assert page("&max-parts=99") == (["1", "2", "3"], "true", "3")


def test_an_upload_has_an_empty_list_before_it_has_parts_and_none_when_it_has_ended(bucket: Bucket, http: Http) -> None:
    parts = Parts(http, bucket.name)
    path = f"{parts.path}?uploadId={parts.id}"
    assert listed(http("GET", path))[0] == []
    for wrong in (f"{parts.path}?uploadId=1", f"/{bucket.name}/other?uploadId={parts.id}"):
        assert xml_code(http("GET", wrong)) == "NoSuchUpload"
    for wrong in ("&max-parts=x", "&part-number-marker=-1"):
        assert xml_code(http("GET", path + wrong)) == "InvalidArgument"
    http("DELETE", path)
    assert xml_code(http("GET", path)) == "NoSuchUpload"


def test_an_aborted_upload_leaves_no_bytes(bucket: Bucket, http: Http) -> None:
    parts = Parts(http, bucket.name)
    parts.put(1, b"x")
    path = f"{parts.path}?uploadId={parts.id}"
    assert http("DELETE", path).status_code == 204
    assert xml_code(http("DELETE", path)) == "NoSuchUpload"
    assert not bucket.blob("x").exists()


# The process


def test_what_is_not_offered_says_so(http: Http, bucket: Bucket) -> None:
    for method, path in (
        ("GET", "/storage/v1/projects/p/serviceAccount"),
        ("PUT", f"/storage/v1/b/{bucket.name}/iam"),
        ("POST", f"/storage/v1/b/{bucket.name}/o/x/restore"),
        ("GET", f"/storage/v1/b/{bucket.name}/o/x/acl"),
        ("POST", "/upload"),
    ):
        assert reason(http(method, path)) == "notImplemented"


def test_every_request_is_counted(bucket: Bucket, traffic: Traffic, http: Http) -> None:
    traffic.reset()
    bucket.blob("x").upload_from_string(b"x")
    bucket.blob("x").download_as_bytes()
    session = http.start_session(bucket.name, "y")
    http.put(session, "bytes */*")
    http.put(session, "bytes 0-0/1", b"y")
    http.put(session + "x", "bytes */*")
    http.put(session, "nonsense")
    assert traffic.counts() == {
        Call("gcs", "objects.insert", write=True): 1,
        Call("gcs", "objects.get", write=False): 1,
        Call("gcs", "resumable.start", write=True): 1,
        Call("gcs", "resumable.status", write=False): 2,
        Call("gcs", "resumable.put", write=True): 2,
    }


SERVE = """
import sys
from pathlib import Path
from bridge.sandbox.clock import SandboxClock
from bridge.sandbox.gcs.server import GcsServer
from bridge.sandbox.traffic import Traffic
server = GcsServer(Path(sys.argv[1]), traffic=Traffic(), clock=SandboxClock())
server.start()
print(server.url, flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(data: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Serve from a process of its own, which can be killed; yields its URL."""
    command = [sys.executable, "-c", SERVE, str(data)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  our own interpreter
        assert process.stdout
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def test_everything_survives_kill_9(tmp_path: Path) -> None:
    body = os.urandom(3 * MIB)
    sent = 2 * MIB
    with another_process(tmp_path) as (url, process), closing(client_of(url)) as client:
        bucket = client.create_bucket("bkt")
        bucket.blob("whole").upload_from_string(body)
        http = Http(url)
        with http.session:
            session = http.start_session("bkt", "resumed", md5Hash=md5(body))
            held = http.put(session, f"bytes 0-{sent - 1}/{len(body)}", body[:sent])
            assert held.headers["Range"] == f"bytes=0-{sent - 1}"
            parts = Parts(http, "bkt", "parts")
            etag = parts.put(1, b"part").headers["ETag"]
            path = "/upload/storage/v1/b/bkt/o?uploadType=media&name=lost"
            half = half_a_put(url + path, "bytes 0-1/2", 4 * MIB, bytes(2 * MIB))
            with half:
                process.send_signal(signal.SIGKILL)
                process.wait()
    with running(tmp_path) as server, closing(client_of(server.url)) as client:
        files = len(list((tmp_path / "bodies").iterdir()))
        assert files == 3  # the object, the session, the part; what had no owner is swept
        assert client.bucket("bkt").get_blob("whole").download_as_bytes() == body
        http = Http(server.url)
        with http.session:
            session = server.url + session.removeprefix(url)
            question = http.put(session, f"bytes */{len(body)}")
            assert question.headers["Range"] == f"bytes=0-{sent - 1}"
            rest = http.put(session, f"bytes {sent}-{len(body) - 1}/{len(body)}", body[sent:])
            assert rest.json()["md5Hash"] == md5(body)
            parts.http = http
            assert parts.complete((1, etag)).status_code == 200
        assert server.object_names("bkt") == ["parts", "resumed", "whole"]
        assert server.object_names("bkt", "wh") == ["whole"]


def test_generations_grow_across_restarts(tmp_path: Path) -> None:
    generations = []
    clock = SandboxClock()
    clock.advance(1000)
    for clocks in (clock, SandboxClock()):  # the second runs behind the first
        with running(tmp_path, clocks) as server, closing(client_of(server.url)) as client:
            bucket = client.bucket("bkt")
            if not bucket.exists():
                bucket.create()
            blob = bucket.blob("x")
            blob.upload_from_string(b"x")
            generations.append(blob.generation)
    assert generations == sorted(set(generations))


def test_the_log_is_moved_into_the_database_from_time_to_time(bucket: Bucket, http: Http, server: GcsServer) -> None:
    for _ in range(CHECKPOINT_EVERY + 1):
        http("PATCH", f"/storage/v1/b/{bucket.name}", json={})
    assert http("GET", f"/storage/v1/b/{bucket.name}").json()["metageneration"] == str(CHECKPOINT_EVERY + 2)
    assert server.object_names(bucket.name) == []


def test_a_client_that_waits_for_100_continue_gets_it(bucket: Bucket, http: Http) -> None:
    host, port = urlsplit(http.url).netloc.split(":")
    head = f"PUT /{bucket.name}/x HTTP/1.1\r\nHost: sandbox\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head.encode())
        assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"x")
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_a_large_body_is_deleted_too(tmp_path: Path) -> None:
    with running(tmp_path) as server, closing(client_of(server.url)) as client:
        bucket = client.create_bucket("bkt")
        bucket.blob("x").upload_from_string(bytes(17 * MIB))
        bucket.blob("x").delete()
    assert list((tmp_path / "bodies").iterdir()) == []
