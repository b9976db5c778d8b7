"""What bridge.yaml says, and what it gets for what it cannot mean: the whole message, place included."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.config.load import load
from bridge.config.model import Config, SecretRef, ServiceSettings, VertexConnection, WandbConnection
from bridge.core.errors import ConfigErrors
from bridge.core.model import RemovalGuard
from bridge.core.settings import CopySettings
from tests.config.folders import ACME, PROD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.config.folders import Folder

NAME_ADVICE = "use 1 to 63 of a-z, 0-9, '_' and '-', with a letter or digit first"


def test_what_is_not_said_has_a_default(folder: Folder) -> None:
    config = folder.load()
    assert config == Config(
        path=folder.path / "bridge.yaml",
        store="sqlite:///bridge.db",
        secret_key=None,
        owner="registry-bridge",
        poll_every=timedelta(seconds=60),
        settle=timedelta(minutes=10),
        guard=RemovalGuard(0.3, 3),
        copying=CopySettings(),
        service=ServiceSettings("127.0.0.1", 8470, 8, timedelta(hours=6), timedelta(seconds=30)),
        limits={
            "wandb": (60, timedelta(minutes=1)),
            "mlflow": (20, timedelta(seconds=1)),
            "vertex": (480, timedelta(minutes=1)),
            "vertex_uploads": (60, timedelta(minutes=1)),
            "gcs": (5000, timedelta(seconds=1)),
        },
        notify={},
        connections={
            "acme": WandbConnection("acme", "https://api.wandb.ai", SecretRef(env="WANDB_API_KEY"), "acme"),
            "prod": VertexConnection("prod", "acme-prod", "europe-west4", "gs://acme-models-ew4/registry"),
        },
        mappings=config.mappings,
    )
    assert [spec.name for spec in config.mappings] == ["fraud"]


def test_everything_can_be_said(folder: Folder) -> None:
    folder.bridge(
        """store: postgresql+psycopg://bridge@db/bridge
