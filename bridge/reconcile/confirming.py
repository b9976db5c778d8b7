"""Asking once more, just before a change is made, whether it is still right: files may have been copied for hours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.core.changes import DeleteFiles, DeleteVersion, MoveAlias, RemoveAlias
from bridge.core.errors import TryAgain
from bridge.core.model import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.core.changes import Change
    from bridge.core.model import ModelKey
    from bridge.core.ports import Registry
    from bridge.reconcile.orders import Order
    from bridge.reconcile.removing import Remover


def confirm(
    order: Order, change: Change, registry: Registry, remover: Remover, version_id: Callable[[ModelKey, str], str]
) -> None:
    """
    Raise TryAgain if a change that would take something from somebody is not right any more; nothing has happened then.

    `version_id` says which version of a model was registered from a folder.
    """
    match change:
        case MoveAlias(artifact_uri=folder):
            _still_where_it_was(order.key.model, change, registry, version_id(order.key, folder))
        case RemoveAlias():
            remover.confirm_gone(change, order.spec.aliases, order.state)
        case DeleteVersion(version) | DeleteFiles(version):
            remover.confirm_deleted(version)
        case _:
            pass  # it takes nothing from anybody


def _still_where_it_was(model: str, change: MoveAlias, registry: Registry, to: str) -> None:
    """
    Make sure that nobody has moved an alias since the plan was made; `default` may come with a new model.

    Vertex is asked for the alias itself, since the lists that the plan was made from may lag.
    """
    alias, previous = change.alias, change.previous
    holder = registry.holder(model, alias)
    found = holder.id if holder else None
    expected = previous.version_id if previous else None
    if found not in (expected, to) and not (alias == DEFAULT and previous is None):
        raise TryAgain(f"alias {alias} of model {model} was moved to @{found} while this pass was under way")
