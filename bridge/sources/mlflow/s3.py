"""
S3 as a store that a source's files are read from: the only module that imports `boto3`.

Credentials, region and endpoint are found as MLflow's own client finds them: by boto3's rules, and by
MLFLOW_S3_ENDPOINT_URL, MLFLOW_S3_IGNORE_TLS and MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE (mlflow 3.17.2,
store/artifact/s3_artifact_repo.py). Bytes are fetched by URLs that are signed here.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError as BotoConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from bridge.core.errors import BridgeError, NeedsPerson, TryAgain
from bridge.core.model import ArtifactFile
from bridge.core.packed import pack_files
from bridge.net.lines import PER_HOST, Lines
from bridge.sources.streams import open_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from bridge.core.packed import Packed

SIGNED_FOR = 900  # seconds; a URL that has expired is signed again
DENIED = frozenset(
    {"AccessDenied", "AllAccessDisabled", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken"}
    | {"SignatureDoesNotMatch", "UnauthorizedAccess", "401", "403"}
)


class S3Store:
    """The ObjectStore port over S3 and what speaks as it does. Thread-safe."""

    def __init__(self, per_host: int = PER_HOST) -> None:
        self._lock = threading.Lock()
        self._made: Any = None
        self._lines = Lines(per_host, verify=not _ignores_tls())

    def close(self) -> None:
        """Close all connections."""
        self._lines.close()
        if self._made is not None:
            self._made.close()

    def list(self, folder: str) -> Packed[ArtifactFile]:
        """See the port. Empty objects that stand for a folder, by a name that ends in "/", are left out."""
        bucket, prefix = _parts(folder)
        try:
            pages = self._client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            return pack_files(
                ArtifactFile(found["Key"].removeprefix(prefix), found["Size"], None)
                for page in pages
                for found in page.get("Contents", ())
                if found["Size"] or not found["Key"].endswith("/")
            )
        except (BotoCoreError, ClientError) as problem:
            raise _translated(problem, folder) from problem

    def open(self, uri: str, start: int = 0) -> AbstractContextManager[Iterator[bytes]]:
        """See the port."""
        bucket, key = _parts(uri)

        def url(renew: bool) -> str:  # noqa: ARG001, FBT001  the shape that open_url asks for; signing asks nobody
            try:
                signed: str = self._client().generate_presigned_url(
                    "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=SIGNED_FOR
                )
            except (BotoCoreError, ClientError) as problem:
                raise _translated(problem, uri) from problem
            return signed

        return open_url(self._lines, url, f"{uri!a}", start)

    def _client(self) -> Any:  # noqa: ANN401  boto3 makes its classes at run time
        with self._lock:
            if self._made is None:
                self._made = boto3.session.Session().client(
                    "s3",
                    endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL") or None,
                    verify=False if _ignores_tls() else None,
                    config=Config(
                        signature_version="s3v4",
                        s3={"addressing_style": os.environ.get("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE") or "auto"},
                        connect_timeout=5,
                        read_timeout=60,
                        retries={"total_max_attempts": 3, "mode": "standard"},
                    ),
                )
            return self._made


def _translated(problem: BotoCoreError | ClientError, uri: str) -> BridgeError:
    if isinstance(problem, ClientError):
        return _refused(problem, uri)
    if isinstance(problem, NoCredentialsError | PartialCredentialsError):
        return NeedsPerson(
            f"there are no credentials to read {uri!a} with",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or another of boto3's ways, where the bridge runs",
        )
    if isinstance(problem, BotoConnectionError | HTTPClientError):
        return TryAgain(f"S3 cannot be reached for {uri!a} ({type(problem).__name__})")
    return NeedsPerson(f"{uri!a} cannot be read from S3 ({type(problem).__name__})", "check AWS_* and AWS's own files")


def _refused(problem: ClientError, uri: str) -> BridgeError:
    code = str(problem.response.get("Error", {}).get("Code", ""))
    status = problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in DENIED or status in (401, 403):
        return NeedsPerson(
            f"S3 does not let the bridge read {uri!a} ({code})",
            "give its credentials s3:ListBucket and s3:GetObject there",
        )
    if code == "NoSuchBucket":
        return NeedsPerson(f"there is no bucket of {uri!a} in S3", "check the name, and MLFLOW_S3_ENDPOINT_URL")
    if status in (408, 429) or status >= 500:  # noqa: PLR2004  HTTP's own
        return TryAgain(f"S3 is unwell, asked for {uri!a} ({code or status})")
    return NeedsPerson(f"S3 refuses to read {uri!a} ({code or status})", "check the bucket's name and region")


def _ignores_tls() -> bool:
    return os.environ.get("MLFLOW_S3_IGNORE_TLS", "").lower() in ("true", "1")


def _parts(uri: str) -> tuple[str, str]:
    """Part "s3://bucket/a/b" in bucket and key. Keys may hold "?" and "#", so this is no URL."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
