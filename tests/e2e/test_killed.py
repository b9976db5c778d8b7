"""`bridge run`, killed as `kill -9` does at each change of a move; the next process brings it to its end."""

from __future__ import annotations

import signal
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from bridge.core.naming import MANIFEST_NAME
from bridge.run.clock import SystemClock
from bridge.sandbox.address import BUCKET
from bridge.sandbox.faults import Fault
from bridge.store.sql import open_store
from tests.e2e.test_run import SETTINGS, running, until
from tests.stateful import SOAK

if TYPE_CHECKING:
    from typing import Any

    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox

HELD = 10  # seconds for which a call gets no answer: long against a kill; the sandbox ends only after them
SETTLE = "1s"  # the sandbox registers at once, and its lists do not lag


@dataclass(frozen=True)
class Place:
    """A change of the move, as the log and the journal tell of it, and the call that it is made by."""

    told: str
    line: str
    service: str
    method: str
    settled: tuple[
        str, ...
    ]  # how its lines end if it was made outside: a copy that has no manifest yet is gone on with

    def unanswered(self, *, done: bool) -> Fault:
        """Return what keeps the change from its end: the call gets no answer, though it may have done its work."""
        return Fault(self.service, "timeout_after" if done else "timeout_before", self.method, seconds=HELD)


FILES = Place("+ files", "copy", "gcs", "objects.insert", ("abandoned", "applied"))
VERSION = Place("+ version", "register", "vertex", "UploadModel", ("applied",))
ALIAS = Place("~ alias    production", "move-alias", "vertex", "MergeVersionAliases", ("applied",))
# Copies and moves are simply made again, so dying in them is left to `make soak` and to the crash points in memory.
PLACES = pytest.mark.parametrize("place", [FILES, VERSION, ALIAS] if SOAK else [VERSION], ids=lambda place: place.line)


@pytest.fixture
def moved(desk: Desk) -> Desk:
    """Give a desk whose alias has moved to a second version at the source; in Vertex it is on the first."""
    desk.write_config(f"{SETTINGS % 30}guards: {{settle: {SETTLE}}}\n")
    desk.write_mapping("policy: sync")
    desk.publish(b"first", "production")
    assert desk.bridge("sync").code == 0
    desk.publish(b"second", "production")
    return desk


def dies_when_told(desk: Desk, *places: Place) -> None:
    """Run a service that is killed once it tells that it begins one of these changes, none of which can end."""
    numbers = [desk.world.traffic.faults.arm(place.unanswered(done=False)) for place in places]
    with running(desk) as service:
        service.await_event(*(place.told for place in places))
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
    for number in numbers:
        desk.world.traffic.faults.disarm(number)
    the_lease_is_over(desk)


def dies_unanswered(desk: Desk, place: Place) -> None:
    """Run a service that is killed when a change has been made outside, and nobody has told it so."""
    number = desk.world.traffic.faults.arm(place.unanswered(done=True))
    with running(desk) as service:
        service.await_event(place.told)
        until(lambda: number not in desk.world.traffic.faults.armed(), f"{place.method} is called")
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
    the_lease_is_over(desk)


def the_lease_is_over(desk: Desk) -> None:
    """Do what the minute would do that the lease of a dead process lasts."""
    with closing(open_store(desk.store)) as store:
        [lease] = store.leases()
        assert store.renew_lease(lease, SystemClock().now())


def journal(desk: Desk) -> list[dict[str, Any]]:
    """Return the journal's lines, oldest first."""
    lines: list[dict[str, Any]] = desk.bridge_json("history")
    return lines[::-1]


def left_open(desk: Desk) -> list[str]:
    """Say which changes have begun in the journal and not ended."""
    return [line["change"] for line in journal(desk) if line["outcome"] is None]


def folders(desk: Desk) -> list[str]:
    """Say what the versions in Vertex are made of, as the bucket names it."""
    return [version.artifact_uri.removeprefix(f"gs://{BUCKET}/") for version in desk.versions()]


def bytes_came_first(desk: Desk) -> None:
    """Demand what holds at any moment: a version's files and manifest are there, and no version is there twice."""
    assert {f"{folder}{name}" for folder in folders(desk) for name in ("model.pkl", MANIFEST_NAME)} <= set(
        desk.objects()
    )
    assert len(set(folders(desk))) == len(folders(desk)) <= 2


def converges(desk: Desk) -> None:
    """Start a service that nobody helps, and hold all sides against what it should come to."""
    with running(desk) as service:
        service.await_event("is SYNCED")
        assert service.end() == 0
    assert len(folders(desk)) == 2
    bytes_came_first(desk)
    assert desk.aliases() == {"default": "1", "production": "2"}
    assert len(desk.objects()) == 4, "the files and manifests of two versions"
    assert left_open(desk) == []
    [row] = desk.bridge_json("sync", "--full")
    assert (row["state"], row["changes"]) == ("SYNCED", [])


@PLACES
def test_a_process_killed_as_it_begins_a_change_is_followed_by_one_that_makes_it(moved: Desk, place: Place) -> None:
    dies_when_told(moved, place)
    assert left_open(moved) in ([], [place.line])
    bytes_came_first(moved)
    converges(moved)


@PLACES
def test_a_process_killed_before_it_learns_of_its_change_is_followed_by_one_that_finds_it(
    moved: Desk, place: Place
) -> None:
    dies_unanswered(moved, place)
    assert left_open(moved) == [place.line]
    bytes_came_first(moved)
    converges(moved)
    outcomes = [line["outcome"] for line in journal(moved) if line["change"] == place.line]
    assert outcomes == ["applied", *place.settled], "of the first version, then of the second"


def test_two_processes_killed_one_after_the_other_are_followed_by_one_that_ends_the_move(moved: Desk) -> None:
    dies_when_told(moved, VERSION)
    dies_when_told(moved, VERSION, ALIAS)
    bytes_came_first(moved)
    converges(moved)
