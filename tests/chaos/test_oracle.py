"""An oracle that cannot fail is none: every kind of violation is planted once, in a world where all is well."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos import ledger as ledgers, oracle, seen as seens
from tests.chaos.ledger import Edit, Files, Ledger, Rule
from tests.chaos.oracle import judge
from tests.chaos.seen import MANIFEST, Look, ModelRow, Quiet, Registered, StoredObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.oracle import Violation

BASE = "gs://bucket/registry/fraud/"
NOW = 1000.0
ONE, TWO, ROTTEN = (frozenset({("model.bin", md5)}) for md5 in ("one", "two", "rotten"))


@dataclass
class Case:
    """v0 has been production and staging, v1 is production since; the bridge has done its work, a person has been."""

    ledger: Ledger
    looks: list[Look]
    quiet: Quiet
    before: dict[str, StoredObject]

    def verdict(self) -> list[str]:
        return [str(violation) for violation in judge(self.ledger, self.looks, self.quiet, self.before)]

    def look(self, change: Callable[[Registered], Registered | None], *more: Registered) -> None:
        """Have the last look show something else."""
        versions = [made for version in self.quiet.look.versions if (made := change(version))]
        self.quiet = replace(self.quiet, look=replace(self.quiet.look, versions=(*versions, *more)))

    def row(self, **changes: Any) -> None:  # noqa: ANN401  of any field
        """Have the store say something else."""
        self.quiet = replace(self.quiet, rows=tuple(replace(row, **changes) for row in self.quiet.rows))

    def store(self, uri: str, **changes: Any) -> None:  # noqa: ANN401  the same
        """Have the bucket hold something else."""
        objects = dict(self.quiet.objects)
        objects[uri] = replace(objects[uri], **changes)
        self.quiet = replace(self.quiet, objects=objects, _known={})

    def journal(self, change: str, outcome: str | None, begun: float, **more: Any) -> None:  # noqa: ANN401  the same
        """Have the journal say one thing more."""
        line: dict[str, Any] = {"change": change, "model": "fraud", "begun": _iso(begun), "finished": _iso(begun + 1)}
        line |= {"previous": {"version_id": "1"}}
        self.quiet = replace(self.quiet, journal=(line | {"outcome": outcome} | more,))


def case(drift: str = "heal", default_from: str | None = "production") -> Case:
    ledger = Ledger(lambda _model: Rule("fraud", drift, default_from))  # type: ignore[arg-type]  # one of the two
    ledger.models["alpha"] = "fraud"
    ledger.publish("alpha", "v0", ONE)
    ledger.publish("alpha", "v1", TWO)
    for alias, label, at in (("production", "v0", 10.0), ("staging", "v0", 20.0), ("production", "v1", 30.0)):
        ledger.point("alpha", alias, label, at)
        ledger.settle(at + 1)
    ledger.foreign["fraud", "3"] = "gs://elsewhere/"
    ledger.edits.append(Edit("fraud", "canary", "3", 40.0))
    first = Registered("fraud", "1", f"{BASE}v0/", frozenset({"staging"}), 12.0)
    second = Registered("fraud", "2", f"{BASE}v1/", frozenset({"production", "default"}), 32.0)
    theirs = Registered("fraud", "3", "gs://elsewhere/", frozenset({"canary"}), 41.0)
    objects = {each.uri: each for each in (*_folder("v0", ONE, 11.0), *_folder("v1", TWO, 31.0))}
    aliases = {"staging": ("1", "v0"), "production": ("2", "v1"), "default": ("2", "v1")}
    quiet = Quiet(
        Look(NOW, (first, second, theirs)),
        objects,
        {"alpha": {"production": "v1", "staging": "v0"}},
        {"alpha": frozenset({"v0", "v1"})},
        (ModelRow("fraud", "SYNCED", "", NOW, aliases),),
        (),
    )
    earlier = Look(15.0, (replace(first, aliases=frozenset({"production", "default"})),))
    return Case(ledger, [earlier], quiet, dict(objects))


def _folder(label: str, files: Files, at: float) -> list[StoredObject]:
    inside = [StoredObject(f"{BASE}{label}/{path}", md5, at, 1) for path, md5 in sorted(files)]
    return [*inside, StoredObject(f"{BASE}{label}/{MANIFEST}", "manifest", at + 0.5, 1)]


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def only(version_id: str, **changes: Any) -> Callable[[Registered], Registered]:  # noqa: ANN401  of any field
    return lambda version: replace(version, **changes) if version.id == version_id else version


def test_a_world_where_all_is_well_breaks_no_promise() -> None:
    assert case().verdict() == []
    assert case("report").verdict() == []


def test_an_alias_on_bytes_that_it_never_had_at_the_source_is_found_at_every_moment() -> None:
    planted = case()
    wrong = planted.quiet.look.versions[1]
    planted.looks.append(Look(50.0, (replace(wrong, aliases=frozenset({"staging"})),)))
    assert planted.verdict()[0] == "P4: alias staging is on fraud@2, and alpha never had it there"


def test_an_alias_that_comes_before_the_source_has_moved_it_is_found() -> None:
    planted = case()
    second = planted.quiet.look.versions[1]
    planted.looks.append(Look(25.0, (replace(second, aliases=frozenset({"production"})),)))
    assert "P4: alias production is on fraud@2, and alpha never had it there" in planted.verdict()


def test_an_alias_that_was_put_on_a_version_of_a_persons_is_found() -> None:
    planted = case()
    planted.look(only("3", aliases=frozenset({"canary", "champion"})))
    assert planted.verdict() == ["P6: alias champion is on fraud@3, which a person made"]


def test_a_second_version_of_one_source_version_is_found() -> None:
    planted = case()
    planted.look(lambda version: version, replace(planted.quiet.look.versions[1], id="4", aliases=frozenset()))
    assert planted.verdict() == ["P2: fraud@2, fraud@4 are one source version"]


def test_a_second_folder_of_one_source_version_is_found() -> None:
    planted = case()
    again = {each.uri: each for each in _folder("v1-again", TWO, 33.0)}
    planted.quiet = replace(planted.quiet, objects={**planted.quiet.objects, **again})
    fourth = Registered("fraud", "4", f"{BASE}v1-again/", frozenset(), 35.0)
    planted.look(lambda version: version, fourth)
    assert planted.verdict() == ["P2: fraud@2, fraud@4 are one source version"]


def test_a_version_that_was_there_before_its_manifest_is_found() -> None:
    planted = case()
    planted.before = {}
    planted.store(f"{BASE}v1/{MANIFEST}", created=32.5)
    assert planted.verdict() == [f"P3: fraud@2 was there before the manifest of {BASE}v1/"]


def test_a_version_without_a_manifest_is_found() -> None:
    planted = case()
    planted.before = {}
    objects = {uri: each for uri, each in planted.quiet.objects.items() if uri != f"{BASE}v1/{MANIFEST}"}
    planted.quiet = replace(planted.quiet, objects=objects)
    assert planted.verdict() == [f"P3: fraud@2 was there before the manifest of {BASE}v1/"]


def test_a_file_that_came_after_its_manifest_is_found() -> None:
    planted = case()
    planted.before = {}
    planted.store(f"{BASE}v1/model.bin", created=31.9)
    assert planted.verdict() == [f"P3: {BASE}v1/model.bin was written after the manifest of its folder"]


def test_a_folder_that_is_not_as_published_is_found() -> None:
    planted = case()
    planted.before = {}
    planted.store(f"{BASE}v0/model.bin", md5="another")
    assert f"P3: fraud@1 has files that no version of alpha has: {BASE}v0/" in planted.verdict()


def test_bytes_that_were_wrong_at_the_source_are_found() -> None:
    planted = case()
    planted.ledger.rotten.add(("alpha", "v0"))
    assert "P9: fraud@1 was registered, though the bytes of v0 are wrong" in planted.verdict()


def test_an_alias_that_did_not_arrive_is_found() -> None:
    planted = case()
    planted.look(only("1", aliases=frozenset()))
    assert planted.verdict() == ["P5: alias staging of fraud should be on v0, and is on nothing"]


def test_an_alias_that_stayed_where_it_was_is_found() -> None:
    planted = case(default_from=None)
    planted.look(
        lambda version: replace(
            version,
            aliases={"1": frozenset({"staging", "production"}), "2": frozenset()}.get(version.id, version.aliases),
        )
    )
    assert planted.verdict() == ["P5: alias production of fraud should be on v1, and is on fraud@1"]


def test_a_default_that_did_not_follow_is_found() -> None:
    planted = case()
    planted.look(
        lambda version: replace(
            version,
            aliases={"1": frozenset({"staging", "default"}), "2": frozenset({"production"})}.get(
                version.id, version.aliases
            ),
        )
    )
    assert planted.verdict() == ["P5: default of fraud should be on v1, where production is"]


def test_an_alias_that_the_source_has_no_more_is_found() -> None:
    planted = case()
    planted.ledger.point("alpha", "staging", None, 60.0)
    planted.quiet = replace(planted.quiet, sources={"alpha": {"production": "v1"}})
    assert planted.verdict() == ["P5: alias staging is still on fraud@1, and alpha has none"]


def test_a_store_that_says_something_else_is_found() -> None:
    planted = case()
    planted.row(aliases={"staging": ("2", "v1"), "production": ("2", "v1")})
    assert planted.verdict() == ["P5: the store has alias staging of fraud at ('2', 'v1'), not @1 (v0)"]


def test_a_lost_store_that_would_know_too_little_or_too_much_is_found() -> None:
    planted = case()
    records = [{"version": version} for version in ("1", "2")]
    whole = {"model": "fraud", "records": records, "aliases": {"production": "2", "staging": "1"}}
    for rebuilt, broken in (
        (whole, []),
        (whole | {"records": records[:1]}, ["P8: of fraud, versions ['1'] would be known again, not ['1', '2']"]),
        (
            whole | {"records": [*records, {"version": "3"}]},
            ["P8: of fraud, versions ['1', '2', '3'] would be known again, not ['1', '2']"],
        ),
        (
            whole | {"aliases": {"production": "1", "staging": "1"}},
            ["P8: alias production of fraud would not be known again, and is on fraud@2"],
        ),
    ):
        planted.quiet = replace(planted.quiet, rebuilt=(rebuilt,))
        assert planted.verdict() == broken
    planted.quiet = replace(planted.quiet, rebuilt=())
    assert [what.partition(":")[0] for what in planted.verdict()] == ["P8"] * 3


def test_a_version_that_vanished_is_found() -> None:
    planted = case()
    planted.ledger.point("alpha", "staging", None, 60.0)
    planted.quiet = replace(planted.quiet, sources={"alpha": {"production": "v1"}})
    planted.look(lambda version: None if version.id == "1" else version)
    assert planted.verdict() == ["P6: fraud@1 is gone, and no person deleted it"]


def test_a_version_that_a_person_deleted_has_not_vanished() -> None:
    planted = case()
    planted.ledger.point("alpha", "staging", None, 60.0)
    planted.ledger.deleted["fraud", "1"] = 70.0
    planted.quiet = replace(planted.quiet, sources={"alpha": {"production": "v1"}})
    planted.look(lambda version: None if version.id == "1" else version)
    assert planted.verdict() == []


def test_a_version_that_has_another_folder_than_it_had_is_found() -> None:
    planted = case()
    planted.looks.append(replace(planted.quiet.look, at=NOW - 1))
    planted.look(only("3", folder="gs://bucket/registry/"))
    assert "P6: fraud@3 is of another folder than it was" in planted.verdict()


def test_a_version_of_a_persons_that_is_gone_is_found() -> None:
    planted = case()
    planted.look(lambda version: None if version.id == "3" else version)
    assert "P6: fraud@3, which a person made, is gone or changed" in planted.verdict()


def test_an_alias_of_a_persons_that_is_gone_is_found() -> None:
    planted = case()
    planted.look(only("3", aliases=frozenset()))
    assert planted.verdict() == ["P6: alias canary, which a person put on fraud@3, is not there any more"]


def test_an_alias_that_was_taken_from_a_version_of_a_persons_is_found() -> None:
    planted = case()
    planted.ledger.edits.append(Edit("fraud", "production", "3", 50.0))
    assert planted.verdict() == ["P6: alias production, which a person put on fraud@3, is not there any more"]


def test_an_alias_that_a_person_set_while_the_bridge_set_it_is_nobodys_fault() -> None:
    planted = case()
    planted.ledger.edits.append(Edit("fraud", "production", "3", 50.0))
    planted.journal("move-alias", "applied", 51.0, alias="production")
    assert planted.verdict() == []
    planted.journal("move-alias", "applied", 53.0, alias="production")
    assert planted.verdict() == ["P6: alias production, which a person put on fraud@3, is not there any more"]


def test_a_conflict_that_is_told_is_no_violation_and_one_that_is_not_is() -> None:
    planted = case(default_from=None)
    planted.ledger.edits.append(Edit("fraud", "production", "3", 50.0))
    planted.look(
        lambda version: replace(
            version,
            aliases={"3": frozenset({"canary", "production"}), "2": frozenset({"default"})}.get(
                version.id, version.aliases
            ),
        )
    )
    planted.row(state="BLOCKED")
    assert planted.verdict() == []
    planted.row(state="SYNCED")
    assert planted.verdict() == ["P1: fraud is SYNCED: "]


def test_a_model_of_a_persons_alone_is_blocked_and_left_alone() -> None:
    planted = case()
    planted.looks.clear()
    planted.look(lambda version: version if version.id == "3" else None)
    planted.ledger.deleted |= {("fraud", "1"): 70.0, ("fraud", "2"): 70.0}
    planted.row(state="BLOCKED")
    assert planted.verdict() == []
    planted.row(state="FAILED", message="it is there")
    assert planted.verdict() == ["P1: fraud is FAILED: it is there"]


def test_drift_that_is_reported_excuses_what_a_person_did_and_only_that() -> None:
    planted = case("report")
    planted.ledger.edits.append(Edit("fraud", "staging", None, 50.0))
    planted.look(only("1", aliases=frozenset()))
    planted.row(state="DRIFTED")
    assert planted.verdict() == []
    planted.ledger.edits.clear()
    planted.look(only("3", aliases=frozenset()))
    assert planted.verdict() == [
        "P1: fraud is DRIFTED: ",
        "P5: alias staging of fraud should be on v0, and is on nothing",
    ]


def test_a_rotten_version_that_is_wanted_and_failed_leaves_the_old_alias_in_peace() -> None:
    planted = case()
    planted.ledger.publish("alpha", "v2", ROTTEN, rotten=True)
    planted.ledger.point("alpha", "staging", "v2", 60.0)
    planted.quiet = replace(
        planted.quiet,
        sources={"alpha": {"production": "v1", "staging": "v2"}},
        labels={"alpha": frozenset({"v0", "v1", "v2"})},
    )
    planted.row(state="FAILED")
    assert planted.verdict() == []
    planted.row(state="SYNCED")
    assert planted.verdict() == ["P1: fraud is SYNCED: "]


def test_a_model_that_is_not_settled_or_not_known_is_found() -> None:
    planted = case()
    planted.row(state="PENDING", message="changes are under way")
    assert planted.verdict() == ["P1: fraud is PENDING: changes are under way"]
    planted.quiet = replace(planted.quiet, rows=())
    assert planted.verdict() == ["P1: the store knows nothing of fraud"]


def test_a_line_of_the_journal_that_is_open_is_found() -> None:
    planted = case()
    planted.journal("register", None, 50.0, version={"label": "v1"})
    assert planted.verdict() == [f"P1: the journal has an open line: register of fraud begun {_iso(50.0)}"]
    planted.journal("move-alias", None, 50.0, alias="staging")
    assert planted.verdict() == [f"P1: the journal has an open line: move-alias of fraud begun {_iso(50.0)}"]


def test_a_registration_that_nobody_wants_any_more_may_stay_open() -> None:
    planted = case()
    planted.ledger.publish("alpha", "v2", ROTTEN)
    planted.quiet = replace(planted.quiet, labels={"alpha": frozenset({"v0", "v1", "v2"})})
    planted.journal("register", None, 50.0, version={"label": "v2"})
    assert planted.verdict() == []


def test_a_copy_of_rotten_bytes_may_just_be_tried_again() -> None:
    planted = case()
    planted.journal("copy", None, 50.0, version={"label": "v1"})
    assert planted.verdict() == [f"P1: the journal has an open line: copy of fraud begun {_iso(50.0)}"]
    planted.ledger.rotten.add(("alpha", "v1"))
    assert "P1: the journal" not in "".join(planted.verdict())


def test_a_removal_of_what_the_source_had_all_the_time_is_found() -> None:
    planted = case()
    planted.journal("remove-alias", "applied", 25.0, alias="staging")
    assert planted.verdict() == [f"P11: remove-alias of fraud begun {_iso(25.0)}: alpha had staging all the time"]


def test_a_removal_that_a_person_made_while_it_was_open_is_theirs() -> None:
    planted = case()
    planted.journal("remove-alias", "applied", 25.0, alias="staging")
    planted.ledger.edits.append(Edit("fraud", "staging", "1", 25.5))
    assert planted.verdict() == []
    planted.ledger.edits.pop()
    planted.ledger.deleted["fraud", "1"] = 25.5
    assert "P11" not in "".join(planted.verdict())


def test_a_removal_of_what_the_source_had_not_is_true() -> None:
    planted = case()
    planted.journal("remove-alias", "applied", 15.0, alias="staging")
    assert planted.verdict() == []
    planted.ledger.point("alpha", "staging", None, 60.0)
    planted.ledger.settle(61.0)
    planted.ledger.point("alpha", "staging", "v0", 70.0)
    planted.ledger.settle(71.0)
    planted.journal("remove-alias", "applied", 65.0, alias="staging")
    assert planted.verdict() == []
    planted.journal("remove-alias", "applied", 72.0, alias="staging")
    assert planted.verdict() == [f"P11: remove-alias of fraud begun {_iso(72.0)}: alpha had staging all the time"]


def test_a_removal_because_a_version_was_deleted_under_its_collections_new_name_is_true() -> None:
    planted = case()
    planted.ledger.rename("alpha", "beta", "credit", 50.0)
    planted.ledger.settle(51.0)
    planted.journal("remove-alias", "applied", 55.0, alias="staging")
    assert f"P11: remove-alias of fraud begun {_iso(55.0)}: alpha had staging all the time" in planted.verdict()
    planted.ledger.withdraw("beta", planted.ledger.current("beta")["staging"], 54.0)
    assert "P11: remove-alias" not in "".join(planted.verdict())


@pytest.mark.parametrize("first", ["renamed", "deleted"])
def test_a_removal_is_true_of_an_alias_whose_last_move_under_the_old_name_was_not_followed(first: str) -> None:
    planted = case()
    before = planted.ledger.current("alpha")["staging"]
    (after,) = planted.ledger.labels("alpha") - {before}
    planted.ledger.point("alpha", "staging", after, 48.0)
    if first == "deleted":
        planted.ledger.withdraw("alpha", before, 49.0)
    planted.ledger.rename("alpha", "beta", "credit", 50.0)
    planted.ledger.settle(51.0)
    planted.journal("remove-alias", "applied", 55.0, alias="staging")
    if first == "renamed":
        planted.ledger.withdraw("beta", before, 54.0)
    assert "P11: remove-alias" not in "".join(planted.verdict())


def test_a_source_that_was_changed_is_found() -> None:
    planted = case()
    planted.quiet = replace(planted.quiet, sources={"alpha": {}}, labels={"alpha": frozenset({"v1"})})
    assert planted.verdict() == [
        "P11: the aliases of alpha are {} at the source",
        "P11: the versions of alpha at the source: ['v0'] missing, [] too many",
    ]


def test_writes_after_all_was_settled_are_found() -> None:
    planted = case()
    planted.quiet = replace(planted.quiet, writes={"vertex MergeVersionAliases": 2})
    assert planted.verdict() == ["P1: 2 x vertex MergeVersionAliases after all was settled"]


def test_secrets_and_complaints_are_found() -> None:
    planted = case()
    planted.quiet = replace(planted.quiet, leaks=("service-0.log (WANDB_API_KEY)",), complaints=("service 0 died",))
    assert planted.verdict() == ["P1: service 0 died", "P10: a secret lies in service-0.log (WANDB_API_KEY)"]


def test_an_object_that_is_gone_or_was_written_again_is_found() -> None:
    planted = case()
    planted.store(f"{BASE}v0/model.bin", generation=2)
    assert planted.verdict() == [f"P6: {BASE}v0/model.bin is gone or was written again"]
    objects = {uri: each for uri, each in planted.quiet.objects.items() if not uri.endswith("v0/model.bin")}
    planted.quiet = replace(planted.quiet, objects=objects, _known={})
    assert f"P6: {BASE}v0/model.bin is gone or was written again" in planted.verdict()


def test_a_collection_that_was_renamed_leaves_its_model_as_it_is_and_feeds_another() -> None:
    planted = case()
    planted.ledger.rename("alpha", "beta", "credit", 50.0)
    planted.quiet = replace(
        planted.quiet, sources={"beta": {"production": "v1", "staging": "v0"}}, labels={"beta": frozenset({"v0", "v1"})}
    )
    assert [what.partition(":")[0] for what in planted.verdict()] == ["P1", "P5", "P5", "P5"]
    there = [replace(version, model="credit") for version in planted.quiet.look.versions if version.id != "3"]
    planted.look(lambda version: version, *there)
    planted.quiet = replace(planted.quiet, rows=(*planted.quiet.rows, replace(planted.quiet.rows[0], model="credit")))
    assert planted.verdict() == []


def test_the_oracle_knows_nothing_of_the_product() -> None:
    for module in (ledgers, oracle, seens):
        assert module.__file__ is not None
        assert "bridge." not in "".join(
            line for line in Path(module.__file__).read_text().splitlines() if "import" in line
        )


def test_violations_are_told_once_and_in_order() -> None:
    planted = case()
    planted.looks += [replace(planted.quiet.look, at=at) for at in (990.0, 995.0)]
    planted.look(only("1", aliases=frozenset()))
    found: list[Violation] = judge(planted.ledger, planted.looks, planted.quiet)
    assert found == sorted(set(found))
