"""A Vertex AI Model Registry in memory, with the moods of the real one as knobs."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from bridge.core.errors import NeedsPerson, NotFound, TryAgain
from bridge.core.model import DEFAULT, Alias, ModelVersion, TargetState
from bridge.core.records import Operation
from bridge.testing.models import HeldModel, HeldUpload, HeldVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from bridge.core.errors import BridgeError
    from bridge.core.model import Container, Facts, SourceVersion
    from bridge.core.ports import Clock


LATE = timedelta(seconds=20)


class MemoryRegistry:
    """
    The Registry port over dicts: models of one project and location, as one owner sees them.

    An upload takes effect `commit_delay` seconds after it was asked for, and its version is listed
    `list_lag` seconds after that. Attributes that a test may change at any time:

    - `lost_replies["register"] = 2`: the next two calls take effect, and then raise TryAgain; also for
      "move_alias" and "remove_alias",
    - `late["move_alias"] = 1`: the next call raises TryAgain at once, and takes effect LATE seconds after it, unless
      the same is asked for and done before; also for "remove_alias". `arrive` has it take effect now,
    - `problems["observe"] = TryAgain("...")`: every call of that method raises it, and nothing happens,
    - `failing`: how the next uploads end instead of with a version, each an `Operation` with an error,
    - `failing_deletions`: how the next deletions end, without deleting anything,
    - `interrupt`: called in the middle of an alias move that takes two requests,
    - `calls`: the methods that were called, in order; `served`: what was asked for each folder, by artifact_uri.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        alias_conflict: Literal["move", "reject"] = "move",
        label_scope: Literal["model", "version"] = "model",
        commit_delay: float = 0.0,
        list_lag: float = 0.0,
        lists_operations: bool = True,
    ) -> None:
        self.alias_conflict = alias_conflict  # of an alias that another version has; `default` moves always
        self.label_scope = label_scope
        self.commit_delay = commit_delay
        self.list_lag = list_lag
        self.lists_operations = lists_operations  # False: `running` never tells anything
        self.lost_replies: Counter[str] = Counter()
        self.late: Counter[str] = Counter()
        self.problems: dict[str, BridgeError] = {}
        self.failing: list[Operation] = []
        self.failing_deletions: list[Operation] = []
        self.interrupt: Callable[[], None] = lambda: None
        self.calls: list[str] = []
        self.served: dict[str, tuple[Container, Facts]] = {}
        self._clock = clock
        self._models: dict[str, HeldModel] = {}
        self._uploads: dict[str, HeldUpload] = {}
        self._deletions: dict[str, Operation] = {}  # those that failed
        self._under_way: dict[tuple[str, str, Alias, str], datetime] = {}  # method, model, alias, version -> its time
        self._asked = 0
        self._lock = threading.RLock()

    # what a test sees, whatever the lists say

    def versions(self, model: str) -> dict[str, str]:
        """Return what a model's versions were registered from: version id -> artifact_uri."""
        with self._lock:
            self._settle()
            there = self._models.get(model)
            return {str(version.number): version.artifact_uri for version in there.versions} if there else {}

    def aliases(self, model: str) -> dict[str, str]:
        """Return a model's aliases: alias -> version id."""
        with self._lock:
            self._settle()
            held = self._models[model].versions if model in self._models else []
            return {alias: str(version.number) for version in held for alias in sorted(version.aliases)}

    def display_name(self, model: str) -> str:
        """Return a model's name for display."""
        return self._models[model].name

    # what a person does by hand

    def add_by_hand(
        self,
        model: str,
        artifact_uri: str = "gs://elsewhere/",
        aliases: Iterable[str] = (),
        *,
        marked: bool = False,
        owner: str | None = None,
        lags: bool = False,
    ) -> str:
        """
        Register a version, of a new model if need be; return its id.

        `marked`: ours; `owner`: somebody else's; `lags`: it is listed after `list_lag` only.
        """
        with self._lock:
            self._settle()
            now = self._clock.now()
            version = self._add(model, model, artifact_uri, marked=marked, at=now)
            version.owner, version.listed_from = owner, version.listed_from if lags else now
            for alias in aliases:
                self._models[model].give(Alias(alias), version)
            return str(version.number)

    def move_by_hand(self, model: str, alias: str, version_id: str | None) -> None:
        """Make an alias name another version; None takes it away."""
        with self._lock:
            self._settle()
            there = self._models[model]
            there.give(Alias(alias), there.version(version_id) if version_id else None)

    def delete_by_hand(self, model: str, version_id: str) -> None:
        """Delete a version with its aliases; `default` goes to the latest, and the model with its last version."""
        with self._lock:
            self._settle()
            there = self._models[model]
            if not there.lose(version_id):
                del self._models[model]

    def deploy_by_hand(self, model: str, version_id: str, *endpoints: str) -> None:
        """Have a version be deployed to just these endpoints."""
        with self._lock:
            self._settle()
            self._models[model].demand(version_id).endpoints = endpoints

    def unmark_by_hand(self, model: str, version_id: str) -> None:
        """Take the owner's label from a version, and from its model."""
        with self._lock:
            self._settle()
            self._models[model].demand(version_id).marked = self._models[model].marked = False

    def forget_operations(self) -> None:
        """Forget all operations that have ended, as Vertex does after a while."""
        with self._lock:
            self._settle()
            self._uploads = {name: upload for name, upload in self._uploads.items() if upload.end is None}

    # the port

    def check_access(self) -> None:
        """See the port."""
        with self._lock:
            self._begin("check_access")

    def models(self) -> tuple[str, ...]:
        """See the port."""
        with self._lock:
            self._begin("models")
            return tuple(sorted(model for model, there in self._models.items() if there.shows_mark(self.label_scope)))

    def observe(self, model: str) -> TargetState:
        """See the port."""
        with self._lock:
            self._begin("observe")
            return self._observe(model)

    def version(self, model: str, version_id: str) -> ModelVersion | None:
        """See the port. `list_lag` is of lists alone."""
        with self._lock:
            self._begin("version")
            version = self._find(model, version_id)
            return None if version is None else self._models[model].shown(version, self.label_scope)

    def holder(self, model: str, alias: Alias) -> ModelVersion | None:
        """See the port. `list_lag` is of lists alone."""
        with self._lock:
            self._begin("holder")
            there = self._models.get(model)
            held = there.holder(alias) if there else None
            return None if there is None or held is None else there.shown(held, self.label_scope)

    def register(
        self,
        model: str,
        name: str,
        version: SourceVersion,  # noqa: ARG002  what the version is at its source is not kept
        artifact_uri: str,
        container: Container,
        *,
        facts: Facts,
        first: bool,
    ) -> str:
        """See the port."""
        with self._lock:
            self._begin("register")
            if first == (model in self._models):
                raise TryAgain(f"model {model} {'exists' if first else 'is gone'}", nothing_happened=True)
            self._asked += 1
            self.served[artifact_uri] = (container, facts)
            upload = HeldUpload(
                f"operations/{self._asked}",
                model,
                name,
                artifact_uri,
                is_first=first,
                commits_at=self._clock.now() + timedelta(seconds=self.commit_delay),
                end=None,
            )
            self._uploads[upload.name] = upload
            self._settle()
            self._answer("register")
            return upload.name

    def operation(self, name: str) -> Operation:
        """See the port. One that was forgotten is done, with neither a version nor an error."""
        with self._lock:
            self._begin("operation")
            if name in self._uploads:
                return self._uploads[name].end or Operation(done=False)
            return self._deletions.get(name, Operation(done=True))

    def running(self, model: str) -> tuple[str, ...]:
        """See the port."""
        with self._lock:
            self._begin("running")
            under_way = (upload for upload in self._uploads.values() if upload.model == model and upload.end is None)
            return tuple(upload.name for upload in under_way) if self.lists_operations else ()

    def move_alias(self, model: str, alias: Alias, version_id: str) -> None:
        """See the port. A version that is not there leaves the alias where it is."""
        with self._lock:
            self._begin("move_alias")
            self._delay("move_alias", model, alias, version_id)
            there = self._models.get(model)
            version = self._find(model, version_id)
            if there is None or version is None:
                raise TryAgain(f"version @{version_id} of model {model} is gone")
            if self.alias_conflict == "reject" and alias != DEFAULT and alias not in version.aliases:
                there.give(alias, None)
                self.interrupt()
            there.give(alias, version)
            self._answer("move_alias")

    def remove_alias(self, model: str, alias: Alias, version_id: str) -> None:
        """See the port."""
        with self._lock:
            self._begin("remove_alias")
            self._delay("remove_alias", model, alias, version_id)
            version = self._find(model, version_id)
            if version is not None and alias in version.aliases:
                if alias == DEFAULT:
                    raise NeedsPerson(f"model {model} must have a 'default'", "move it instead")
                version.aliases.discard(alias)
            self._answer("remove_alias")

    def mark_ours(self, model: str, version_id: str) -> None:
        """See the port."""
        self._mark("mark_ours", model, version_id, None)

    def mark_duplicate(self, model: str, version_id: str, of: str) -> None:
        """See the port."""
        self._mark("mark_duplicate", model, version_id, of)

    def _mark(self, method: str, model: str, version_id: str, duplicate_of: str | None) -> None:
        with self._lock:
            self._begin(method)
            version = self._find(model, version_id)
            if version is None:
                raise NotFound(f"model {model} has no version @{version_id}", "look which it has")
            if version.owner is not None:
                raise NeedsPerson(f"version @{version_id} of model {model} belongs to {version.owner!r}", "ask them")
            version.marked, version.duplicate_of = version.marked or duplicate_of is None, duplicate_of
            self._answer(method)

    def _find(self, model: str, version_id: str) -> HeldVersion | None:
        there = self._models.get(model)
        return there.version(version_id) if there else None

    def delete(self, model: str, version_id: str) -> str | None:
        """See the port. What is asked for is done at once, and the operation has ended."""
        with self._lock:
            self._begin("delete")
            there = self._models.get(model)
            version = self._find(model, version_id)
            if there is None or version is None:
                return None
            if version.endpoints or DEFAULT in version.aliases:
                raise NeedsPerson(f"version @{version_id} of model {model} is in use", "undeploy it, or move 'default'")
            self._asked += 1
            if self.failing_deletions:
                self._deletions[f"operations/{self._asked}"] = self.failing_deletions.pop(0)
            else:
                there.versions.remove(version)
            self._answer("delete")
            return f"operations/{self._asked}"

    def _begin(self, method: str) -> None:
        self.calls.append(method)
        if method in self.problems:
            raise self.problems[method]
        self._settle()

    def _answer(self, method: str) -> None:
        if self.lost_replies[method] > 0:
            self.lost_replies[method] -= 1
            raise TryAgain(f"the reply to {method} was lost")

    def _observe(self, model: str) -> TargetState:
        there = self._models.get(model)
        if there is None:
            return TargetState(model, exists=False)
        listed = (
            there.shown(each, self.label_scope) for each in there.versions if each.listed_from <= self._clock.now()
        )
        return TargetState(model, exists=True, versions=tuple(listed))

    def _delay(self, method: str, model: str, alias: Alias, version_id: str) -> None:
        asked = (method, model, alias, version_id)
        self._under_way.pop(asked, None)
        if self.late[method] > 0:
            self.late[method] -= 1
            self._under_way[asked] = self._clock.now() + LATE
            raise TryAgain(f"there was no reply to {method}")

    def arrive(self, until: datetime | None = None) -> None:
        """Let changes of aliases that are under way take effect: all, or those whose time has come by then."""
        with self._lock:
            for asked, at in tuple(self._under_way.items()):
                if until is not None and at > until:
                    continue
                del self._under_way[asked]
                method, model, alias, version_id = asked
                version = self._find(model, version_id)
                if version is not None and method == "move_alias":
                    self._models[model].give(alias, version)
                elif version is not None:
                    version.aliases.discard(alias)

    def _settle(self) -> None:
        """Let everything take effect whose time has come; uploads in the order of the times."""
        self.arrive(self._clock.now())
        waiting = [upload for upload in self._uploads.values() if upload.end is None]
        for upload in sorted(waiting, key=lambda upload: upload.commits_at):
            if upload.commits_at <= self._clock.now():
                upload.end = self._end(upload)

    def _end(self, upload: HeldUpload) -> Operation:
        if self.failing:
            return self.failing.pop(0)
        if upload.is_first and upload.model in self._models:
            return Operation(done=True, error=f"model {upload.model} exists", lasting=False)
        version = self._add(upload.model, upload.display_name, upload.artifact_uri, marked=True, at=upload.commits_at)
        return Operation(done=True, version_id=str(version.number))

    def _add(self, model: str, name: str, artifact_uri: str, *, marked: bool, at: datetime) -> HeldVersion:
        there = self._models.setdefault(model, HeldModel(name, marked))
        return there.add(artifact_uri, at + timedelta(seconds=self.list_lag), marked=marked)
