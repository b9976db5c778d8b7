"""
Whether a version that a collection does not list any more is deleted, or only looks so.

    its label answers          its collection  in the registry, by its id  it is deleted
    itself                     any             any                         no
    nothing                    is listed       any                         yes
    nothing, another artifact  is not, is new  there                       no: its collection was renamed
    another artifact           is new          not there                   yes
    nothing                    is not listed   not there                   yes, if the registry shows other collections

Of a project's collection the artifact itself is asked for, as a project has no list of what is in all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.core.errors import NeedsPerson, TryAgain
from bridge.sources.wandb.choosing import PAGE, REGISTRY_PREFIX
from bridge.sources.wandb.session import NoSuchVersion, artifact_state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.core.model import SourceVersion
    from bridge.sources.wandb.choosing import Listed
    from bridge.sources.wandb.session import Api, WandbSession


def is_deleted(
    session: WandbSession,
    version: SourceVersion,
    place: str,
    organization: str | None,
    collections: Callable[[], Mapping[str, Listed]],
) -> bool:
    """See the port. `collections` lists all that a registry shows, and raises NotFound if there is none."""
    found = _found(session, version)
    if found == version.id:
        return False
    if "/" in place:
        return _is_deleted_in_project(session, version)
    if found is None:
        listed = collections()
        if not listed:
            raise NeedsPerson(
                f"W&B shows nothing at all in {place}, which is what a lost permission looks like",
                "see whether the API key's account may still read it; one collection that is shown is proof enough",
            )
        if version.collection.rpartition("/")[2] in listed:
            return True
    registry = {"name": place.removeprefix(REGISTRY_PREFIX)}

    def elsewhere(api: Api) -> bool:
        # All of them, since nobody knows how the server reads an id in a filter: as its own number, or as it shows it.
        versions = api.registries(organization, filter=registry).versions(per_page=PAGE)
        return any(found.id == version.id for found in session.paged(versions, PAGE))

    return not session.call(elsewhere)


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
