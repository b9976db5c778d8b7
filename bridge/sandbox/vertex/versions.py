"""A model, its versions and their aliases: what the calls on models, uploads and endpoints share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.vertex import names
from bridge.sandbox.vertex.errors import refusal
from bridge.sandbox.vertex.messages import moment, types

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.sandbox.vertex.names import ModelName
    from bridge.sandbox.vertex.state import State

DEFAULT = "default"  # the alias that exactly one version of every model has, always [sdk, documentation]
_HEAD_FIELDS = ("display_name", "description", "labels")  # what can change in a head


class Versions:
    """
    The registry's data and its invariants.

    A *head* is a Model with what all versions share: name, display_name, description, labels, create_time,
    update_time, etag. A *version* is a Model with the rest, its own labels included. What callers see is a view,
    made of both when it is read. The aliases are in a table of their own.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._storage = state.storage

    def head(self, name: ModelName) -> types.Model:
        """Return the model's head, or raise NOT_FOUND."""
        head = self._storage.models.get(name.model)
        if head is None:
            raise refusal("NOT_FOUND", f"there is no model {name.model}")
        return head

    def resolve(self, name: ModelName) -> int:
        """Return the id of the version that a name means; without a suffix (or with "-") the default one [sdk]."""
        suffix = name.version or DEFAULT
        version = int(suffix) if suffix.isdecimal() else self._storage.aliases(name.model).get(suffix)
        if version is None or self._storage.versions.get(f"{name.model}@{version}") is None:
            raise refusal("NOT_FOUND", f"model {name.model} has no version {suffix}")
        return version

    def version(self, model: str, version: int) -> types.Model:
        """Return what a version has of its own, or raise NOT_FOUND."""
        found = self._storage.versions.get(f"{model}@{version}")
        if found is None:
            raise refusal("NOT_FOUND", f"model {model} has no version {version}")
        return found

    def view(self, head: types.Model, version: types.Model, *, versioned: bool) -> types.Model:
        """Turn a version into what callers see: the head's fields, merged labels, aliases. Takes `version` over."""
        number = int(version.version_id)
        version.name = f"{head.name}@{number}" if versioned else head.name
        version.display_name, version.description = head.display_name, head.description
        version.create_time, version.update_time, version.etag = head.create_time, head.update_time, head.etag
        version.labels = {**head.labels, **version.labels}  # merged when returned [sdk: UpdateModelRequest]
        version.version_aliases = self._in_order(
            alias for alias, named in self._storage.aliases(head.name).items() if named == number
        )
        return version

    def _in_order(self, aliases: Iterable[str]) -> list[str]:
        listed = list(aliases)  # "there is NO ordering in aliases" [sdk: MergeVersionAliasesRequest]
        match self._state.switches.alias_order:
            case "sorted":
                listed.sort()
            case "shuffled":
                self._state.random.shuffle(listed)
            case "insertion":
                pass  # existing clients rely on it [repo]
        return listed

    def put_head(self, head: types.Model, at: float) -> None:
        """
        Write a head that has changed at `at`; a change of its own fields gives it a new etag.

        The etag is one for all forms of the name, and writes to versions and aliases leave it alone: the SDK's
        Model.update sends the etag of the version it once read with the unversioned name [measured].
        """
        before = self._storage.models.get(head.name)
        if before is None or any(getattr(before, field) != getattr(head, field) for field in _HEAD_FIELDS):
            head.etag = f"{self._storage.count('etag'):016x}"
        head.update_time = moment(at)
        self._storage.models.put(head.name, names.parent_of(head.name), head)

    def put_version(self, head: types.Model, version: types.Model, at: float) -> None:
        """Write a version that has changed at `at`."""
        version.version_update_time = moment(at)
        self._storage.versions.put(f"{head.name}@{version.version_id}", head.name, version)

    def add(self, head: types.Model, model: types.Model, at: float) -> int:
        """
        Make `model` the next version of `head`; return its id.

        `model.version_aliases` move to it. The first version gets `default` by itself [sdk, documentation].
        """
        number = self._next_id(head.name)
        version, aliases = types.Model(model), list(model.version_aliases)
        for field in ("name", "display_name", "description", "version_aliases", "deployed_models", "etag"):
            delattr(version, field)  # the head's, the alias table's, or output only
        version.version_id = str(number)
        version.version_create_time = moment(at)
        self.put_version(head, version, at)
        for alias in aliases:
            self.set_alias(head.name, alias, number)
        if DEFAULT not in self._storage.aliases(head.name):
            self._storage.set_alias(head.name, DEFAULT, number)
        return number

    def _next_id(self, model: str) -> int:
        never_given = self._storage.count(f"versions of {model}")  # counted always: the switch may change
        if self._state.switches.reuse_version_ids == "never":
            return never_given
        return 1 + max((int(version.version_id) for version in self._storage.versions.list(model)), default=0)

    def set_alias(self, model: str, alias: str, version: int) -> None:
        """
        Make `alias` name `version`; if another version has it, it moves [documentation: model-alias].

        With alias_conflict "reject" that is refused. `default` moves even then, or it could never change.
        """
        holder = self._storage.aliases(model).get(alias)
        taken = holder not in (None, version) and alias != DEFAULT
        if taken and self._state.switches.alias_conflict == "reject":
            raise refusal("FAILED_PRECONDITION", f"alias {alias!r} names version {holder} of {model}")  # code: guess
        self._storage.set_alias(model, alias, version)

    def delete(self, head: types.Model, version: int) -> None:
        """Remove one version and its aliases; `default` goes to the latest of those that remain."""
        self._delete_record(head, version)
        for alias, named in self._storage.aliases(head.name).items():
            if named == version:
                self._storage.remove_alias(head.name, alias)
        if DEFAULT not in self._storage.aliases(head.name):
            latest = self._storage.versions.list(head.name)[-1]
            self._storage.set_alias(head.name, DEFAULT, int(latest.version_id))

    def delete_all(self, head: types.Model) -> None:
        """Remove a model with its versions, aliases and evaluations [sdk]; a new one starts at 1 (guess)."""
        for version in self._storage.versions.list(head.name):
            self._delete_record(head, int(version.version_id))
        for alias in self._storage.aliases(head.name):
            self._storage.remove_alias(head.name, alias)
        self._storage.models.delete(head.name)
        self._storage.forget_counter(f"versions of {head.name}")

    def _delete_record(self, head: types.Model, version: int) -> None:
        whole = f"{head.name}@{version}"
        for evaluation in self._storage.evaluations.list(whole):
            self._storage.evaluations.delete(evaluation.name)
        self._storage.versions.delete(whole)
