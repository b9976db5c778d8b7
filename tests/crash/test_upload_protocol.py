"""
UploadModel has no request id: every schedule of late commits, lagging lists, lost replies and deaths.

The process dies once or twice at every effect of a registration, and comes back after a while, again and
again, until the version is recorded. Then everything that was ever sent has landed, and is counted.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import pytest

from bridge.core.changes import RegisterVersion
from bridge.core.errors import TryAgain
from bridge.core.naming import artifact_uri
from bridge.reconcile.registering import Registrar
from tests.stateful import SOAK
from tests.worlds import BASE, CONTAINER, FACTS, KEY, Crash, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

COMMIT_DELAYS = (0, 3, 20)  # seconds
LIST_LAGS = (0, 5, 40)
LOST_REPLIES = (0, 1, 2)
LONG, SHORT = timedelta(seconds=61), timedelta(seconds=10)


@dataclass(frozen=True)
class Weather:
    commit_delay: int
    list_lag: int
    lost_replies: int
    restart: int = 2  # seconds until a process that died or gave up is back
    tells: bool = False  # whether Vertex lists operations that run
    alias_conflict: Literal["move", "reject"] = "move"
    label_scope: Literal["model", "version"] = "model"


# What the documentation of Vertex leaves open.
CHARACTERS: list[tuple[Literal["move", "reject"], Literal["model", "version"]]] = [
    ("move", "model"),
    ("move", "version"),
    ("reject", "model"),
    ("reject", "version"),
]


def in_turn(weathers: Iterable[Weather]) -> list[Weather]:
    """Give each weather one character; every four begin with another, so that no mood always has the same."""
    turned = []
    for number, weather in enumerate(weathers):
        conflict, scope = CHARACTERS[(number + number // len(CHARACTERS)) % len(CHARACTERS)]
        turned.append(replace(weather, alias_conflict=conflict, label_scope=scope))
    return turned


def all_of_them(weathers: Iterable[Weather]) -> list[Weather]:
    """Give each weather every character."""
    each = itertools.product(weathers, CHARACTERS)
    return [replace(weather, alias_conflict=conflict, label_scope=scope) for weather, (conflict, scope) in each]


WEATHERS = (all_of_them if SOAK else in_turn)(
    Weather(*moods) for moods in itertools.product(COMMIT_DELAYS, LIST_LAGS, LOST_REPLIES, (2, 31), (True, False))
)
FEW_WEATHERS = WEATHERS[::11]


def new_world(weather: Weather, settle: timedelta, *, lived_in: bool = False) -> World:
    """Return a world with a version to register; `lived_in`: an earlier one has its alias, and a person one too."""
    world = World(settle=settle)
    if lived_in:
        world.publish("production")
        world.sync()
        world.registry.add_by_hand("fraud", aliases=["theirs"])
    world.registry.commit_delay = weather.commit_delay
    world.registry.list_lag = weather.list_lag
    world.registry.lists_operations = weather.tells
    world.registry.alias_conflict = weather.alias_conflict
    world.registry.label_scope = weather.label_scope
    world.registry.lost_replies["register"] = weather.lost_replies
    version = world.publish("production")
    world.reconciler(world.specs[0]).copier.copy(version, artifact_uri(BASE, "fraud", version))
    return world


def registers(world: World) -> bool:
    """Try to register the version as long as a plan would ask for it; True if that came to its end."""
    if world.store.records(KEY) and not world.store.intents(KEY):
        return True
    ((folder, manifest),) = world.storage.manifests.items()
    (spec,) = world.specs
    (state,) = world.source.sweep([spec.source]).found[spec.source]
    ends = world.reconciler(spec)
    registrar = Registrar(ends.registry, ends.store, ends.clock, world.settle)
    try:
        registrar.register(KEY, RegisterVersion(state.version(manifest.source_id), folder, CONTAINER), "fraud", FACTS)
    except TryAgain:
        return False
    return True


def syncs(world: World) -> bool:
    """Do a whole pass; True if it left nothing to do."""
    (report,) = world.sync()
    return report.status.fingerprint is not None


def lives(attempt: Callable[[World], bool], world: World, deaths: tuple[int, ...], restart: int) -> int:
    """Attempt until it is done, dying at these effects, each counted from its restart; say how many were reached."""
    reached = 0
    for _ in range(200):
        world.fuse.left = deaths[reached] if reached < len(deaths) else None
        try:
            done = attempt(world)
        except Crash:
            reached, done = reached + 1, False
        world.fuse.left = None
        if done:
            return reached
        world.clock.advance(restart)
    pytest.fail("it never ends")


def singles(
    attempt: Callable[[World], bool], weather: Weather, settle: timedelta, *, lived_in: bool = False
) -> Iterator[World]:
    """Yield what comes of every single death, and of none."""
    for point in itertools.count():
        world = new_world(weather, settle, lived_in=lived_in)
        reached = lives(attempt, world, (point,), weather.restart)
        yield world
        if not reached:
            return


def pairs(attempt: Callable[[World], bool], weather: Weather, settle: timedelta) -> Iterator[World]:
    """Yield what comes of every pair of deaths; where one effect ends and the next begins is one place here."""
    for first in itertools.count():
        for second in itertools.count():
            world = new_world(weather, settle)
            world.fuse.after = False
            reached = lives(attempt, world, (first, second), weather.restart)
            if reached == 2:
                yield world
            else:
                break
        if not reached:
            return


def landed(world: World) -> int:
    """Let all that was sent land; return how many versions there are."""
    world.clock.advance(3600)
    return len(world.registry.versions("fraud"))


def test_vertex_has_each_character_in_every_two_moods_of_the_weather_together() -> None:
    moods = [field.name for field in fields(Weather) if field.name not in ("alias_conflict", "label_scope")]
    for one, other in itertools.combinations(moods, 2):
        met = {(getattr(each, one), getattr(each, other), each.alias_conflict, each.label_scope) for each in WEATHERS}
        together = {known[:2] for known in met}
        assert len(met) == len(together) * len(CHARACTERS), (one, other)
    assert {(each.alias_conflict, each.label_scope) for each in FEW_WEATHERS} == set(CHARACTERS)


def test_a_version_is_registered_once_whatever_happens() -> None:
    for weather in WEATHERS:
        worlds = itertools.chain(singles(registers, weather, LONG), pairs(registers, weather, LONG))
        for world in worlds:
            assert landed(world) == 1, weather
            assert [record.version_id for record in world.store.records(KEY)] == ["1"], weather
            assert world.store.intents(KEY) == (), weather


def test_a_whole_pass_registers_once_whatever_happens() -> None:
    for weather in FEW_WEATHERS:
        for world in singles(syncs, weather, LONG):
            assert landed(world) == 1, weather
            assert world.names()["production"] == "v0", weather


@pytest.mark.parametrize(("conflict", "scope"), CHARACTERS)
def test_an_alias_is_taken_from_an_earlier_version_and_no_persons_whatever_happens(
    conflict: Literal["move", "reject"], scope: Literal["model", "version"]
) -> None:
    on_somebody: list[bool] = []

    def syncs_watched(world: World) -> bool:
        try:
            return syncs(world)
        finally:
            on_somebody.append("production" in world.registry.aliases("fraud"))

    for mood in FEW_WEATHERS:
        weather = replace(mood, alias_conflict=conflict, label_scope=scope)
        for world in singles(syncs_watched, weather, LONG, lived_in=True):
            assert landed(world) == 3, weather
            assert world.registry.aliases("fraud") == {"default": "1", "theirs": "2", "production": "3"}, weather
    assert all(on_somebody) == (conflict == "move"), "a death leaves it on nobody only where Vertex does not move it"


def test_a_settle_window_that_is_shorter_than_commit_delay_and_list_lag_does_make_duplicates() -> None:
    weather = Weather(commit_delay=20, list_lag=40, lost_replies=1)

    assert max(landed(world) for world in singles(registers, weather, SHORT)) > 1
    assert max(landed(world) for world in singles(syncs, weather, SHORT)) > 1


def test_the_settle_window_need_not_be_longer_than_both_together() -> None:
    delays = itertools.product(COMMIT_DELAYS, LIST_LAGS)
    for weather in in_turn(Weather(*delay, lost_replies=2, restart=1) for delay in delays):
        for world in singles(registers, weather, timedelta(seconds=weather.commit_delay + weather.list_lag)):
            assert landed(world) == 1, weather


@dataclass
class Naive:
    """What the protocol is not: looks once and sends."""

    world: World

    def register(self) -> None:
        uri = "gs://models/naive/"
        if not any(version.artifact_uri == uri for version in self.world.registry.observe("fraud").versions):
            version = self.world.publish()
            self.world.registry.register("fraud", "fraud", version, uri, CONTAINER, facts=FACTS, first=False)


def test_looking_before_sending_is_not_enough() -> None:
    world = World()
    world.registry.commit_delay = 20
    world.registry.add_by_hand("fraud")
    world.registry.lost_replies["register"] = 1
    naive = Naive(world)
    with pytest.raises(TryAgain):
        naive.register()

    naive.register()

    assert landed(world) == 3
