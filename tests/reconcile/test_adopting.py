"""A person has the bridge take over what was made by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.core.changes import AdoptVersion
from bridge.core.errors import BridgeError, IntegrityError, NeedsPerson, NotFound, TakenElsewhere, TryAgain
from bridge.core.model import EVERY, Alias, CollectionSelector, Hold, Layout, ModelKey, Serving, State
from bridge.core.naming import adopted_uri
from bridge.core.records import Intent, Outcome
from bridge.core.refs import parse_ref
from bridge.reconcile.adopting import Adopter, Adoption, Wish
from bridge.reconcile.rebuilding import Rebuilder
from bridge.reconcile.verifying import Verifier
from bridge.testing.store import MemoryStore
from tests.worlds import BASE, CONTAINER, FRAUD, KEY, REGISTRY, Crash, World, mapping, pattern

if TYPE_CHECKING:
    from bridge.core.model import SourceVersion

THEIRS = "gs://team/models/fraud/july/"


def wish(ref: str, source: str | None = None, *, deep: bool = False) -> Wish:
    return Wish(parse_ref(ref), parse_ref(source) if source else None, deep, "ann@desk")


def by_hand(world: World, content: bytes, *aliases: str, folder: str = THEIRS, owner: str | None = None) -> str:
    """Have a person upload a file and register its folder."""
    world.storage.place(f"{folder}model.bin", content)
    return world.registry.add_by_hand("fraud", folder, aliases, owner=owner)


def made_by_hand() -> tuple[World, SourceVersion]:
    """Make a model with one version, of which v0 at the source has the bytes, with an alias on both."""
    world = World()
    version = world.publish("production", content=b"weights")
    by_hand(world, b"weights", "production")
    return world, version


def adopt(world: World, ref: str = "fraud@1", source: str | None = None, *, deep: bool = False) -> list[Adoption]:
    return Adopter(world.passes).adopt(world.specs, wish(ref, source, deep=deep))


def refused(world: World, ref: str = "fraud@1", source: str | None = None, *, deep: bool = False) -> BridgeError:
    """Return why the one version that is meant is not adopted, whether it is tried or only looked at."""
    before = world.ends()
    [looked] = Adopter(world.passes).find(world.specs, wish(ref, source, deep=deep))
    assert world.ends() == before
    [tried] = adopt(world, ref, source, deep=deep)
    assert str(tried.problem) == str(looked.problem)
    assert tried.problem is not None
    return tried.problem


def steps(world: World) -> list[str]:
    return [str(step) for plan in world.plans() for step in (*plan.changes, *plan.refusals)]


def test_a_version_with_the_sources_bytes_becomes_ours_and_its_aliases_follow() -> None:
    world, version = made_by_hand()
    assert [step.split(":")[0] for step in steps(world)] == ["! conflict model fraud"]

    assert adopt(world) == [Adoption(KEY, "1", version)]

    [record] = world.store.records(KEY)
    assert (record.source, record.artifact_uri, record.version_id) == (version, THEIRS, "1")
    assert steps(world) == []
    world.sync()
    assert world.status().state is State.SYNCED
    newer = world.publish("production")
    world.sync()
    assert world.registry.aliases("fraud") == {"default": "1", "production": "2"}
    world.source.alias(version, "production")
    world.sync()
    assert world.registry.aliases("fraud") == {"default": "1", "production": "1"}
    assert len(world.registry.versions("fraud")) == 2
    assert newer.label == "v1"


def test_nothing_is_written_into_the_folder_and_its_manifest_is_in_ours() -> None:
    world, _ = made_by_hand()
    adopt(world)
    assert list(world.storage.manifests) == [adopted_uri(BASE, "fraud", THEIRS)]
    assert {uri: content for uri, content in world.storage.objects.items() if uri.startswith("gs://team/")} == {
        f"{THEIRS}model.bin": b"weights"
    }


def test_a_look_says_the_same_and_writes_nothing() -> None:
    world, version = made_by_hand()
    before = world.ends()
    assert Adopter(world.passes).find(world.specs, wish("fraud@1")) == [Adoption(KEY, "1", version)]
    assert world.ends() == before
    assert world.store.statuses() == ()
    assert {"mark_ours"} & {*world.registry.calls} == set()


def test_the_journal_says_who_had_it_adopted() -> None:
    world, version = made_by_hand()
    adopt(world)
    [entry] = world.store.journal(KEY)
    assert entry.change == AdoptVersion(version, THEIRS, "1", "bridge adopt")
    assert (entry.why, entry.outcome) == ("bridge adopt by ann@desk", Outcome.APPLIED)
    assert entry.detail == "1 file, as the source has them"


def test_it_is_compared_at_the_next_pass() -> None:
    world, _ = made_by_hand()
    world.sync()
    adopt(world)
    status = world.status()
    assert (status.state, status.fingerprint, status.tried) == (State.PENDING, None, None)


def test_an_alias_that_moves_at_the_source_before_the_next_pass_is_no_drift() -> None:
    world, _ = made_by_hand()
    adopt(world)
    world.publish("production")
    world.sync()
    assert world.status().state is State.SYNCED
    assert world.registry.aliases("fraud")["production"] == "2"


def test_an_alias_that_came_with_it_moves_to_where_it_belongs_and_others_stay() -> None:
    world, _ = made_by_hand()
    world.registry.move_by_hand("fraud", "beta", "1")
    world.publish("production")
    adopt(world)
    assert world.store.mirrored(KEY) == {Alias("production"): "1"}
    for _ in range(3):
        world.sync()
    assert world.registry.aliases("fraud") == {"beta": "1", "default": "1", "production": "2"}


def test_it_recovers_from_death_at_any_point() -> None:
    calm, _ = made_by_hand()
    adopt(calm)
    calm.sync()
    for point in itertools.count():
        world, _ = made_by_hand()
        world.fuse.left = point
        try:
            adopt(world)
        except Crash:
            pass
        else:
            assert point > 12
            return
        world.clock.advance(timedelta(hours=1))
        adopt(world)
        world.sync()
        assert world.ends() == calm.ends(), f"died at point {point}"


def test_a_pass_after_a_death_settles_the_journal() -> None:
    for point in range(30):
        world, _ = made_by_hand()
        world.fuse.left = point
        try:
            adopt(world)
        except Crash:
            world.clock.advance(timedelta(hours=1))
        world.fuse.left = None
        world.sync()
        assert world.store.unfinished(KEY) == ()
        adopted = bool(world.store.records(KEY))
        outcomes = {entry.outcome for entry in world.store.journal(KEY) if isinstance(entry.change, AdoptVersion)}
        assert outcomes <= {Outcome.APPLIED if adopted else Outcome.ABANDONED}, f"died at point {point}"


# which source version it is


def test_it_is_told_by_its_bytes_among_many() -> None:
    world = World()
    versions = [world.publish() for _ in range(3)]
    meant = world.publish(content=b"weights")
    world.publish("production")
    by_hand(world, b"weights")
    assert versions
    assert adopt(world) == [Adoption(KEY, "1", meant)]


@pytest.mark.parametrize("named", ["v0", "production", "wandb-registry-model/fraud-detector:v0", f"{FRAUD}:production"])
def test_a_person_says_which_it_is(named: str) -> None:
    world, version = made_by_hand()
    world.publish(content=b"weights")
    assert adopt(world, source=named) == [Adoption(KEY, "1", version)]


def test_several_with_the_same_bytes_need_a_word() -> None:
    world, _ = made_by_hand()
    world.publish(content=b"weights")
    assert str(refused(world)) == (
        f"{THEIRS} has the files of v1, v0 alike; say which: bridge adopt fraud@1 --as {FRAUD}:VERSION"
    )


def test_bytes_of_no_version_are_not_adopted() -> None:
    world, _ = made_by_hand()
    at = by_hand(world, b"others", folder="gs://team/other/")
    assert str(refused(world, f"fraud@{at}")) == (
        f"no version of {FRAUD} has the files of gs://team/other/; have the bridge register one"
    )


def test_a_version_that_is_named_and_has_other_bytes_is_not_adopted() -> None:
    world, _ = made_by_hand()
    world.publish("staging", content=b"WEIGHTS")
    problem = refused(world, source="v1")
    assert isinstance(problem, IntegrityError)
    assert str(problem).startswith(f"{THEIRS} has other bytes in 'model.bin' than the version (md5 ")
    assert world.store.records(KEY) == ()


def test_without_digests_a_person_must_say_which_and_have_bytes_read() -> None:
    world = World()
    versions = [
        world.source.publish(FRAUD, {"model.bin": content}, algorithm=None, keeps_digest=False)
        for content in (b"0eights", b"1eights", b"2eights", b"3eights", b"4eights", b"5eights", b"weights", b"short")
    ]
    by_hand(world, b"weights")

    assert str(refused(world)) == (
        f"no digest tells whether {THEIRS} has the files of v6, v5, v4, v3, v2 and 2 more; "
        f"say which: bridge adopt fraud@1 --as {FRAUD}:VERSION --deep"
    )
    assert "have every byte compared: bridge adopt with --deep" in str(refused(world, source="v6"))
    assert "as reading them shows" in str(refused(world, source="v5", deep=True))
    assert adopt(world, source="v6", deep=True) == [Adoption(KEY, "1", versions[6])]


def test_a_version_that_cannot_be_read_any_more_is_not_the_one() -> None:
    world, version = made_by_hand()
    gone = world.publish()
    world.source.describing[gone.id] = NotFound("it is gone", "look")
    assert adopt(world) == [Adoption(KEY, "1", version)]


def test_a_source_that_is_unwell_says_nothing() -> None:
    world, version = made_by_hand()
    world.source.describing[version.id] = TryAgain("the source is unwell")
    assert str(refused(world)) == "the source is unwell"


def test_a_version_that_the_mapping_does_not_ask_for_is_found_too() -> None:
    world, version = made_by_hand()
    asked: list[CollectionSelector] = []
    sweep = world.source.sweep
    world.specs = [replace(s, source=replace(s.source, aliases=frozenset({"production"}))) for s in world.specs]

    class Frugal:
        """Lists only versions with an alias that is asked for, as W&B's source does."""

        def __getattr__(self, name: str) -> object:
            return getattr(world.source, name)

        def sweep(self, selectors: list[CollectionSelector]) -> object:
            asked.extend(selectors)
            seen = sweep(selectors)
            found = {
                selector: tuple(
                    state if selector.aliases is None else replace(state, versions=(), aliases={}) for state in states
                )
                for selector, states in seen.found.items()
            }
            return replace(seen, found=found)

    passes = replace(world.passes, source=lambda _: Frugal())  # type: ignore[arg-type,return-value]  # it is one, but for sweep
    assert Adopter(passes).find(world.specs, wish("fraud@1")) == [Adoption(KEY, "1", version)]
    assert [selector.aliases for selector in asked] == [frozenset({"production"}), None]


