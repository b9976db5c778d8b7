"""The rules of a traffic split: deployed model id -> percent (aiplatform_v1/types/endpoint_service.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.vertex.errors import refusal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

WHOLE = 100  # percent
NEW = "0"  # stands for the one being deployed, in DeployModel only


def checked(split: Mapping[str, int], deployed: Collection[str]) -> dict[str, int]:
    """
    Return the split if it is empty (no traffic) or sums to 100 over deployed models, no share negative.

    Shares of 0 for unknown ids are refused as well (guess). The message about unknown ids is the service's own
    (java-docs-samples#8475).
    """
    unknown = [key for key in split if key not in deployed]
    if unknown:
        raise refusal("INVALID_ARGUMENT", f"The following DeployedModel ID(s) [{', '.join(unknown)}] do not exist")
    if any(share < 0 for share in split.values()):
        raise refusal("INVALID_ARGUMENT", f"traffic split {dict(split)} has a negative share")
    if split and sum(split.values()) != WHOLE:
        raise refusal("INVALID_ARGUMENT", f"traffic split {dict(split)} sums to {sum(split.values())}, not {WHOLE}")
    return dict(split)


def after_deploying(
    asked: Mapping[str, int], current: Mapping[str, int], deployed: Collection[str], new: str
) -> dict[str, int]:
    """Return the split with a new one deployed: `asked` with "0" for the new one, or unchanged if that is empty."""
    if not asked:
        return dict(current)
    return checked({new if key == NEW else key: share for key, share in asked.items()}, [*deployed, new])


def after_undeploying(
    asked: Mapping[str, int], current: Mapping[str, int], deployed: Collection[str], gone: str
) -> dict[str, int]:
    """
    Return the split with one undeployed: `asked`, or the current one if that is empty.

    Refuses while the one to go has traffic under the result. After the last one the split is empty.
    """
    remaining = [key for key in deployed if key != gone]
    if not remaining:
        return {}
    split = checked(asked or current, deployed)
    if split.pop(gone, 0):
        raise refusal("FAILED_PRECONDITION", f"DeployedModel {gone} still has traffic")
    return split