secret_key: {file: keys/bridge}
owner: team-a
poll_every: 1.5m
guards: {max_removals: 12.5%, min_removals: 5, settle: 0s}
""",
        acme="{kind: wandb, base_url: 'http://wandb.local:8080/', api_key: {file: keys/wandb}}",
        prod="{kind: vertex, project: p, location: us-central1, bucket: gs://models/, endpoint: 'localhost:9022', "
        "insecure: true, storage_endpoint: 'http://127.0.0.1:9023/'}",
    )
    config = folder.load()
    assert (config.store, config.owner) == ("postgresql+psycopg://bridge@db/bridge", "team-a")
    assert config.secret_key == SecretRef(file=str(folder.path / "keys/bridge"))
    assert (config.poll_every, config.settle) == (timedelta(seconds=90), timedelta(0))
    assert config.guard == RemovalGuard(0.125, 5)
    key = SecretRef(file=str(folder.path / "keys/wandb"))
    assert config.connections == {
        "acme": WandbConnection("acme", "http://wandb.local:8080", key),
        "prod": VertexConnection(
            name="prod",
            project="p",
            location="us-central1",
            bucket="gs://models",
            endpoint="localhost:9022",
            insecure=True,
            storage_endpoint="http://127.0.0.1:9023",
        ),
    }


@pytest.mark.parametrize("endpoint", ["localhost:1", "127.0.0.9:1", "[::1]:1"])
def test_plaintext_is_for_an_endpoint_on_this_machine(folder: Folder, endpoint: str) -> None:
    folder.bridge(prod=PROD[:-1] + f", insecure: true, endpoint: '{endpoint}'}}")
    assert folder.load().connections["prod"].endpoint == endpoint  # type: ignore[union-attr]  # it is Vertex's


@pytest.mark.parametrize("endpoint", ["'10.0.0.1:1'", "'localhost.evil.example:1'", "'vertex:443'", "null"])
def test_plaintext_to_anywhere_else_is_refused(folder: Folder, endpoint: str) -> None:
    folder.bridge(prod=f"{{endpoint: {endpoint}, insecure: true, {PROD[1:]}")
    column = 10 + len(f"endpoint: {endpoint}, insecure: ")
    message = "insecure is only for an endpoint on this machine, such as endpoint: localhost:9022"
    assert folder.wrong() == [f"bridge.yaml:3:{column}: {message}"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("stor: x", "4:1: unknown key 'stor'; did you mean 'store'?"),
        ("store: mysql://h/d", "4:8: expected a URL like sqlite:///bridge.db or postgresql+psycopg://host/database"),
        ("store: 'sqlite:///'", "4:8: expected a URL like sqlite:///bridge.db or postgresql+psycopg://host/database"),
        (
            "store: 'postgresql+psycopg://[h/d'",
            "4:8: expected a URL like sqlite:///bridge.db or postgresql+psycopg://host/database",
        ),
        ("store: [a]", "4:8: expected a text or {env: NAME}, found a list"),
        (
            "owner: Team A",
            "4:8: 'Team A' is not a label value; use at most 63 of a-z, 0-9, '_' and '-'",
        ),
        ("poll_every: 60", "4:13: expected a duration such as 90s, 10m, 2h or 1d, found a number"),
        (
            "poll_every: 60 s",
            "4:13: '60 s' is not a duration; write a number and s, m, h or d: 90s, 10m, 2h, 1d",
        ),
        ("poll_every: 0s", "4:13: an interval must be longer than nothing"),
        ("poll_every: 366d", "4:13: 366d is too long; at most 365d is allowed"),
        ("guards: {max_removals: 30}", "4:24: expected a percentage such as 30%, found a number"),
        ("guards: {max_removals: lots}", "4:24: 'lots' is not a percentage; write it like 30%"),
        ("guards: {max_removals: 101%}", "4:24: 101% is more than 100%"),
        ("guards: {min_removals: 0}", "4:24: expected at least 1"),
        ("guards: {settel: 1m}", "4:10: unknown key 'settel'; did you mean 'settle'?"),
        (
            "mappings: elsewhere",
            "4:11: there is no folder elsewhere; make it, and a mapping in it (see mappings/README.md)",
        ),
        ("  x: {kind: gcs}", "4:13: expected wandb, mlflow or vertex, found 'gcs'"),
        ("  x: {kind: [a]}", "4:13: expected wandb, mlflow or vertex, found a list"),
        ("  x: {project: p}", "4:6: missing key 'kind'; use wandb, mlflow or vertex"),
        ("  x: wandb", "4:6: expected a mapping, found a text"),
        (
            "  x: {kind: wandb, api_key: {env: A}}",
            "4:6: missing key 'base_url'; write base_url: https://api.wandb.ai, or your own server",
        ),
        (
            "  x: {kind: wandb, base_url: 'https://w'}",
            "4:6: missing key 'api_key'; write api_key: {env: WANDB_API_KEY}",
        ),
        (
            "  x: {kind: wandb, base_url: 'ftp://w', api_key: {env: A}}",
            "4:30: expected a URL like https://api.wandb.ai",
        ),
        (
            f"  X y: {PROD}",
            f"4:3: 'X y' is not a name; {NAME_ADVICE}",
        ),
    ],
)
def test_what_one_line_gets(folder: Folder, more: str, message: str) -> None:
    folder.bridge(more + "\n")
    assert folder.wrong() == [f"bridge.yaml:{message}"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("bucket", "s3://models", "expected a bucket like gs://bucket/prefix"),
        ("bucket", "gs://", "'' is not a bucket's name; expected gs://bucket/prefix"),
        ("bucket", "gs://UPPER/x", "'UPPER' is not a bucket's name; expected gs://bucket/prefix"),
        ("bucket", "gs://models//x", "the prefix has an empty part: '//'"),
        (
            "bucket",
            "gs://models/a/../b",
            "'..' cannot be a part of the prefix; use letters, digits and any of _ . = + -",
        ),
        ("location", "europe", "'europe' is not a location; expected one like europe-west4"),
        ("project", "a/b", "'a/b' must not hold '/'"),
        ("endpoint", "localhost", "expected host:port, such as localhost:9022"),
        ("endpoint", "localhost:99999", "expected host:port, such as localhost:9022"),
        (
            "storage_endpoint",
            "http://storage.example",
            "http is only for a stand-in on this machine, such as http://127.0.0.1:9023; use https",
        ),
        ("storage_endpoint", "http:///x", "expected a URL like https://api.wandb.ai"),
        ("insecure", "maybe", "expected true or false, found a text"),
    ],
)
def test_what_a_vertex_connection_gets(folder: Folder, key: str, value: str, message: str) -> None:
    keys = {"project": "p", "location": "europe-west4", "bucket": "gs://models"} | {key: value}
    text = "".join(f"\n    {name}: {each}" for name, each in keys.items())
    folder.bridge(prod=f"\n    kind: vertex{text}")
    line = 5 + list(keys).index(key)
    assert folder.wrong() == [f"bridge.yaml:{line}:{7 + len(key)}: {message}"]


def test_an_https_endpoint_for_storage_may_be_anywhere(folder: Folder) -> None:
    folder.bridge(prod=PROD[:-1] + ", storage_endpoint: https://storage.example}")
    assert folder.load().connections["prod"].storage_endpoint == "https://storage.example"  # type: ignore[union-attr]  # it is Vertex's


def test_connections_are_required(folder: Folder) -> None:
    folder.write("bridge.yaml", "owner: a\n")
    assert folder.wrong() == [
        "bridge.yaml:1:1: missing key 'connections'; it names the W&B, MLflow and Vertex AI ends that mappings refer to"
    ]


def test_connections_that_are_no_mapping_do_not_spoil_what_refers_to_them(folder: Folder) -> None:
    folder.write("bridge.yaml", "connections: [acme]\n")
    assert folder.wrong() == ["bridge.yaml:1:14: expected a mapping, found a list"]


def test_a_broken_connection_is_known_to_the_mappings_all_the_same(folder: Folder) -> None:
    folder.bridge(acme=ACME.replace("base_url", "base_uri"))
    assert folder.wrong() == [
        "bridge.yaml:2:9: missing key 'base_url'; write base_url: https://api.wandb.ai, or your own server",
        "bridge.yaml:2:23: unknown key 'base_uri'; did you mean 'base_url'?",
    ]


def test_a_bridge_yaml_that_cannot_be_looked_at_is_an_error_like_any_other(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match=r"cannot be looked at: File name too long; mend its rights, or pass"):
        load(tmp_path / ("x" * 300))


def test_a_missing_bridge_yaml_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigErrors) as raised:
        load(tmp_path / "bridge.yaml")
    assert str(raised.value) == "no bridge.yaml here; write one (see README.md) or pass --config"
    assert raised.value.errors[0].at is None
    assert raised.value.errors[0].excerpt is None


def test_mappings_may_lie_in_another_folder(folder: Folder) -> None:
    (folder.path / "mappings").rename(folder.path / "rules")
    folder.bridge("mappings: rules\n")
    assert folder.load().mappings[0].origin.file == "rules/fraud.yaml"


def test_both_endings_are_read_in_order_and_hidden_or_other_files_are_not(folder: Folder) -> None:
    folder.mapping("b", file="b.yml")
    folder.mapping("a", file="a.yaml")
    folder.write("mappings/.#a.yaml", "[")
    folder.write("mappings/README.md", "[")
    (folder.path / "mappings" / "folder.yaml").mkdir()
    assert [spec.name for spec in folder.load().mappings] == ["a", "b", "fraud"]


def test_a_configuration_without_mappings_is_refused(folder: Folder) -> None:
    (folder.path / "mappings" / "fraud.yaml").unlink()
    assert folder.wrong() == ["no mapping file in mappings; write one, ending in .yaml (see mappings/README.md)"]


def test_files_elsewhere_are_shown_with_their_whole_path(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert folder.load().mappings[0].origin.file == (folder.path / "mappings/fraud.yaml").as_posix()


def test_mistakes_come_by_file_line_and_column(folder: Folder) -> None:
    folder.mapping("one", file="b.yaml", policy="p", drift="d")
    folder.mapping("two", file="a.yaml", policy="p")
    folder.bridge("owner: A\n")
    assert [message.split(": ")[0] for message in folder.wrong()] == [
        "bridge.yaml:4:8",
        "mappings/a.yaml:5:13",
        "mappings/b.yaml:5:13",
        "mappings/b.yaml:7:12",
    ]
