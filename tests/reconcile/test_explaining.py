"""Whatever is asked about is answered: why, by which rule, whether serving suffers, and what to do next."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.model import (
    EVERY,
    Alias,
    AliasRules,
    BucketPlace,
    Hold,
    ModelKey,
    OnConflict,
    OnDrift,
    OnSourceDelete,
    Policy,
    Remark,
    RemovalGuard,
    VersionRule,
)
from bridge.core.refs import parse_ref
from bridge.reconcile.explaining import Explainer
from bridge.reconcile.pausing import Pauses
from bridge.reconcile.placing import Places
from bridge.testing.source import MemorySource
from tests.worlds import FRAUD, KEY, REGISTRY, World, mapping, pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.core.model import CollectionSelector, Sweep
    from bridge.core.scenes import Answer

PRODUCTION = "wandb-registry-model/fraud-detector:production"
RULE = "mappings/fraud.yaml:1:1"
SEE = "see what there is: bridge plan --all"
PATTERN = "'vision-(?P<task>.+)'"


def asked(world: World, ref: str) -> list[Answer]:
    found, others = Explainer(world.passes).explain(parse_ref(ref), world.specs)
    assert bool(found) != bool(others)
    return [*(answer for each in found for answer in each.answers), *others]


def lines(world: World, ref: str) -> list[str]:
    return [f"{a.about}: {a.verdict}: {a.reason} | {a.serving} | {a.next}" for a in asked(world, ref)]


def line(world: World, ref: str) -> str:
    [only] = lines(world, ref)
    return only


def under(world: World, **changes: Any) -> World:  # noqa: ANN401  whatever the mapping has
    """Have the world's one mapping say something else."""
    world.specs = [replace(world.specs[0], **changes)]
    return world


@pytest.fixture
def world() -> World:
    """Have v0 in Vertex, with `production` and `staging`."""
    made = World()
    made.publish("production", "staging")
    made.sync()
    return made


# where it should be


@pytest.mark.parametrize("ref", [PRODUCTION, "fraud@production", f"{FRAUD}:production"])
def test_an_alias_that_is_where_it_should_be(world: World, ref: str) -> None:
    assert line(world, ref) == (
        "alias production: in place: it is on @1 (v0), as the source has it | "
        "not affected: production names @1 (v0) | nothing to do"
    )


def test_a_version_that_is_where_it_should_be(world: World) -> None:
    [record] = world.store.records(KEY)
    where = f"with default, production, staging, from {record.artifact_uri}"

    assert line(world, "wandb-registry-model/fraud-detector:v0") == (
        f"version v0: in place: it is @1 (v0), {where} | not affected: production goes on naming @1 (v0); "
        "not affected: staging goes on naming @1 (v0) | nothing to do"
    )
    assert line(world, "fraud@1") == (
        f"version @1: in place: it is {record.source}, {where} | not affected: it is there | nothing to do"
    )


def test_a_version_without_an_alias_is_in_place_too(world: World) -> None:
    under(world, versions=VersionRule(None))
    world.source.unalias(FRAUD, "staging")
    world.publish()
    world.sync()

    assert "with no alias" in line(world, "wandb-registry-model/fraud-detector:v1")
    assert "with no alias" in line(world, "fraud@2")


def test_all_aliases_of_a_model(world: World) -> None:
    world.publish("a_b")
    told = lines(world, "fraud")

    assert [each.partition(":")[0] for each in told] == [
        "alias 'a_b'",
        "alias production",
        "alias staging",
        "alias default",
    ]


def test_default_that_follows_nothing(world: World) -> None:
    assert line(world, "fraud@default") == (
        "alias default: left alone: the mapping has no default_from, so it stays where it is: Vertex demands exactly "
        "one | not affected: default goes on naming @1 (v0) | "
        "to have it follow an alias, write default_from in the mapping"
    )


def test_default_that_follows_an_alias(world: World) -> None:
    under(world, default_from="champion")
    assert "nothing at the source has 'champion', which it follows, so it stays" in line(world, "fraud@default")

    under(world, default_from="production")
    assert line(world, "fraud@default").startswith(
        "alias default ('production' at the source): in place: it is on @1 (v0), as the source has it"
    )


# still to come


