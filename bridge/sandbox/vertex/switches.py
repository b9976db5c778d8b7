"""What nobody could verify about the real service, as switches; the first setting is the default."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class NextCalls:
    """The next `count` calls of `method`; "*" stands for any call that may change something."""

    count: int = 0
    method: str = "*"

    def matches(self, method: str, *, write: bool) -> bool:
        """Say if a call is one of them."""
        return self.count > 0 and (self.method == method or (self.method == "*" and write))


@dataclass(frozen=True, slots=True)
class VertexSwitches:
    """
    How the stand-in behaves where the service's own behaviour is unknown (facts-vertex, section 12).

    Times are seconds of the SandboxClock. An operation that is begun at t takes effect at t + commit_delay and
    says "done" at t + max(lro_seconds, commit_delay); lists show a new version list_lag after its effect.
    """

    alias_conflict: Literal["move", "reject"] = "move"  # an alias that another version has; `default` moves always
    label_scope: Literal["model", "version"] = "model"  # whose are the labels of a model's first upload?
    reuse_version_ids: Literal["never", "after_deletion"] = "never"
    delete_default: Literal["reject", "allow"] = "reject"  # allow: `default` goes to the latest
    remove_default_code: Literal["INVALID_ARGUMENT", "FAILED_PRECONDITION", "ignored"] = "INVALID_ARGUMENT"
    existing_model_id: Literal["already_exists", "new_version"] = "already_exists"
    etag_conflict_code: Literal["ABORTED", "FAILED_PRECONDITION"] = "ABORTED"
    artifact_check: Literal["none", "at upload", "in operation", "at deploy"] = "none"
    alias_order: Literal["insertion", "sorted", "shuffled"] = "insertion"
    operation_parent: Literal["model", "location"] = "model"  # projects/P/locations/L[/models/M]/operations/N
    operations_listed: bool = True
    operations_list_lag: float = 0.0  # seconds until ListOperations shows a new operation
    commit_delay: float = 0.0
    list_lag: float = 0.0
    lro_seconds: float = 0.0
    lost_reply: NextCalls = NextCalls()  # they commit, then the caller gets UNAVAILABLE
    fail_after_commit: NextCalls = NextCalls()  # they commit, then the caller gets INTERNAL (python-aiplatform#2675)
    new_version_display_name: Literal["applied", "ignored"] = "applied"  # applied to the model
    deployed_model_name_form: Literal["unversioned", "versioned"] = "unversioned"
    concurrent_uploads: Literal["serialised", "second refused"] = "serialised"  # refused with ABORTED
    label_limits: Literal["general", "documented"] = "general"  # 63 characters, 64 labels; or 64 characters, no limit
    page_size_max: int = 100  # and what a page has when the caller does not say; 1000 is the other candidate
    quotas: bool = False  # per minute, project and region: 600 reads, 600 writes, 60 submissions, 30,000 predictions

    def __post_init__(self) -> None:
        """Raise ValueError for a number that no service could have."""
        if self.page_size_max < 1:
            raise ValueError(f"page_size_max must be at least 1, not {self.page_size_max}")
        for name in ("operations_list_lag", "commit_delay", "list_lag", "lro_seconds"):
            seconds = getattr(self, name)
            if not 0 <= seconds < math.inf:
                raise ValueError(f"{name} must be a number of seconds from 0 on, not {seconds}")
