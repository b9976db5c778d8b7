"""google.cloud.location.Locations: every project has every region that the SDK knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.vertex import names, pages
from bridge.sandbox.vertex.errors import refusal
from bridge.sandbox.vertex.messages import locations_pb2

if TYPE_CHECKING:
    from bridge.sandbox.vertex.messages import Message
    from bridge.sandbox.vertex.state import State

# google/cloud/aiplatform/constants/base.py, SUPPORTED_REGIONS; a test compares
REGIONS = (
    *("africa-south1", "asia-east1", "asia-east2", "asia-northeast1", "asia-northeast2", "asia-northeast3"),
    *("asia-south1", "asia-south2", "asia-southeast1", "asia-southeast2"),
    *("australia-southeast1", "australia-southeast2", "europe-central2", "europe-north1", "europe-north2"),
    *("europe-southwest1", "europe-west1", "europe-west12", "europe-west2", "europe-west3", "europe-west4"),
    *("europe-west6", "europe-west8", "europe-west9", "global", "me-central1", "me-central2", "me-west1"),
    *("northamerica-northeast1", "northamerica-northeast2", "southamerica-east1", "southamerica-west1"),
    *("us-central1", "us-east1", "us-east4", "us-east5", "us-east7", "us-south1"),
    *("us-west1", "us-west2", "us-west3", "us-west4", "us-west8"),
)


class Locations:
    """The two calls; what a location's labels and metadata hold is not known, so they are empty."""

    def __init__(self, state: State) -> None:
        self._state = state

    def ListLocations(self, request: Message) -> Message:
        """List the regions; `request.name` is "projects/P"."""
        if request.filter:
            raise refusal("UNIMPLEMENTED", "ListLocations: the stand-in has no filter for locations")
        listed, token = pages.page(REGIONS, request, self._state.switches.page_size_max)
        return locations_pb2.ListLocationsResponse(
            locations=[_location(request.name, region) for region in listed], next_page_token=token
        )

    def GetLocation(self, request: Message) -> Message:
        """Return one region, or NOT_FOUND."""
        project, _, region = names.parse_location(request.name).partition("/locations/")
        if region not in REGIONS:
            raise refusal("NOT_FOUND", f"there is no location {region!r}")
        return _location(project, region)


def _location(project: str, region: str) -> Message:
    return locations_pb2.Location(name=f"{project}/locations/{region}", location_id=region, display_name=region)
