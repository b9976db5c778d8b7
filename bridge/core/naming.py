"""
How names are spelled between systems. Every spelling is injective, or refuses.

Vertex's rules are quoted from google-cloud-aiplatform 2.7.0: aliases and model ids from
aiplatform_v1/types/model.py and model_service.py, of which the stricter is kept where they differ.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING, assert_never

from bridge.core.errors import NeedsPerson
from bridge.core.model import DEFAULT, Alias, Layout

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.core.model import AliasRules, SourceVersion

OWNER_LABEL = "bridge-owner"  # of a Vertex version: whose it is
SOURCE_LABEL = "bridge-source"
DUPLICATE_LABEL = "bridge-duplicate"  # of a version that is one too many: the id of that which it doubles
MANIFEST_NAME = ".bridge-manifest.json"
MAX_PATH_BYTES = 1024  # of an object's name in GCS; the folder before it counts too

_PREBUILT = "-prebuilt/"  # no faithful copy's folder ends so: hexadecimal digits do
_ALIAS = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]")
_MODEL_ID = re.compile(r"[a-z_][a-z0-9_-]{1,62}")
_HASHED = re.compile(r".*-x[0-9a-f]{10}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{1,63}")
_VERSION_ALIAS = re.compile(r"v[0-9]+")
# Bidirectional controls can make a name read as another; Unicode 16, property Bidi_Control.
_CLIMBING = frozenset(("", ".", ".."))
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def alias_problem(name: str) -> str | None:
    """Say which rule of Vertex's version aliases `name` breaks, or None if it is legal."""
    if _ALIAS.fullmatch(name):
        return None
    if len(name) < 2:  # noqa: PLR2004  the rule is said in the next line
        return "at least two characters are needed"
    if len(name) > 128:  # noqa: PLR2004  the same
        return "at most 128 characters are allowed"
    if bad := next((c for c in name if not re.fullmatch(r"[a-zA-Z0-9-]", c)), None):
        return f"{bad!a} is not allowed"
    if not re.match(r"[a-z]", name):
        return "it must begin with a lower-case letter"
    return "it must end with a lower-case letter or a digit"


def slug_alias(name: str) -> Alias:
    """
    Return the nearest legal alias to `name`: a suggestion, or what `alias_style: slug` uses.

    Not injective by itself: whoever translates several names at once looks for two that land on one.
    """
    slug = re.sub(r"-{2,}", "-", re.sub(r"[^a-z0-9]+", "-", name.lower())).strip("-")
    if not slug or not slug[0].isalpha():
        slug = f"a-{slug}".strip("-")
    slug = slug[:128].rstrip("-")
    return Alias(f"{slug}-{_short_hash(name, 4)}" if len(slug) == 1 or slug == DEFAULT else slug)


def is_version_alias(name: str) -> bool:
    """Tell whether a source made this alias by itself: `latest` and `v<N>` move without anybody's doing."""
    return name == "latest" or _VERSION_ALIAS.fullmatch(name) is not None


def spell_alias(name: str, rules: AliasRules) -> Alias | None:
    """
    Spell a source's alias for Vertex; None if the mapping does not mirror it.

    A named rule wins; then `latest` and `v<N>` are skipped; then legal names pass, and the rest follows
    the mapping's style. Raises NeedsPerson for a name that is neither legal nor covered by a rule.
    """
    if name in rules.named:
        return rules.named[name]
    if rules.others == "drop" or is_version_alias(name):
        return None
    if name == DEFAULT:
        raise NeedsPerson(
            "source alias 'default' is never passed on, because Vertex demands exactly one 'default' per model",
            "write 'default: some-other-name' under aliases, 'default: null' to drop it, or use default_from",
        )
    problem = alias_problem(name)
    if problem is None:
        return Alias(name)
    slug, shown = slug_alias(name), ascii(name)[1:-1]
    if rules.others == "slug":
        return slug
    raise NeedsPerson(
        f"{name!a} is not a legal Vertex AI version alias ({problem})",
        f"write '{shown}: {slug}' under aliases, or '{shown}: null' to drop it",
    )


def sources_of(alias: Alias, rules: AliasRules) -> tuple[str, ...]:
    """Return the source aliases known to be spelled `alias`; with `alias_style: slug` there may be others."""
    named = (name for name, spelled in rules.named.items() if spelled == alias)
    passed = alias not in {DEFAULT, *rules.named} and rules.others != "drop" and not is_version_alias(alias)
    return (*named, alias) if passed else tuple(named)


def model_id(name: str) -> str:
    """
    Return the Vertex model id for a target's name: the same for ever, at most 63 of `[a-z0-9_-]`.

    A legal id is kept. Any other name, and a legal one that looks like our own hashed form, becomes
    `slug-x<10 hex digits>`, so that two names share an id only if 40 bits of SHA-256 collide.
    One character is legal in Vertex, but its high-level SDK refuses to read it, so it is hashed too.
    """
    if _MODEL_ID.fullmatch(name) and not _HASHED.fullmatch(name):
        return name
    return _hashed_slug(name, 63)


