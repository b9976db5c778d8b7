"""
Which promises were broken, as far as what was seen and what was done show it. Pure; imports nothing of bridge/.

    P1   a model is not in a state that says it is settled, or is explained; the journal has open lines; writes go on
    P2   a source version has more live versions in Vertex than it is versions
    P3   a version was there before its manifest, the manifest before its files, or a folder is not as published
    P4   an alias was on a version whose bytes the source never had under that alias
    P5   an alias is not where the source has it, or still there though the source has it no more; the store disagrees
    P6   what a person made is gone or changed, or what we made is gone though nobody deleted it
    P8   a store that is lost would not know again what is ours in Vertex, or take a person's for it
    P9   bytes that were wrong at the source are in Vertex
    P10  a secret lies where it must not
    P11  an alias was removed though the source had it all the time; the source itself was changed
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.chaos.seen import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.chaos.ledger import Edit, Files, Ledger
    from tests.chaos.seen import Look, Quiet, Registered, StoredObject

DEFAULT = "default"  # Vertex puts it on a model's first version by itself
SHOWS_AFTER = 2.0  # seconds until lists show to everybody what a person has done; Vertex has no preconditions
ROUNDING = 0.002  # seconds: Cloud Storage tells milliseconds


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """One promise, broken."""

    promise: str
    what: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.what}"


def judge(
    ledger: Ledger, looks: Sequence[Look], quiet: Quiet, before: Mapping[str, StoredObject] | None = None
) -> list[Violation]:
    """Return what was broken in a storm, and in the quiet after it; `before` are the objects from before the storm."""
    found: set[Violation] = set()
    for look in (*looks, quiet.look):
        for check in (true_aliases, one_version_each, bytes_before_names, published_bytes):
            found |= set(check(ledger, look, quiet))
    found |= set(nothing_vanished(ledger, (*looks, quiet.look)))
    for settled in (
        converged,
        states,
        store_agrees,
        lost_store,
        hands_off,
        sources_untouched,
        journal_is_true,
        all_is_still,
    ):
        found |= set(settled(ledger, quiet))
    found |= set(objects_stay(quiet, before or {}))
    return sorted(found)


# at every moment


def true_aliases(ledger: Ledger, look: Look, quiet: Quiet) -> Iterator[Violation]:
    """Every alias is on bytes that the source had under it, or was put there by a person."""
    for version in _followed(ledger, look):
        collection = ledger.collection(version.model)
        files = quiet.files(version.folder)
        for alias in version.aliases:
            if ledger.edited(version.model, alias, version.id, look.at):
                continue
            if (version.model, version.id) in ledger.foreign:
                if alias != DEFAULT:
                    yield Violation("P6", f"alias {alias} is on {_name(version)}, which a person made")
            elif alias != DEFAULT and not ledger.pointed(collection, alias, files, look.at):
                yield Violation("P4", f"alias {alias} is on {_name(version)}, and {collection} never had it there")


def one_version_each(ledger: Ledger, look: Look, quiet: Quiet) -> Iterator[Violation]:
    """Hold a source version to at most one live version in Vertex."""
    by_files: dict[tuple[str, Files], list[Registered]] = {}
    for version in _ours(ledger, look):
        by_files.setdefault((version.model, quiet.files(version.folder)), []).append(version)
    for (model, files), live in by_files.items():
        folders = {version.folder for version in live}
        if len(live) > max(1, ledger.published(ledger.collection(model), files)) or len(folders) < len(live):
            yield Violation("P2", f"{', '.join(map(_name, live))} are one source version")


def bytes_before_names(ledger: Ledger, look: Look, quiet: Quiet) -> Iterator[Violation]:
    """Hold the manifest to be there before the version, and every file before the manifest."""
    for version in _ours(ledger, look):
        manifest = quiet.objects.get(version.folder + MANIFEST)
        if manifest is None or manifest.created > version.created + ROUNDING:
            yield Violation("P3", f"{_name(version)} was there before the manifest of {version.folder}")
            continue
        late = [
            uri
            for uri, each in quiet.objects.items()
            if uri.startswith(version.folder) and each.created > manifest.created + ROUNDING
        ]
        if late:
            yield Violation("P3", f"{late[0]} was written after the manifest of its folder")


def published_bytes(ledger: Ledger, look: Look, quiet: Quiet) -> Iterator[Violation]:
    """Hold every version of ours to the bytes of one that was published, and is not rotten."""
    for version in _ours(ledger, look):
        collection, files = ledger.collection(version.model), quiet.files(version.folder)
        same = [key for key, each in ledger.files.items() if key[0] == collection and each == files]
        if not same:
            yield Violation("P3", f"{_name(version)} has files that no version of {collection} has: {version.folder}")
        elif set(same) <= ledger.rotten:
            yield Violation("P9", f"{_name(version)} was registered, though the bytes of {same[0][1]} are wrong")


def nothing_vanished(ledger: Ledger, looks: Sequence[Look]) -> Iterator[Violation]:
    """
    Hold what was ever in Vertex to be there at the end, unless a person deleted it.

    In between, lists may show less than there is.
    """
    last = {(version.model, version.id): version for version in looks[-1].versions}
    for key, version in {(each.model, each.id): each for look in looks for each in look.versions}.items():
        if key not in last and key not in ledger.deleted:
            yield Violation("P6", f"{_name(version)} is gone, and no person deleted it")
    for version in {each for look in looks for each in look.versions}:
        there = last.get((version.model, version.id), version)
        if there.folder != version.folder:
            yield Violation("P6", f"{_name(version)} is of another folder than it was")


# when all is quiet


def converged(ledger: Ledger, quiet: Quiet) -> Iterator[Violation]:
    """Every alias of the source is on its version in Vertex, and no other alias of ours is left."""
    for collection, model in ledger.live():
        if _taken(ledger, quiet.look, model):
            continue
        wanted = ledger.current(collection)
        for alias, label in wanted.items():
            if not _in_place(ledger, quiet, model, alias, label) and not _excused(ledger, quiet, model, alias, label):
                holder = quiet.look.holder(model, alias)
                where = _name(holder) if holder else "nothing"
                yield Violation("P5", f"alias {alias} of {model} should be on {label}, and is on {where}")
        yield from _default(ledger, quiet, model, wanted)
        for version in _ours(ledger, quiet.look):
            for alias in version.aliases - {*wanted, DEFAULT} if version.model == model else ():
                last = ledger.last_edit(model, alias)
                if last is None or last.version_id != version.id:
                    yield Violation("P5", f"alias {alias} is still on {_name(version)}, and {collection} has none")


def states(ledger: Ledger, quiet: Quiet) -> Iterator[Violation]:
    """Every model says SYNCED, or has a reason for another word that a person has given."""
    rows = {row.model: row for row in quiet.rows}
    for collection, model in ledger.live():
        row = rows.get(model)
        if row is None:
            yield Violation("P1", f"the store knows nothing of {model}")
        elif row.state not in _explained(ledger, quiet, collection, model):
            yield Violation("P1", f"{model} is {row.state}: {row.message}")


def store_agrees(ledger: Ledger, quiet: Quiet) -> Iterator[Violation]:
    """Hold what the store says was set against what Vertex has."""
    rows = {row.model: row for row in quiet.rows}
    for collection, model in ledger.live():
        for alias, label in ledger.current(collection).items():
            holder, row = quiet.look.holder(model, alias), rows.get(model)
            if row is None or holder is None or not _in_place(ledger, quiet, model, alias, label):
                continue
            said = row.aliases.get(alias)
            if said != (holder.id, label):
                yield Violation("P5", f"the store has alias {alias} of {model} at {said}, not @{holder.id} ({label})")


def lost_store(ledger: Ledger, quiet: Quiet) -> Iterator[Violation]:
    """Hold what an empty store would know again to what Vertex has: versions of ours, and aliases that are in place."""
    if quiet.rebuilt is None:
        return
    again = {each["model"]: each for each in quiet.rebuilt}
    for collection, model in ledger.live():
        ours = {version.id for version in _ours(ledger, quiet.look) if version.model == model}
        known = {record["version"] for record in again[model]["records"]} if model in again else set()
        if known != ours:
            yield Violation("P8", f"of {model}, versions {sorted(known)} would be known again, not {sorted(ours)}")
        for alias, label in ledger.current(collection).items():
            holder = quiet.look.holder(model, alias)
            if holder is None or not _in_place(ledger, quiet, model, alias, label):
                continue
            if model not in again or again[model]["aliases"].get(alias) != holder.id:
                yield Violation("P8", f"alias {alias} of {model} would not be known again, and is on {_name(holder)}")


def hands_off(ledger: Ledger, quiet: Quiet) -> Iterator[Violation]:
    """Find what a person made, as they made it."""
    here = {(version.model, version.id): version for version in quiet.look.versions}
    for (model, version_id), folder in ledger.foreign.items():
        version = here.get((model, version_id))
        if (model, version_id) not in ledger.deleted and (version is None or version.folder != folder):
            yield Violation("P6", f"{model}@{version_id}, which a person made, is gone or changed")
    for edit in ledger.edits:
        if ledger.last_edit(edit.model, edit.alias) is not edit or edit.version_id is None:
            continue
        there = here.get((edit.model, edit.version_id))
        on_foreign = (edit.model, edit.version_id) in ledger.foreign
        theirs = edit.alias not in {move.alias for move in ledger.moves} and edit.alias != DEFAULT
        if not (on_foreign or theirs) or there is None or _crossed(edit, quiet):
            continue
        if edit.alias not in there.aliases:
            yield Violation("P6", f"alias {edit.alias}, which a person put on {_name(there)}, is not there any more")


def sources_untouched(ledger: Ledger, quiet: Quiet) -> Iterator[Violation]:
    """Find the sources as their users left them."""
    for collection, _ in ledger.live():
        if dict(quiet.sources.get(collection, {})) != ledger.current(collection):
            yield Violation("P11", f"the aliases of {collection} are {quiet.sources.get(collection)} at the source")
        there, published = set(quiet.labels.get(collection, ())), ledger.labels(collection)
        if there != published:
            missing, more = sorted(published - there), sorted(there - published)
            yield Violation("P11", f"the versions of {collection} at the source: {missing} missing, {more} too many")


def journal_is_true(ledger: Ledger, quiet: Quiet) -> Iterator[Violation]:
    """Find no open line in the journal, and no removal of what was there."""
    for line in quiet.journal:
        about = f"{line['change']} of {line['model']} begun {line['begun']}"
        if line["model"] not in ledger.models.values():
            continue
        collection, alias = ledger.collection(line["model"]), line.get("alias")
        if line["outcome"] is None and not _unwanted(ledger, collection, line):
            yield Violation("P1", f"the journal has an open line: {about}")
        if (line["change"], line["outcome"]) != ("remove-alias", "applied") or _by_hand(ledger, line):
            continue
        if not ledger.absent(collection, alias or "", *_span(line)):
            yield Violation("P11", f"{about}: {collection} had {alias} all the time")


def all_is_still(_ledger: Ledger, quiet: Quiet) -> Iterator[Violation]:
    """Nothing is written once all is settled, no secret is told, and no service has died or met a bug."""
    for what, count in quiet.writes.items():
        yield Violation("P1", f"{count} x {what} after all was settled")
    for where in quiet.leaks:
        yield Violation("P10", f"a secret lies in {where}")
    for complaint in quiet.complaints:
        yield Violation("P1", complaint)


def objects_stay(quiet: Quiet, before: Mapping[str, StoredObject]) -> Iterator[Violation]:
    """Nothing in the bucket is removed or written again."""
    for uri, object_ in before.items():
        if quiet.objects.get(uri) != object_:
            yield Violation("P6", f"{uri} is gone or was written again")


# the words above


def _name(version: Registered) -> str:
    return f"{version.model}@{version.id}"


def _followed(ledger: Ledger, look: Look) -> Iterator[Registered]:
    """Yield the versions of models that follow a collection."""
    followed = set(ledger.models.values())
    return (version for version in look.versions if version.model in followed)


def _ours(ledger: Ledger, look: Look) -> Iterator[Registered]:
    """Yield the versions that no person has made."""
    return (each for each in _followed(ledger, look) if (each.model, each.id) not in ledger.foreign)


def _taken(ledger: Ledger, look: Look, model: str) -> bool:
    """Tell whether a model holds versions, and none of ours: it is refused as a whole."""
    there = [version for version in look.versions if version.model == model]
    return bool(there) and all((model, version.id) in ledger.foreign for version in there)


def _in_place(ledger: Ledger, quiet: Quiet, model: str, alias: str, label: str) -> bool:
    holder = quiet.look.holder(model, alias)
    wanted = ledger.files[ledger.collection(model), label]
    return (
        holder is not None
        and (model, holder.id) not in ledger.foreign
        and quiet.files(holder.folder) == wanted
        and ledger.published(ledger.collection(model), wanted) > 0
    )


def _excused(ledger: Ledger, quiet: Quiet, model: str, alias: str, label: str) -> bool:
    """Tell whether there is a reason that an alias is not in place, which a person has given."""
    holder = quiet.look.holder(model, alias)
    on_foreign = holder is not None and (model, holder.id) in ledger.foreign
    reported = ledger.rule(model).drift == "report" and ledger.touched(model)
    return (ledger.collection(model), label) in ledger.rotten or on_foreign or reported


def _default(ledger: Ledger, quiet: Quiet, model: str, wanted: Mapping[str, str]) -> Iterator[Violation]:
    follows = ledger.rule(model).default_from
    if follows is None or follows not in wanted:
        return
    label = wanted[follows]
    in_place = _in_place(ledger, quiet, model, DEFAULT, label)
    if not in_place and not _excused(ledger, quiet, model, DEFAULT, label):
        yield Violation("P5", f"default of {model} should be on {label}, where {follows} is")


def _explained(ledger: Ledger, quiet: Quiet, collection: str, model: str) -> set[str]:
    """Return the states that a model may be in."""
    if _taken(ledger, quiet.look, model):
        return {"BLOCKED"}
    wanted = ledger.current(collection)
    names = {*wanted, DEFAULT} if ledger.rule(model).default_from in wanted else {*wanted}
    holders = {alias: quiet.look.holder(model, alias) for alias in names}
    words: set[str] = set()
    if any((collection, label) in ledger.rotten for label in wanted.values()):
        words.add("FAILED")
    if any(holder and (model, holder.id) in ledger.foreign for holder in holders.values()):
        words.add("BLOCKED")
    if ledger.rule(model).drift == "report" and ledger.touched(model):
        words |= {"DRIFTED", "SYNCED"}
    return words or {"SYNCED"}


def _crossed(edit: Edit, quiet: Quiet) -> bool:
    """Tell whether a person put an alias somewhere just when the bridge set it: neither could see the other."""
    for line in quiet.journal:
        if (line["change"], line["model"], line.get("alias")) == ("move-alias", edit.model, edit.alias):
            begun = datetime.fromisoformat(line["begun"]).timestamp()
            ended = datetime.fromisoformat(line["finished"] or line["begun"]).timestamp()
            if begun - SHOWS_AFTER <= edit.begun <= ended:
                return True
    return False


def _unwanted(ledger: Ledger, collection: str, line: Mapping[str, Any]) -> bool:
    """
    Tell whether a line may be open.

    That is so of a collection that is gone, which is settled, too, but not waited for; of a copy of rotten bytes, which
    is tried again whenever its model is looked at, also while the oracle looks; and of a registration that nobody
    wants: its version may still come.
    """
    if collection in ledger.gone:
        return True
    if line["change"] == "copy" and (collection, line["version"]["label"]) in ledger.rotten:
        return True
    return line["change"] == "register" and line["version"]["label"] not in ledger.current(collection).values()


def _by_hand(ledger: Ledger, line: Mapping[str, Any]) -> bool:
    """Tell whether a person took an alias away while its removal was open: the journal tells of it as made."""
    begun, ended = _span(line)
    deleted = ledger.deleted.get((line["model"], line["previous"]["version_id"]), -math.inf)
    moments = [edit.begun for edit in ledger.edits if (edit.model, edit.alias) == (line["model"], line["alias"])]
    return any(begun <= moment <= ended for moment in (*moments, deleted))


def _span(line: Mapping[str, Any]) -> tuple[float, float]:
    return tuple(datetime.fromisoformat(line[end]).timestamp() for end in ("begun", "finished"))  # type: ignore[return-value]  # of two