# what is refused


def test_what_is_ours_already_is_not_adopted_again() -> None:
    world, version = made_by_hand()
    adopt(world)
    assert str(refused(world)) == f"fraud@1 is the bridge's already, for {version}; there is nothing to do"


def test_what_another_mapping_has_is_not_adopted() -> None:
    world, _ = made_by_hand()
    adopt(world)
    [record] = world.store.records(KEY)
    world.store = MemoryStore()
    world.store.save_record(replace(record, key=ModelKey("other", "fraud")))
    assert str(refused(world)) == "fraud@1 belongs to the mapping 'other'; that mapping moves its aliases"


def test_what_another_bridge_has_is_not_adopted() -> None:
    world = World()
    world.publish("production", content=b"weights")
    by_hand(world, b"weights", owner="another-bridge")
    assert str(refused(world)) == (
        "fraud@1 carries the mark of another bridge, 'another-bridge'; "
        "change it there, or take its label away in Vertex if that bridge is no more"
    )


def test_a_source_version_that_has_a_version_already_gets_no_second_one() -> None:
    world = World()
    world.publish("production", content=b"weights")
    world.sync()
    at = by_hand(world, b"weights")
    assert str(refused(world, f"fraud@{at}", "v0")) == (
        f"{FRAUD}:v0 has a version in Vertex model 'fraud' already, and one stands for each; "
        "delete that which is not needed in Vertex"
    )