def label_value(text: str) -> str:
    """Return a legal label value (at most 63 of `[a-z0-9_-]`) for any text, injective as `model_id` is."""
    if _LABEL_VALUE.fullmatch(text) and not _HASHED.fullmatch(text):
        return text
    return _hashed_slug(text, 63)


def artifact_uri(base: str, model: str, version: SourceVersion) -> str:
    """
    Return the folder of a version, ending in "/": `<base>/<model>/<label>-<digest12>/`.

    It is a function of the version alone, so copying twice is harmless, and Vertex's immutable
    artifact_uri tells which source version a Vertex version is.
    """
    content = version.digest or hashlib.sha256(version.id.encode()).hexdigest()
    digest12 = content[:12] if re.fullmatch(r"[0-9a-f]{12,}", content) else _short_hash(content, 12)
    label = version.label if re.fullmatch(r"v?[0-9]{1,18}", version.label) else _hashed_slug(version.label, 63)
    return f"{base.rstrip('/')}/{model}/{label}-{digest12}/"


def serving_uri(copied: str) -> str:
    """Return the folder beside a version's faithful copy that holds what a prebuilt container loads."""
    return f"{copied.rstrip('/')}{_PREBUILT}"


def copied_uri(folder: str) -> str:
    """Return the folder of a version's faithful copy, given the one that Vertex has: the same, or the one beside it."""
    return f"{folder.removesuffix(_PREBUILT)}/" if folder.endswith(_PREBUILT) else folder


def bucket_of(uri: str) -> str:
    """Return the name of the bucket of a gs:// URI, which was checked before."""
    return uri.removeprefix("gs://").partition("/")[0]


def is_our_name(folder: str, model: str, version: SourceVersion) -> bool:
    """Tell whether a folder is called as the bridge calls that of a version, in whatever bucket; else a person did."""
    own = artifact_uri("", model, version)
    return folder.endswith((own, serving_uri(own)))


def adopted_uri(base: str, model: str, folder: str) -> str:
    """Return where the manifest is kept of a folder that a person filled, in which nothing is written."""
    return f"{base.rstrip('/')}/{model}/adopted-{_short_hash(folder, 12)}/"


def folders(base: str, model: str, version: SourceVersion, layout: Layout) -> tuple[str, ...]:
    """Return the folders that Vertex may have a version registered from, the best first; `auto` leaves two."""
    copied = artifact_uri(base, model, version)
    match layout:
        case Layout.MIRROR | Layout.CUSTOM_MLFLOW:
            return (copied,)
        case Layout.PREBUILT:
            return (serving_uri(copied),)
        case Layout.AUTO:
            return (serving_uri(copied), copied)
        case _:
            assert_never(layout)


def check_path(path: str) -> str:
    """
    Return a file's path as it is, if it may be part of an object's name.

    Raises NeedsPerson, with the name escaped, for one that is absolute, climbs, hides or cannot be spelled.
    """
    if problem := _path_problem(path):
        raise NeedsPerson(
            f"a file of this version is named {path!a}, which is refused: {problem}",
            "log the version again with a plain relative file name",
        )
    return path


def check_paths(paths: Iterable[str]) -> None:
    """Check every path and that no two mean the same file. Raises NeedsPerson."""
    seen: dict[str, str] = {}
    for path in paths:
        name = unicodedata.normalize("NFC", check_path(path))
        if name in seen:
            raise NeedsPerson(
                f"two files of this version are named {seen[name]!a} and {path!a}, which are one name in NFC",
                "log the version again with names that differ",
            )
        seen[name] = path


def _path_problem(path: str) -> str | None:  # noqa: PLR0911  one reason a line
    parts = path.split("/")
    if not path or path.startswith("/") or re.match(r"[A-Za-z]:[\\/]", path):
        return "it is empty or absolute"
    if not _CLIMBING.isdisjoint(parts):
        return "it has an empty part, '.' or '..'"
    if "\\" in path and any(part == ".." for part in re.split(r"[\\/]", path)):
        return "it climbs with backslashes"
    plain = path.isascii() and path.isprintable()  # nearly every path is, and this is asked a million times
    if not plain and any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in _BIDI for c in path):
        return "it holds a control, line-ending, bidirectional or surrogate character"
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"it is longer than {MAX_PATH_BYTES} bytes"
    if path.startswith(".well-known/acme-challenge/"):
        return "GCS keeps .well-known/acme-challenge/ for itself"
    if path == MANIFEST_NAME:
        return "the bridge's own manifest has that name"
    return None


def _hashed_slug(text: str, limit: int) -> str:
    tail = f"-x{_short_hash(text, 10)}"
    slug = re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-") or "m"
    slug = slug if slug[0].isalpha() or slug[0] == "_" else f"m-{slug}"
    return slug[: limit - len(tail)].rstrip("-") + tail


def _short_hash(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
