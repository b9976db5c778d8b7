"""A Vertex AI Model Registry in memory, with the moods of the real one as knobs."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.model import DEFAULT, Alias, ModelVersion, TargetState
from bridge.core.records import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from bridge.core.errors import BridgeError
    from bridge.core.model import Container, Facts, SourceVersion
    from bridge.core.ports import Clock


@dataclass
class _Version:
    number: int
    artifact_uri: str
    marked: bool
    listed_from: datetime
    aliases: set[Alias] = field(default_factory=set)


@dataclass
class _Model:
    name: str
    marked: bool  # labels of the first upload belong to the model, where label_scope says so
    versions: list[_Version] = field(default_factory=list)
    given: int = 0  # version ids are never given twice

    def version(self, version_id: str) -> _Version | None:
        return next((version for version in self.versions if str(version.number) == version_id), None)


@dataclass
class _Upload:
    name: str  # of the operation
    model: str
    display_name: str
    artifact_uri: str
    is_first: bool  # it asks for a new model
    commits_at: datetime
    end: Operation | None  # None: not yet; otherwise how it ends, once it is time


class MemoryRegistry:
    """
    The Registry port over dicts: models of one project and location, as one owner sees them.

    An upload takes effect `commit_delay` seconds after it was asked for, and its version is listed
    `list_lag` seconds after that. Attributes that a test may change at any time:

    - `lost_replies["register"] = 2`: the next two calls take effect, and then raise TryAgain; also for
      "move_alias" and "remove_alias",
    - `problems["observe"] = TryAgain("...")`: every call of that method raises it, and nothing happens,
    - `failing`: how the next uploads end instead of with a version, each an `Operation` with an error,
    - `interrupt`: called in the middle of an alias move that takes two requests,
    - `calls`: the methods that were called, in order,
    - `served`: what was asked for each folder, by artifact_uri.
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
        self.problems: dict[str, BridgeError] = {}
        self.failing: list[Operation] = []
        self.interrupt: Callable[[], None] = lambda: None
        self.calls: list[str] = []
        self.served: dict[str, tuple[Container, Facts]] = {}
        self._clock = clock
        self._models: dict[str, _Model] = {}
        self._uploads: dict[str, _Upload] = {}
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
            there = self._models.get(model)
            held = there.versions if there else []
            return {alias: str(version.number) for version in held for alias in sorted(version.aliases)}

    def display_name(self, model: str) -> str:
        """Return a model's name for display."""
        return self._models[model].name

    # what a person does by hand

    def add_by_hand(
        self, model: str, artifact_uri: str = "gs://elsewhere/", aliases: Iterable[str] = (), *, marked: bool = False
    ) -> str:
        """Register a version, of a new model if need be; return its id. `marked`: with the owner's label."""
        with self._lock:
            self._settle()
            version = self._add(model, model, artifact_uri, marked=marked, at=self._clock.now())
            version.listed_from = self._clock.now()
            for alias in aliases:
                self._name(self._models[model], Alias(alias), version)
            return str(version.number)

    def move_by_hand(self, model: str, alias: str, version_id: str | None) -> None:
        """Make an alias name another version; None takes it away."""
        with self._lock:
            self._settle()
            there = self._models[model]
            self._name(there, Alias(alias), there.version(version_id) if version_id else None)

    def delete_by_hand(self, model: str, version_id: str) -> None:
        """Delete a version with its aliases; `default` goes to the latest, and the model with its last version."""
        with self._lock:
            self._settle()
            there = self._models[model]
            there.versions = [version for version in there.versions if str(version.number) != version_id]
            if not there.versions:
                del self._models[model]
            elif not any(DEFAULT in version.aliases for version in there.versions):
                there.versions[-1].aliases.add(DEFAULT)

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

    def observe(self, model: str) -> TargetState:
        """See the port."""
        with self._lock:
            self._begin("observe")
            return self._observe(model)

    def version(self, model: str, version_id: str) -> ModelVersion | None:
        """See the port. `list_lag` is of lists alone."""
        with self._lock:
            self._begin("version")
            there = self._models.get(model)
            version = there.version(version_id) if there else None
            return None if there is None or version is None else self._shown(there, version)

    def register(
        self,
        model: str,
        name: str,
        version: SourceVersion,  # noqa: ARG002  what the version is at its source is not kept
        artifact_uri: str,
        container: Container,
        *,
        facts: Facts,
    ) -> str:
        """See the port."""
        with self._lock:
            self._begin("register")
            self._asked += 1
            self.served[artifact_uri] = (container, facts)
            upload = _Upload(
                f"operations/{self._asked}",
                model,
                name,
                artifact_uri,
                is_first=model not in self._models,
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
            if name not in self._uploads:
                return Operation(done=True)
            return self._uploads[name].end or Operation(done=False)

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
            there = self._models.get(model)
            version = there.version(version_id) if there else None
            if there is None or version is None:
                raise TryAgain(f"version @{version_id} of model {model} is gone")
            if self.alias_conflict == "reject" and alias != DEFAULT and alias not in version.aliases:
                self._name(there, alias, None)
                self.interrupt()
            self._name(there, alias, version)
            self._answer("move_alias")

    def remove_alias(self, model: str, alias: Alias, version_id: str) -> None:
        """See the port."""
        with self._lock:
            self._begin("remove_alias")
            there = self._models.get(model)
            version = there.version(version_id) if there else None
            if version is not None and alias in version.aliases:
                if alias == DEFAULT:
                    raise NeedsPerson(f"model {model} must have a 'default'", "move it instead")
                version.aliases.discard(alias)
            self._answer("remove_alias")

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
        listed = (self._shown(there, each) for each in there.versions if each.listed_from <= self._clock.now())
        return TargetState(model, exists=True, versions=tuple(listed))

    def _shown(self, model: _Model, version: _Version) -> ModelVersion:
        shared = model.marked and self.label_scope == "model"
        return ModelVersion(
            str(version.number), version.artifact_uri, frozenset(version.aliases), version.marked or shared
        )

    def _settle(self) -> None:
        """Let every upload take effect whose time has come, in the order of the times."""
        waiting = [upload for upload in self._uploads.values() if upload.end is None]
        for upload in sorted(waiting, key=lambda upload: upload.commits_at):
            if upload.commits_at <= self._clock.now():
                upload.end = self._end(upload)

    def _end(self, upload: _Upload) -> Operation:
        if self.failing:
            return self.failing.pop(0)
        if upload.is_first and upload.model in self._models:
            return Operation(done=True, error=f"model {upload.model} exists", lasting=False)
        version = self._add(upload.model, upload.display_name, upload.artifact_uri, marked=True, at=upload.commits_at)
        return Operation(done=True, version_id=str(version.number))

    def _add(self, model: str, name: str, artifact_uri: str, *, marked: bool, at: datetime) -> _Version:
        there = self._models.setdefault(model, _Model(name, marked))
        there.given += 1
        version = _Version(there.given, artifact_uri, marked, at + timedelta(seconds=self.list_lag))
        if not there.versions:
            version.aliases.add(DEFAULT)
        there.versions.append(version)
        return version

    def _name(self, model: _Model, alias: Alias, version: _Version | None) -> None:
        for each in model.versions:
            each.aliases.discard(alias)
        if version is not None:
            version.aliases.add(alias)