def test_a_source_version_whose_registration_is_under_way_is_left_to_it() -> None:
    world, version = made_by_hand()
    world.store.save_intent(Intent(KEY, version, f"{BASE}/fraud/v0/", world.clock.now().isoformat(), None))
    assert str(refused(world)) == f"a registration of {FRAUD}:v0 is under way, or its end is not known yet"


def test_a_model_that_is_paused_or_frozen_is_left_as_it_is() -> None:
    world, _ = made_by_hand()
    world.store.save_hold(KEY, Hold(EVERY, "bob", "an incident", None))
    [held] = adopt(world)
    assert str(held.problem).startswith("version v0: bob paused it")
    world.store.lift_hold(KEY, EVERY)
    world.frozen_until = world.clock.now() + timedelta(hours=1)
    [frozen] = adopt(world)
    assert "the mapping is frozen until" in str(frozen.problem)
    assert world.store.records(KEY) == ()


def test_a_model_that_another_process_works_on_is_left_to_it() -> None:
    world, _ = made_by_hand()
    world.store.take_lease(KEY, "another", world.clock.now(), world.clock.now() + timedelta(minutes=1))
    with pytest.raises(TakenElsewhere, match="another"):
        adopt(world)


def test_a_process_that_lost_its_lease_adopts_nothing() -> None:
    world = World()
    world.source.publish(FRAUD, {"model.bin": b"weights"}, algorithm=None)
    by_hand(world, b"weights")

    def stolen() -> None:
        later = world.clock.now() + timedelta(hours=2)
        world.store.take_lease(KEY, "another", later, later + timedelta(minutes=1))

    world.source.meanwhile = stolen
    with pytest.raises(TakenElsewhere):
        adopt(world, source="v0", deep=True)
    assert "mark_ours" not in world.registry.calls
    assert world.store.records(KEY) == ()


