"""URLs that the real client signs are good until their time is over."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.cloud import storage  # noqa: TID251  the real client is what the stand-in is tested with
from google.oauth2.service_account import Credentials

from bridge.sandbox.address import BUCKET
from bridge.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give a sandbox whose clock nobody else moves."""
    with World(tmp_path_factory.mktemp("signed")) as own:
        yield own


def signed(world: World, version: str) -> str:
    """Put an object and have the client sign a URL for it, with a key made here, good for an hour."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    info = {"client_email": "a@b.test", "token_uri": "http://127.0.0.1:9/", "private_key": key.decode()}
    with storage.Client("p", Credentials.from_service_account_info(info)) as client:
        blob = client.bucket(BUCKET).blob("signed.txt")
        url = blob.generate_signed_url(
            expiration=timedelta(hours=1), version=version, api_access_endpoint=world.gcs.url
        )
    upload = f"{world.gcs.url}/upload/storage/v1/b/{BUCKET}/o"
    requests.post(upload, params={"uploadType": "media", "name": "signed.txt"}, data=b"hello", timeout=5)
    return str(url)


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_a_signed_url_is_read_until_its_time_is_over(world: World, version: str) -> None:
    url = signed(world, version)
    assert requests.get(url, timeout=5).content == b"hello"


def test_a_signed_url_that_is_over_is_refused(world: World) -> None:
    for query in ("X-Goog-Date=20200101T000000Z&X-Goog-Expires=60", "Expires=1"):
        refused = requests.get(f"{world.gcs.url}/{BUCKET}/signed.txt?{query}", timeout=5)
        assert (refused.status_code, "ExpiredToken" in refused.text) == (400, True)


def test_a_signed_url_whose_time_makes_no_sense_is_refused(world: World) -> None:
    assert requests.get(f"{world.gcs.url}/{BUCKET}/signed.txt?Expires=soon", timeout=5).status_code == 400
