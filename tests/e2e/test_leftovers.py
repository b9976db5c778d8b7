"""`bridge leftovers`, on a store in which copies were begun long ago."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bridge.store.sql import open_store

if TYPE_CHECKING:
    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox

LONG_AGO = datetime(2026, 1, 5, 9, tzinfo=UTC)
OURS = "gs://acme-models/registry/fraud/v7-x/"
THEIRS = "gs://other-bucket/registry/fraud/v7-x/"


def begin(desk: Desk, *folders: str) -> None:
    with closing(open_store(desk.store)) as store:
        for folder in folders:
            store.enter(folder, LONG_AGO)


def test_nothing_is_left_over_where_every_copy_came_to_its_end(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    desk.bridge("sync")

    assert desk.bridge("leftovers").out == "nothing is left over\n"
    assert desk.bridge_json("leftovers") == []


def test_what_is_left_over_is_shown_and_stays(desk: Desk) -> None:
    begin(desk, OURS)
    for _ in range(2):
        shown = desk.bridge("leftovers")
        assert (shown.code, shown.out) == (0, f"folder {OURS}, begun {LONG_AGO.isoformat()}: not removed\n")


def test_what_is_left_over_is_removed_when_told_to(desk: Desk) -> None:
    begin(desk, OURS)

    removed = desk.bridge("leftovers", "--remove")
    assert (removed.code, removed.out) == (0, f"folder {OURS}, begun {LONG_AGO.isoformat()}: removed, 0 objects\n")
    assert desk.bridge("leftovers").out == "nothing is left over\n"


def test_what_cannot_be_removed_is_said_and_the_command_fails(desk: Desk) -> None:
    begin(desk, OURS, THEIRS)

    failed = desk.bridge("leftovers", "--remove")
    assert failed.code == 1
    assert f"{THEIRS}, begun {LONG_AGO.isoformat()}: no connection of bridge.yaml has that bucket" in failed.out
    assert desk.bridge_json("leftovers") == [
        {"uri": THEIRS, "kind": "folder", "begun": LONG_AGO.isoformat(), "removed": None, "why": ""}
    ]
