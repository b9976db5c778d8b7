"""What every source promises: in memory, and W&B through its SDK. The live one is only read."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
import xxhash

from bridge.core.errors import NeedsPerson, NotFound, TryAgain
from bridge.core.model import ArtifactFile, CollectionSelector, SourceState
from bridge.sources.wandb.source import WandbSource
from tests.contracts.ends import setting
from tests.sources.publishers import (
    REGISTRY,
    MemoryPublisher,
    Publisher,
    keep_wandb_in,
    new_name,
    sandbox_people,
    selector,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bridge.core.model import SourceVersion, Sweep
    from bridge.core.ports import Source
    from bridge.sandbox.world import World

FILES = {"model.bin": bytes(range(256)) * 700, "config/a b é.json": b"{}", "empty": b""}
NOBODYS = "an-alias-that-nobody-has"


@dataclass(frozen=True)
class Shelf:
    """A source with a collection that has an aliased version; nobody writes to it."""

    source: Source
    chosen: CollectionSelector

    def state(self) -> SourceState:
        [state] = self.source.sweep([self.chosen]).found[self.chosen]
        return state

    def aliased(self) -> tuple[str, SourceVersion]:
        """Return an alias and its version; with the fewest bytes that there are, for the live one's sake."""
        state = self.state()
        alias = next(alias for alias in sorted(state.aliases) if alias != "latest")
        return alias, state.version(state.aliases[alias])


@pytest.fixture(
    params=["memory", pytest.param("sandbox", marks=pytest.mark.sandbox), pytest.param("live", marks=pytest.mark.live)]
)
def shelf(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, get_world: Callable[[], World]
) -> Iterator[Shelf]:
    keep_wandb_in(tmp_path / "wandb", monkeypatch)
    name = new_name("shelf")
    match request.param:
        case "memory":
            memory = MemoryPublisher()
            memory.publish(name, FILES, "production")
            yield Shelf(memory.source, selector(name))
        case "sandbox":
            with sandbox_people(get_world()) as people:
                people.publish(name, FILES, "production")
                yield Shelf(people.source, selector(name))
        case _:
            place, _, name = setting("BRIDGE_LIVE_WANDB_COLLECTION").partition("/")
            url, organization = (os.environ[f"BRIDGE_LIVE_WANDB_{name}"] for name in ("BASE_URL", "ORGANIZATION"))
            key = setting("WANDB_API_KEY")
            with closing(WandbSource("live", url, lambda: key, organization)) as source:
                yield Shelf(source, CollectionSelector("live", f"wandb-registry-{place}", name))


@pytest.fixture(params=["memory", pytest.param("sandbox", marks=pytest.mark.sandbox)])
def people(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, get_world: Callable[[], World]
) -> Iterator[Publisher]:
    if request.param == "memory":
        yield MemoryPublisher()
        return
    keep_wandb_in(tmp_path / "wandb", monkeypatch)
    with sandbox_people(get_world()) as opened:
        yield opened


@pytest.fixture
def get_world(request: pytest.FixtureRequest) -> Callable[[], World]:
    """Start the sandbox only for those who ask."""

    def get() -> World:
        world: World = request.getfixturevalue("world")
        return world

    return get


def state_of(sweep: Sweep, chosen: CollectionSelector) -> SourceState:
    assert sweep.failed == {}
    [state] = sweep.found[chosen]
    return state


def look(people: Publisher, name: str) -> SourceState:
    """Sweep one collection."""
    chosen = selector(name)
    return state_of(people.source.sweep([chosen]), chosen)


def labels(state: SourceState) -> dict[str, str]:
    """Say which label each alias is on, but for `latest`, which a source may move by itself."""
    return {alias: state.version(to).label for alias, to in state.aliases.items() if alias != "latest"}


def only(people: Publisher, name: str) -> SourceVersion:
    """Return a collection's one version."""
    [version] = look(people, name).versions
    return version


def read(source: Source, version: SourceVersion, file: ArtifactFile, start: int = 0) -> bytes:
    with source.open(version, file, start) as pieces:
        return b"".join(pieces)


def file_named(source: Source, version: SourceVersion, path: str) -> ArtifactFile:
    return next(file for file in source.describe(version) if file.path == path)


# sweep, where it is only read


def test_a_sweep_finds_the_versions_and_aliases_of_a_collection(shelf: Shelf) -> None:
    state = shelf.state()
    alias, version = shelf.aliased()

    assert (state.name, state.collection) == (shelf.chosen.name, version.collection)
    assert state.collection.endswith(f"{shelf.chosen.place}/{shelf.chosen.name}")
    assert state.complete
    assert alias in state.aliases
    assert (version.connection, version.label[0]) == (shelf.chosen.connection, "v")
    assert version.url.startswith("http")


