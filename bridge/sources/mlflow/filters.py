"""
Filters of MLflow's searches.

Its grammar has no escape: a literal is looked at by sqlparse, and that of a list by Python's literal_eval too
(mlflow 3.17.2, utils/search_utils.py). `name IN ('it''s')` finds nothing and says nothing. So what cannot be
written is not asked for in this way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_NAMES = 500  # in one list; the answer is 2.6 kB a name (measured)
# Bytes of a list as it stands in a URL. Gunicorn, which servers of MLflow 2 run under, refuses request lines of
# more than 4,094 bytes, and nginx those of more than 8 kB.
LONGEST = 3500


def literal(text: str) -> str | None:
    """Write a text so that both parsers read it back as it is, or return None."""
    if "\\" in text or "\n" in text or "\r" in text or ("'" in text and '"' in text):
        return None
    return f'"{text}"' if "'" in text else f"'{text}'"


def named(name: str) -> str | None:
    """Return the filter for one name; only the quotes matter then."""
    if "'" in name and '"' in name:
        return None
    return f'name = "{name}"' if "'" in name else f"name = '{name}'"


def among(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the filters that together find these names, and the names that no filter can find."""
    groups: list[list[str]] = []
    never: list[str] = []
    room = 0
    for name in sorted(set(names)):
        written = literal(name)
        if written is None:
            never.append(name)
            continue
        size = len(quote(written, safe="")) + 3  # the comma
        if not groups or size > room or len(groups[-1]) == MOST_NAMES:
            groups.append([])
            room = LONGEST
        groups[-1].append(written)
        room -= size
    return [f"name IN ({','.join(group)})" for group in groups], never


def tagged(tags: Iterable[str]) -> str | None:
    """Return the filter for models with all these tags, "key=value" each, or None if it cannot be written."""
    clauses: list[str] = []
    for tag in sorted(tags):
        key, _, value = tag.partition("=")
        written = literal(value)
        if written is None or "`" in key or literal(key) is None:
            return None
        clauses.append(f"tags.`{key}` = {written}")
    return " AND ".join(clauses)
