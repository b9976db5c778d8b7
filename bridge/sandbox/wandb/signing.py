"""URLs that open one blob, for one method, for a while."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.sandbox.clock import SandboxClock


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with a secret that is kept with the data, so that a URL outlives a restart on the same port."""

    base_url: str
    secret: bytes
    clock: SandboxClock

    def url(self, method: str, blob: str, *, lifetime: float) -> str:
        """Return a URL under which `method` ("GET" or "PUT") works on `blob` for `lifetime` seconds."""
        expires = f"{self.clock.now() + lifetime:.6f}"
        query = urlencode({"X-Expires": expires, "X-Signature": self._signature(method, blob, expires)})
        return f"{self.base_url}/storage/{blob}?{query}"

    def is_valid(self, method: str, blob: str, query: Mapping[str, str]) -> bool:
        """Say if `query` was signed here for this method and blob, and is not yet over."""
        expires, given = query.get("X-Expires", ""), query.get("X-Signature", "")
        method = "GET" if method == "HEAD" else method
        if not hmac.compare_digest(given.encode(), self._signature(method, blob, expires).encode()):
            return False
        return self.clock.now() <= float(expires)

    def _signature(self, method: str, blob: str, expires: str) -> str:
        text = f"{method}\n{blob}\n{expires}".encode()
        return hmac.new(self.secret, text, hashlib.sha256).hexdigest()
