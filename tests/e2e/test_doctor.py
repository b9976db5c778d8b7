"""`bridge doctor` finds what is wrong with the world, says how to mend it, and touches nothing."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox.faults import Fault
from bridge.store.schema import HEAD
from bridge.store.sql import open_store
from tests.e2e.conftest import in_a_file
from tests.e2e.test_location import LAYOUT, make_bucket
from tests.e2e.test_run import running, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Desk
    from tests.sources.mlflow_people import MlflowPublisher

pytestmark = pytest.mark.sandbox

BASE = "gs://acme-models/registry"


def results(desk: Desk, *options: str) -> dict[str, dict[str, Any]]:
    """Return what doctor says, by what it is about."""
    return {each["check"]: each for each in desk.bridge_json("doctor", *options)}


def problems(desk: Desk, *options: str) -> dict[str, str]:
    """Return what doctor finds wrong, with its remedy."""
    found = results(desk, *options).items()
    return {about: f"{each['said']}; {each['remedy']}" for about, each in found if each["result"] == "problem"}


def edit(desk: Desk, old: str, new: str, file: str = "bridge.yaml") -> None:
    path = desk.folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@contextmanager
def faulty(desk: Desk, fault: Fault) -> Iterator[None]:
    number = desk.world.traffic.faults.arm(fault)
    try:
        yield
    finally:
        desk.world.traffic.faults.disarm(number)


# all is well


@in_a_file
def test_a_sound_world_is_told_line_by_line(desk: Desk) -> None:
    desk.publish(b"weights", "production", "staging")
    desk.bridge("sync")
    done = desk.bridge("doctor")

    assert (done.code, done.err) == (0, "")
    clock_of_wandb, clock_of_gcs = (f"ok       clock, by {url}: ours differs by " for url in clocks(desk))
    lines = done.out.splitlines()
    assert lines[:-2] == [
        "ok       configuration: bridge.yaml is fine; connections: 2, mappings: 1",
        "ok       secret connections.acme.api_key: it is in the variable WANDB_API_KEY",
        f"ok       store: it has the schema {HEAD}, and knows 1 model",
        "ok       connection acme: access: it lets us in as bridge",
        "ok       mapping fraud: 1 collection, 1 version, 3 aliases may be read",
        "ok       connection prod: models: those of acme-prod in europe-west4 may be listed",
        f"ok       connection prod: bucket: {BASE} may be listed, read and written",
        f"ok       connection prod: location: {BASE} is in EUROPE-WEST4, and Vertex AI in europe-west4",
    ]
    assert lines[-2].startswith(clock_of_wandb)
    assert lines[-1].startswith(clock_of_gcs)


def clocks(desk: Desk) -> tuple[str, str]:
    return desk.world.wandb.url, desk.world.gcs.url


@in_a_file
def test_nothing_is_written_anywhere(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    desk.world.traffic.reset()
    before = sorted(desk.folder.rglob("*.db*"))

    assert desk.bridge("doctor").code == 0

    assert desk.world.traffic.count() > 0
    assert desk.world.traffic.count(write=True) == 0
    assert sorted(desk.folder.rglob("*.db*")) == before == []
    assert "there is no store at bridge.db yet; the first bridge sync or run makes it" in desk.bridge("doctor").out


def test_mlflow_is_looked_at_too(desk: Desk, mlflow: MlflowPublisher, mlflow_server: Any) -> None:  # noqa: ANN401  see conftest
    edit(desk, "connections:\n", f"connections:\n  ml: {{kind: mlflow, tracking_uri: '{mlflow_server.url}'}}\n")
    text = (desk.folder / "mappings" / "fraud.yaml").read_text()
    lines = [
        f"    source: {{from: ml, model: no-such-{desk.number}}}" if "source:" in line else line
        for line in text.replace(desk.model, "churn").replace("name: fraud", "name: churn").splitlines()
    ]
    (desk.folder / "mappings" / "churn.yaml").write_text("\n".join(lines))
    desk.publish(b"weights", "production")
    mlflow.traffic.reset()

    found = results(desk)

    assert found["connection ml: access"]["said"] == "it lets us in"
    assert f"has no registered model 'no-such-{desk.number}'" in found["mapping churn"]["said"]
    assert found["mapping fraud"]["result"] == "ok"
    assert mlflow.traffic.count(write=True) == 0


# problems, each with its fix


def test_a_mistake_in_the_configuration_is_a_problem_with_its_place(desk: Desk) -> None:
    edit(desk, "policy: sync", "polcy: sync", "mappings/fraud.yaml")
    done = desk.bridge("doctor")

    assert (done.code, done.err) == (1, "")
    assert "problem  configuration: mappings/fraud.yaml:6:5: unknown key 'polcy'; did you mean 'policy'?" in done.out


def test_a_secret_that_is_missing_is_named_and_all_else_is_looked_at(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    found = problems(desk)

    assert found["secret connections.acme.api_key"] == (
        "the variable WANDB_API_KEY, which should hold a secret, is missing or cannot be read; "
        "set WANDB_API_KEY in the environment of the bridge"
    )
    assert set(found) == {"secret connections.acme.api_key", "connection acme"}
    assert results(desk)["connection prod: bucket"]["result"] == "ok"


@in_a_file
def test_no_secret_is_shown(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(desk, "store: sqlite:///bridge.db", "store: {env: STORE}\nsecret_key: {env: KEY}")
    monkeypatch.setenv("STORE", "postgresql+psycopg://ann:hunter2@127.0.0.1:1/bridge")
    monkeypatch.setenv("KEY", "short-hunter2")
    done = desk.bridge("doctor")

    assert (
        "problem  secret secret_key: secret_key has 13 characters, so it could be guessed; use 16 or more" in done.out
    )
    assert "problem  store: the store at postgresql+psycopg://ann:***@127.0.0.1:1/bridge does not answer" in done.out
    assert "hunter2" not in done.out + done.err


@in_a_file
def test_a_store_of_another_schema_is_named_with_what_mends_it(desk: Desk) -> None:
    open_store("sqlite:///bridge.db").close()
    with closing(sqlite3.connect("bridge.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0001'")

    assert (
        f"has the schema 0001, and this bridge reads {HEAD}; run bridge sync, which upgrades it"
        in problems(desk)["store"]
    )


def test_a_refused_key_is_a_problem_of_the_connection(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = f"local-wrong-doctor-{desk.number:030}"
    monkeypatch.setenv("WANDB_API_KEY", wrong)
    switches = desk.world.wandb.switches
    desk.world.wandb.switches = replace(switches, unknown_api_key="refuse")
    try:
        found = problems(desk)
    finally:
        desk.world.wandb.switches = switches

    assert set(found) == {"connection acme"}
    assert "refused the API key" in found["connection acme"]
    assert wrong not in str(found)


@pytest.mark.parametrize(
    ("old", "new", "about", "said"),
    [
        ("organization: acme", "organization: acne", "connection acme", "'acne' not found"),
        ("registry: model", "registry: modell", "mapping fraud", "has no registry 'modell'"),
        ("collection: detector-", "collection: defector-", "mapping fraud", "has no collection 'defector-"),
        ("gs://acme-models/", "gs://nobodys/", "connection prod: bucket", "the bucket does not exist"),
        ("gs://acme-models/", "gs://nobodys/", "connection prod: location", "the bucket does not exist"),
    ],
)
def test_what_the_configuration_names_and_is_not_there_is_told(
    desk: Desk, old: str, new: str, about: str, said: str
) -> None:
    desk.publish(b"weights", "production")
    edit(desk, old, new, "mappings/fraud.yaml" if about.startswith("mapping") else "bridge.yaml")

    assert said in problems(desk)[about]


def test_a_bucket_in_another_place_is_told(desk: Desk) -> None:
    make_bucket(desk, f"far-{desk.number}", {"location": "us-east1"})
    desk.publish(b"weights", "production")

    assert problems(desk) == {
        "connection prod: location": (
            f"bucket gs://far-{desk.number}: it is in US-EAST1, and Vertex AI in europe-west4 reads models only from "
            "buckets that are there, too; name a bucket in europe-west4 or EU in the connection, or a 'location' that "
            "US-EAST1 holds"
        )
    }


def test_a_bucket_that_may_not_be_written_names_the_rights_and_the_role(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    desk.world.gcs.service.withheld = frozenset({"storage.objects.create", "storage.objects.delete"})
    try:
        found = problems(desk)
    finally:
        desk.world.gcs.service.withheld = frozenset()
    assert found == {
        "connection prod: bucket": f"{BASE} may be listed, but this account lacks storage.objects.create, "
        "storage.objects.delete there; give it the role roles/storage.objectAdmin on the bucket"
    }


def test_what_could_not_be_told_is_no_problem_and_says_which_role_would_do(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    with faulty(desk, Fault("gcs", "status", LAYOUT.method, count=None, status=403)):
        done = desk.bridge("doctor")

    assert done.code == 0
    assert (
        "unknown  connection prod: location: where gs://acme-models/registry is could not be checked: this account may "
        "not ask for its storage layout; give it storage.objects.list on the bucket, "
        "which roles/storage.objectAdmin has"
    ) in done.out


def test_a_pattern_that_matches_nothing_is_told(desk: Desk) -> None:
    pattern = "collection: {regex: '^nothing-(?P<n>[0-9]+)$'}"
    edit(desk, f"collection: {desk.collection}", pattern, "mappings/fraud.yaml")
    edit(desk, f"model: {desk.model}", "model: 'nothing-{n}'", "mappings/fraud.yaml")
    found = results(desk)["mapping fraud"]

    assert (found["result"], found["said"]) == (
        "unknown",
        "no collection in wandb-registry-model matches it now (mappings/fraud.yaml:2:5)",
    )


def test_models_that_may_not_be_listed_name_the_role(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    with faulty(desk, Fault("vertex", "status", "ListModels", count=None, status=403)):
        found = problems(desk)

    assert set(found) == {"connection prod: models"}
    assert "give the bridge's account the role roles/aiplatform.user in the project" in found["connection prod: models"]


# whatever hangs or fails


# Each in a process of its own: what hangs there is left behind, and would go on in the middle of other tests.


def apart(desk: Desk, timeout: int) -> dict[str, dict[str, Any]]:
    """Return what doctor says in a process of its own, which has imported the SDKs when its time begins."""
    script = (
        "import sys, wandb, google.cloud.storage, google.cloud.aiplatform_v1\n"
        "from bridge.cli.main import run\n"
        f"sys.exit(run(['doctor', '--json', '--timeout', '{timeout}']))\n"
    )
    done = subprocess.run(  # noqa: S603  our own words
        [sys.executable, "-c", script], cwd=desk.folder, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 1, done.stderr
    return {each["check"]: each for each in json.loads(done.stdout)}


@pytest.mark.parametrize(
    ("service", "about"),
    [("wandb", "connection acme"), ("gcs", "connection prod: bucket"), ("vertex", "connection prod: models")],
)
def test_what_hangs_hides_nothing_else_and_does_not_keep_the_command(desk: Desk, service: str, about: str) -> None:
    desk.publish(b"weights", "production")
    with faulty(desk, Fault(service, "timeout_before", count=None, seconds=40)):
        found = apart(desk, 12)

    assert found[about]["said"] == "there was no answer within 12 s"
    others = {"wandb": "connection acme: access", "gcs": "connection prod: bucket", "vertex": "connection prod: models"}
    del others[service]
    assert {found[other]["result"] for other in others.values()} == {"ok"}


def test_nobody_answers_and_each_is_told(desk: Desk) -> None:
    for name, url in (("base_url", desk.world.wandb.url), ("storage_endpoint", desk.world.gcs.url)):
        edit(desk, f"{name}: '{url}'", f"{name}: 'http://127.0.0.1:1'")
    edit(desk, f"endpoint: '{desk.world.vertex.grpc_address}'", "endpoint: '127.0.0.1:1'")
    found = apart(desk, 10)

    assert {about for about, each in found.items() if each["result"] == "problem"} == {
        "connection acme",
        "connection prod: models",
        "connection prod: bucket",
        "connection prod: location",
    }
    assert found["clock, by http://127.0.0.1:1"]["result"] == "unknown"


# a service


def test_a_service_that_commands_would_speak_to_is_asked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(desk)
    desk.publish(b"first", "production")
    with running(desk) as service:
        service.await_event("is SYNCED")
        monkeypatch.setenv("BRIDGE_SERVER", service.url)
        assert results(desk)["server"]["said"] == f"{service.url} answers; mappings: 1"
        monkeypatch.setenv("BRIDGE_TOKEN", "bridge_guessed")
        assert "the token is not known, or was revoked" in problems(desk)["server"]
        assert service.end() == 0
    assert "does not answer" in problems(desk)["server"]
    monkeypatch.setenv("BRIDGE_SERVER", "nowhere")
    assert "BRIDGE_SERVER is not the URL of a service" in problems(desk)["server"]
