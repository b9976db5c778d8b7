"""A manifest as JSON. What was written by an earlier release, without facts or sha256, is read as well."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ConfigDict, RootModel

from bridge.core.model import Manifest


class _Text(RootModel[Manifest]):
    # A metric can be NaN or infinite, which JSON has no numbers for; the default, null, could not be read again.
    model_config = ConfigDict(ser_json_inf_nan="strings")


_Text.model_rebuild(_types_namespace={"Mapping": Mapping})  # core.model knows it only while types are checked


def manifest_to_json(manifest: Manifest) -> bytes:
    """Write a manifest, for people to read as well."""
    return _Text(manifest).model_dump_json(indent=1).encode()


def manifest_from_json(text: bytes) -> Manifest:
    """Read a manifest. Raises pydantic.ValidationError if it is none."""
    return _Text.model_validate_json(text).root
