"""What a label may look like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.sandbox.vertex.errors import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.sandbox.vertex.switches import VertexSwitches

# Lower case, digits, "_", "-", international letters (aiplatform_v1/types/model.py, Model.labels). `\w` has upper
# case too, which is why the text is also compared with its own lower case.
_TEXT = re.compile(r"[\w-]*")
_LETTER_FIRST = re.compile(r"[^\W\d_].*")
_MAX_LABELS = 64


def check_labels(labels: Mapping[str, str], switches: VertexSwitches) -> None:
    """Refuse labels that break the limits of the switch `label_limits`."""
    general = switches.label_limits == "general"  # the rules of all of Google Cloud, not confirmed for Vertex
    longest = 63 if general else 64
    if general and len(labels) > _MAX_LABELS:
        raise refusal("INVALID_ARGUMENT", f"{len(labels)} labels are more than {_MAX_LABELS}")
    for key, value in labels.items():
        if not _fits(key, longest) or not key or (general and not _LETTER_FIRST.fullmatch(key)):
            raise refusal("INVALID_ARGUMENT", f"label key {key!r} is not 1 to {longest} of a-z, 0-9, _ and -")
        if not _fits(value, longest):
            raise refusal(
                "INVALID_ARGUMENT", f"label value {value!r} of {key!r} is not up to {longest} of a-z, 0-9, _, -"
            )


def _fits(text: str, longest: int) -> bool:
    return len(text) <= longest and text == text.lower() and _TEXT.fullmatch(text) is not None
