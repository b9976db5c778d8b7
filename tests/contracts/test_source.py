"""What every source promises: in memory, W&B through its SDK, and real MLflow servers. The live one is only read."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
import xxhash

from bridge.core.errors import IntegrityError, NeedsPerson, NotFound, TryAgain
from bridge.core.model import ArtifactFile, CollectionSelector, Facts, SourceState
from bridge.sources.wandb.source import WandbSource
from tests.contracts.ends import ends, setting
from tests.sources.publishers import MemoryPublisher, Publisher, keep_wandb_in, new_name, sandbox_people

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bridge.core.model import SourceVersion, Sweep
    from bridge.core.ports import Source
    from bridge.sandbox.mlflow.server import MlflowServer
    from tests.conftest import S3Bucket
    from tests.sources.mlflow_people import MlflowPublisher

FILES = {"model.bin": bytes(range(256)) * 700, "config/a b é.json": b"{}", "empty": b""}
NOBODYS = "an-alias-that-nobody-has"
MLMODEL = b"""\
run_id: the-run-of-the-file
flavors:
  python_function: {loader_module: mlflow.sklearn, python_version: 3.11.7}
  sklearn: {pickled_model: model.pkl, sklearn_version: 1.6.1}
signature: {inputs: '[]', outputs: null}
"""


# the ends


@contextmanager
def memory(_request: pytest.FixtureRequest) -> Iterator[Publisher]:
    yield MemoryPublisher()


@contextmanager
def sandbox(request: pytest.FixtureRequest) -> Iterator[Publisher]:
    tmp_path: Path = request.getfixturevalue("tmp_path")
    keep_wandb_in(tmp_path / "wandb", request.getfixturevalue("monkeypatch"))
    with sandbox_people(request.getfixturevalue("world")) as people:
        yield people


@contextmanager
def mlflow(request: pytest.FixtureRequest) -> Iterator[Publisher]:
    """Artifacts are on the server's disk, and come from there."""
    from tests.sources.mlflow_people import mlflow_people  # noqa: PLC0415  takes seconds

    server: MlflowServer = request.getfixturevalue("mlflow_server")
    artifacts = server.process.log.with_name("artifacts")

    def put(path: str, content: bytes) -> None:
        artifacts.joinpath(path).write_bytes(content)

    with mlflow_people(server.url, request.getfixturevalue("mlflow_traffic"), put=put) as people:
        yield people


@contextmanager
def mlflow_s3(request: pytest.FixtureRequest) -> Iterator[Publisher]:
    """Artifacts are in a bucket that the server signs URLs of."""
    from tests.sources.mlflow_people import mlflow_people  # noqa: PLC0415  takes seconds

    bucket: S3Bucket = request.getfixturevalue("s3_bucket")
    url = request.getfixturevalue("mlflow_s3_server").url
    traffic = request.getfixturevalue("mlflow_s3_traffic")
    with mlflow_people(url, traffic, put=lambda path, content: bucket.put(f"root/{path}", content)) as people:
        yield people


@dataclass(frozen=True)
class Shelf:
    """A source with a collection that has an aliased version; nobody writes to it."""

    source: Source
    chosen: CollectionSelector
    keeps_digests: bool = True
    numbering: str = "v"

    def state(self) -> SourceState:
        [state] = self.source.sweep([self.chosen]).found[self.chosen]
        return state

    def aliased(self) -> tuple[str, SourceVersion]:
        """Return an alias and its version; with the fewest bytes that there are, for the live one's sake."""
        state = self.state()
        alias = next(alias for alias in sorted(state.aliases) if alias != "latest")
        return alias, state.version(state.aliases[alias])


def filled(
    make: Callable[[pytest.FixtureRequest], AbstractContextManager[Publisher]],
) -> Callable[[pytest.FixtureRequest], AbstractContextManager[Shelf]]:
    """Return what makes an end with a collection in it, one for all tests that the end outlasts."""
    made: list[str] = []

    @contextmanager
    def opened(request: pytest.FixtureRequest) -> Iterator[Shelf]:
        with make(request) as people:
            if not made or make is memory:
                made[:] = [new_name("shelf")]
                people.publish(made[0], FILES, "production")
            [name] = made
            yield Shelf(people.source, people.selector(name), people.keeps_digests, people.numbering)

    return opened