def test_a_move_that_is_to_come_and_what_serves_meanwhile(world: World) -> None:
    world.publish("production")

    assert line(world, "fraud@production") == (
        "alias production: to come: the next pass makes it so: ~ alias    production (v0 -> v1) | "
        "not affected: production goes on naming @1 (v0) | bridge sync fraud"
    )
    assert line(world, "wandb-registry-model/fraud-detector:v1").startswith(
        "version v1: to come: the next pass makes it so: + files    v1 -> gs://models/prod/fraud/v1-"
    )


def test_a_first_alias_that_nothing_serves_yet() -> None:
    world = World()
    world.publish("production")

    assert "| no version in Vertex has production, so nothing is served under that name |" in line(world, PRODUCTION)


def test_a_removal_waits_for_a_second_sighting_and_then_goes(world: World) -> None:
    world.source.unalias(FRAUD, "staging")
    assert line(world, "fraud@staging") == (
        "alias staging: waiting: it is absent from one complete listing so far | "
        "not affected: staging goes on naming @1 (v0) | it is removed when the next complete listing agrees"
    )
    world.sync()
    assert "alias staging: to go: the next pass makes it so: - alias    staging (v0)" in line(world, "fraud@staging")


# not asked for


def test_an_illegal_name_tells_the_rule_that_it_breaks(world: World) -> None:
    world.publish("best_model")

    assert line(world, "wandb-registry-model/fraud-detector:best_model") == (
        "alias 'best_model': blocked: 'best_model' is not a legal Vertex AI version alias ('_' is not allowed) | "
        "not affected: it names nothing in Vertex | "
        f"write 'best_model: best-model' under aliases, or 'best_model: null' to drop it ({RULE})"
    )


def test_two_names_that_land_on_one(world: World) -> None:
    under(world, aliases=AliasRules({"prod": Alias("production")}))
    world.publish("prod")

    told = lines(world, "fraud@production")
    assert len(told) == 2
    assert all("blocked: source aliases 'prod' and 'production' all land on 'production'" in each for each in told)


@pytest.mark.parametrize(
    ("rules", "name", "said"),
    [
        (AliasRules({"staging": None}), "staging", "the mapping drops it: its aliases say 'staging: null'"),
        (AliasRules({}, "drop"), "staging", "the mapping drops all aliases that it does not name"),
        (AliasRules({}), "latest", "the source sets it by itself, so it is mirrored only if the mapping names it"),
    ],
)
def test_an_alias_that_the_mapping_drops(world: World, rules: AliasRules, name: str, said: str) -> None:
    under(world, aliases=rules)
    world.publish(name)
    told = line(world, f"wandb-registry-model/fraud-detector:{name}")

    assert f"alias '{name}': dropped: {said}" in told
    assert f"({RULE}) | not affected: nothing in Vertex follows it |" in told


def test_an_alias_that_is_spelled_otherwise_in_vertex(world: World) -> None:
    under(world, aliases=AliasRules({"best_model": Alias("best-model")}))
    world.publish("best_model")
    world.sync()

    for ref in ("fraud@best-model", "wandb-registry-model/fraud-detector:best-model"):
        assert line(world, ref).startswith("alias best-model ('best_model' at the source): in place: it is on @2 (v1)")


def selecting(world: World, **changes: Any) -> World:  # noqa: ANN401  the same
    return under(world, source=replace(world.specs[0].source, **changes))


def test_a_list_of_aliases_or_stages_leaves_one_out(world: World) -> None:
    selecting(world, aliases=frozenset({"production", "staging"}), stages=frozenset({"Staging"}))

    assert line(world, "wandb-registry-model/fraud-detector:champion") == (
        "alias 'champion': filtered: the mapping asks its source only for the aliases production, staging "
        f"({RULE}) | not affected: nothing in Vertex follows it | add it there, and run: bridge check"
    )
    assert "it is a stage, and the mapping follows only the stages Staging" in line(
        world, "wandb-registry-model/fraud-detector:Production"
    )
    selecting(world, aliases=frozenset())
    assert "asks its source only for the aliases (none)" in line(world, "wandb-registry-model/fraud-detector:champion")


