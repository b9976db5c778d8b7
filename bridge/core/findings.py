"""What verifying a version can find, counted where there may be a million of it, and said in one sentence a kind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

SHOWN = 5  # findings of a kind that a sentence names
KEPT = 1000  # findings of a kind in one place that are kept; the others are counted

_RESTORE = (
    "find out who wrote to the folder, and restore what was there: the bucket's soft delete or versioning may have it"
)
_AT_SOURCE = "find out who changed the version there; the bucket holds what the bridge was given when it copied"


class FindingKind(StrEnum):
    """What is not as it should be."""

    NO_MANIFEST = "no-manifest"
    OTHER_MANIFEST = "other-manifest"
    MISSING = "missing"
    DIFFERENT = "different"
    EXTRA = "extra"
    OTHER_BYTES = "other-bytes"
    NOT_FROM_COPY = "not-from-copy"
    VERSION_GONE = "version-gone"
    OTHER_FOLDER = "other-folder"
    ALIAS_ELSEWHERE = "alias-elsewhere"
    SOURCE_CHANGED = "source-changed"
    SOURCE_MISSING = "source-missing"
    SOURCE_DIFFERENT = "source-different"
    SOURCE_EXTRA = "source-extra"
    NOT_ASKED = "not-asked"  # it was unwell
    NOT_COMPARED = "not-compared"  # it needs a person


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be. `expected` and `found` are for people; None: nothing."""

    kind: FindingKind
    where: str  # a folder, a source version, a version in Vertex; or which end did not answer
    path: str | None = None  # of a file; or an alias
    expected: str | None = None
    found: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """All findings of one kind in one place; at least one."""

    count: int
    first: tuple[Finding, ...]  # as they were found; KEPT at most


class Tally:
    """Counts findings, and keeps the first of each kind and place."""

    def __init__(self) -> None:
        self._counts: dict[tuple[FindingKind, str], int] = {}
        self._first: dict[tuple[FindingKind, str], list[Finding]] = {}

    def add(self, finding: Finding | None) -> None:
        """Take in a finding; None is none."""
        if finding is None:
            return
        place = finding.kind, finding.where
        self._counts[place] = self._counts.get(place, 0) + 1
        if self._counts[place] <= KEPT:
            self._first.setdefault(place, []).append(finding)

    def found(self) -> tuple[Found, ...]:
        """Return all of it, in the order in which each kind and place came first."""
        return tuple(Found(count, tuple(self._first[place])) for place, count in self._counts.items())


def sentence(what: Found) -> str:  # noqa: C901, PLR0911, PLR0912  one sentence a kind
    """Say in one line what was found and what to do next; SHOWN of it by name at most."""
    first, names = what.first[0], _names(what)
    where = first.where
    match first.kind:
        case FindingKind.NO_MANIFEST:
            return f"{where} has no manifest, so nothing says what should be in it; {_RESTORE}"
        case FindingKind.OTHER_MANIFEST:
            return f"the manifest of {where} is of {first.found}, not of {first.expected}; {_RESTORE}"
        case FindingKind.MISSING:
            return f"{_count(what, 'object is', 'objects are')} missing from {where}: {names}; {_RESTORE}"
        case FindingKind.DIFFERENT:
            return (
                f"{_count(what, 'object differs', 'objects differ')} from the manifest of {where}: {names}; {_RESTORE}"
            )
        case FindingKind.EXTRA:
            objects = _count(what, "object is", "objects are")
            return (
                f"{objects} in {where} that its manifest does not name: {names}; "
                "find out who wrote there, and remove what is too much: whoever loads the folder loads it too"
            )
        case FindingKind.OTHER_BYTES:
            objects = _count(what, "object holds", "objects hold")
            return (
                f"{objects} other bytes in {where} than the manifest says, though its metadata look right: {names}; "
                "restore an earlier generation, and tell Google"
            )
        case FindingKind.NOT_FROM_COPY:
            files = _count(what, "file is", "files are")
            return f"{files} in {where} that the version's faithful copy does not have: {names}; {_RESTORE}"
        case FindingKind.VERSION_GONE:
            return (
                f"Vertex has no version {where} any longer; "
                "if an alias at the source still names it, this registers it again: bridge sync --full"
            )
        case FindingKind.OTHER_FOLDER:
            return (
                f"Vertex has version {where} from {first.found}, not from {first.expected}; "
                "check that the store and the connection's project and location belong together"
            )
        case FindingKind.ALIAS_ELSEWHERE:
            moved = ", ".join(f"{each.path} is on {each.found}" for each in what.first[:SHOWN])
            return (
                f"{_count(what, 'alias', 'aliases')} that the bridge set on {where} moved in Vertex since: {moved}; "
                "move back what was moved by mistake, or set 'drift: heal' in the mapping and run bridge sync --full"
            )
        case FindingKind.SOURCE_CHANGED:
            return f"{where} is not what it was at the source: {first.found}"
        case FindingKind.SOURCE_MISSING:
            return f"{where} lacks {_count(what, 'file', 'files')} at the source: {names}; {_AT_SOURCE}"
        case FindingKind.SOURCE_DIFFERENT:
            return f"{where} has {_count(what, 'other file', 'other files')} at the source: {names}; {_AT_SOURCE}"
        case FindingKind.SOURCE_EXTRA:
            return f"{where} has {_count(what, 'more file', 'more files')} at the source: {names}; {_AT_SOURCE}"
        case FindingKind.NOT_ASKED:
            return f"{where} could not be asked: {first.found}; run bridge verify again"
        case FindingKind.NOT_COMPARED:
            return f"{where} could not be compared: {first.found}"
        case _:
            assert_never(first.kind)


def _names(what: Found) -> str:
    names = [
        f"{each.path!a}" + (f" ({each.found} instead of {each.expected})" if each.expected and each.found else "")
        for each in what.first[:SHOWN]
    ]
    more = what.count - len(names)
    return ", ".join(names) + (f", and {more} more" if more else "")


def _count(what: Found, one: str, many: str) -> str:
    return f"{what.count} {one if what.count == 1 else many}"
