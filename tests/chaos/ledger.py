"""What the harness knows to be true, because it did it: what was published, who pointed where, what hands did."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Files = frozenset[tuple[str, str]]  # (path, md5 in base64): which bytes a version has


@dataclass(frozen=True, slots=True)
class Rule:
    """What the configuration says of a model, as far as it matters to the promises."""

    mapping: str
    drift: Literal["heal", "report"] = "heal"
    default_from: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """A user made an alias name a version, or none, at some time between two moments."""

    collection: str
    alias: str
    label: str | None
    begun: float
    ended: float = math.inf


@dataclass(frozen=True, slots=True)
class Edit:
    """A person made an alias name a version in Vertex by hand, or none, after a moment."""

    model: str
    alias: str
    version_id: str | None
    begun: float


@dataclass
class Ledger:
    """
    Written by those who act, read by the oracle. Times are seconds since the epoch, by the sandbox's clock.

    A collection's name is also a key into `models`: which Vertex model follows it.
    """

    rule: Callable[[str], Rule] = Rule  # by Vertex model
    models: dict[str, str] = field(default_factory=dict)  # collection -> Vertex model
    gone: set[str] = field(default_factory=set)  # collections that were renamed: their models stay as they are
    before: dict[str, str] = field(default_factory=dict)  # collection -> what it was called before
    files: dict[tuple[str, str], Files] = field(default_factory=dict)  # (collection, label), as published
    withdrawn: set[tuple[str, str]] = field(default_factory=set)  # deleted by users
    rotten: set[tuple[str, str]] = field(default_factory=set)  # whose bytes the source does not have any more
    moves: list[Move] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    foreign: dict[tuple[str, str], str] = field(default_factory=dict)  # (model, version id) -> folder, made by hand
    deleted: dict[tuple[str, str], float] = field(default_factory=dict)  # Vertex versions, by hand: since when

    # what happens

    def publish(self, collection: str, label: str, files: Files, *, rotten: bool = False) -> None:
        self.files[collection, label] = files
        if rotten:
            self.rotten.add((collection, label))

    def point(self, collection: str, alias: str, label: str | None, begun: float) -> None:
        """Note that an alias is about to move; `settle` says that it has."""
        self.moves.append(Move(collection, alias, label, begun))

    def settle(self, ended: float) -> None:
        """Note that all that was about to happen has happened."""
        self.moves = [replace(move, ended=min(move.ended, ended)) for move in self.moves]

    def withdraw(self, collection: str, label: str, begun: float) -> None:
        """
        Note that a version is about to be deleted with its aliases, also those of what it was called before.

        Of those, the bridge may never have seen the last move: then they are in Vertex where they were before it.
        """
        self.withdrawn.add((collection, label))
        for alias, named in self.current(collection).items():
            if named == label:
                self.point(collection, alias, None, begun)
        name = self.before.get(collection)
        while name is not None:
            self._release(name, {label}, begun)
            name = self.before.get(name)

    def rename(self, old: str, new: str, model: str, begun: float) -> None:
        """Note that a collection is about to be called otherwise, which another model follows."""
        self.gone.add(old)
        self.before[new] = old
        self.models[new] = model
        for (collection, label), files in list(self.files.items()):
            if collection == old:
                key = (new, label)
                self.files[key] = files
                self.rotten |= {key} if (old, label) in self.rotten else set()
                self.withdrawn |= {key} if (old, label) in self.withdrawn else set()
        for alias, label in self.current(old).items():
            self.point(new, alias, label, begun)
        self._release(old, {label for collection, label in self.withdrawn if collection == old}, begun)

    def _release(self, gone: str, labels: set[str], begun: float) -> None:
        """Note that aliases which were ever on these deleted versions may go, of a collection of an old name."""
        for alias in sorted({move.alias for move in self.moves if move.collection == gone and move.label in labels}):
            self.point(gone, alias, None, begun)

    # what follows

    def live(self) -> Iterator[tuple[str, str]]:
        """Yield the collections that are there, each with its model."""
        return ((collection, model) for collection, model in self.models.items() if collection not in self.gone)

    def collection(self, model: str) -> str:
        return next(collection for collection, followed in self.models.items() if followed == model)

    def current(self, collection: str) -> dict[str, str]:
        """Return the aliases as the last moves left them: alias -> label."""
        last = {move.alias: move.label for move in self.moves if move.collection == collection}
        return {alias: label for alias, label in last.items() if label is not None}

    def labels(self, collection: str) -> set[str]:
        """Return the versions that are there."""
        return {label for of, label in self.files if of == collection and (of, label) not in self.withdrawn}

    def pointed(self, collection: str, alias: str, files: Files, until: float) -> bool:
        """Tell whether the alias has ever been on a version with just these bytes, by that moment."""
        return any(
            move.label is not None
            and (move.collection, move.alias) == (collection, alias)
            and move.begun <= until
            and self.files[collection, move.label] == files
            for move in self.moves
        )

    def published(self, collection: str, files: Files) -> int:
        """Say how many versions of a collection have just these bytes."""
        return sum(each == files for (of, _), each in self.files.items() if of == collection)

    def absent(self, collection: str, alias: str, since: float, until: float) -> bool:
        """Tell whether the alias may have been on no version at some moment of a span."""
        absent_from: float | None = -math.inf
        for move in self.moves:
            if (move.collection, move.alias) != (collection, alias):
                continue
            if move.label is not None:
                if absent_from is not None and absent_from <= until and move.ended >= since:
                    return True
                absent_from = None
            elif absent_from is None:
                absent_from = move.begun
        return absent_from is not None and absent_from <= until

    def edited(self, model: str, alias: str, version_id: str | None, until: float) -> bool:
        """Tell whether a person has put the alias there, by that moment."""
        return any(
            (edit.model, edit.alias, edit.version_id) == (model, alias, version_id) and edit.begun <= until
            for edit in self.edits
        )

    def last_edit(self, model: str, alias: str) -> Edit | None:
        return next((edit for edit in reversed(self.edits) if (edit.model, edit.alias) == (model, alias)), None)

    def touched(self, model: str) -> bool:
        """Tell whether a person has changed anything of the model in Vertex."""
        return any(edit.model == model for edit in self.edits) or any(of == model for of, _ in self.deleted)
