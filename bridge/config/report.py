"""Collects what is wrong with a configuration, and shows no line that may hold a secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.core.errors import ConfigError, ConfigErrors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.core.errors import Position

# A reference is no secret, so a line is judged without the well-formed ones on it.
_REFERENCE = re.compile(r"\w+\s*:\s*\{\s*(?:env\s*:\s*[A-Z][A-Z0-9_]*|file\s*:\s*[\w./-]+)\s*\}", re.ASCII)
_MAY_BE_SECRET = re.compile(r"key|token|secret|passw|credential|auth|://\S*@", re.IGNORECASE)


def visible(text: str) -> str:
    """Escape what cannot be seen, so that no name from a file forges a line or turns the direction of one."""
    return "".join(char if char.isprintable() or char == "\t" else ascii(char)[1:-1] for char in text)


class Report:
    """
    Collects mistakes over all files, then gives them together, by file, line and column.

    A line is shown with a mistake unless it was hidden, or reads as if a secret could be on it.
    """

    def __init__(self) -> None:
        self._lines: dict[str, Sequence[str]] = {}
        self._hidden: set[tuple[str, int]] = set()
        self._found: dict[tuple[Position | None, str], None] = {}  # a set that keeps its order

    def opened(self, file: str, lines: Sequence[str]) -> None:
        """Keep the lines of a file, to show them with what is wrong on them."""
        self._lines[file] = lines

    def add(self, message: str, at: Position | None = None) -> None:
        """Note a mistake; the same one twice counts once."""
        self._found[(at, visible(message))] = None

    def hide(self, file: str, lines: Iterable[int]) -> None:
        """Never show these lines, counted from 1."""
        self._hidden.update((file, line) for line in lines)

    def may_be_secret(self, file: str, line: int) -> bool:
        """Tell whether a secret could be on the line, or begin on the one before and reach into it."""
        return (file, line) in self._hidden or any(
            _MAY_BE_SECRET.search(_REFERENCE.sub("", self._line(file, number))) for number in (line - 1, line)
        )

    @property
    def is_clean(self) -> bool:
        """Tell whether nothing was noted."""
        return not self._found

    def errors(self) -> ConfigErrors:
        """Return everything noted, as one error."""
        return ConfigErrors(tuple(self._error(at, message) for at, message in sorted(self._found, key=_order)))

    def _error(self, at: Position | None, message: str) -> ConfigError:
        if at is None or self.may_be_secret(at.file, at.line):
            return ConfigError(message, at)
        return ConfigError(message, at, visible(self._line(at.file, at.line)) or None)

    def _line(self, file: str, number: int) -> str:
        lines = self._lines.get(file, ())
        return lines[number - 1] if 0 < number <= len(lines) else ""


def _order(found: tuple[Position | None, str]) -> tuple[str, int, int, str]:
    at, message = found
    return (at.file, at.line, at.column, message) if at else ("", 0, 0, message)
