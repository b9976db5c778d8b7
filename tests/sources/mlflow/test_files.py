"""Files of versions at a real MLflow server that keeps them on its disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from bridge.core.errors import NeedsPerson
from bridge.core.model import ArtifactFile
from bridge.sandbox.faults import Fault
from bridge.sources.mlflow.source import MlflowSource
from bridge.sources.streams import PIECE
from tests.sources.mlflow_people import FOLDER, models
from tests.sources.publishers import new_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.core.model import Description, SourceVersion
    from bridge.sandbox.mlflow.server import MlflowServer
    from bridge.sandbox.traffic import Traffic
    from bridge.testing.clock import FakeClock
    from tests.sources.mlflow_people import MlflowPublisher

pytestmark = pytest.mark.sandbox

FILES = {
    "model.bin": bytes(range(256)) * (3 * PIECE // 256 + 1),
    "empty": b"",
    "a b/é 日本/c.json": b"{}",
    "a b/100%.txt": b"percent",
    "a b/+&;=:@,$'!()*.txt": b"punctuation",
    "MLmodel": b"run_id: wrong\nflavors:\n  sklearn:\n    pickled_model: model.pkl\n    sklearn_version: 1.6.1\n",
}


def newest(people: MlflowPublisher, name: str) -> SourceVersion:
    [state] = people.source.sweep([models(name)]).found[models(name)]
    return state.versions[-1]


def published(people: MlflowPublisher, files: dict[str, bytes]) -> SourceVersion:
    name = new_name()
    people.publish(name, files)
    return newest(people, name)


def contents(people: MlflowPublisher, version: SourceVersion, description: Description) -> dict[str, bytes]:
    return {file.path: read(people, version, file.path) for file in description.files}


def read(people: MlflowPublisher, version: SourceVersion, path: str, start: int = 0) -> bytes:
    with people.source.open(version, ArtifactFile(path, 0, None), start) as pieces:
        return b"".join(pieces)


def on_disk(server: MlflowServer, version: SourceVersion, people: MlflowPublisher) -> Path:
    """Return the folder that a version's files are in, behind the server's back."""
    run_id = people.client.get_model_version(version.collection[8:], version.label).run_id
    assert run_id is not None
    path: str = people.client.get_run(run_id).info.artifact_uri.removeprefix("mlflow-artifacts:/")
    return server.process.log.parent / "artifacts" / path / FOLDER


def test_every_file_is_listed_with_its_size_and_read_byte_for_byte(people: MlflowPublisher) -> None:
    version = published(people, FILES)
    description = people.source.describe(version)

    assert {file.path: file.size for file in description.files} == {path: len(b) for path, b in FILES.items()}
    assert [file.path for file in description.files] == sorted(FILES)
    assert {(file.digest, file.location) for file in description.files} == {(None, None)}
    assert contents(people, version, description) == FILES


@pytest.mark.parametrize("start", [1, PIECE, PIECE + 1, len(FILES["model.bin"]) - 1, len(FILES["model.bin"])])
def test_a_file_is_read_from_any_byte_on(people: MlflowPublisher, start: int) -> None:
    version = published(people, {"model.bin": FILES["model.bin"]})

    assert read(people, version, "model.bin", start) == FILES["model.bin"][start:]


@pytest.mark.parametrize("kind", ["half_body", "reset"])
def test_a_download_that_breaks_is_taken_up_and_is_whole(people: MlflowPublisher, kind: str) -> None:
    version = published(people, {"model.bin": FILES["model.bin"]})
    people.source.describe(version)
    with people.fault(Fault("mlflow", kind, "mlflow-artifacts/artifacts GET", count=1)):  # type: ignore[arg-type]  # a Kind
        assert read(people, version, "model.bin") == FILES["model.bin"]


def test_what_the_model_is_comes_from_its_files_its_run_and_the_registry(people: MlflowPublisher) -> None:
    run = people.log(FILES)
    people.client.log_metric(run, "auc", 0.9)
    people.client.log_metric(run, "auc", 0.7)
    people.client.log_metric(run, "loss", float("nan"))
    name = new_name()
    people.register(name, f"runs:/{run}/{FOLDER}")
    facts = people.source.describe(newest(people, name)).facts

    assert facts.flavors == {"sklearn": {"pickled_model": "model.pkl", "sklearn_version": "1.6.1"}}
    assert (facts.run_id, facts.metrics) == (run, {"auc": 0.7})


def test_a_run_that_cannot_be_read_has_no_metrics(people: MlflowPublisher) -> None:
    name = new_name()
    people.register(name, f"models:/{_logged(people, {'f': b'1'})}")
    run = people.log({"f": b"1"})
    made = people.client.create_model_version(
        name, people.client.get_run(run).info.artifact_uri + "/model", run_id=run, await_creation_for=0
    )
    version = newest(people, name)
    assert version.label == str(made.version)
    with people.fault(Fault("mlflow", "status", "runs/get", count=None, status=403)):
        facts = people.source.describe(version).facts

    assert (facts.run_id, facts.metrics) == (run, {})


def _logged(people: MlflowPublisher, files: dict[str, bytes], run: str | None = None, name: str = "model") -> str:
    """Log a model as MLflow 3 does, outside of its run's folder; return its id."""
    from mlflow.entities import LoggedModelOutput  # noqa: PLC0415  takes seconds

    logged: str = people.client.create_logged_model("0", name, source_run_id=run).model_id
    for path, content in files.items():
        _put(people, f"0/models/{logged}/artifacts/{path}", content)
    if run is not None:
        people.client.log_outputs(run, [LoggedModelOutput(logged, 0)])
    return logged


