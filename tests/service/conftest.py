"""Every service that a test began is stopped after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.service.apis import OPEN

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().stop()
