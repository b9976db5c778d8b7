"""The conditions a request may put on the object (or bucket) it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bridge.sandbox.gcs.errors import condition_not_met, invalid

if TYPE_CHECKING:
    from collections.abc import Mapping


class Conditional(Protocol):
    """What conditions look at."""

    @property
    def generation(self) -> int: ...  # noqa: D102  a Protocol's field  the name says it

    @property
    def metageneration(self) -> int: ...  # noqa: D102  a Protocol's field

    @property
    def etags(self) -> frozenset[str]: ...  # noqa: D102  a Protocol's field  the JSON and the XML API's, without quotes


@dataclass(frozen=True, slots=True)
class Preconditions:
    """
    All must hold, or nothing is done.

        current object    generation_match          generation_not_match
        none              0 holds, n fails          fails
        generation g      g holds, 0 and n fail     n and 0 hold, g fails

    Metageneration likewise. Without a current object a metageneration condition fails (a guess).
    """

    generation_match: int | None = None
    generation_not_match: int | None = None
    metageneration_match: int | None = None
    metageneration_not_match: int | None = None
    any_etag_of: tuple[str, ...] = ()  # If-Match; "*" is any
    no_etag_of: tuple[str, ...] = ()  # If-None-Match

    def check(self, current: Conditional | None, *, reading: bool = False) -> None:
        """Raise 412 at the first condition that does not hold; 304 for a NotMatch while `reading`."""
        generation = current.generation if current else 0
        if self.generation_match not in (None, generation):
            raise condition_not_met(f"ifGenerationMatch is {self.generation_match}, the generation {generation}")
        if self.generation_not_match is not None and (current is None or generation == self.generation_not_match):
            raise condition_not_met(f"ifGenerationNotMatch, yet the generation is {generation}", reading=reading)
        metageneration = current.metageneration if current else None
        if self.metageneration_match not in (None, metageneration):
            raise condition_not_met(
                f"ifMetagenerationMatch is {self.metageneration_match}, the metageneration {metageneration}"
            )
        if self.metageneration_not_match is not None and (metageneration in (None, self.metageneration_not_match)):
            raise condition_not_met(
                f"ifMetagenerationNotMatch, yet the metageneration is {metageneration}", reading=reading
            )
        self._check_etags(current.etags if current else frozenset(), reading=reading)

    def _check_etags(self, current: frozenset[str], *, reading: bool) -> None:
        if self.any_etag_of and not _named(current, self.any_etag_of):
            raise condition_not_met(f"If-Match does not name any of the ETags {sorted(current)}")
        if _named(current, self.no_etag_of):
            raise condition_not_met(f"If-None-Match names one of the ETags {sorted(current)}", reading=reading)


def _named(current: frozenset[str], etags: tuple[str, ...]) -> bool:
    return bool(current and ("*" in etags or current.intersection(etags)))


NONE = Preconditions()


def from_query(query: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Preconditions:
    """Read the JSON API's conditions; on uploads clients write `ifMetaGenerationNotMatch`, elsewhere `Meta`."""
    return Preconditions(
        _number(query, "ifGenerationMatch"),
        _number(query, "ifGenerationNotMatch"),
        _number(query, "ifMetagenerationMatch", "ifMetaGenerationMatch"),
        _number(query, "ifMetagenerationNotMatch", "ifMetaGenerationNotMatch"),
        _etags(headers, "if-match"),
        _etags(headers, "if-none-match"),
    )


def from_query_for_source(query: Mapping[str, str]) -> Preconditions:
    """Read the conditions that rewrite and copy put on their source."""
    return Preconditions(
        _number(query, "ifSourceGenerationMatch"),
        _number(query, "ifSourceGenerationNotMatch"),
        _number(query, "ifSourceMetagenerationMatch"),
        _number(query, "ifSourceMetagenerationNotMatch"),
    )


def from_xml_headers(headers: Mapping[str, str]) -> Preconditions:
    """Read the XML API's conditions, which are headers and have no NotMatch."""
    return Preconditions(
        generation_match=_number(headers, "x-goog-if-generation-match"),
        metageneration_match=_number(headers, "x-goog-if-metageneration-match"),
        any_etag_of=_etags(headers, "if-match"),
        no_etag_of=_etags(headers, "if-none-match"),
    )


def _number(values: Mapping[str, str], *names: str) -> int | None:
    for name in names:
        if name in values:
            try:
                return int(values[name])
            except ValueError:
                raise invalid(f"{name} is {values[name]!r}, not a number") from None
    return None


def _etags(headers: Mapping[str, str] | None, name: str) -> tuple[str, ...]:
    value = headers.get(name) if headers is not None else None
    return tuple(item.strip().strip('"') for item in value.split(",")) if value else ()