def _put(people: MlflowPublisher, path: str, content: bytes) -> None:
    import requests  # noqa: PLC0415  the same

    url = f"{people.client.tracking_uri}/api/2.0/mlflow-artifacts/artifacts/{path}"
    requests.put(url, data=content, timeout=30).raise_for_status()


def test_files_of_a_logged_model_are_read(people: MlflowPublisher) -> None:
    name = new_name()
    people.register(name, f"models:/{_logged(people, {'a/f': b'1'})}")
    version = newest(people, name)

    assert contents(people, version, people.source.describe(version)) == {"a/f": b"1"}


def test_a_version_that_was_copied_from_another_model_has_the_same_files(people: MlflowPublisher) -> None:
    first, second = new_name(), new_name()
    people.publish(first, {"f": b"1"})
    people.register(second, f"models:/{first}/1")
    version = newest(people, second)

    assert contents(people, version, people.source.describe(version)) == {"f": b"1"}


def test_a_run_that_logged_a_model_as_mlflow_3_does_is_followed_to_it(people: MlflowPublisher) -> None:
    run: str = people.client.create_run("0").info.run_id
    _logged(people, {"f": b"another"}, run, "another")
    _logged(people, {"f": b"1"}, run, FOLDER)
    name = new_name()
    people.register(name, f"runs:/{run}/{FOLDER}")
    version = newest(people, name)

    assert contents(people, version, people.source.describe(version)) == {"f": b"1"}


def test_a_version_without_files_needs_a_person(people: MlflowPublisher, server: MlflowServer) -> None:
    version = published(people, {"f": b"1"})
    shutil.rmtree(on_disk(server, version, people))

    with pytest.raises(NeedsPerson, match="are empty or gone"):
        people.source.describe(version)


@pytest.mark.parametrize("name", ["a#b", "a%20b", "%41", "sub/x#y"])
def test_a_name_that_the_server_cannot_serve_is_refused_and_said(
    people: MlflowPublisher, server: MlflowServer, name: str
) -> None:
    version = published(people, {"f": b"1"})
    path = on_disk(server, version, people) / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"2")

    with pytest.raises(NeedsPerson, match="cannot be read through the tracking server") as caught:
        people.source.describe(version)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["line\nbreak", ".bridge-manifest.json"])
def test_a_name_that_cannot_be_copied_is_refused(people: MlflowPublisher, server: MlflowServer, name: str) -> None:
    version = published(people, {"f": b"1"})
    (on_disk(server, version, people) / name).write_bytes(b"2")

    with pytest.raises(NeedsPerson):
        people.source.describe(version)


