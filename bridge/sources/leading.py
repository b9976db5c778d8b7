"""Where a source may lead us by the addresses that it gives: not to what only this machine and its network can ask."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge.core.errors import NeedsPerson
from bridge.net.addresses import METADATA, kind_of, kinds_at

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from bridge.net.lines import Check


class LedInside(NeedsPerson):
    """A source leads to an address that it has no business with; nothing was asked there."""


def led_by_source(source: str, what: str) -> Check:
    """
    Refuse special addresses (`kind_of`), if none of the source's own is of the same kind; a metadata server always.

    So a source on this machine may lead to storage on this machine. `source` is its URL, `what` names the file in
    messages; what is returned raises LedInside.
    """
    return _led(what, lambda: kinds_at(urlsplit(source).hostname or ""))


def led_by_peer(peer: str, what: str) -> Check:
    """Refuse what `led_by_source` refuses; here the address is known that a redirect came from."""
    return _led(what, lambda: (kind_of(peer),))


def _led(what: str, kinds: Callable[[], Container[str | None]]) -> Check:
    def check(host: str, address: str) -> None:
        kind = kind_of(address)
        if kind is not None and (kind == METADATA or kind not in kinds()):
            raise LedInside(
                f"{what} is not read from {host!a}, where its source leads: that is {kind}, which only this machine "
                "and its network are meant to reach",
                "ask who runs the source why it leads there, and have it give an address of its storage",
            )

    return check