def test_a_version_that_carries_nothing_that_is_mirrored(world: World) -> None:
    world.publish()
    world.publish("latest")

    assert line(world, "wandb-registry-model/fraud-detector:v1") == (
        "version v1: filtered: the mapping registers only those with a mirrored alias, and this one has no alias "
        f"({RULE}) | not affected: nothing in Vertex follows it | "
        "give it an alias that is mirrored, or write 'versions: all' in the mapping"
    )
    assert "this one has 'latest', which are not mirrored" in line(world, "wandb-registry-model/fraud-detector:v2")
    under(world, versions=VersionRule(1))
    assert "those with a mirrored alias, and the newest 1, and this one has no alias" in line(
        world, "wandb-registry-model/fraud-detector:v1"
    )


def test_tags_leave_a_collection_out() -> None:
    world = World(specs=[pattern()])
    selecting(world, tags=frozenset({"approved"}))
    world.source.collection(f"{REGISTRY}/vision-dogs", tags=())
    world.source.collection(f"{REGISTRY}/vision-cats", tags=("approved",))

    assert line(world, "wandb-registry-model/vision-dogs:production") == (
        "collection vision-dogs: filtered: mapping vision follows only what carries the tags approved, and it does not "
        f"({RULE}) | not affected: no mapping brings it to Vertex | "
        "tag it at the source, or take the tags out of the mapping"
    )
    assert "collection vision-apes: absent: connection 'wandb' has no collection 'vision-apes'" in line(
        world, f"{REGISTRY}/vision-apes"
    )
    world.source.failing[f"{REGISTRY}/vision-dogs"] = TryAgain("it is unwell")
    assert "collection vision-dogs: not read: it is unwell" in line(world, "wandb-registry-model/vision-dogs:v0")
    world.source.problem = TryAgain("the source is away")
    assert "collection vision-dogs: not read: the source is away" in line(world, "wandb-registry-model/vision-dogs:v0")


def test_tags_leave_a_collection_out_that_is_named(world: World) -> None:
    selecting(world, tags=frozenset({"approved"}))
    told = lines(world, PRODUCTION)

    assert "collection fraud-detector: filtered: mapping fraud follows only what carries the tags approved" in told[0]
    assert "model fraud: not read: " in told[1]


# nothing there


def test_what_no_mapping_follows_names_the_nearest_and_why_they_do_not(world: World) -> None:
    world.specs += [pattern(), mapping("churn", "churn", "churn"), mapping("old", "fraud", "x")]
    world.specs[-1] = replace(world.specs[-1], source=replace(world.specs[-1].source, place="team/project"))
    why = "not affected: no mapping brings it to Vertex"
    change = f"{why} | if it should, change {RULE}"

    assert lines(world, "wandb-registry-model/fraud-detektor:v7") == [
        f"wandb-registry-model/fraud-detektor: not followed: no mapping follows it | {why} | {SEE}",
        f"mapping fraud: not followed: it follows 'fraud-detector', not 'fraud-detektor' | {change}",
        f"mapping vision: not followed: its pattern {PATTERN} does not match the whole of 'fraud-detektor' | {change}",
        f"mapping churn: not followed: it follows 'churn', not 'fraud-detektor' | {change}",
    ]
    elsewhere = lines(world, "team/other/fraud:v7")
    assert "mapping old: not followed: it follows collections in team/project, not in team/other" in "".join(elsewhere)
    by_name = lines(world, "frod@7")
    assert by_name[1].startswith("mapping fraud: not followed: it is called fraud, and its model in Vertex fraud |")
    assert lines(World(specs=[]), "fraud") == [f"fraud: not followed: no mapping follows it | {why} | {SEE}"]


def test_an_alias_that_nobody_has(world: World) -> None:
    for ref in ("fraud@champion", "wandb-registry-model/fraud-detector:champion"):
        assert line(world, ref) == (
            f"alias champion: absent: nothing at {FRAUD} has it, nor has anything in Vertex | "
            "no version in Vertex has champion, so nothing is served under that name | "
            "set it at the source, and it follows"
        )


def test_a_version_that_vertex_never_had(world: World) -> None:
    assert line(world, "fraud@9") == (
        "version @9: absent: Vertex has no such version of fraud, and the bridge never knew one | "
        "nothing serves it | see what there is: bridge status"
    )


