"""Resource names and ids: parsing, and refusing what the service would refuse."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridge.sandbox.vertex.errors import refusal

_LOCATION = re.compile(r"projects/[^/]+/locations/[^/]+")
_MODEL = re.compile(r"(projects/[^/]+/locations/[^/]+)/models/([^/@]+)(?:@([^/@]+))?")
_ENDPOINT = re.compile(r"(projects/[^/]+/locations/[^/]+)/endpoints/([^/]+)")

# aiplatform_v1/types/model.py, Model.version_aliases. MergeVersionAliasesRequest has [a-z-0-9] at the end, which
# would allow a final "-": the stricter one holds here.
_ALIAS = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]")
_MODEL_ID = re.compile(r"[a-z_][a-z0-9_-]{0,62}")  # aiplatform_v1/types/model_service.py, UploadModelRequest
# aiplatform_v1/types/endpoint_service.py, CreateEndpointRequest
_ENDPOINT_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?|[1-9][0-9]{0,8}")
_DEPLOYED_MODEL_ID = re.compile(r"[0-9]{1,10}")  # aiplatform_v1/types/endpoint.py, DeployedModel.id
MAX_DISPLAY_NAME = 128  # characters; aiplatform_v1/types/model.py


@dataclass(frozen=True, slots=True)
class ModelName:
    """`projects/P/locations/L/models/M`, with or without `@` and a version id, an alias or "-"."""

    location: str  # projects/P/locations/L
    model: str  # the whole name, without the "@" part
    suffix: str | None  # what stands after the "@"; None: there is no "@"

    @property
    def model_id(self) -> str:
        """The last segment of the model's name."""
        return self.model.rpartition("/")[2]

    @property
    def version(self) -> str | None:
        """The version's id or alias, if one is named; `m@-` means the model itself (UpdateModelRequest)."""
        return None if self.suffix == "-" else self.suffix

    @property
    def names_version(self) -> bool:
        """Whether a version is named."""
        return self.version is not None


def parse_location(name: str) -> str:
    """Return `name` if it is a location's."""
    if not _LOCATION.fullmatch(name):
        raise refusal("INVALID_ARGUMENT", f"{name!r} is not a location: projects/PROJECT/locations/LOCATION")
    return name


def parse_model(name: str) -> ModelName:
    """Take a model's or a version's name apart."""
    found = _MODEL.fullmatch(name)
    if found is None:
        raise refusal("INVALID_ARGUMENT", f"{name!r} is not a model: projects/P/locations/L/models/M[@VERSION]")
    return ModelName(location=found[1], model=f"{found[1]}/models/{found[2]}", suffix=found[3])


def parse_endpoint(name: str) -> str:
    """Return `name` if it is an endpoint's."""
    if not _ENDPOINT.fullmatch(name):
        raise refusal("INVALID_ARGUMENT", f"{name!r} is not an endpoint: projects/P/locations/L/endpoints/E")
    return name


def parent_of(name: str) -> str:
    """Return what a resource is in: the location of a model, the model of an evaluation."""
    return name.rsplit("/", 2)[0]


def check_alias(alias: str) -> str:
    """Return `alias` if the service would take it: 2 to 128 characters."""
    if not _ALIAS.fullmatch(alias):
        raise refusal("INVALID_ARGUMENT", f"version alias {alias!r} does not match {_ALIAS.pattern}")
    return alias


def check_model_id(model_id: str) -> None:
    """Refuse a model id the service would refuse."""
    if not _MODEL_ID.fullmatch(model_id):
        raise refusal("INVALID_ARGUMENT", f"model id {model_id!r} does not match {_MODEL_ID.pattern}")


def check_endpoint_id(endpoint_id: str) -> None:
    """Refuse an endpoint id the service would refuse."""
    if not _ENDPOINT_ID.fullmatch(endpoint_id):
        raise refusal("INVALID_ARGUMENT", f"endpoint id {endpoint_id!r} does not match {_ENDPOINT_ID.pattern}")


def check_deployed_model_id(deployed_model_id: str) -> None:
    """Refuse a caller's own id of a deployed model if the service would."""
    if not _DEPLOYED_MODEL_ID.fullmatch(deployed_model_id) or deployed_model_id == "0":
        # "0" stands for the new one in a traffic split, so it can name no other (guess)
        raise refusal("INVALID_ARGUMENT", f"deployed model id {deployed_model_id!r} is not 1 to 10 digits, or is 0")


def check_display_name(display_name: str) -> None:
    """Refuse a display name that is absent or too long."""
    if not 1 <= len(display_name) <= MAX_DISPLAY_NAME:
        raise refusal("INVALID_ARGUMENT", f"display_name has {len(display_name)} characters, not 1 to 128")
