"""
Measures the goals that are not ratios of a copy: start-up times, and how fast the stand-ins are.

`python -m benchmarks.run` prints a table; `--json FILE` writes the same there, too. The sandbox runs in a process of
its own, as users have it.
"""

from __future__ import annotations

import argparse
import http.client
import io
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import requests
import wandb
from google.auth.credentials import AnonymousCredentials
from google.cloud import (
    aiplatform_v1 as v1,  # noqa: TID251  a client of the stand-in
    storage,  # noqa: TID251  the same
)
from google.cloud.aiplatform_v1.services.model_service.transports.grpc import (  # noqa: TID251  the same
    ModelServiceGrpcTransport,
)

from benchmarks import manifests, mlflow_source
from benchmarks.copying import measuring
from benchmarks.table import Row, conditions, say_table, write_json
from bridge.sandbox.address import API_KEY, BUCKET, LOCATION, ORG_ENTITY, ORGANIZATION, PROJECT, environment
from bridge.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
PORTS = 28460
COLLECTIONS, VERSIONS = 10_000, 3
SMALL, CLIENTS = 2_000, 16
CALLS = 1_000


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds `work` takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def start(folder: str, *more: str) -> subprocess.Popen[str]:
    """Start a sandbox of its own; return when it is ready."""
    command = [sys.executable, "-m", "bridge", "sandbox", "--data", folder, "--port-base", str(PORTS), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  our own words
    assert process.stdout is not None
    assert process.stdout.readline() == "sandbox ready\n"
    return process


def peak_memory(process: subprocess.Popen[str]) -> float:
    """Return the most memory that a process has held, in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def help_time() -> Row:
    """Measure `bridge --help`."""
    command = [sys.executable, "-m", "bridge", "--help"]
    times = [timed(lambda: subprocess.run(command, capture_output=True, check=True)) for _ in range(7)]  # noqa: S603  the same
    return ("`bridge --help`", "<= 0.4", "s", times)


def seed(folder: str) -> None:
    """Fill W&B's registry before the sandbox starts over it."""
    with World(Path(folder)) as world:
        world.wandb.seed_collections(COLLECTIONS, VERSIONS, registry=f"{ORG_ENTITY}/wandb-registry-model")


def listing() -> float:
    """List the aliased versions of all collections through the SDK; return the seconds."""
    api = wandb.Api(overrides={"base_url": environment(PORTS)["WANDB_BASE_URL"]}, api_key=API_KEY, timeout=60)
    registries = api.registries(ORGANIZATION, filter={"name": "model"})

    def work() -> None:
        found = list(registries.versions(filter={"alias": {"$in": ["production"]}}, per_page=1000))
        assert len(found) == COLLECTIONS

    return timed(work)


def big_upload(size: int = 1 << 30) -> float:
    """Send one object in one request; return MB/s."""
    host = environment(PORTS)["STORAGE_EMULATOR_HOST"].removeprefix("http://")
    piece = os.urandom(MIB)

    def work() -> None:
        connection = http.client.HTTPConnection(host)
        connection.putrequest("POST", f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=big")
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        for _ in range(size // MIB):
            connection.send(piece)
        assert connection.getresponse().status == requests.codes.ok
        connection.close()

    return size / 1e6 / timed(work)


def small_uploads() -> float:
    """Send many 64 KiB objects from many threads over plain HTTP; return objects/s."""
    url = f"{environment(PORTS)['STORAGE_EMULATOR_HOST']}/upload/storage/v1/b/{BUCKET}/o"
    content = os.urandom(64 << 10)

    def client(number: int) -> None:
        with requests.Session() as session:
            for index in range(SMALL // CLIENTS):
                name = f"small/{number}/{index}"
                session.post(
                    url, params={"uploadType": "media", "name": name}, data=content, timeout=60
                ).raise_for_status()

    def work() -> None:
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(client, range(CLIENTS)))

    return SMALL / timed(work)


def vertex_calls() -> float:
    """Ask Vertex over gRPC many times; return the seconds."""
    channel = grpc.insecure_channel(environment(PORTS)["BRIDGE_SANDBOX_VERTEX_GRPC"])
    client = v1.ModelServiceClient(transport=ModelServiceGrpcTransport(channel=channel))
    parent = f"projects/{PROJECT}/locations/{LOCATION}"
    model = v1.Model(display_name="bench", artifact_uri="gs://b/m")
    name = f"bench-{time.monotonic_ns()}"
    client.upload_model(v1.UploadModelRequest(parent=parent, model_id=name, model=model)).result()

    def work() -> None:
        for _ in range(CALLS):
            client.get_model(name=f"{parent}/models/{name}")

    seconds = timed(work)
    channel.close()
    return seconds


def download() -> float:
    """Read the big object with the official client; return MB/s."""
    options = {"api_endpoint": environment(PORTS)["STORAGE_EMULATOR_HOST"]}
    with storage.Client(project=PROJECT, credentials=AnonymousCredentials(), client_options=options) as client:
        blob = client.bucket(BUCKET).blob("big")
        sink = io.BytesIO()
        seconds = timed(lambda: blob.download_to_file(sink, checksum=None))
    return sink.tell() / 1e6 / seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    said = parser.parse_args()
    under = conditions()
    figures: list[Row] = [help_time()]
    with tempfile.TemporaryDirectory() as folder:
        seed(folder)
        begun = time.perf_counter()
        process = start(folder, "--no-mlflow")
        figures.append(("start of the sandbox without MLflow", "<= 5", "s", [time.perf_counter() - begun]))
        try:
            figures += [
                ("W&B: 10,000 collections x 3 listed by alias", "<= 8", "s", [listing() for _ in range(3)]),
                ("Vertex: 1,000 calls over gRPC", "<= 3", "s", [vertex_calls() for _ in range(3)]),
                ("GCS: small objects, 16 clients", ">= 800", "objects/s", [small_uploads() for _ in range(3)]),
                ("GCS: one upload of 1 GiB", ">= 250", "MB/s", [big_upload() for _ in range(3)]),
                ("GCS: download of it, official client", "-", "MB/s", [download()]),
                ("memory of the sandbox, at most, after all this", "<= 400", "MB", [peak_memory(process)]),
            ]
        finally:
            process.terminate()
            process.wait()
    figures += mlflow_source.measure()
    figures += manifests.measure()
    figures += measuring.measure()
    say_table(figures, under)
    if said.json:
        write_json(said.json, figures, under)


if __name__ == "__main__":
    main()