def test_a_collection_without_an_alias() -> None:
    world = World()
    world.source.collection(FRAUD)

    assert line(world, "fraud").startswith(f"model fraud: absent: {FRAUD} has no alias, so there is nothing to follow")


def test_a_version_that_the_source_has_no_more(world: World) -> None:
    [first] = world.store.records(KEY)
    world.publish("production", "staging")
    world.sync()
    world.source.delete(first.source)

    assert line(world, "wandb-registry-model/fraud-detector:v0") == (
        "version v0: left alone: the source does not list it, and Vertex keeps it as @1 | "
        "not affected: it is there | nothing to do"
    )
    world.registry.delete_by_hand("fraud", "1")
    assert "version v0: absent: the source does not list it, nor does Vertex have it any more" in line(
        world, "wandb-registry-model/fraud-detector:v0"
    )


# refused


def test_too_many_removals(world: World) -> None:
    world.guard = RemovalGuard(0.1, 1)
    world.source.unalias(FRAUD, "staging")
    world.sync()
    told = line(world, "fraud@staging")

    assert "alias staging: blocked: 1 of 2 mirrored aliases would be removed at once; more than 10%" in told
    assert "| not affected: staging goes on naming @1 (v0) | if that is meant, run: bridge sync fraud --allow-" in told


def test_a_conflict_with_what_is_not_ours(world: World) -> None:
    other = world.registry.add_by_hand("fraud", aliases=["champion"])
    assert line(world, "fraud@champion") == (
        "alias champion: left alone: the source has no such alias, and somebody set it by hand, so the bridge does not "
        f"touch it | not affected: champion goes on naming @{other} (not ours) | "
        "set it at the source, or remove it in Vertex by hand"
    )
    world.publish("champion")
    assert f"alias champion: blocked: it is on Vertex version @{other}, which this bridge did not register" in line(
        world, "fraud@champion"
    )
    assert line(world, f"fraud@{other}") == (
        f"version @{other}: left alone: the bridge did not register it (from gs://elsewhere/), "
        "and so it is not touched | "
        f"not affected: it is there | to have it taken over: bridge adopt fraud@{other}"
    )


def test_a_version_that_the_bridge_deleted_since_the_source_has_it_no_more(world: World) -> None:
    under(world, on_source_delete=OnSourceDelete.DELETE)
    [first] = world.store.records(KEY)
    world.publish("production", "staging")
    world.sync()
    world.registry.move_by_hand("fraud", "default", "2")
    world.source.delete(first.source)
    ref = "wandb-registry-model/fraud-detector:v0"
    assert line(world, ref) == (
        "version v0: waiting: it is absent from one complete listing so far | not affected while it is there | "
        "it is deleted when the next complete listing agrees"
    )
    world.sync()
    assert line(world, ref).startswith("version v0: to go: the next pass makes it so: - version  v0 @1 |")
    world.registry.move_by_hand("fraud", "default", "1")
    assert "left alone: it is gone at the source, but @1 has 'default', which Vertex demands" in line(world, ref)
    world.registry.move_by_hand("fraud", "default", "2")
    world.sync()

    [found], _ = Explainer(world.passes).explain(parse_ref("fraud@1"), world.specs)
    assert [grave.record.version_id for grave in found.graves] == ["1"]
    at = found.graves[0].removed
    for ref, about in (("wandb-registry-model/fraud-detector:v0", "version v0"), ("fraud@1", "version @1")):
        assert line(world, ref) == (
            f"{about}: absent: the bridge deleted fraud@1 ({first.source}) at {at}: {found.graves[0].why} | "
            "nothing serves it | nothing to do"
        )


def test_an_alias_that_is_there_already_on_what_is_to_be_adopted() -> None:
    world = World(specs=[replace(mapping(), on_conflict=OnConflict.ADOPT)])
    world.publish("production", content=b"weights")
    world.storage.place("gs://team/fraud/model.bin", b"weights")
    theirs = world.registry.add_by_hand("fraud", "gs://team/fraud/", ["production"])

    assert line(world, "fraud@production").startswith(
        f"alias production: to come: the next pass makes it so: + adopted  @{theirs} = v0"
    )
    world.sync()
    assert "alias production: in place: it is on @1 (v0)" in line(world, "fraud@production")


