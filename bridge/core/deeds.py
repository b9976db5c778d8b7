"""What the journal tells of: changes, and what a person has said of a model, which is no effect on the world."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bridge.core.changes import Change, change_kind, change_to_json
from bridge.core.model import EVERY


@dataclass(frozen=True, slots=True)
class Paused:
    """A person lets nothing of a model, or of all models of a mapping, be changed; or just one alias."""

    reason: str
    until: str | None  # ISO 8601, UTC; None: until it is resumed
    alias: str = EVERY

    def __str__(self) -> str:
        return f"| pause    {_spelled(self.alias)}until {self.until or 'it is resumed'}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Resumed:
    """A person ends a pause."""

    alias: str = EVERY

    def __str__(self) -> str:
        return f"> resume   {_spelled(self.alias)}".rstrip()


Word = Paused | Resumed
Deed = Change | Word


def deed_kind(deed: Deed) -> str:
    """Name what the journal tells of: "pause", "resume", or a change as `change_kind` does."""
    match deed:
        case Paused():
            return "pause"
        case Resumed():
            return "resume"
        case _:
            return change_kind(deed)


def deed_to_json(deed: Deed) -> dict[str, Any]:
    """Return it as plain JSON values, with its kind under "change"."""
    return {"change": deed_kind(deed), **asdict(deed)} if isinstance(deed, Word) else change_to_json(deed)


def _spelled(alias: str) -> str:
    return "" if alias == EVERY else f"alias {alias} "
