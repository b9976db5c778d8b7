"""Behaviours of the real service that nobody could verify: each is a setting, the first value is the default."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

NEVER_NEGATIVE = (
    "url_lifetime",
    "search_lag",
    "rate_limit_requests",
    "rate_limit_window",
    "webhook_delay",
    "webhook_cooldown",
)


@dataclass(frozen=True, slots=True)
class WandbSwitches:
    """What the stand-in does where the real service is unknown (design/facts-wandb.md, section 13)."""

    alias_touches_updated_at: Literal["artifact_and_collection", "collection", "nothing"] = "artifact_and_collection"
    version_alias_in_list: bool = False  # "vN" stands among a membership's aliases
    latest_moves_on_link: bool = True
    alias_conflict: Literal["moves", "refused"] = "moves"  # an alias that another version of the collection has
    page_size_max: int = 1000  # of every listing but files, whose cap is paging.FILE_PAGE_MAX
    total_count: Literal["exact", "null"] = "exact"
    advanced_search: bool = False  # says so in advancedRegistryFeatures; its field names always work
    search_lag: float = 0.0  # seconds after which the advanced search knows of an alias or a version
    dedupe_scope: Literal["sequence", "project", "none"] = "sequence"  # of whole artifacts and of single files
    url_lifetime: float = 3600.0  # seconds a signed URL is good for
    v2_redirect: Literal[302, 307, 200] = 302  # what GET /artifactsV2 answers; 200 sends the bytes itself
    denied: Literal["empty_page", "http_403", "graphql_error"] = "empty_page"  # to who is no member
    xxh128: bool = False  # entities accept XXH128 digests
    nested_memberships: bool = True  # artifactMemberships under collections; off: an unknown field
    unknown_api_key: Literal["new_user", "refuse"] = "new_user"
    protected_aliases: frozenset[str] = frozenset()  # in registries, set and removed by their admins only
    rate_limit: Literal["off", "with_headers", "without_headers"] = "off"
    rate_limit_requests: int = 0  # GraphQL requests a user may make per window; 0: every one is refused
    rate_limit_window: float = 60.0  # seconds, by the SandboxClock
    webhook_signature: Literal["base64", "none"] = "base64"  # with a secret that is empty, or that nobody has set
    webhook_delivery: Literal["once", "doubled", "skipped", "late", "reordered"] = "once"  # reordered: pairs swapped
    webhook_delay: float = 0.0  # seconds that a late one is held back, by the SandboxClock
    webhook_cooldown: float = 0.0  # seconds after an event in which its automation heeds no other; 0: none
    features_off: frozenset[str] = frozenset()  # names of serverInfo.features that are not enabled
    unknown_fields: frozenset[str] = frozenset()  # "Type.field" that an older server's schema has not
    server_version: str = "0.80.0"

    def __post_init__(self) -> None:
        """Refuse, with ValueError, numbers that mean nothing; `unknown_fields` is checked by who has the schema."""
        if self.page_size_max < 1:
            raise ValueError(f"page_size_max must be 1 or more, not {self.page_size_max}")
        for name in NEVER_NEGATIVE:
            value = getattr(self, name)
            if not 0 <= value < math.inf:  # false of NaN, too
                raise ValueError(f"{name} must be a finite number, 0 or more, not {value}")
