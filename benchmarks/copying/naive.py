"""
The naive way: W&B's SDK downloads all files to disk, then Google's client uploads them, both with threads.

The SDK's own code does what `Artifact.download` has it do with each file, with as many threads, and is spared the
requests of which it learns the URLs. It keeps each file in a cache and copies it into the folder (wandb 0.31.0).
"""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage  # noqa: TID251  the naive way is Google's client
from google.cloud.storage import transfer_manager  # noqa: TID251  the same
from wandb import Artifact
from wandb.sdk.artifacts.artifact import _FILE_EXECUTOR_WORKERS, _MP_EXECUTOR_WORKERS
from wandb.sdk.artifacts.artifact_manifest_entry import ArtifactManifestEntry
from wandb.sdk.artifacts.storage_policies._multipart import should_multipart_download
from wandb.sdk.lib.paths import LogicalPath

from benchmarks.copying.engine import PROJECT

if TYPE_CHECKING:
    from benchmarks.copying.job import Job

THREADS = 8  # that upload


def naive(job: Job) -> None:
    """Copy as one would without the bridge."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WANDB_CACHE_DIR"] = f"{folder}/cache"
        names = [f"f{number:05}" for number in range(job.files)]
        _download(job, names, f"{folder}/files")
        _upload(job, names, f"{folder}/files")


def _download(job: Job, names: list[str], folder: str) -> None:
    artifact = Artifact("model", "model")
    with ThreadPoolExecutor(_FILE_EXECUTOR_WORKERS) as files, ThreadPoolExecutor(_MP_EXECUTOR_WORKERS) as parts:

        def download(number: int) -> None:
            entry = ArtifactManifestEntry(path=LogicalPath(names[number]), digest=job.digests[number], size=job.size)
            entry._parent_artifact, entry._download_url = artifact, job.url(number)  # noqa: SLF001  as the SDK does
            entry.download(folder, executor=parts if should_multipart_download(job.size) else None)

        list(files.map(download, range(job.files)))
    assert sum(Path(folder, name).stat().st_size for name in names) == job.files * job.size


def _upload(job: Job, names: list[str], folder: str) -> None:
    client = storage.Client(PROJECT, AnonymousCredentials(), client_options={"api_endpoint": job.sink})
    # Its threads would open a connection for each request without a pool of that size.
    client._http.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=THREADS))  # noqa: SLF001
    results = transfer_manager.upload_many_from_filenames(
        client.bucket("bk"),
        names,
        source_directory=folder,
        blob_name_prefix="naive/",
        skip_if_exists=True,
        raise_exception=True,
        max_workers=THREADS,
        worker_type=transfer_manager.THREAD,
    )
    assert len(results) == job.files
