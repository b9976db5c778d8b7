"""The MLflow part of the sandbox, asked by the real client, and by raw requests where the client never goes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import itertools
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import tracemalloc
from contextlib import ExitStack, contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from bridge.sandbox.faults import Fault
from bridge.sandbox.mlflow.child import BeyondLoopback, stay_home
from bridge.sandbox.mlflow.names import is_write, method_name
from bridge.sandbox.mlflow.process import MlflowProcess
from bridge.sandbox.mlflow.server import MlflowServer
from bridge.sandbox.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow import MlflowClient

pytestmark = pytest.mark.sandbox

MIB = 1 << 20
NUMBERS = itertools.count()
REST = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
TRAFFIC = Traffic()  # of the one server
SECONDS = 20  # that a test waits for something, at most


@pytest.fixture(scope="module", autouse=True)
def _quiet_client() -> Iterator[None]:
    """Let the client ask once, report to nobody and draw no bars."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        yield


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """One server for the module; each test uses models and runs of its own."""
    started = MlflowServer(tmp_path_factory.mktemp("mlflow %41#?"), traffic=TRAFFIC)
    started.start()
    try:
        assert TRAFFIC.count() == 0, "becoming ready is not counted"
        yield started
    finally:
        started.stop()


@pytest.fixture
def traffic() -> Iterator[Traffic]:
    """Hand out the tally, from zero and without faults."""
    TRAFFIC.reset()
    yield TRAFFIC
    TRAFFIC.faults.disarm()


@pytest.fixture
def client(server: MlflowServer) -> MlflowClient:
    return client_of(server.url)


def client_of(url: str) -> MlflowClient:
    from mlflow import MlflowClient  # noqa: PLC0415  takes seconds, and looks at the environment

    return MlflowClient(tracking_uri=url)


@pytest.fixture
def model(client: MlflowClient) -> str:
    """Register a model that no other test knows."""
    name = f"churn-{next(NUMBERS)}"
    client.create_registered_model(name)
    return name


def a_run(client: MlflowClient) -> str:
    run_id: str = client.create_run(client.create_experiment(f"experiment-{next(NUMBERS)}")).info.run_id
    return run_id


def a_version(client: MlflowClient, model: str) -> str:
    version: str = client.create_model_version(model, f"s3://nowhere/{model}").version
    return version


# The registry


def test_a_version_of_a_logged_file_has_an_alias_and_a_stage(client: MlflowClient, model: str, tmp_path: Path) -> None:
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"\x00weights")
    run = a_run(client)
    client.log_artifact(run, str(weights), "model")

    made = client.create_model_version(model, f"runs:/{run}/model", run_id=run, tags={"by": "a test"})
    client.set_registered_model_alias(model, "champion", made.version)
    with pytest.warns(FutureWarning, match="stages will be removed"):
        client.transition_model_version_stage(model, made.version, "Production")

    found = client.get_model_version_by_alias(model, "champion")
    assert (found.version, found.run_id, found.tags) == ("1", run, {"by": "a test"})
    assert client.search_registered_models(f"name = '{model}'")[0].aliases == {"champion": "1"}
    assert [v.current_stage for v in client.search_model_versions(f"name = '{model}'")] == ["Production"]


def test_a_missing_model_is_a_404_in_the_servers_own_words(server: MlflowServer) -> None:
    answer = requests.get(f"{server.url}{REST}/registered-models/get", params={"name": "nobody's"}, timeout=SECONDS)
    assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert answer.headers["Server"] == "uvicorn", "said once"


def test_health_is_answered_through_the_proxy(server: MlflowServer) -> None:
    assert requests.get(f"{server.url}/health", timeout=SECONDS).text == "OK"


def test_telemetry_and_jobs_are_off(server: MlflowServer) -> None:
    config = requests.get(f"{server.url}/ajax-api/3.0/mlflow/ui-telemetry", timeout=SECONDS).json()
    assert config["disable_ui_telemetry"] is True
    assert "huey" not in server.process.log.read_text()


# Artifacts