@pytest.mark.parametrize(
    ("ref", "source", "reason"),
    [
        ("fraud@9", None, "Vertex model 'fraud' has no version '9'; see: bridge explain fraud"),
        ("fraud@beta", None, "Vertex model 'fraud' has no version 'beta'; see: bridge explain fraud"),
        ("nobody@1", None, "no mapping brings anything to a Vertex model 'nobody'; see: bridge plan --all"),
        ("fraud@1", "v9", f"{FRAUD} has no version 'v9'; look at the source which it has"),
        (
            "fraud@1",
            "wandb-registry-model/other:v0",
            (
                f"mapping 'fraud' follows {FRAUD}, not 'wandb-registry-model/other'; "
                f"name a version of that: --as {FRAUD}:VERSION"
            ),
        ),
        (
            "wandb-registry-model/fraud-detector:v0",
            None,
            (
                "'wandb-registry-model/fraud-detector' is at the source, and what is adopted is a version in Vertex; "
                "name that, and say which it is: bridge adopt MODEL@ID --as wandb-registry-model/fraud-detector:v0"
            ),
        ),
    ],
)
def test_a_reference_that_means_nothing_is_refused_with_a_sentence(ref: str, source: str | None, reason: str) -> None:
    world, _ = made_by_hand()
    try:
        said = [str(each.problem) for each in Adopter(world.passes).find(world.specs, wish(ref, source))]
    except NeedsPerson as refusal:
        said = [str(refusal)]
    assert said == [reason]


def test_a_model_that_vertex_does_not_have_is_named() -> None:
    world = World()
    world.publish("production")
    with pytest.raises(NotFound, match="Vertex has no model 'fraud'; nothing is to be adopted: bridge sync makes it"):
        adopt(world)


def test_a_model_of_several_mappings_must_be_named_with_one() -> None:
    world = World([mapping("a", "fraud-detector", "one"), mapping("b", "fraud-detector", "two")])
    world.specs = [replace(s, target=replace(s.target, connection=s.name, model="fraud")) for s in world.specs]
    version = world.publish("production", content=b"weights")
    by_hand(world, b"weights")
    with pytest.raises(NeedsPerson, match="'fraud' may be any of a/fraud, b/fraud; name one of them"):
        adopt(world)
    assert adopt(world, "b/fraud@1") == [Adoption(ModelKey("b", "fraud"), "1", version)]


def test_a_source_that_cannot_be_read_is_told() -> None:
    world, _ = made_by_hand()
    world.specs = [pattern(), *world.specs]
    world.source.problem = NeedsPerson("access is denied", "give access")
    with pytest.raises(NeedsPerson, match="access is denied; give access"):
        adopt(world)
    world.source.problem = None
    world.specs = [pattern("fraud", "fraud-(?P<part>.+)", "fraud")]
    world.source.unlisted[FRAUD] = None
    with pytest.raises(NotFound, match="no mapping brings anything"):
        adopt(world)


def test_a_collection_that_goes_between_two_looks_is_told() -> None:
    world, _ = made_by_hand()
    world.specs = [pattern("fraud", "fraud-(?P<part>.+)", "fraud")]
    world.source.failing[f"{REGISTRY}/x"] = NotFound("gone", "look")
    sweep, looks = world.source.sweep, itertools.count()

    class Losing:
        def __getattr__(self, name: str) -> object:
            return getattr(world.source, name)

        def sweep(self, selectors: list[CollectionSelector]) -> object:
            if next(looks):
                world.source.failing[FRAUD] = NotFound("it has just gone", "look")
            return sweep(selectors)

    passes = replace(world.passes, source=lambda _: Losing())  # type: ignore[arg-type,return-value]  # it is one, but for sweep
    with pytest.raises(NotFound, match="it has just gone"):
        Adopter(passes).find(world.specs, wish("fraud@1"))


# many at once


