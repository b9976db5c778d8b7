"""Who is told of what happens, to count it or to pass it on; reconciling does not depend on what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.core.changes import Change
    from bridge.core.errors import BridgeError
    from bridge.core.model import ModelKey
    from bridge.core.records import Progress, Status


class Witness:
    """
    Is told, from any thread; every method returns at once, and raises nothing. These do nothing.

    What comes from outside (names of models, texts) is in the values, so it may be anything.
    """

    def answered(self, api: str, status: int | None) -> None:
        """Take note of how an outside API answered one request: an HTTP status; None: it did not."""

    def copied(self, progress: Progress) -> None:
        """Take note of how far a copy is."""

    def due(self, key: ModelKey) -> None:
        """Take note that something was seen that a model does not have yet; it may be seen again and again."""

    def made(self, key: ModelKey, change: Change) -> None:
        """Take note of a change that has been made, and is written down."""

    def failed(self, key: ModelKey, change: Change, problem: BridgeError) -> None:
        """Take note of a change that was tried in vain."""

    def doubled(self, key: ModelKey, versions: int) -> None:
        """Take note of how many versions a model has beyond one for each folder."""

    def stood(self, status: Status) -> None:
        """Take note of how a model was found, or is after a pass; it may be told again and again."""

    def swept(self, connection: str, well: Iterable[str]) -> None:
        """Take note that a connection was looked at, and which of its mappings have all models as they should be."""


class Audience(Witness):
    """Many witnesses, told one after another."""

    def __init__(self) -> None:
        self.members: list[Witness] = []

    def answered(self, api: str, status: int | None) -> None:
        """See Witness."""
        for member in self.members:
            member.answered(api, status)

    def copied(self, progress: Progress) -> None:
        """See Witness."""
        for member in self.members:
            member.copied(progress)

    def due(self, key: ModelKey) -> None:
        """See Witness."""
        for member in self.members:
            member.due(key)

    def made(self, key: ModelKey, change: Change) -> None:
        """See Witness."""
        for member in self.members:
            member.made(key, change)

    def failed(self, key: ModelKey, change: Change, problem: BridgeError) -> None:
        """See Witness."""
        for member in self.members:
            member.failed(key, change, problem)

    def doubled(self, key: ModelKey, versions: int) -> None:
        """See Witness."""
        for member in self.members:
            member.doubled(key, versions)

    def stood(self, status: Status) -> None:
        """See Witness."""
        for member in self.members:
            member.stood(status)

    def swept(self, connection: str, well: Iterable[str]) -> None:
        """See Witness."""
        found = tuple(well)
        for member in self.members:
            member.swept(connection, found)
