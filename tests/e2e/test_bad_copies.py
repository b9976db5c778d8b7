"""Copies that cannot be made: each is told, leaves no manifest, registers nothing, and the next sync makes it good."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bridge.copying.gcs import GcsObjects
from bridge.core.naming import MANIFEST_NAME
from bridge.sandbox.address import BUCKET, PROJECT
from bridge.sandbox.faults import Fault

if TYPE_CHECKING:
    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox

PROMISED = b"second, and longer"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        pytest.param(
            Fault("wandb", "half_body", "GET file", None), "the connection broke 3 times at byte", id="breaks off"
        ),
        pytest.param(Fault("wandb", "corrupt_byte", "GET file", None), "does not have the digest", id="another byte"),
        pytest.param(
            Fault("wandb", "expired_url", "GET file", None), "even with a new URL (HTTP 403)", id="URL expires"
        ),
        pytest.param(
            Fault("gcs", "status", "*", None, status=404), "the bucket does not exist; create it", id="no bucket"
        ),
        pytest.param(
            Fault("gcs", "status", "*", None, status=403), "give the bridge's account the role", id="forbidden"
        ),
        pytest.param(
            Fault("gcs", "status", "objects.insert", None, status=429),
            "is unwell (HTTP 429); it is tried again",
            id="refused",
        ),
        pytest.param(
            Fault("gcs", "reset", "objects.insert", None), "; it is tried again at the next pass", id="no answer"
        ),
    ],
)
def test_what_cannot_be_copied_is_told_and_not_registered_until_it_can(desk: Desk, fault: Fault, told: str) -> None:
    desk.publish(b"first", "production")
    desk.bridge("sync")
    second = desk.publish(b"second, and longer", "production")
    desk.world.traffic.faults.arm(fault)
    done = desk.bridge("sync")

    assert done.code == 1
    assert told in done.out
    desk.world.traffic.faults.disarm()
    assert desk.bridge_json("status")[0]["state"] == "FAILED"
    not_made(desk, second)
    assert desk.bridge("sync").code == 0
    assert desk.aliases() == {"default": "2", "production": "2"}


@pytest.mark.parametrize(
    ("served", "told"),
    [
        pytest.param(b"second, and", "promises 18 bytes, and its bytes have 11; the version", id="fewer bytes"),
        pytest.param(
            b"second, and longer than that", "promises 18 bytes, and its bytes have more than 18; the", id="more bytes"
        ),
        pytest.param(b"second, or another", "promises md5 GDEIiBzbp5m7LTa98Iv4", id="other bytes, as many"),
        pytest.param(b"", "promises 18 bytes, and its bytes have 0; the version", id="none"),
    ],
)
def test_what_the_source_does_not_hold_as_promised_is_told_until_it_does(desk: Desk, served: bytes, told: str) -> None:
    desk.publish(b"first", "production")
    desk.bridge("sync")
    second = desk.publish(PROMISED, "production")
    desk.world.wandb.replace_file(f"{desk.path}:{second}", "model.pkl", served)
    done = desk.bridge("sync")

    assert done.code == 1
    assert told in done.out
    assert desk.bridge_json("status")[0]["state"] == "FAILED"
    not_made(desk, second)
    desk.world.wandb.replace_file(f"{desk.path}:{second}", "model.pkl", PROMISED)
    assert desk.bridge("sync").code == 0
    assert desk.aliases() == {"default": "2", "production": "2"}


def test_a_version_that_its_scanner_does_not_call_clean_is_told_and_not_registered_until_it_does(desk: Desk) -> None:
    desk.publish(b"first", "production")
    desk.bridge("sync")
    second = desk.publish(b"second, with os.system", "production")
    looks = "import sys; sys.exit('found os.system' if b'os.system' in sys.stdin.buffer.read() else 0)"
    desk.write_mapping("policy: sync", "default_from: production", f"scan: {{command: [python3, -c, {looks!r}]}}")
    done = desk.bridge("sync")

    assert done.code == 1
    assert "the scanner 'python3' did not call it clean: it ended with 1 and said 'found os.system'" in done.out
    assert desk.bridge_json("status")[0]["state"] == "FAILED"
    not_made(desk, second, is_whole=True)
    desk.publish(b"third, without", "production")
    assert desk.bridge("sync").code == 0
    assert desk.aliases() == {"default": "2", "production": "2"}
    assert len(desk.versions()) == 2


def test_other_bytes_under_its_name_are_told_and_stay(desk: Desk) -> None:
    desk.publish(b"first", "production")
    desk.bridge("sync")
    second = desk.publish(b"second, and longer", "production")
    planned = re.search(rf"gs://{BUCKET}/(\S+/{second}-\w+/)", desk.bridge("plan").out)
    assert planned is not None
    name = f"{planned[1]}model.pkl"
    with closing(GcsObjects(PROJECT, endpoint=desk.world.gcs.url)) as gcs:
        bucket = gcs._client.bucket(BUCKET)  # noqa: SLF001  a person's client is the same as ours
        bucket.blob(name).upload_from_string(b"somebody else's")
        done = desk.bridge("sync")

        assert done.code == 1
        assert "model.pkl is already there with other bytes; find out who wrote it" in done.out
        assert bucket.blob(name).download_as_bytes() == b"somebody else's"
        not_made(desk, second)
        bucket.blob(name).delete()
    assert desk.bridge("sync").code == 0
    assert desk.aliases() == {"default": "2", "production": "2"}


def not_made(desk: Desk, label: str, *, is_whole: bool = False) -> None:
    """See that a version was not registered, and that its folder is called whole only if it is."""
    assert desk.aliases() == {"default": "1", "production": "1"}
    assert len(desk.versions()) == 1
    manifests = [name for name in desk.objects() if f"/{label}-" in name and name.endswith(MANIFEST_NAME)]
    assert bool(manifests) == is_whole
