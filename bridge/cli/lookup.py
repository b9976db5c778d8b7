"""The store, for commands that need nothing else; and looking things up in it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bridge.cli.options import load_config
from bridge.core.errors import NotFound
from bridge.core.model import EVERY, ModelKey
from bridge.core.refs import concerns, find, parse_ref

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bridge.config.model import Config
    from bridge.core.model import Alias, MappingRecord, Tombstone
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

    They come by key and age. Raises NotFound if there are none.
    """
    records = store.all_records()
    mirrored = {key: store.mirrored(key) for key in {record.key for record in records}}
    if ref is None:
        found = list(records)
    else:
        found = find(parse_ref(ref), records, mirrored, {spec.name: spec.aliases for spec in config.mappings})
    if not found:
        what = "version yet" if ref is None else f"version {ref!r}"
        raise NotFound(f"the store knows no {what}", "see what it knows: bridge status")
    return found, mirrored


def graves_of(config: Config, store: Store, ref: str) -> list[Tombstone]:
    """Return the tombstones that a reference means, oldest first; there may be none."""
    rules = {spec.name: spec.aliases for spec in config.mappings}
    return [grave for grave in store.tombstones() if find(parse_ref(ref), [grave.record], {}, rules)]


def known_or(instead: Sequence[object], config: Config, store: Store, ref: str) -> list[MappingRecord]:
    """Return the records that a reference means; none is well if there is something `instead`. Raises NotFound."""
    try:
        return records_of(config, store, ref)[0]
    except NotFound:
        if instead:
            return []
        raise


def entries_of(config: Config, store: Store, ref: str | None, limit: int) -> list[JournalEntry]:
    """Return the newest journal entries about a reference, or all, newest first; a model has its mapping's pauses."""
    if ref is None:
        return list(store.journal(limit=limit))
    graves = [grave.record for grave in graves_of(config, store, ref)]
    found = [*known_or(graves, config, store, ref), *graves]
    whole = parse_ref(ref).version is None
    keys = {record.key for record in found}
    if whole:
        keys |= {ModelKey(key.mapping, EVERY) for key in keys}
    entries = [
        entry
        for key in keys
        for entry in store.journal(key, limit=limit if whole else SCANNED)
        if whole or concerns(entry.change, found)
    ]
    return sorted(entries, key=lambda entry: entry.id, reverse=True)[:limit]
