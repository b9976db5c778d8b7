"""
Whether a version that a collection does not list any more is deleted, or only looks so.

    its label answers          its collection  in the registry, by its id  it is deleted
    itself                     any             any                         no
    nothing                    is listed       any                         yes
    nothing, another artifact  is not, is new  there                       no: its collection was renamed
    another artifact           is new          not there                   yes
    nothing                    is not listed   not there                   yes, if the registry shows others

Of a project's collection the artifact itself is asked for, as a project has no list of what is in all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.core.errors import NeedsPerson, NotFound, TryAgain
from bridge.sources.wandb.session import NoSuchVersion, artifact_state

if TYPE_CHECKING:
    from collections.abc import Collection

    from bridge.core.model import SourceVersion
    from bridge.sources.wandb.registry import Registry
    from bridge.sources.wandb.session import WandbSession


def is_deleted(session: WandbSession, version: SourceVersion, place: Registry) -> bool:
    """See the port. The place is a project if there is a "/" in it."""
    found = _found(session, version)
    if found == version.id:
        return False
    if "/" in place.place:
        return _is_deleted_in_project(session, version)
    if found is None:
        listed = place.collections()
        _demand(listed, "collection", place)
        if version.collection.rpartition("/")[2] in listed:
            return True
    return not _is_in(place, version.id)


def _demand(listed: Collection[object], what: str, place: Registry) -> None:
    if not listed:
        raise NeedsPerson(
            f"W&B shows no {what} at all in {place.place}, which is what a lost permission looks like",
            f"see whether the API key's account may still read it; one {what} that is shown is proof enough",
        )


def _is_in(registry: Registry, artifact: str) -> bool:
    ids, unread = _ids(registry)
    if artifact in ids:
        return True
    if unread is not None:
        raise unread
    _demand(ids, "version", registry)
    return False


def _ids(registry: Registry) -> tuple[set[str | None], NeedsPerson | None]:
    """Return the ids of all that a registry holds, and what kept some of it from being read."""
    # Nobody knows how the server reads an id in a filter: as its own number, or as it shows it.
    try:
        return {found.id for found in registry.versions()}, None
    except NotFound:
        raise
    except NeedsPerson:  # one artifact that the SDK cannot read ends a whole listing
        ids: set[str | None] = set()
        unread: NeedsPerson | None = None
        for name in sorted(registry.collections()):
            try:
                ids |= {found.id for found in registry.versions([name])}
            except NeedsPerson as problem:
                unread = problem
        return ids, unread


def _is_deleted_in_project(session: WandbSession, version: SourceVersion) -> bool:
    state, collection = session.call(lambda api: artifact_state(api, version.id))
    if state is None or state == "DELETED":
        return True
    if collection == version.collection.rpartition("/")[2]:
        raise TryAgain(f"{version} is there when asked for by its id, and not by its name")
    return False


def _found(session: WandbSession, version: SourceVersion) -> str | None:
    """Return the id of the artifact that has the label now; None if W&B says that nothing has it."""
    try:
        return session.call(lambda api: str(api.artifact(str(version)).id))
    except NoSuchVersion:
        return None