def test_a_sweep_says_the_same_when_nothing_happens(shelf: Shelf) -> None:
    assert shelf.state() == shelf.state()


def test_versions_come_oldest_first_and_every_alias_names_one_of_them(shelf: Shelf) -> None:
    state = shelf.state()
    numbers = [int(version.label[1:]) for version in state.versions]

    assert numbers == sorted(numbers)
    assert len({version.id for version in state.versions}) == len(state.versions)
    assert set(state.aliases.values()) <= {version.id for version in state.versions}


def test_a_version_with_an_asked_for_alias_is_found_under_a_filter_of_aliases(shelf: Shelf) -> None:
    alias, version = shelf.aliased()
    strict = replace(shelf.chosen, aliases=frozenset({alias, NOBODYS}))
    state = state_of(shelf.source.sweep([strict]), strict)

    assert state.version(state.aliases[alias]) == version
    assert NOBODYS not in state.aliases


def test_a_collection_that_does_not_exist_is_failed_and_the_others_are_found(shelf: Shelf) -> None:
    absent = replace(shelf.chosen, name=f"{shelf.chosen.name}-that-nobody-made")
    sweep = shelf.source.sweep([absent, shelf.chosen])

    assert set(sweep.found) == {shelf.chosen}
    assert set(sweep.failed) == {absent}
    assert isinstance(sweep.failed[absent], NotFound)
    assert absent.name in str(sweep.failed[absent])


def test_a_pattern_is_matched_against_the_whole_name(shelf: Shelf) -> None:
    name = re.escape(shelf.chosen.name)
    whole, part = (replace(shelf.chosen, name=pattern, is_pattern=True) for pattern in (name, name[:-1]))
    sweep = shelf.source.sweep([whole, part])

    assert [state.name for state in sweep.found[whole]] == [shelf.chosen.name]
    assert sweep.found[part] == ()
    assert sweep.failed == {}


def test_each_selector_is_in_exactly_one_of_found_and_failed(shelf: Shelf) -> None:
    absent = replace(shelf.chosen, name=f"{shelf.chosen.name}-that-nobody-made")
    strict = replace(shelf.chosen, aliases=frozenset({NOBODYS}))
    asked = [shelf.chosen, absent, strict, replace(absent, name="no.*such", is_pattern=True)]
    sweep = shelf.source.sweep(asked)

    assert sweep.found.keys() | sweep.failed.keys() == set(asked)
    assert not sweep.found.keys() & sweep.failed.keys()


def test_a_sweep_of_nothing_finds_nothing(shelf: Shelf) -> None:
    sweep = shelf.source.sweep([])

    assert (sweep.found, sweep.failed) == ({}, {})


# files, where they are only read


def test_the_files_of_a_version_are_listed_by_path(shelf: Shelf) -> None:
    _, version = shelf.aliased()
    files = shelf.source.describe(version)

    assert files
    assert [file.path for file in files] == sorted({file.path for file in files})


def test_bytes_have_the_size_and_digest_that_were_described(shelf: Shelf) -> None:
    _, version = shelf.aliased()
    for file in shelf.source.describe(version):
        content = read(shelf.source, version, file)

        assert len(content) == file.size
        assert file.digest is not None
        whole = hashlib.md5 if file.digest.algorithm == "md5" else xxhash.xxh128
        assert base64.b64encode(whole(content).digest()).decode() == file.digest.value


def test_a_file_is_read_from_any_byte_on(shelf: Shelf) -> None:
    _, version = shelf.aliased()
    file = max(shelf.source.describe(version), key=lambda file: file.size)
    content = read(shelf.source, version, file)

    for start in (1, file.size // 2, file.size - 1, file.size):
        assert read(shelf.source, version, file, start) == content[start:]


def test_reading_may_end_early(shelf: Shelf) -> None:
    _, version = shelf.aliased()
    file = max(shelf.source.describe(version), key=lambda file: file.size)
    with shelf.source.open(version, file) as pieces:
        first = next(pieces)

    assert read(shelf.source, version, file).startswith(first)


def test_reading_leaves_nothing_on_the_disk(shelf: Shelf, tmp_path: Path) -> None:
    _, version = shelf.aliased()
    for file in shelf.source.describe(version):
        read(shelf.source, version, file)
    contents = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]

    assert not any(FILES["model.bin"][:1000] in content for content in contents)