@contextmanager
def live(_request: pytest.FixtureRequest) -> Iterator[Shelf]:
    place, _, name = setting("BRIDGE_LIVE_WANDB_COLLECTION").partition("/")
    url, organization = (os.environ[f"BRIDGE_LIVE_WANDB_{name}"] for name in ("BASE_URL", "ORGANIZATION"))
    key = setting("WANDB_API_KEY")
    with closing(WandbSource("live", url, lambda: key, organization)) as source:
        yield Shelf(source, CollectionSelector("live", f"wandb-registry-{place}", name))


MAKERS = {"memory": memory, "sandbox": sandbox, "mlflow": mlflow, "mlflow-s3": mlflow_s3}
PEOPLE = ends(MAKERS)
AT_MLFLOW = ends({name: MAKERS[name] for name in ("mlflow", "mlflow-s3")})


@pytest.fixture(params=ends({**{name: filled(make) for name, make in MAKERS.items()}, "live": live}))
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    with request.param(request) as opened:
        yield opened


@pytest.fixture(params=PEOPLE)
def people(request: pytest.FixtureRequest) -> Iterator[Publisher]:
    with request.param(request) as opened:
        yield opened


REFUSED = ["../up", "/etc/passwd", "a//b", "a/./b", "line\nbreak", "tab\tstop", ".bridge-manifest.json"]
CANNOT_BE = {
    "mlflow": REFUSED[:4],  # its files are on a disk, and no file system holds such names; an object may have any
    "mlflow-s3": ["line\nbreak"],  # moto answers 404 to it, since the routes of its web server end at a line's end
}


def names_that_are_refused() -> list[pytest.ParameterSet]:
    """Return ends, each with the names of REFUSED that a file of a version can have there."""
    return [
        pytest.param(
            *end.values,
            path,
            marks=end.marks,
            id=f"{end.id}-{path!r}",
        )
        for end in PEOPLE
        for path in REFUSED
        if path not in CANNOT_BE.get(str(end.id), ())
    ]


def state_of(sweep: Sweep, chosen: CollectionSelector) -> SourceState:
    assert sweep.failed == {}
    [state] = sweep.found[chosen]
    return state


def look(people: Publisher, name: str) -> SourceState:
    """Sweep one collection."""
    chosen = people.selector(name)
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
    return next(file for file in source.describe(version).files if file.path == path)


# sweep, where it is only read


def test_a_sweep_finds_the_versions_and_aliases_of_a_collection(shelf: Shelf) -> None:
    state = shelf.state()
    alias, version = shelf.aliased()

    assert (state.name, state.collection) == (shelf.chosen.name, version.collection)
    assert state.collection.endswith(f"{shelf.chosen.place}/{shelf.chosen.name}")
    assert state.complete
    assert alias in state.aliases
    assert version.connection == shelf.chosen.connection
    assert re.fullmatch(rf"{shelf.numbering}[0-9]+", version.label)
    assert version.url.startswith("http")


def test_a_sweep_says_the_same_when_nothing_happens(shelf: Shelf) -> None:
    assert shelf.state() == shelf.state()


def test_versions_come_oldest_first_and_every_alias_names_one_of_them(shelf: Shelf) -> None:
    state = shelf.state()
    numbers = [int(version.label.removeprefix(shelf.numbering)) for version in state.versions]

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
    files = shelf.source.describe(version).files

    assert files
    assert [file.path for file in files] == sorted({file.path for file in files})


def test_bytes_have_the_size_and_digest_that_were_described(shelf: Shelf) -> None:
    _, version = shelf.aliased()
    for file in shelf.source.describe(version).files:
        content = read(shelf.source, version, file)

        assert len(content) == file.size
        assert (file.digest is not None) == shelf.keeps_digests
        if file.digest is not None:
            whole = hashlib.md5 if file.digest.algorithm == "md5" else xxhash.xxh128
            assert base64.b64encode(whole(content).digest()).decode() == file.digest.value


