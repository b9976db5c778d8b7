"""That no secret shows is asked after each test of this folder; here, that the question finds one."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bridge.core.model import Alias, ModelKey
from bridge.store.sql import open_store
from tests.e2e.conftest import SECRET_KEY

if TYPE_CHECKING:
    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox


def test_a_secret_that_shows_is_found_wherever_it_is(desk: Desk) -> None:
    log, place = desk.folder / "service.log", "bridge.db" if (desk.store.startswith("sqlite")) else "store"
    log.write_text(f"asked with {os.environ['WANDB_API_KEY']}")
    desk.said.append(f"the key is {os.environ[SECRET_KEY]}")
    with closing(open_store(desk.store, secret_key=os.environ[SECRET_KEY])) as store:
        store.save_mirrored(ModelKey("fraud", "fraud"), Alias(os.environ["WANDB_API_KEY"]), "7")

    assert set(desk.leaks()) == {
        "WANDB_API_KEY in service.log",
        f"{SECRET_KEY} in output",
        f"WANDB_API_KEY in {place}",
    }

    log.unlink()
    desk.said.clear()
    desk.lose_store()
