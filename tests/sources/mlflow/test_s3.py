"""A real MLflow server over S3's stand-in, and the same buckets read directly."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.model import ArtifactFile
from bridge.net.lines import Broken, Lines, Reply as Answer
from bridge.sources.streams import PIECE
from tests.sources.mlflow_people import FOLDER, mlflow_people, models
from tests.sources.publishers import new_name
from tests.sources.servers import Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.core.model import SourceVersion
    from bridge.sandbox.mlflow.server import MlflowServer
    from bridge.sandbox.traffic import Traffic
    from bridge.sources.mlflow.s3 import S3Store
    from bridge.testing.clock import FakeClock
    from tests.conftest import S3Bucket
    from tests.sources.mlflow_people import MlflowPublisher

pytestmark = pytest.mark.sandbox

BUCKET = "mlflow-artifacts"
CONTENT = os.urandom(1 << 20) * 3 + b"end"
NAMES = ["model.bin", "a b/é%2F?#&=+ü.bin", "100%.bin", "x#1", "a?b", "\U0001f600"]


@pytest.fixture
def client(s3_bucket: S3Bucket) -> Any:  # noqa: ANN401  boto3's, which has no types
    return s3_bucket.client


@pytest.fixture
def people(
    mlflow_s3_server: MlflowServer, mlflow_s3_traffic: Traffic, clock: FakeClock, s3: str
) -> Iterator[MlflowPublisher]:
    assert s3, "the source itself reads the bucket too"
    with mlflow_people(mlflow_s3_server.url, mlflow_s3_traffic, clock, (f"s3://{BUCKET}/direct",)) as opened:
        yield opened


@pytest.fixture
def s3(s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> str:
    """Set the variables that lead to S3, as its users do."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", s3_bucket.endpoint)
    return s3_bucket.endpoint


@pytest.fixture
def store(s3: str) -> Iterator[S3Store]:
    from bridge.sources.mlflow.s3 import S3Store  # noqa: PLC0415  takes a second

    assert s3
    with closing(S3Store()) as made:
        yield made


def newest(people: MlflowPublisher, name: str) -> SourceVersion:
    [state] = people.source.sweep([models(name)]).found[models(name)]
    return state.versions[-1]


def read(people: MlflowPublisher, version: SourceVersion, path: str, start: int = 0) -> bytes:
    with people.source.open(version, ArtifactFile(path, 0, None), start) as pieces:
        return b"".join(pieces)


def calls(people: MlflowPublisher) -> dict[str, int]:
    return {call.method: count for call, count in people.traffic.counts().items() if "artifacts" in call.method}


# through the tracking server


def test_bytes_come_from_the_store_by_signed_urls(people: MlflowPublisher) -> None:
    name = new_name()
    people.publish(name, {"model.bin": CONTENT, "a b/é+.json": b"{}", "empty": b""})
    version = newest(people, name)
    files = people.source.describe(version).files
    people.traffic.reset()

    assert {file.path: file.size for file in files} == {"model.bin": len(CONTENT), "a b/é+.json": 2, "empty": 0}
    assert read(people, version, "model.bin") == CONTENT
    assert read(people, version, "model.bin", PIECE + 5) == CONTENT[PIECE + 5 :]
    assert read(people, version, "a b/é+.json") == b"{}"
    assert read(people, version, "empty") == b""
    assert calls(people) == {"mlflow-artifacts/presigned": 4}


def test_a_file_that_vanished_from_the_store_needs_a_person(people: MlflowPublisher, client: Any) -> None:  # noqa: ANN401  boto3's
    name = new_name()
    people.publish(name, {"f": b"1", "g": b"2"})
    version = newest(people, name)
    assert read(people, version, "f") == b"1"
    for found in client.list_objects_v2(Bucket=BUCKET)["Contents"]:
        if found["Key"].endswith("/g"):
            client.delete_object(Bucket=BUCKET, Key=found["Key"])

    with pytest.raises(NeedsPerson, match=r"'g' of .* is not there, or no more"):
        read(people, version, "g")


class NoWay(Lines):
    """A network that reaches nobody."""

    def ask(self, *_: object, **__: object) -> Answer:
        raise Broken(ConnectionRefusedError.__name__)


