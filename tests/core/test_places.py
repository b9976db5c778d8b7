"""Whether Vertex can read a bucket, row by row."""

from __future__ import annotations

import pytest

from bridge.core.changes import Kind
from bridge.core.model import BucketPlace
from bridge.core.places import holds, refuse_misplaced

CHOSEN = ("US-EAST1", "us-west1")
ROWS = [
    ("EUROPE-WEST4", (), "europe-west4", True),
    ("europe-west4", (), "EUROPE-WEST4", True),
    ("EUROPE-WEST4", (), "europe-west1", False),
    ("EUROPE-WEST1", (), "europe-west12", False),
    ("EU", (), "europe-west4", True),
    ("EU", (), "europe-west12", True),
    ("EU", (), "europe-west2", False),
    ("EU", (), "us-central1", False),
    ("US", (), "us-central1", True),
    ("US", (), "northamerica-northeast1", False),
    ("ASIA", (), "asia-southeast1", True),
    ("ASIA", (), "australia-southeast1", False),
    ("EUR4", (), "europe-west4", True),
    ("EUR4", (), "europe-west3", False),
    ("NAM4", (), "us-central1", True),
    ("US", CHOSEN, "us-east1", True),
    ("US", CHOSEN, "us-central1", False),
    ("EUR5", (), "europe-west4", None),
    ("EUR99", (), "europe-west4", None),
    ("EU", (), "global", None),
]


@pytest.mark.parametrize(("location", "regions", "region", "answer"), ROWS)
def test_a_bucket_holds_its_bytes_in_a_region_or_not(
    location: str, regions: tuple[str, ...], region: str, *, answer: bool | None
) -> None:
    place = BucketPlace(location, regions)

    assert holds(place, region) is answer
    assert (refuse_misplaced("gs://b/models", place, region) is None) is (answer is not False)


def test_a_bucket_whose_place_is_not_known_is_not_refused() -> None:
    assert refuse_misplaced("gs://b/models", None, "europe-west4") is None


@pytest.mark.parametrize(
    ("place", "region", "remedy"),
    [
        (
            BucketPlace("US"),
            "europe-west4",
            "a bucket in europe-west4 or EU in the connection, or a 'location' that US",
        ),
        (BucketPlace("EU"), "europe-west2", "a bucket in europe-west2 in the connection, or a 'location' that EU"),
        (BucketPlace("US", CHOSEN), "us-south1", "or a 'location' that US (US-EAST1 and us-west1) holds"),
    ],
)
def test_a_bucket_that_vertex_cannot_read_is_refused_with_what_would_do(
    place: BucketPlace, region: str, remedy: str
) -> None:
    refusal = refuse_misplaced("gs://b/models/prod", place, region)

    assert refusal is not None
    assert (refusal.kind, refusal.about) == (Kind.LOCATION, "bucket gs://b")
    assert (
        refusal.reason
        == f"it is in {place}, and Vertex AI in {region} reads models only from buckets that are there, too"
    )
    assert remedy in refusal.remedy
