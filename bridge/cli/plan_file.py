"""A saved plan: what `bridge plan --out` writes for people to review, and `bridge apply` holds the world against."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ValidationError

from bridge.core.errors import NeedsPerson
from bridge.core.model import ModelKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class _SavedPlan(BaseModel):
    mapping: str
    model: str
    checksum: str


class _File(BaseModel):
    format: Literal[1]
    plans: list[_SavedPlan]


def write_plans(file: Path, plans: Sequence[dict[str, Any]]) -> None:
    """Save plans as `plan_to_json` gives them. Raises NeedsPerson if the file cannot be written."""
    try:
        file.write_text(json.dumps({"format": 1, "plans": list(plans)}, indent=2) + "\n", encoding="utf-8")
    except OSError as problem:
        raise NeedsPerson(f"the plan cannot be written to {file}: {problem.strerror}", "name another file") from problem


def read_checksums(file: Path) -> dict[ModelKey, str]:
    """
    Read which models a saved plan is for, and the checksum of each one's plan; nothing else of it is believed.

    Raises NeedsPerson if the file is not a plan.
    """
    try:
        saved = _File.model_validate_json(file.read_bytes())
    except OSError as problem:
        raise NeedsPerson(
            f"{file} cannot be read: {problem.strerror}", "make it with: bridge plan --out FILE"
        ) from problem
    except ValidationError as wrong:
        raise NeedsPerson(f"{file} is not a plan of this bridge", "make one with: bridge plan --out FILE") from wrong
    return {ModelKey(plan.mapping, plan.model): plan.checksum for plan in saved.plans}