def test_a_version_that_is_gone_or_another_is_not_described_or_read(people: MlflowPublisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"})
    swept = newest(people, name)
    people.source.describe(swept)
    people.delete(name, "1")
    for look in (lambda: people.source.describe(swept), lambda: read(people, swept, "f")):
        with pytest.raises(NeedsPerson):
            look()
    people.delete_collection(name)
    people.publish(name, {"f": b"2"})
    for look in (lambda: people.source.describe(swept), lambda: read(people, swept, "f")):
        with pytest.raises(NeedsPerson, match="not what it was when it was listed"):
            look()


def test_files_that_vanish_while_they_are_copied_need_a_person(people: MlflowPublisher, server: MlflowServer) -> None:
    version = published(people, {"f": b"1", "g": b"2"})
    assert read(people, version, "f") == b"1"
    shutil.rmtree(on_disk(server, version, people))

    with pytest.raises(NeedsPerson, match=r"'g' of .* is not there, or no more \(HTTP 404\)"):
        read(people, version, "g")


def test_a_model_that_is_deleted_while_it_is_copied_is_noticed_within_a_minute(
    people: MlflowPublisher, clock: FakeClock
) -> None:
    version = published(people, {"f": b"1", "g": b"2"})
    assert read(people, version, "f") == b"1"
    people.delete_collection(version.collection[8:])
    clock.advance(61)

    with pytest.raises(NeedsPerson):
        read(people, version, "g")


def test_many_files_cost_a_request_each(people: MlflowPublisher, traffic: Traffic) -> None:
    version = published(people, {f"{number}.bin": b"x" for number in range(10)})
    traffic.reset()
    for number in range(10):
        read(people, version, f"{number}.bin")
    counted = {call.method: count for call, count in traffic.counts().items()}

    assert counted == {
        "model-versions/get": 1,
        "registered-models/get": 1,  # MLflow's client makes sure that it is no prompt
        "model-versions/get-download-uri": 1,
        "runs/get": 1,
        "server-info": 1,
        "mlflow-artifacts/artifacts GET": 10,
    }


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("file:///etc", "'file' URI, which the bridge does not read"),
        ("/etc", "a local path, which the bridge does not read"),
        ("C:\\models", "a local path"),
        ("http://169.254.169.254/latest", "'http' URI"),
        ("dbfs:/models/1", "'dbfs' URI"),
        ("abfss://c@a.dfs.core.windows.net/m", "'abfss' URI"),
        ("hdfs://name/m", "'hdfs' URI"),
        ("S3A://bucket/m", "'s3a' URI"),
        ("s3://bucket/m", "'s3://bucket/m', where MLflow connection 'acme' may not read; add it to artifact_stores"),
        ("gs://bucket/m/", "'gs://bucket/m', where MLflow connection 'acme' may not read; add it to artifact_stores"),
        ("s3://allowed/prefixed/m", "add it to artifact_stores"),
        ("s3://allowed/prefix/../m", "holds '..'"),
        ("gs://allowed/%2e%2e/m", "holds '..'"),
        ("gs://allowed/m", "add a connection to Vertex AI"),
        ("mlflow-artifacts:/0/../../etc", "holds '..'"),
        ("mlflow-artifacts:/0/%2E%2e/etc", "holds '..'"),
        ("mlflow-artifacts:/0/%252e%252e/etc", "cannot be read through the tracking server"),
        ("mlflow-artifacts:/0/..%2fetc", "holds '..'"),
        ("mlflow-artifacts://other-host:80/0/m", "another artifact server, 'other-host:80'"),
        ("mlflow-artifacts:/", "that of all artifacts"),
    ],
)
def test_a_source_that_may_not_be_read_is_refused_and_says_why(
    people: MlflowPublisher, server: MlflowServer, uri: str, says: str
) -> None:
    name = new_name()
    people.register(name, "s3://nowhere/m")
    database = server.process.log.with_name("mlflow.sqlite")
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        statement = "UPDATE model_versions SET source = ?, storage_location = ? WHERE name = ?"
        connection.execute(statement, (uri, uri, name))  # as an older server, or one with another setting, has it
    version = newest(people, name)

    with pytest.raises(NeedsPerson) as caught:
        people.source.describe(version)
    assert says in str(caught.value)


class Bucket:
    """An ObjectStore with one file in every folder."""

    def list(self, folder: str) -> tuple[ArtifactFile, ...]:
        return (ArtifactFile("f", 3, None, f"{folder}f"),)

    @contextmanager
    def open(self, uri: str, start: int = 0) -> Iterator[Iterator[bytes]]:
        yield iter([uri.encode()[start:]])


def test_files_in_cloud_storage_say_where_they_are(
    people: MlflowPublisher, server: MlflowServer, clock: FakeClock
) -> None:
    name = new_name()
    people.register(name, "gs://allowed/models/m/")
    version = newest(people, name)
    made: list[Bucket] = []

    def make() -> Bucket:
        made.append(Bucket())
        return made[-1]

    with closing(MlflowSource("acme", server.url, clock, stores=("gs://allowed/",), gcs=make)) as source:
        assert made == []
        [file] = source.describe(version).files
        with source.open(version, file, 5) as pieces:
            content = b"".join(pieces)

    assert (file.location, content) == ("gs://allowed/models/m/f", b"allowed/models/m/f")
    assert len(made) == 1


def test_a_source_at_this_very_server_is_read(people: MlflowPublisher, server: MlflowServer) -> None:
    folder = os.urandom(8).hex()
    _put(people, f"0/{folder}/f", b"1")
    name = new_name()
    people.register(name, "s3://nowhere/m")
    uri = f"mlflow-artifacts://{server.url.removeprefix('http://')}/0/{folder}/"
    with closing(sqlite3.connect(server.process.log.with_name("mlflow.sqlite"), timeout=30)) as connection, connection:
        statement = "UPDATE model_versions SET source = ?, storage_location = ? WHERE name = ?"
        connection.execute(statement, (uri, uri, name))
    version = newest(people, name)

    assert contents(people, version, people.source.describe(version)) == {"f": b"1"}
