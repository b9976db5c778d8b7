"""The check of artifact_uri against what is in the bucket (switch `artifact_check`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.sandbox.vertex.errors import refusal

if TYPE_CHECKING:
    from bridge.sandbox.vertex.messages import types
    from bridge.sandbox.vertex.state import State

_DIRECTORY = re.compile(r"gs://([^/]+)(?:/(.*))?")

# What a prebuilt image wants directly in the directory. The two documented messages are those of tensorflow and
# sklearn [issue]; the other file names are in google/cloud/aiplatform/models.py:99, their messages a guess.
_EXPECTED = {
    "tf": ("saved_model.pb", "saved_model.pbtxt"),
    "sklearn": ("model.pkl", "model.joblib"),
    "xgboost": ("model.pkl", "model.joblib", "model.bst"),
    "pytorch": ("model.mar",),
}
_PREBUILT = re.compile(r"[a-z]+-docker\.pkg\.dev/vertex-ai/prediction/([a-z]+)")


def check_uri(uri: str) -> None:
    """Refuse an artifact_uri that is no Cloud Storage directory; it may be empty (a placeholder model [sdk])."""
    if uri and not _DIRECTORY.fullmatch(uri):
        raise refusal("INVALID_ARGUMENT", f"artifact_uri {uri!r} is not gs://BUCKET/DIRECTORY")


def check_contents(state: State, model: types.Model) -> None:
    """Refuse a model whose directory lacks the file that its image serves, or is empty for any other image (guess)."""
    found = _DIRECTORY.fullmatch(model.artifact_uri)
    if found is None or state.object_names is None:
        return
    prefix = (found[2] or "").rstrip("/")
    names = state.object_names(found[1], f"{prefix}/" if prefix else "")
    if not names:
        raise refusal("FAILED_PRECONDITION", f"There are no files under {model.artifact_uri}")
    image = _PREBUILT.match(model.container_spec.image_uri)
    expected = _EXPECTED.get(image[1].removesuffix("2") if image else "", ())
    beside = {name.removeprefix(f"{prefix}/") for name in names}
    if expected and len(beside.intersection(expected)) != 1:
        raise refusal(
            "FAILED_PRECONDITION",
            f"Model directory {model.artifact_uri} is expected to contain exactly one of: [{', '.join(expected)}].",
        )