def test_a_store_that_only_the_server_reaches_is_read_through_it(
    people: MlflowPublisher, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    name = new_name()
    people.publish(name, {"model.bin": CONTENT})
    version = newest(people, name)
    server = people.source._artifacts._server  # noqa: SLF001  its lines stand for a network that ends here
    reaching, server._lines = server._lines, NoWay()  # noqa: SLF001  the same
    people.traffic.reset()

    for start in (0, 7):
        assert read(people, version, "model.bin", start) == CONTENT[start:]
    assert calls(people) == {"mlflow-artifacts/presigned": 1, "mlflow-artifacts/artifacts GET": 2}
    assert "cannot be reached (ConnectionRefusedError): files come through it" in caplog.text
    server._lines = reaching  # noqa: SLF001  the same
    clock.advance(601)
    assert read(people, version, "model.bin") == CONTENT
    assert calls(people)["mlflow-artifacts/presigned"] == 2


# directly


def test_a_version_in_a_bucket_of_its_own_is_read_from_there(people: MlflowPublisher, client: Any) -> None:  # noqa: ANN401  the same
    for path, content in {"MLmodel": b"flavors: {}\n", "sub/model.bin": CONTENT}.items():
        client.put_object(Bucket=BUCKET, Key=f"direct/m/{path}", Body=content)
    client.put_object(Bucket=BUCKET, Key="direct/m2/other", Body=b"another folder")
    name = new_name()
    people.register(name, f"s3://{BUCKET}/direct/m")
    version = newest(people, name)
    files = people.source.describe(version).files

    assert [(file.path, file.size, file.location) for file in files] == [
        ("MLmodel", 12, None),
        ("sub/model.bin", len(CONTENT), None),
    ]
    assert read(people, version, "sub/model.bin", 7) == CONTENT[7:]
    people.register(name, f"s3://{BUCKET}/direct/nothing")
    with pytest.raises(NeedsPerson, match="are empty or gone"):
        people.source.describe(newest(people, name))


def test_a_run_in_a_bucket_is_read_from_there(people: MlflowPublisher, client: Any) -> None:  # noqa: ANN401  the same
    experiment = people.client.create_experiment(new_name("direct"), f"s3://{BUCKET}/direct/experiment")
    run: str = people.client.create_run(experiment).info.run_id
    client.put_object(Bucket=BUCKET, Key=f"direct/experiment/{run}/artifacts/{FOLDER}/f", Body=b"1")
    name = new_name()
    people.register(name, f"runs:/{run}/{FOLDER}")
    version = newest(people, name)

    assert [file.path for file in people.source.describe(version).files] == ["f"]
    assert read(people, version, "f") == b"1"


@pytest.mark.parametrize("name", NAMES)
def test_an_object_is_listed_and_read_whatever_its_name_is(store: S3Store, client: Any, name: str) -> None:  # noqa: ANN401  the same
    folder = new_name("names")
    client.put_object(Bucket=BUCKET, Key=f"{folder}/{name}", Body=b"the model")
    client.put_object(Bucket=BUCKET, Key=f"{folder}/", Body=b"")
    client.put_object(Bucket=BUCKET, Key=f"{folder}-2/x", Body=b"")

    assert store.list(f"s3://{BUCKET}/{folder}/") == (ArtifactFile(name, 9, None),)
    for start in (0, 1, 8, 9, 10):
        with store.open(f"s3://{BUCKET}/{folder}/{name}", start) as pieces:
            assert b"".join(pieces) == b"the model"[start:]


def test_an_absent_folder_is_empty_and_an_absent_object_needs_a_person(store: S3Store, client: object) -> None:
    assert client is not None
    assert store.list(f"s3://{BUCKET}/nothing/") == ()
    with pytest.raises(NeedsPerson, match="HTTP 404"), store.open(f"s3://{BUCKET}/nothing") as pieces:
        next(pieces)


def test_an_absent_bucket_needs_a_person(store: S3Store) -> None:
    with pytest.raises(NeedsPerson, match="there is no bucket of 's3://nobodys/m/'"):
        store.list("s3://nobodys/m/")


def test_a_bucket_without_credentials_needs_a_person(
    store: S3Store, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, f"{tmp_path}/absent")

    with pytest.raises(NeedsPerson, match="there are no credentials to read 's3://b/m/' with"):
        store.list("s3://b/m/")
    with pytest.raises(NeedsPerson, match="there are no credentials"), store.open("s3://b/m/f") as pieces:
        next(pieces)


def test_a_store_that_is_away_is_for_another_time(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:9")

    with pytest.raises(TryAgain, match="S3 cannot be reached"):
        store.list("s3://b/m/")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "AccessDenied", NeedsPerson),
        (400, "ExpiredToken", NeedsPerson),
        (503, "SlowDown", TryAgain),
        (400, "AuthorizationHeaderMalformed", NeedsPerson),
    ],
)
def test_what_s3_answers_is_translated(
    store: S3Store, monkeypatch: pytest.MonkeyPatch, status: int, code: str, kind: type[Exception]
) -> None:
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    with ScriptedServer(lambda _: Reply(status, body)) as server:
        monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", server.url)
        with pytest.raises(kind, match=code):
            store.list("s3://b/m/")