def test_all_versions_of_a_model_that_are_not_ours_are_looked_at() -> None:
    world = World()
    first = world.publish("production", content=b"weights")
    second = world.publish("staging", content=b"others")
    ids = [
        by_hand(world, b"weights"),
        by_hand(world, b"others", folder="gs://team/b/"),
        by_hand(world, b"weights", folder="gs://team/c/"),
        by_hand(world, b"nothing", folder="gs://team/d/"),
    ]
    looked = Adopter(world.passes).find(world.specs, wish("fraud"))

    found = adopt(world, "fraud")

    assert [(each.version_id, each.source) for each in found] == [
        (ids[0], first),
        (ids[1], second),
        (ids[2], None),
        (ids[3], None),
    ]
    assert [str(each.problem) for each in looked] == [str(each.problem) for each in found]
    assert [record.version_id for record in world.store.records(KEY)] == ids[:2]
    world.sync()
    assert world.registry.aliases("fraud") == {"default": "1", "production": "1", "staging": "2"}
    assert [each.version_id for each in adopt(world, "fraud")] == ids[2:]


def test_where_all_are_ours_there_is_nothing_to_adopt() -> None:
    world, _ = made_by_hand()
    adopt(world)
    with pytest.raises(NotFound, match="Vertex model 'fraud' has no version that is not the bridge's"):
        adopt(world, "fraud")


def test_a_version_that_is_not_listed_yet_is_asked_for() -> None:
    world, version = made_by_hand()
    world.registry._models["fraud"].versions[0].listed_from = world.clock.now() + timedelta(hours=1)  # noqa: SLF001  a list that lags
    assert adopt(world) == [Adoption(KEY, "1", version)]


# ours that lost a mark or a record


def test_a_version_of_ours_that_lost_its_mark_is_marked_again() -> None:
    world = World()
    version = world.publish("production")
    world.registry.label_scope = "version"
    world.sync()
    world.registry._models["fraud"].versions[0].marked = False  # noqa: SLF001  a person takes the label away
    assert any("conflict" in step for step in steps(world))

    assert adopt(world) == [Adoption(KEY, "1", version)]

    assert steps(world) == []


def test_a_version_of_ours_without_a_record_is_recorded_from_its_manifest() -> None:
    world = World([replace(mapping(), serving=Serving(layout=Layout.AUTO, image=CONTAINER.image))])
    version = world.publish("production")
    world.sync()
    world.store = MemoryStore()
    world.source.calls.clear()

    assert adopt(world) == [Adoption(KEY, "1", version)]

    assert steps(world) == []
    assert "describe" not in world.source.calls


# afterwards


def test_what_was_adopted_is_known_again_after_the_store_was_lost() -> None:
    world, _ = made_by_hand()
    adopt(world)
    world.sync()
    lost, world.store = world.store, MemoryStore()

    Rebuilder(world.passes).rebuild(world.specs)

    assert steps(world) == []
    assert [(r.source, r.artifact_uri, r.version_id) for r in world.store.records(KEY)] == [
        (r.source, r.artifact_uri, r.version_id) for r in lost.records(KEY)
    ]
    assert world.store.mirrored(KEY) == {Alias("production"): "1"}


def test_the_manifest_of_another_bridge_in_the_folder_is_not_taken_for_ours() -> None:
    world, version = made_by_hand()
    other = world.publish()
    adopt(world)
    kept = world.storage.manifests[adopted_uri(BASE, "fraud", THEIRS)]
    world.storage.manifests[THEIRS] = replace(kept, source_id=other.id, source_digest=other.digest, label="v1")
    world.store = MemoryStore()

    Rebuilder(world.passes).rebuild(world.specs)

    assert [record.source for record in world.store.records(KEY)] == [version]


def test_what_was_adopted_is_verified_by_the_manifest_that_is_kept() -> None:
    world, _ = made_by_hand()
    adopt(world)
    verifier = Verifier(lambda _: world.source, lambda _: (world.storage, world.registry, world.base), world.store)
    for deep in (False, True):
        [well] = verifier.verify(world.store.records(KEY), deep=deep)
        assert (well.found, well.files, well.size) == ((), 1, 7)
    world.storage.place(f"{THEIRS}model.bin", b"WEIGHTS")
    [changed] = verifier.verify(world.store.records(KEY))
    assert [found.first[0].kind for found in changed.found] == ["different"]
    world.storage.manifests.clear()
    [lost] = verifier.verify(world.store.records(KEY))
    assert [found.first[0].kind for found in lost.found] == ["no-manifest"]


def test_a_version_that_was_adopted_and_deleted_by_hand_is_drift() -> None:
    world, _ = made_by_hand()
    adopt(world)
    world.publish("staging")
    world.sync()
    world.registry.delete_by_hand("fraud", "1")
    assert [step.split(";")[0] for step in steps(world)] == [
        "! drift    version v0: Vertex version @1, which the bridge registered for it, was deleted by hand"
    ]
