"""What a check says when a value cannot be meant, and the words it says it in."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


SECRET_ADVICE = "a secret is never a value here; write {env: NAME}, the variable in capitals, or {file: PATH}"  # noqa: S105  how to write one


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong below a value; `below` leads to it, `on_key` means the last step's key, not its value."""

    message: str
    below: tuple[str | int, ...] = ()
    on_key: bool = False
    secret: bool = False  # the value must not be shown


class Wrong(ValueError):
    """A value of the right type that cannot be meant."""

    def __init__(self, *faults: Fault | str) -> None:
        self.faults = tuple(Fault(fault) if isinstance(fault, str) else fault for fault in faults)
        super().__init__("; ".join(fault.message for fault in self.faults))


def kind_of(value: object) -> str:  # noqa: PLR0911  one word a line
    """Say in plain words what stands in a file."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return "a text"
        case int():
            return "a number"
        case float():
            return "a decimal number"
        case list():
            return "a list"
        case _:
            return "a mapping"


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """Return advice: the nearest known word, or else all of them after the words `otherwise`."""
    words = tuple(known)
    near = difflib.get_close_matches(word, words, n=1)
    near = near or [each for each in words if each.lower() == word.lower()]
    if near:
        return f"did you mean {near[0]!r}?"
    return f"{otherwise} {', '.join(words) or 'none'}"


def either(what: str, *types: type) -> Callable[[object], object]:
    """Return a check that a value is of one of the types, which `what` says in words."""

    def check(value: object) -> object:
        if not isinstance(value, types):
            raise Wrong(f"expected {what}, found {kind_of(value)}")
        return value

    return check
