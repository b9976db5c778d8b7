"""
Whether Vertex AI can read from where a bucket keeps its bytes.

What is in which location is said at cloud.google.com/storage/docs/locations: the multi-region EU leaves out London and
Zurich. Where nobody here could look it up, as for EUR5, EUR7 and EUR8, nothing is claimed, and so nothing is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.core.changes import Kind, Refusal

if TYPE_CHECKING:
    from bridge.core.model import BucketPlace

_REGION = re.compile(r"[a-z]+-[a-z]+[0-9]+")
_PAIRS = {
    "asia1": ("asia-northeast1", "asia-northeast2"),
    "eur4": ("europe-north1", "europe-west4"),
    "nam4": ("us-central1", "us-east1"),
}
_AREAS = {"asia": "asia-", "eu": "europe-", "us": "us-"}
_NOT_IN_THE_EU = ("europe-west2", "europe-west6")


def holds(place: BucketPlace, region: str) -> bool | None:
    """
    Tell whether a bucket keeps its bytes in a region, maybe among others; None if that is not known here.

        bucket                                    region        answer
        EUROPE-WEST4                              europe-west4  True, in any case
        EUROPE-WEST4                              europe-west1  False
        EU                                        europe-west4  True
        EU                                        europe-west2  False: London is not in the European Union
        EUR4                                      europe-west4  True
        US (us-east1 and us-west1)                us-central1   False: a pair that somebody chose
        anything else, or a "region" that is none               None
    """
    location, region = place.location.lower(), region.lower()
    if not _REGION.fullmatch(region):
        return None
    if place.regions:
        return region in {each.lower() for each in place.regions}
    if _REGION.fullmatch(location):
        return location == region
    if location in _PAIRS:
        return region in _PAIRS[location]
    if location in _AREAS:
        return region.startswith(_AREAS[location]) and not (location == "eu" and region in _NOT_IN_THE_EU)
    return None


def refuse_misplaced(base: str, place: BucketPlace | None, region: str) -> Refusal | None:
    """
    Say why nothing is to be registered from a bucket, `base` being a folder of it; None: nothing speaks against it.

    What cannot be told is no reason: Vertex itself will say.
    """
    if place is None or holds(place, region) is not False:
        return None
    return Refusal(
        Kind.LOCATION,
        f"bucket {'/'.join(base.split('/')[:3])}",
        f"it is in {place}, and Vertex AI in {region} reads models only from buckets that are there, too",
        f"name a bucket in {_where(region)} in the connection, or a 'location' that {place} holds",
    )


def _where(region: str) -> str:
    """Name the region, and the multi-region that it is in if there is one."""
    around = [area.upper() for area, prefix in _AREAS.items() if region.lower().startswith(prefix)]
    wide = [area for area in around if not (area == "EU" and region.lower() in _NOT_IN_THE_EU)]
    return " or ".join([region, *wide])
