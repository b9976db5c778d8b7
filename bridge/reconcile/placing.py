"""Where buckets are, asked once: a bucket does not move while a process lives."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.core.naming import bucket_of

if TYPE_CHECKING:
    from bridge.core.model import BucketPlace
    from bridge.core.ports import Bucket


@dataclass(slots=True)
class Places:
    """What is known of buckets. Thread-safe: of several that ask for one at the same time, one asks the service."""

    _known: dict[tuple[str | None, str], BucketPlace | None] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def of(self, bucket: Bucket, folder: str, service: str | None = None) -> BucketPlace | None:
        """
        Say where the bucket of a folder keeps its bytes, as Bucket.where does; what that raises is not remembered.

        `service` tells buckets of the same name apart: the address of a stand-in.
        """
        name = service, bucket_of(folder)
        with self._guard:
            if name not in self._known:
                self._known[name] = bucket.where(folder)
            return self._known[name]
