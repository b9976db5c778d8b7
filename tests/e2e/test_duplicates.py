"""Vertex makes a version twice, since a reply was lost and the upload took effect long after it was given up."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.core.naming import DUPLICATE_LABEL
from bridge.sandbox.vertex.switches import NextCalls, VertexSwitches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox

SETTLE, LATE = 1, 3600  # seconds


@pytest.fixture
def doubled(desk: Desk) -> Iterator[Desk]:
    """Give a desk whose model has a version that was sent again after the settle window, and came twice."""
    vertex = desk.world.vertex
    desk.write_config(f"guards: {{settle: {SETTLE}s}}\n")
    desk.write_mapping("policy: sync")
    desk.publish(b"first", "staging")
    desk.bridge("sync")
    desk.publish(b"second", "production")
    lost = NextCalls(1, "UploadModel")
    vertex.switches = replace(vertex.switches, commit_delay=LATE, lost_reply=lost, operations_listed=False)
    assert desk.bridge("sync").code == 1
    threading.Event().wait(SETTLE)
    vertex.switches = replace(vertex.switches, commit_delay=0.0)
    assert desk.bridge("sync").code == 0
    assert desk.aliases() == {"default": "1", "staging": "1", "production": "2"}
    desk.world.clock.advance(LATE)
    second, third = desk.versions()[1:]
    assert (third.id, third.artifact_uri) == ("3", second.artifact_uri)
    yield desk
    vertex.switches = VertexSwitches()


def test_it_is_found_and_marked_in_one_pass_and_never_has_an_alias(doubled: Desk) -> None:
    desk = doubled
    before = desk.versions()
    desk.world.traffic.reset()

    found = desk.bridge("sync", "--full")

    assert (found.code, found.err) == (0, "")
    assert "  + mark     @3 (a duplicate of @2)\n" in found.out
    writes = {call.method: count for call, count in desk.world.traffic.counts().items() if call.write}
    assert writes == {"UpdateModel": 1}
    marked = replace(before[2], labels={**before[2].labels, DUPLICATE_LABEL: "2"})
    assert desk.versions() == (*before[:2], marked)
    assert marks(desk) == {"3": "2"}
    [row] = desk.bridge_json("status")
    assert row["state"] == "SYNCED"
    assert row["message"].startswith("version @3: it and @2 are both of the folder of v1")

    desk.tag("v0", "production")
    desk.tag("v1", "champion")
    desk.bridge("sync")

    assert desk.aliases() == {"default": "1", "staging": "1", "production": "1", "champion": "2"}
    assert "0 changes" in desk.bridge("sync", "--full").out


def test_it_is_planned_and_explained_and_nothing_is_written(doubled: Desk) -> None:
    desk = doubled
    desk.world.traffic.reset()

    assert "  + mark     @3 (a duplicate of @2)\n" in desk.bridge("plan").out
    desk.bridge("explain", f"{desk.model}@3")

    assert desk.world.traffic.count(write=True) == 0
    assert marks(desk) == {}


def marks(desk: Desk) -> dict[str, str]:
    """Say of which version each one in Vertex is called a duplicate."""
    labels = {version.id: version.labels for version in desk.versions()}
    return {each: of[DUPLICATE_LABEL] for each, of in labels.items() if DUPLICATE_LABEL in of}