def test_a_version_that_has_lost_its_label(world: World) -> None:
    [record] = world.store.records(KEY)
    world.registry.delete_by_hand("fraud", "1")
    again = world.registry.add_by_hand("fraud", record.artifact_uri)
    world.store.save_record(replace(record, version_id=again))

    assert f"version @{again}: left alone: it has lost the bridge's label" in line(world, f"fraud@{again}")


def test_a_version_that_vertex_made_twice(world: World) -> None:
    [record] = world.store.records(KEY)
    twin = world.registry.add_by_hand("fraud", record.artifact_uri, marked=True)

    assert line(world, f"fraud@{twin}") == (
        f"version @{twin}: left alone: it and @1 are both of the folder of v0, so it gets no alias | "
        "not affected: no alias is to name it | delete it in Vertex if nothing uses it"
    )


def test_a_model_that_is_not_ours() -> None:
    world = World()
    world.registry.add_by_hand("fraud")
    world.publish("production")

    for ref in (PRODUCTION, "wandb-registry-model/fraud-detector:v0"):
        assert "blocked: model fraud: Vertex model 'fraud' exists, and none of its versions was" in line(world, ref)


def test_a_model_that_is_not_ours_while_nothing_is_asked_of_it() -> None:
    world = World(specs=[replace(mapping(), versions=VersionRule(None))])
    world.registry.add_by_hand("fraud")
    world.publish()
    world.registry.move_by_hand("fraud", "default", None)

    assert line(world, "fraud").startswith("model fraud: blocked: Vertex model 'fraud' exists, and none of its")


def test_what_somebody_changed_by_hand(world: World) -> None:
    second = world.publish("champion")
    world.sync()
    world.registry.move_by_hand("fraud", "production", "2")
    told = line(world, "fraud@production")
    assert "alias production: drifted: the bridge set it on @1, and somebody has moved it to @2 in Vertex since" in told
    assert "| not affected: production goes on naming @2 (v1) | move it back in Vertex, or set 'drift: heal'" in told

    world.source.unalias(FRAUD, "production")
    assert "and the bridge set it on @1, and somebody has moved it since" in line(world, "fraud@production")

    world.registry.delete_by_hand("fraud", "2")
    gone = f"version @2: drifted: the bridge registered it for {second}, and somebody has deleted it in Vertex since"
    assert line(world, "fraud@2").startswith(
        f"{gone} | nothing serves it: it is gone | set 'drift: heal' in the mapping"
    )
    under(world, drift=OnDrift.HEAL)
    assert line(world, "fraud@2") == f"{gone} | nothing serves it: it is gone | bridge sync fraud --full"


def test_what_the_policy_does_not_permit(world: World) -> None:
    under(world, policy=Policy.CREATE_ONLY)
    world.publish("production")

    assert line(world, "fraud@production") == (
        "alias production: left alone: it has moved at the source, but policy create-only moves nothing | "
        "not affected: production goes on naming @1 (v0) | move it in Vertex, or set 'policy: sync'"
    )


def test_a_bucket_that_vertex_cannot_read(world: World) -> None:
    world.storage.places["models"] = BucketPlace("US")
    world.places = Places()
    world.publish("production")

    for ref in (PRODUCTION, "wandb-registry-model/fraud-detector:v1"):
        told = line(world, ref)
        assert "blocked: bucket gs://models: it is in US, and Vertex AI in europe-west4 reads models only" in told
        assert "not affected: production goes on naming @1 (v0)" in told


class Undecided(MemorySource):
    """A source that is not clear about `champion`."""

    def sweep(self, selectors: Sequence[CollectionSelector]) -> Sweep:
        swept = super().sweep(selectors)
        remarks = {"champion": Remark("versions 3 and 5 are both in it", "move one out")}
        found = {to: tuple(replace(state, remarks=remarks) for state in states) for to, states in swept.found.items()}
        return replace(swept, found=found)


def test_what_the_source_leaves_open() -> None:
    world = World(source=Undecided())
    world.publish("production")
    world.sync()

    for ref in ("fraud@champion", "wandb-registry-model/fraud-detector:champion"):
        assert "alias champion: blocked: versions 3 and 5 are both in it" in line(world, ref)


# held