def test_a_large_file_goes_up_and_down_in_pieces(client: MlflowClient, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(os.urandom(40 * MIB))
    small = tmp_path / "small.bin"
    small.write_bytes(b"small")
    down = tmp_path / "down"
    down.mkdir()
    run = a_run(client)
    client.log_artifact(run, str(small), "warm-up")  # imports, connection pools
    tracemalloc.start()
    try:
        client.log_artifact(run, str(large))
        copy = client.download_artifacts(run, "large.bin", str(down))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert digest(Path(copy)) == digest(large)
    assert ("large.bin", 40 * MIB) in [(file.path, file.file_size) for file in client.list_artifacts(run)]
    assert peak < 20 * MIB, "client and proxy, which share this process, hold pieces only"


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.parametrize("name", ["é 日本.bin", "a+b&c;d.bin", "100%zz.bin", "empty.bin"])
def test_files_keep_their_names_and_bytes(client: MlflowClient, tmp_path: Path, name: str) -> None:
    content = b"" if name == "empty.bin" else name.encode()
    up, down = tmp_path / "up", tmp_path / "down"
    up.mkdir()
    down.mkdir()
    (up / name).write_bytes(content)
    run = a_run(client)
    client.log_artifacts(run, str(up), "d")
    assert [file.path for file in client.list_artifacts(run, "d")] == [f"d/{name}"]
    client.download_artifacts(run, "d", str(down))
    assert [(file.name, file.read_bytes()) for file in (down / "d").iterdir()] == [(name, content)]


def uploaded(server: MlflowServer, body: bytes) -> str:
    """Put a file where no run is; return its URL."""
    url = f"{server.url}{FILES}/loose/{next(NUMBERS)}.bin"
    requests.put(url, data=body, timeout=SECONDS).raise_for_status()
    return url


def test_a_range_is_answered_with_that_range(server: MlflowServer) -> None:
    answer = requests.get(uploaded(server, b"0123456789"), headers={"Range": "bytes=2-5"}, timeout=SECONDS)
    assert (answer.status_code, answer.content, answer.headers["Content-Range"]) == (206, b"2345", "bytes 2-5/10")


def test_head_says_the_size_and_sends_nothing(server: MlflowServer) -> None:
    answer = requests.head(uploaded(server, b"0123456789"), timeout=SECONDS)
    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (200, b"", "10")


def test_an_upload_of_unknown_length_arrives_whole(server: MlflowServer) -> None:
    url = f"{server.url}{FILES}/loose/chunked.bin"
    requests.put(url, data=(bytes([n]) * 1000 for n in range(5)), timeout=SECONDS).raise_for_status()
    assert len(requests.get(url, timeout=SECONDS).content) == 5000


def test_a_path_reaches_the_server_as_it_was_written(server: MlflowServer) -> None:
    """A proxy that tidies ".." away would hide that the server refuses it."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=SECONDS)
    connection.request("GET", f"{FILES}/a/../../secret")
    answer = connection.getresponse()
    assert (answer.status, b"Invalid path" in answer.read()) == (400, True)
    connection.close()


def test_a_caller_that_leaves_in_mid_upload_leaves_no_file(server: MlflowServer) -> None:
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as caller:
        caller.sendall(f"PUT {FILES}/left/half.bin HTTP/1.1\r\nHost: {address.netloc}\r\n".encode())
        caller.sendall(b"Content-Length: 1000\r\n\r\n" + b"x" * 500)
    assert requests.get(f"{server.url}{FILES}", params={"path": "left"}, timeout=SECONDS).json() == {}


# Webhooks


@contextmanager
def receiver() -> Iterator[tuple[str, queue.Queue[tuple[Any, bytes]]]]:
    """Listen for deliveries: yields a URL, and the queue of (headers, raw body)."""
    got: queue.Queue[tuple[Any, bytes]] = queue.Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.put((self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}/", got
        finally:
            listening.shutdown()
            thread.join()


def signature(secret: str, headers: Any, body: bytes) -> str:  # noqa: ANN401  http.client's own mapping
    signed = f"{headers['X-MLflow-Delivery-Id']}.{headers['X-MLflow-Timestamp']}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, "sha256").digest()).decode()


def hook_on_aliases(client: MlflowClient, url: str, secret: str) -> str:
    from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent  # noqa: PLC0415  as in client_of

    event = WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED)
    hook_id: str = client.create_webhook(f"hook-{next(NUMBERS)}", url, [event], secret=secret).webhook_id
    return hook_id


def test_a_new_webhook_hears_of_the_next_alias_and_its_signature_is_good(client: MlflowClient, model: str) -> None:
    version = a_version(client, model)
    client.set_registered_model_alias(model, "before", version)  # MLflow has looked for hooks, and found none
    with receiver() as (url, got):
        hook = hook_on_aliases(client, url, "s3cret")
        client.set_registered_model_alias(model, "champion", version)
        headers, body = got.get(timeout=SECONDS)
        client.delete_webhook(hook)
    told = json.loads(body)
    assert (told["entity"], told["action"]) == ("model_version_alias", "created")
    assert told["data"] == {"name": model, "alias": "champion", "version": version}
    assert headers["X-MLflow-Signature"] == signature("s3cret", headers, body)


@pytest.mark.parametrize("beyond", ["http://192.0.2.1/", "http://hooks.example.com/"])
def test_the_server_does_not_leave_the_machine(client: MlflowClient, beyond: str) -> None:
    hook = hook_on_aliases(client, beyond, "s3cret")
    told = client.test_webhook(hook)
    client.delete_webhook(hook)
    assert not told.success
    assert "does not leave this machine" in str(told.error_message)


@pytest.mark.parametrize(
    ("event", "arguments", "allowed"),
    [
        ("socket.connect", (None, ("127.0.0.1", 80)), True),
        ("socket.connect", (None, ("::1", 80, 0, 0)), True),
        ("socket.connect", (None, ("8.8.8.8", 53)), False),
        ("socket.getaddrinfo", ("localhost", 80), True),
        ("socket.getaddrinfo", (None, 80), True),
        ("socket.getaddrinfo", (b"mlflow.org", 443), False),
        ("open", ("/etc/hosts", "r", 0), True),
    ],
)
def test_these_addresses_are_at_home(event: str, arguments: tuple[object, ...], allowed: bool) -> None:  # noqa: FBT001  a row's
    with nullcontext() if allowed else pytest.raises(BeyondLoopback, match="does not leave this machine"):
        stay_home(event, arguments)


# The tally


def test_reads_and_writes_are_counted_by_their_names(
    client: MlflowClient, model: str, traffic: Traffic, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(b"x")
    run, version = a_run(client), a_version(client, model)
    traffic.reset()
    client.search_registered_models()
    client.get_model_version(model, version)
    client.search_runs([client.get_run(run).info.experiment_id])
    assert traffic.count("mlflow", write=True) == 0
    client.set_registered_model_alias(model, "a", version)
    client.get_model_version_by_alias(model, "a")
    client.log_artifact(run, str(tmp_path / "f"))
    client.list_artifacts(run)
    client.download_artifacts(run, "f", str(tmp_path))
    counts = {(call.method, call.write): n for call, n in traffic.counts().items()}
    assert {call.service for call in traffic.counts()} == {"mlflow"}
    for expected in [
        ("registered-models/search", False),
        ("model-versions/get", False),
        ("runs/search", False),
        ("registered-models/alias POST", True),
        ("registered-models/alias GET", False),
        ("mlflow-artifacts/artifacts PUT", True),
        ("mlflow-artifacts/artifacts GET", False),
    ]:
        assert counts[expected] == 1
    assert traffic.count("mlflow", write=True) == 2


@pytest.mark.parametrize(
    ("verb", "path", "name", "write"),
    [
        ("GET", "/health", "health", False),
        ("GET", "/", "", False),
        ("POST", "/graphql", "graphql", False),
        ("GET", "/model-versions/get-artifact", "model-versions/get-artifact", False),
        ("GET", "/static-files/static/js/main.js", "static-files", False),
        ("GET", "/api/3.0/mlflow/server-info", "server-info", False),
        ("POST", "/api/2.0/mlflow/registered-models/get-latest-versions",
         "registered-models/get-latest-versions", False),
        ("POST", "/ajax-api/2.0/mlflow/experiments/search-datasets", "experiments/search-datasets", False),
        ("DELETE", "/api/2.0/mlflow/registered-models/delete", "registered-models/delete", True),
        ("PATCH", "/api/2.0/mlflow/model-versions/update", "model-versions/update", True),
        ("POST", "/api/2.0/mlflow/model-versions/transition-stage", "model-versions/transition-stage", True),
        ("POST", "/api/2.0/mlflow/webhooks", "webhooks POST", True),
        ("PATCH", "/api/2.0/mlflow/webhooks/1b-2c", "webhooks/{id} PATCH", True),
        ("POST", "/api/2.0/mlflow/webhooks/1b-2c/test", "webhooks/{id}/test", True),
        ("POST", "/api/2.0/mlflow/logged-models/search", "logged-models/search", False),
        ("GET", "/api/2.0/mlflow/logged-models/m-12", "logged-models/{id} GET", False),
        ("GET", "/api/2.0/mlflow/logged-models/m-12/artifacts/directories",
         "logged-models/{id}/artifacts/directories", False),
        ("DELETE", "/api/2.0/mlflow/logged-models/m-12/tags/a b", "logged-models/{id}/tags/{id} DELETE", True),
        ("GET", "/api/3.0/mlflow/workspaces", "workspaces GET", False),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts", "mlflow-artifacts/artifacts LIST", False),
        ("HEAD", "/api/2.0/mlflow-artifacts/artifacts/1/a\nb", "mlflow-artifacts/artifacts HEAD", False),
        ("DELETE", "/api/2.0/mlflow-artifacts/artifacts/1/get", "mlflow-artifacts/artifacts DELETE", True),
        ("GET", "/api/2.0/mlflow-artifacts/presigned/1/x", "mlflow-artifacts/presigned", False),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/create/1/search", "mlflow-artifacts/mpu/create", True),
    ],
)  # fmt: skip  # a table
def test_requests_have_these_names(verb: str, path: str, name: str, write: bool) -> None:  # noqa: FBT001  a row's
    assert method_name(verb, path) == name
    assert is_write(verb, name) == write


# Faults


def test_429_says_when_to_come_again(server: MlflowServer, traffic: Traffic) -> None:
    traffic.faults.arm(Fault("mlflow", "status", "registered-models/search", status=429, retry_after=7))
    answer = requests.get(f"{server.url}{REST}/registered-models/search", timeout=SECONDS)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert requests.get(f"{server.url}{REST}/registered-models/search", timeout=SECONDS).status_code == 200


def test_the_client_sees_a_broken_connection(client: MlflowClient, model: str, traffic: Traffic) -> None:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415  as in client_of

    traffic.faults.arm(Fault("mlflow", "reset", "registered-models/alias POST"))
    version = a_version(client, model)
    with pytest.raises(MlflowException, match="Connection aborted"):
        client.set_registered_model_alias(model, "lost", version)
    assert client.get_registered_model(model).aliases == {}, "it was not worked on"


def test_a_reply_can_be_lost_after_the_deed(client: MlflowClient, model: str, traffic: Traffic) -> None:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415  as in client_of

    version = a_version(client, model)
    traffic.faults.arm(Fault("mlflow", "timeout_after", "registered-models/alias POST", seconds=0.05))
    with pytest.raises(MlflowException):
        client.set_registered_model_alias(model, "done", version)
    assert client.get_registered_model(model).aliases == {"done": version}


def test_half_of_a_download_breaks_off(server: MlflowServer, traffic: Traffic) -> None:
    url = uploaded(server, b"x" * 1000)
    traffic.faults.arm(Fault("mlflow", "half_body", "mlflow-artifacts/artifacts GET"))
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="500 bytes read"):
        requests.get(url, timeout=SECONDS)
    assert requests.get(url, timeout=SECONDS).content == b"x" * 1000


def test_half_of_an_upload_leaves_no_file(server: MlflowServer, traffic: Traffic) -> None:
    traffic.faults.arm(Fault("mlflow", "half_body", "mlflow-artifacts/artifacts PUT"))
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.put(f"{server.url}{FILES}/cut/half.bin", data=b"x" * 1000, timeout=SECONDS)
    assert requests.get(f"{server.url}{FILES}", params={"path": "cut"}, timeout=SECONDS).json() == {}


def test_a_caller_without_permission_sees_nothing(client: MlflowClient, model: str, traffic: Traffic) -> None:
    traffic.faults.arm(Fault("mlflow", "empty", "registered-models/search"))
    assert list(client.search_registered_models()) == []
    assert model in [found.name for found in client.search_registered_models()]


def test_a_byte_of_an_answer_can_be_another(server: MlflowServer, traffic: Traffic) -> None:
    url = uploaded(server, b"xxx")
    traffic.faults.arm(Fault("mlflow", "corrupt_byte", "*artifacts GET"))
    assert requests.get(url, timeout=SECONDS).content == b"xyx"


# Life and death


def test_models_files_and_the_secrets_of_hooks_are_there_after_a_restart(tmp_path: Path) -> None:
    with ExitStack() as cleanup:
        url, got = cleanup.enter_context(receiver())

        def started() -> tuple[MlflowServer, MlflowClient]:
            new = MlflowServer(tmp_path, traffic=Traffic())
            cleanup.callback(new.stop)
            new.start()
            return new, client_of(new.url)

        first, client = started()
        client.create_registered_model("churn")
        version = a_version(client, "churn")
        file = urlsplit(uploaded(first, b"weights")).path
        hook_on_aliases(client, url, "s3cret")
        first.stop()

        second, client = started()
        client.set_registered_model_alias("churn", "champion", version)
        headers, body = got.get(timeout=SECONDS)
        assert headers["X-MLflow-Signature"] == signature("s3cret", headers, body)
        assert requests.get(second.url + file, timeout=SECONDS).content == b"weights"

        process = second.process.pid
        assert process is not None
        os.killpg(process, 0)  # it is there
        second.stop()
        second.stop()
        with pytest.raises(ProcessLookupError):
            os.killpg(process, 0)


def test_a_server_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "mlflow.sqlite").write_text("no database at all\n" * 100)
    server = MlflowServer(tmp_path, traffic=Traffic())
    url = server.url
    with pytest.raises(RuntimeError, match="file is not a database"):
        server.start()
    assert server.process.pid is None
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(url, timeout=SECONDS)


def test_a_server_that_has_died_is_a_502(tmp_path: Path) -> None:
    server = MlflowServer(tmp_path, traffic=Traffic())
    server.start_in_background()
    try:
        assert server.process.pid is not None
        os.kill(server.process.pid, signal.SIGKILL)
        answer = requests.get(f"{server.url}/health", timeout=SECONDS)
        assert (answer.status_code, str(server.process.log) in answer.text) == (502, True)
    finally:
        server.stop()


PARENT = """
import sys, threading
from pathlib import Path
from bridge.sandbox.mlflow.process import MlflowProcess
process = MlflowProcess(Path(sys.argv[1]))
starter = threading.Thread(target=process.start)  # has ended long before its parent
starter.start()
starter.join()
print(process.port, flush=True)
threading.Event().wait()
"""


def test_the_server_dies_with_its_parent_even_on_kill_9(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE) as parent:  # noqa: S603  ours
        assert parent.stdout is not None
        with socket.create_connection(("127.0.0.1", int(parent.stdout.readline()))) as waiting:
            waiting.settimeout(SECONDS)
            parent.kill()
            with pytest.raises(ConnectionResetError):  # nobody has the socket any more
                waiting.recv(1)


def test_a_server_deaf_to_sigterm_is_killed(tmp_path: Path) -> None:
    process = MlflowProcess(tmp_path)
    process.start()
    pid = process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    process.stop(patience=0.05)
    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)