def test_an_alias_that_a_version_has_is_not_gone(shelf: Shelf) -> None:
    alias, version = shelf.aliased()

    assert not shelf.source.is_gone(version.collection, alias)


def test_an_alias_that_no_version_has_is_gone(shelf: Shelf) -> None:
    assert shelf.source.is_gone(shelf.state().collection, NOBODYS)


# what people do


def test_a_new_version_is_found_with_its_aliases(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"}, "production", "best one (ever)")
    people.publish(name, {"f": b"2"}, "staging")
    state = look(people, name)

    assert [version.label for version in state.versions] == ["v0", "v1"]
    assert labels(state) == {"production": "v0", "best one (ever)": "v0", "staging": "v1"}
    assert state.collection == f"{REGISTRY}/{name}"


def test_an_alias_that_is_moved_names_its_new_version_only(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"}, "production")
    people.publish(name, {"f": b"2"})
    before = look(people, name)
    people.alias(name, "v1", "production")
    after = look(people, name)

    assert (labels(before), labels(after)) == ({"production": "v0"}, {"production": "v1"})
    assert after.versions == before.versions
    assert not people.source.is_gone(after.collection, "production")


def test_an_alias_that_is_removed_is_absent_and_gone(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"}, "production", "staging")
    people.unalias(name, "v0", "production")

    assert labels(look(people, name)) == {"staging": "v0"}
    assert people.source.is_gone(f"{REGISTRY}/{name}", "production")
    assert not people.source.is_gone(f"{REGISTRY}/{name}", "staging")


def test_a_collection_without_versions_is_found_and_empty(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"}, "production")
    people.delete(name, "v0")
    strict = selector(name, aliases=frozenset({"production"}))
    sweep = people.source.sweep([selector(name), strict])

    for chosen in (selector(name), strict):
        state = state_of(sweep, chosen)
        assert (state.collection, state.versions, state.aliases) == (f"{REGISTRY}/{name}", (), {})


def test_a_collection_that_was_deleted_is_failed(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"}, "production")
    people.delete_collection(name)
    sweep = people.source.sweep([selector(name)])

    assert sweep.found == {}
    assert isinstance(sweep.failed[selector(name)], NotFound)


def test_an_alias_of_another_collection_does_not_count(people: Publisher) -> None:
    mine, theirs = new_name(), new_name()
    people.publish(mine, {"f": b"1"})
    people.publish(theirs, {"f": b"2"}, "production")

    assert labels(look(people, mine)) == {}
    assert people.source.is_gone(f"{REGISTRY}/{mine}", "production")


def test_a_pattern_finds_all_collections_whose_whole_name_it_matches(people: Publisher) -> None:
    stem = new_name("many")
    for part in ("a", "b", "bb"):
        people.publish(f"{stem}-{part}", {"f": part.encode()}, "production")
    chosen = selector(f"{stem}-[ab]", is_pattern=True)
    found = people.source.sweep([chosen]).found[chosen]

    assert sorted(state.name for state in found) == [f"{stem}-a", f"{stem}-b"]
    assert all(labels(state) == {"production": "v0"} for state in found)


def test_only_collections_with_all_the_tags_are_chosen(people: Publisher) -> None:
    stem = new_name("tagged")
    for part, tags in (("a", ["eu", "fraud"]), ("b", ["eu"]), ("c", [])):
        people.publish(f"{stem}-{part}", {"f": part.encode()}, "production")
        people.tag(f"{stem}-{part}", *tags)
    both = selector(f"{stem}-.", is_pattern=True, tags=frozenset({"eu", "fraud"}))
    one = selector(f"{stem}-.", is_pattern=True, tags=frozenset({"eu"}))
    exact = selector(f"{stem}-b", tags=frozenset({"eu"}))
    sweep = people.source.sweep([both, one, exact])

    assert [state.name for state in sweep.found[both]] == [f"{stem}-a"]
    assert [state.name for state in sweep.found[one]] == [f"{stem}-a", f"{stem}-b"]
    assert [state.name for state in sweep.found[exact]] == [f"{stem}-b"]


def test_the_same_files_published_again_have_the_same_digest_and_another_id(people: Publisher) -> None:
    name = new_name()
    people.publish(name, FILES)
    people.publish(name, FILES)
    first, second = look(people, name).versions

    assert first.digest == second.digest
    assert first.id != second.id


def test_a_selector_with_aliases_does_not_narrow_one_without(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"}, "staging")
    people.publish(name, {"f": b"2"}, "production")
    strict, free = selector(name, aliases=frozenset({"production"})), selector(name)
    sweep = people.source.sweep([strict, free])

    assert labels(state_of(sweep, free)) == {"staging": "v0", "production": "v1"}
    assert labels(state_of(sweep, strict))["production"] == "v1"


def test_sizes_are_those_of_the_files_and_the_order_that_of_paths(people: Publisher) -> None:
    name = new_name()
    people.publish(name, FILES)
    files = people.source.describe(only(people, name))

    assert {file.path: file.size for file in files} == {path: len(content) for path, content in FILES.items()}
    assert [file.path for file in files] == ["config/a b é.json", "empty", "model.bin"]


def test_every_file_is_read_byte_for_byte(people: Publisher) -> None:
    name = new_name()
    people.publish(name, FILES)
    version = only(people, name)

    contents = {file.path: read(people.source, version, file) for file in people.source.describe(version)}
    assert contents == FILES


def test_a_version_that_is_gone_is_not_described(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"})
    version = only(people, name)
    people.delete(name, "v0")

    with pytest.raises(NeedsPerson):
        people.source.describe(version)


def test_a_file_of_a_version_that_is_gone_is_not_read(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"})
    version = only(people, name)
    file = file_named(people.source, version, "f")
    people.delete(name, "v0")

    with pytest.raises(NeedsPerson):
        read(people.source, version, file)


def test_another_version_under_the_same_label_is_not_described_or_read(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"})
    swept = only(people, name)
    file = file_named(people.source, swept, "f")
    people.delete_collection(name)
    assert people.publish(name, {"f": b"2"}) == swept.label

    with pytest.raises(NeedsPerson):
        people.source.describe(swept)
    with pytest.raises(NeedsPerson):
        read(people.source, swept, file)


def test_the_same_id_with_another_digest_is_not_described(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"})

    with pytest.raises(NeedsPerson):
        people.source.describe(replace(only(people, name), digest="0" * 32))


@pytest.mark.parametrize("path", ["../up", "/etc/passwd", "a//b", "a/./b", "line\nbreak", ".bridge-manifest.json"])
def test_a_file_name_that_cannot_be_copied_is_refused(people: Publisher, path: str) -> None:
    name = new_name()
    people.publish(name, {"f": b"1", path: b"2"})

    with pytest.raises(NeedsPerson):
        people.source.describe(only(people, name))


def test_a_file_that_the_version_does_not_have_is_not_read(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"})
    version = only(people, name)

    with pytest.raises(NeedsPerson):
        read(people.source, version, ArtifactFile("another", 1, None))


# when the service is unwell


@pytest.fixture
def listed_version(people: Publisher) -> SourceVersion:
    name = new_name()
    people.publish(name, {"f": b"1"}, "production")
    return only(people, name)


@pytest.fixture(params=["from the start", "later"])
def _when(request: pytest.FixtureRequest, people: Publisher) -> None:
    """Let it happen before the source ever connected, or to one that did."""
    if request.param == "later":
        people.source.sweep([selector("any")])


@pytest.mark.usefixtures("_when")
def test_a_sweep_of_a_service_that_is_unwell_is_for_another_time(people: Publisher) -> None:
    with people.outage(), pytest.raises(TryAgain):
        people.source.sweep([selector("any")])


@pytest.mark.usefixtures("_when")
def test_a_sweep_of_a_service_that_denies_access_needs_a_person(people: Publisher) -> None:
    with people.lockout(), pytest.raises(NeedsPerson):
        people.source.sweep([selector("any")])


def test_a_version_of_a_service_that_is_unwell_is_for_another_time(
    people: Publisher, listed_version: SourceVersion
) -> None:
    file = file_named(people.source, listed_version, "f")

    with people.outage():
        with pytest.raises(TryAgain):
            people.source.describe(listed_version)
        with pytest.raises(TryAgain):
            read(people.source, listed_version, file)
        with pytest.raises(TryAgain):
            people.source.is_gone(listed_version.collection, "production")
    assert read(people.source, listed_version, file) == b"1"


def test_where_access_is_denied_a_person_is_needed_and_nothing_is_gone(
    people: Publisher, listed_version: SourceVersion
) -> None:
    file = file_named(people.source, listed_version, "f")

    with people.lockout():
        with pytest.raises(NeedsPerson):
            people.source.describe(listed_version)
        with pytest.raises(NeedsPerson):
            read(people.source, listed_version, file)
        with pytest.raises(NeedsPerson):
            people.source.is_gone(listed_version.collection, "production")
    assert not people.source.is_gone(listed_version.collection, "production")
