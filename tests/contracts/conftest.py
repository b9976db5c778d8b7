"""The ends of the Store port."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bridge.store.sql import open_store
from bridge.testing.store import MemoryStore
from tests.store.databases import postgres_schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.core.ports import Store


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    match request.param:
        case "memory":
            yield MemoryStore()
        case "sqlite":
            with closing(open_store(f"sqlite:///{tmp_path}/bridge.db")) as opened:
                yield opened
        case _:
            with postgres_schema() as url, closing(open_store(url)) as opened:
                yield opened