def test_an_alias_that_somebody_holds(world: World) -> None:
    world.store.save_hold(KEY, Hold(Alias("production"), "ann", "incident 7", "2026-01-06T09:00:00+00:00"))
    world.publish("production")

    assert line(world, "fraud@production") == (
        "alias production: held: ann holds it until 2026-01-06T09:00:00+00:00: incident 7 | "
        "not affected: production goes on naming @1 (v0) | "
        "it follows then; sooner: bridge resume fraud/fraud --alias production"
    )


def test_a_mapping_that_somebody_paused(world: World) -> None:
    Pauses(world.store, world.clock).begin(ModelKey("fraud", EVERY), "ann", "incident 7", timedelta(hours=8))
    paused = "ann paused it until 2026-01-05T17:00:00+00:00: incident 7"
    assert f"in place: it is on @1 (v0), as the source has it; {paused}" in line(world, "fraud@production")
    world.publish("production")

    assert line(world, "fraud@production") == (
        f"alias production: held: {paused} | not affected: production goes on naming @1 (v0) | "
        "it follows then; sooner: bridge resume fraud"
    )


def test_a_mapping_that_is_frozen(world: World) -> None:
    world.frozen_until = world.clock.now() + timedelta(hours=62)
    world.publish("production")

    for ref in (PRODUCTION, "wandb-registry-model/fraud-detector:v1"):
        assert "held: the mapping is frozen until 2026-01-07 23:00 UTC | not affected: production goes on" in line(
            world, ref
        )


# failed


def test_what_failed_says_how_often_and_when_it_is_tried_next(world: World) -> None:
    version = world.publish("production")
    world.storage.problem = TryAgain("the bucket is unwell")
    world.sync()
    world.sync()
    world.storage.problem = None

    told = line(world, "fraud@production")
    assert "alias production: failed: it was tried in vain, 2 times in a row: the bucket is unwell; " in told
    assert f"the next try is at {world.status().next_try} | not affected: production goes on naming @1 (v0) |" in told
    assert told.endswith("then, or to try it now: bridge retry fraud/fraud")
    assert line(world, f"wandb-registry-model/fraud-detector:{version.label}").startswith("version v1: failed: it was")


def test_what_fails_for_good_says_that_time_alone_does_nothing(world: World) -> None:
    broken = world.publish("production")
    world.source.serve(broken, "model.bin", b"other bytes")
    world.sync()
    world.publish("staging")

    told = line(world, "fraud@production")
    assert "failed: it was tried in vain, 1 time in a row: version v1: 'model.bin': the source promises" in told
    assert "time alone does not have it tried again" in told
    assert "alias staging: to come" in line(world, "fraud@staging"), "another version's trouble is not its own"


def test_a_source_that_cannot_be_read(world: World) -> None:
    world.source.problem = TryAgain("the source is away")

    assert line(world, "fraud@production") == (
        "model fraud: not read: the source is away | Vertex keeps what it has (production, staging) | "
        "it is tried again at the next pass"
    )


def test_a_vertex_that_cannot_be_read_says_how_often(world: World) -> None:
    world.publish("production")
    world.registry.problems["observe"] = NeedsPerson("access is refused", "grant it")
    world.sync()

    assert line(world, "fraud@production").startswith(
        "model fraud: failed: it was tried in vain, 1 time in a row: access is refused; time alone does not"
    )


def test_a_source_that_could_never_be_read() -> None:
    world = World()
    world.source.problem = TryAgain("the source is away")

    assert "| the bridge has set no alias in Vertex yet |" in line(world, "fraud")


def test_a_collection_that_is_gone_for_good() -> None:
    world = World(specs=[pattern()])
    world.publish("production", collection=f"{REGISTRY}/vision-cats")
    world.sync()
    world.source.delete_collection(f"{REGISTRY}/vision-cats")

    assert line(world, "vision-cats@production").startswith(
        "model vision-cats: absent: the source no longer has it for this mapping; Vertex keeps what it had"
    )


# nothing is written


def test_an_explanation_changes_nothing(world: World) -> None:
    world.publish("production")
    world.source.unalias(FRAUD, "staging")
    before = world.ends()

    for ref in ("fraud", PRODUCTION, "fraud@1", "nobody"):
        asked(world, ref)

    assert world.ends() == before