def test_a_file_is_read_from_any_byte_on(shelf: Shelf) -> None:
    _, version = shelf.aliased()
    file = max(shelf.source.describe(version).files, key=lambda file: file.size)
    content = read(shelf.source, version, file)

    for start in (1, file.size // 2, file.size - 1, file.size):
        assert read(shelf.source, version, file, start) == content[start:]


def test_reading_may_end_early(shelf: Shelf) -> None:
    _, version = shelf.aliased()
    file = max(shelf.source.describe(version).files, key=lambda file: file.size)
    with shelf.source.open(version, file) as pieces:
        first = next(pieces)

    assert read(shelf.source, version, file).startswith(first)


def test_reading_leaves_nothing_on_the_disk(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    _, version = shelf.aliased()
    for file in shelf.source.describe(version).files:
        read(shelf.source, version, file)
    contents = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]

    assert not any(FILES["model.bin"][:1000] in content for content in contents)


def test_an_alias_that_a_version_has_is_not_gone(shelf: Shelf) -> None:
    alias, version = shelf.aliased()

    assert not shelf.source.is_gone(version.collection, alias)


def test_an_alias_that_no_version_has_is_gone(shelf: Shelf) -> None:
    assert shelf.source.is_gone(shelf.state().collection, NOBODYS)


def test_of_a_collection_that_is_not_there_no_alias_is_gone(shelf: Shelf) -> None:
    with pytest.raises(NotFound):
        shelf.source.is_gone(f"{shelf.state().collection}-of-nobody", NOBODYS)


def test_a_source_that_lets_us_in_says_as_whom_if_it_tells_that(shelf: Shelf) -> None:
    assert shelf.source.check_access() != ""


def test_of_aliases_that_are_plainly_on_one_version_nothing_is_remarked(shelf: Shelf) -> None:
    assert shelf.state().remarks == {}


# what people do


def test_a_new_version_is_found_with_its_aliases(people: Publisher) -> None:
    name = new_name()
    first = people.publish(name, {"f": b"1"}, "production", people.odd_alias)
    second = people.publish(name, {"f": b"2"}, "staging")
    state = look(people, name)

    assert [version.label for version in state.versions] == [first, second]
    assert labels(state) == {"production": first, people.odd_alias: first, "staging": second}
    assert not people.source.is_gone(state.collection, people.odd_alias)
    assert state.collection == people.path(name)


def test_an_alias_that_is_moved_names_its_new_version_only(people: Publisher) -> None:
    name = new_name()
    first = people.publish(name, {"f": b"1"}, "production")
    second = people.publish(name, {"f": b"2"})
    before = look(people, name)
    people.alias(name, second, "production")
    after = look(people, name)

    assert (labels(before), labels(after)) == ({"production": first}, {"production": second})
    assert after.versions == before.versions
    assert not people.source.is_gone(after.collection, "production")


def test_an_alias_that_is_removed_is_absent_and_gone(people: Publisher) -> None:
    name = new_name()
    label = people.publish(name, {"f": b"1"}, "production", "staging")
    before = look(people, name)
    people.unalias(name, label, "production")

    assert labels(before) == {"production": label, "staging": label}
    assert labels(look(people, name)) == {"staging": label}
    assert people.source.is_gone(people.path(name), "production")
    assert not people.source.is_gone(people.path(name), "staging")


# whether a version is deleted


def is_deleted(people: Publisher, version: SourceVersion, name: str) -> bool:
    return people.source.is_deleted(version, people.selector(name))


@pytest.fixture
def beside(people: Publisher) -> str:
    """Return a collection that is there, so that its place shows something."""
    name = new_name("beside")
    people.publish(name, {"f": b"beside"})
    return name


def test_a_version_that_is_listed_is_not_deleted(shelf: Shelf) -> None:
    _, version = shelf.aliased()
    assert not shelf.source.is_deleted(version, shelf.chosen)


def test_a_version_that_lost_its_alias_is_not_deleted(people: Publisher) -> None:
    name = new_name()
    label = people.publish(name, {"f": b"1"}, "production")
    people.unalias(name, label, "production")
    assert not is_deleted(people, only(people, name), name)


def test_a_version_that_was_deleted_is_and_the_others_are_not(people: Publisher) -> None:
    name = new_name()
    for content in (b"1", b"2"):
        people.publish(name, {"f": content})
    first, second = look(people, name).versions
    people.delete(name, first.label)

    assert is_deleted(people, first, name)
    assert not is_deleted(people, second, name)


def test_the_last_version_of_a_collection_that_was_deleted_is(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"}, "production")
    version = only(people, name)
    people.delete(name, version.label)
    assert is_deleted(people, version, name)


@pytest.mark.usefixtures("beside")
def test_a_version_whose_collection_was_deleted_is(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"}, "production")
    version = only(people, name)
    people.delete_collection(name)
    assert is_deleted(people, version, name)


@pytest.mark.usefixtures("beside")
def test_a_version_whose_label_another_one_has_now_is_deleted(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"})
    version = only(people, name)
    people.delete_collection(name)
    people.publish(name, {"f": b"2"})

    assert only(people, name).label == version.label
    assert is_deleted(people, version, name)


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("taken", [False, True], ids=["", "and another has its name"])
def test_a_version_whose_collection_was_renamed_is_not_deleted(people: Publisher, *, taken: bool) -> None:
    name, new = new_name(), new_name("renamed")
    people.publish(name, {"f": b"1"}, "production")
    version = only(people, name)
    people.rename(name, new)
    if taken:
        people.publish(name, {"f": b"2"})
    assert not is_deleted(people, version, name)


def test_a_collection_without_versions_is_found_and_empty(people: Publisher) -> None:
    name = new_name()
    people.delete(name, people.publish(name, {"f": b"1"}, "production"))
    strict = people.selector(name, aliases=frozenset({"production"}))
    sweep = people.source.sweep([people.selector(name), strict])

    for chosen in (people.selector(name), strict):
        state = state_of(sweep, chosen)
        assert (state.collection, state.versions, state.aliases) == (people.path(name), (), {})


def test_a_collection_that_was_deleted_is_failed(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"}, "production")
    people.delete_collection(name)
    sweep = people.source.sweep([people.selector(name)])

    assert sweep.found == {}
    assert isinstance(sweep.failed[people.selector(name)], NotFound)


def test_an_alias_of_another_collection_does_not_count(people: Publisher) -> None:
    mine, theirs = new_name(), new_name()
    people.publish(mine, {"f": b"1"})
    people.publish(theirs, {"f": b"2"}, "production")

    assert labels(look(people, mine)) == {}
    assert people.source.is_gone(people.path(mine), "production")


def test_a_pattern_finds_all_collections_whose_whole_name_it_matches(people: Publisher) -> None:
    stem = new_name("many")
    made = {part: people.publish(f"{stem}-{part}", {"f": part.encode()}, "production") for part in ("a", "b", "bb")}
    chosen = people.selector(f"{stem}-[ab]", is_pattern=True)
    found = people.source.sweep([chosen]).found[chosen]

    assert {state.name: labels(state) for state in found} == {
        f"{stem}-{part}": {"production": made[part]} for part in ("a", "b")
    }


def test_only_collections_with_all_the_tags_are_chosen(people: Publisher) -> None:
    stem = new_name("tagged")
    eu, fraud = map(people.tag_of, ("eu", "fraud"))
    for part, tags in (("a", [eu, fraud]), ("b", [eu]), ("c", [])):
        people.publish(f"{stem}-{part}", {"f": part.encode()}, "production")
        people.tag(f"{stem}-{part}", *tags)
    both = people.selector(f"{stem}-.", is_pattern=True, tags=frozenset({eu, fraud}))
    one = people.selector(f"{stem}-.", is_pattern=True, tags=frozenset({eu}))
    exact = people.selector(f"{stem}-b", tags=frozenset({eu}))
    sweep = people.source.sweep([both, one, exact])

    assert [state.name for state in sweep.found[both]] == [f"{stem}-a"]
    assert [state.name for state in sweep.found[one]] == [f"{stem}-a", f"{stem}-b"]
    assert [state.name for state in sweep.found[exact]] == [f"{stem}-b"]


def test_the_same_files_published_again_have_the_same_digest_if_any_and_another_id(people: Publisher) -> None:
    name = new_name()
    people.publish(name, FILES)
    people.publish(name, FILES)
    first, second = look(people, name).versions

    assert first.digest == second.digest
    assert (first.digest is not None) == people.keeps_digests
    assert first.id != second.id


def test_a_selector_with_aliases_does_not_narrow_one_without(people: Publisher) -> None:
    name = new_name()
    first = people.publish(name, {"f": b"1"}, "staging")
    second = people.publish(name, {"f": b"2"}, "production")
    strict, free = people.selector(name, aliases=frozenset({"production"})), people.selector(name)
    sweep = people.source.sweep([strict, free])

    assert labels(state_of(sweep, free)) == {"staging": first, "production": second}
    assert labels(state_of(sweep, strict))["production"] == second


def test_sizes_are_those_of_the_files_and_the_order_that_of_paths(people: Publisher) -> None:
    name = new_name()
    people.publish(name, FILES)
    files = people.source.describe(only(people, name)).files

    assert {file.path: file.size for file in files} == {path: len(content) for path, content in FILES.items()}
    assert [file.path for file in files] == ["config/a b é.json", "empty", "model.bin"]


def test_every_file_is_read_byte_for_byte(people: Publisher) -> None:
    name = new_name()
    people.publish(name, FILES)
    version = only(people, name)

    contents = {file.path: read(people.source, version, file) for file in people.source.describe(version).files}
    assert contents == FILES


def test_a_version_that_is_gone_is_not_described(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"})
    version = only(people, name)
    people.delete(name, version.label)

    with pytest.raises(NotFound):
        people.source.describe(version)


def test_a_file_of_a_version_that_is_gone_is_not_read(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"})
    version = only(people, name)
    file = file_named(people.source, version, "f")
    people.delete(name, version.label)

    with pytest.raises(NeedsPerson):
        read(people.source, version, file)


def test_another_version_under_the_same_label_is_not_described_or_read(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"})
    swept = only(people, name)
    file = file_named(people.source, swept, "f")
    people.delete_collection(name)
    assert people.publish(name, {"f": b"2"}) == swept.label

    with pytest.raises(NotFound):
        people.source.describe(swept)
    with pytest.raises(NeedsPerson):
        read(people.source, swept, file)


def test_the_same_id_with_another_digest_is_not_described(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"})

    with pytest.raises(IntegrityError):
        people.source.describe(replace(only(people, name), digest="0" * 32))


def test_a_version_whose_collection_is_gone_is_not_described(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"})
    version = only(people, name)
    people.delete_collection(name)

    with pytest.raises(NotFound):
        people.source.describe(version)


@pytest.mark.parametrize(("people", "path"), names_that_are_refused(), indirect=["people"])
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


@pytest.mark.parametrize(
    ("people", "way"),
    [
        pytest.param(*end.values, way, marks=end.marks, id=str(end.id))
        for end, way in zip(AT_MLFLOW, ("artifacts GET", "presigned"), strict=True)
    ],
    indirect=["people"],
)
def test_both_ways_that_files_come_from_mlflow_are_among_these_ends(people: MlflowPublisher, way: str) -> None:
    name = new_name()
    people.publish(name, FILES)
    version = only(people, name)
    file = file_named(people.source, version, "model.bin")
    people.traffic.reset()

    assert read(people.source, version, file) == FILES["model.bin"]
    assert [call.method for call in people.traffic.counts() if "artifacts/" in call.method] == [
        f"mlflow-artifacts/{way}"
    ]


# what the model is


def test_a_version_without_an_mlmodel_file_at_its_root_has_no_flavors(people: Publisher) -> None:
    name = new_name()
    people.publish(name, {"model/MLmodel": MLMODEL})
    facts = people.source.describe(only(people, name)).facts

    assert (facts.flavors, facts.python, facts.signature, facts.unread) == ({}, None, None, None)


def test_an_mlmodel_file_says_what_the_model_is(people: Publisher) -> None:
    name = new_name()
    label = people.publish(name, {"MLmodel": MLMODEL, "model.pkl": b"1"})
    facts = people.source.describe(only(people, name)).facts

    assert facts.flavors == {
        "python_function": {"loader_module": "mlflow.sklearn", "python_version": "3.11.7"},
        "sklearn": {"pickled_model": "model.pkl", "sklearn_version": "1.6.1"},
    }
    assert (facts.python, facts.unread) == ("3.11.7", None)
    assert facts.signature is not None
    assert json.loads(facts.signature) == {"inputs": "[]", "outputs": None}
    assert facts.run_id == (people.run_of(name, label) or "the-run-of-the-file")


def test_an_mlmodel_file_that_cannot_be_read_is_said_and_the_files_are_listed(people: Publisher) -> None:
    name = new_name()
    label = people.publish(name, {"MLmodel": b"flavors: &a [*a]", "model.pkl": b"1"})
    description = people.source.describe(only(people, name))

    assert [file.path for file in description.files] == ["MLmodel", "model.pkl"]
    assert "anchors and aliases" in (description.facts.unread or "")
    assert description.facts == Facts(unread=description.facts.unread, run_id=people.run_of(name, label))


# stages, which W&B does not have


def staged(people: MlflowPublisher, name: str) -> SourceState:
    """Sweep one collection, whose stage Production counts as an alias."""
    chosen = replace(people.selector(name), stages=frozenset({"Production"}))
    return state_of(people.source.sweep([chosen]), chosen)


@pytest.mark.parametrize("people", AT_MLFLOW, indirect=True)
def test_a_stage_is_an_alias_for_those_who_ask_for_it(people: MlflowPublisher) -> None:
    name = new_name()
    label = people.publish(name, {"f": b"1"}, "champion")
    people.stage(name, label, "Production")

    assert labels(look(people, name)) == {"champion": label}
    assert labels(staged(people, name)) == {"champion": label, "Production": label}
    assert staged(people, name).remarks == {}


@pytest.mark.parametrize("people", AT_MLFLOW, indirect=True)
def test_a_stage_that_its_version_leaves_is_absent_and_gone(people: MlflowPublisher) -> None:
    name = new_name()
    label = people.publish(name, {"f": b"1"})
    people.stage(name, label, "Production")
    before = staged(people, name)
    assert not people.source.is_gone(before.collection, "Production")
    people.stage(name, label, "Archived")

    assert (labels(before), labels(staged(people, name))) == ({"Production": label}, {})
    assert people.source.is_gone(before.collection, "Production")


@pytest.mark.parametrize("people", AT_MLFLOW, indirect=True)
def test_a_stage_with_two_versions_is_on_the_one_that_came_last_and_that_is_remarked(people: MlflowPublisher) -> None:
    name = new_name()
    first, second = (people.publish(name, {"f": b"1"}) for _ in range(2))
    people.stage(name, second, "Production")
    people.stage(name, first, "Production")
    state = staged(people, name)

    assert labels(state) == {"Production": first}
    assert f"versions {first} and {second} are both in stage" in state.remarks["Production"].text
    assert state.remarks["Production"].remedy


@pytest.mark.parametrize("people", AT_MLFLOW, indirect=True)
def test_an_alias_and_a_stage_that_disagree_are_undecided_and_not_gone(people: MlflowPublisher) -> None:
    name = new_name()
    first = people.publish(name, {"f": b"1"}, "Production")
    second = people.publish(name, {"f": b"2"}, "champion")
    people.stage(name, second, "Production")
    state = staged(people, name)

    assert labels(state) == {"champion": second}
    assert set(state.remarks) == {"Production"}
    assert f"is on version {first}" in state.remarks["Production"].text
    assert state.remarks["Production"].remedy
    assert not people.source.is_gone(state.collection, "Production")


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
        people.source.sweep([people.selector("any")])


@pytest.mark.usefixtures("_when")
def test_a_sweep_of_a_service_that_is_unwell_is_for_another_time(people: Publisher) -> None:
    with people.outage(), pytest.raises(TryAgain):
        people.source.sweep([people.selector("any")])


@pytest.mark.usefixtures("_when")
def test_a_sweep_of_a_service_that_denies_access_needs_a_person(people: Publisher) -> None:
    with people.lockout(), pytest.raises(NeedsPerson):
        people.source.sweep([people.selector("any")])


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
        with pytest.raises(TryAgain):
            people.source.is_deleted(listed_version, people.selector(listed_version.collection.rpartition("/")[2]))
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
        with pytest.raises(NeedsPerson):
            people.source.is_deleted(listed_version, people.selector(listed_version.collection.rpartition("/")[2]))
    assert not people.source.is_gone(listed_version.collection, "production")
