"""A bucket in another location than Vertex is found before any byte moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from bridge.sandbox.faults import Fault
from bridge.sandbox.traffic import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox

LAYOUT = Call("gcs", "buckets.getStorageLayout", write=False)


def make_bucket(desk: Desk, name: str, said: Mapping[str, object]) -> None:
    """Make a bucket, and name it in the configuration."""
    answer = requests.post(f"{desk.world.gcs.url}/storage/v1/b?project=p", json={"name": name, **said}, timeout=10)
    answer.raise_for_status()
    path = desk.folder / "bridge.yaml"
    path.write_text(path.read_text().replace("gs://acme-models/", f"gs://{name}/"))


def test_plan_and_sync_refuse_a_bucket_in_another_place(desk: Desk) -> None:
    make_bucket(desk, f"far-away-{desk.number}", {"location": "us-east1"})
    desk.publish(b"weights", "production")
    desk.world.traffic.reset()
    refused = (
        f"! location bucket gs://far-away-{desk.number}: it is in US-EAST1, and Vertex AI in europe-west4 reads models "
        "only from buckets that are there, too; name a bucket in europe-west4 or EU in the connection, or a 'location' "
        "that US-EAST1 holds"
    )
    assert refused in desk.bridge("plan").out
    assert desk.world.traffic.count(write=True) == 0

    done = desk.bridge("sync")
    assert (done.code, refused in done.out) == (1, True)
    assert "BLOCKED" in desk.bridge("status").out
    assert desk.world.traffic.count("gcs", write=True) == desk.world.traffic.count("vertex", write=True) == 0


@pytest.mark.parametrize(
    "said",
    [
        {"location": "EU"},
        {"location": "eur4"},
        {"location": "EU", "customPlacementConfig": {"dataLocations": ["EUROPE-WEST4", "EUROPE-WEST9"]}},
    ],
    ids=["multi-region", "pair", "chosen pair"],
)
def test_a_bucket_that_holds_the_region_among_others_will_do(desk: Desk, said: Mapping[str, object]) -> None:
    make_bucket(desk, f"near-{desk.number}", said)
    desk.publish(b"weights", "production")

    assert desk.bridge("sync").code == 0
    assert desk.aliases()["production"] == "1"


def test_a_bucket_that_does_not_tell_where_it_is_is_used(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    number = desk.world.traffic.faults.arm(Fault("gcs", "status", LAYOUT.method, count=None, status=403))
    try:
        done = desk.bridge("sync")
    finally:
        desk.world.traffic.faults.disarm(number)

    assert done.code == 0, done.out
    assert desk.aliases()["production"] == "1"


def test_where_the_bucket_is_costs_one_request_for_all_models(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    other = f"other-{desk.number}"
    desk.world.wandb.seed_version(desk.path.replace(desk.collection, other), {"m": b"x"}, aliases=["production"])
    text = (desk.folder / "mappings" / "fraud.yaml").read_text()
    second = text.replace("name: fraud", "name: other").replace(desk.collection, other).replace(desk.model, other)
    (desk.folder / "mappings" / "other.yaml").write_text(second)
    desk.world.traffic.reset()

    assert desk.bridge("sync").code == 0
    assert desk.world.traffic.counts()[LAYOUT] == 1
    desk.bridge("sync", "--full")
    assert desk.world.traffic.counts()[LAYOUT] == 1, "nothing was to be brought"
