"""The store, for commands that need nothing else; and looking things up in it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bridge.cli.options import load_config
from bridge.core.errors import NeedsPerson
from bridge.core.refs import concerns, find, parse_ref

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bridge.config.model import Config
    from bridge.core.model import Alias, MappingRecord, ModelKey
    from bridge.core.ports import Store
    from bridge.core.records import JournalEntry

SCANNED = 10_000  # journal entries of a model that are searched for one version's


@contextmanager
def opened(config: Config, *, read_only: bool = False) -> Iterator[Store]:
    """Open the store of a configuration for as long as the block lasts."""
    from bridge.config.choosing import store_url
    from bridge.store.sql import open_store

    store = open_store(store_url(config), read_only=read_only)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def looking(config: Path) -> Iterator[tuple[Config, Store]]:
    """Open the store for reading, for as long as the block lasts."""
    loaded = load_config(config)
    with opened(loaded, read_only=True) as store:
        yield loaded, store


def records_of(
    config: Config, store: Store, ref: str | None
) -> tuple[list[MappingRecord], Mapping[ModelKey, Mapping[Alias, str]]]:
    """
    Return the records that a reference means, or all without one, and where all aliases are.

    They come by key and age. Raises NeedsPerson if there are none.
    """
    records = store.all_records()
    mirrored = {key: store.mirrored(key) for key in {record.key for record in records}}
    if ref is None:
        found = list(records)
    else:
        found = find(parse_ref(ref), records, mirrored, {spec.name: spec.aliases for spec in config.mappings})
    if not found:
        what = "version yet" if ref is None else f"version {ref!r}"
        raise NeedsPerson(f"the store knows no {what}", "see what it knows: bridge status")
    return found, mirrored


def entries_of(config: Config, store: Store, ref: str | None, limit: int) -> list[JournalEntry]:
    """Return the newest journal entries about a reference, or all, newest first."""
    if ref is None:
        return list(store.journal(limit=limit))
    found, _ = records_of(config, store, ref)
    whole = parse_ref(ref).version is None
    entries = [
        entry
        for key in {record.key for record in found}
        for entry in store.journal(key, limit=limit if whole else SCANNED)
        if whole or concerns(entry.change, found)
    ]
    return sorted(entries, key=lambda entry: entry.id, reverse=True)[:limit]
