"""
What is remembered of a registry between two sweeps, and what that says is to be asked. Pure.

No answer of MLflow's proves that something is gone, but a 404 to its own name: pages are offsets, and searches
leave out without a word what the account may not read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.sources.mlflow.records import PENDING, Model, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.core.model import CollectionSelector

OVERLAP = 2 * 60 * 1000  # ms; a server takes the time before it commits, so a row may show after a newer one

MOST_FORMER = 1000  # models that are gone, and still remembered


class Catalogue:
    """Models and versions as they were last seen."""

    def __init__(self) -> None:
        self.models: dict[str, Model] = {}
        self.former: dict[str, dict[int, Version]] = {}  # of models that are gone: for what became of them
        self._versions: dict[str, dict[int, Version]] = {}
        self._watermark: int | None = None  # ms, by the server's clock

    def versions(self, name: str) -> dict[int, Version]:
        """Return a model's versions by number."""
        return self._versions.get(name, {})

    def names(self) -> set[str]:
        """Return the names of all models that are known, also if by a version only."""
        return self.models.keys() | self._versions.keys()

    # the newest versions

    def reaches_back(self, newest: list[Version], asked: int) -> bool:
        """
        Tell whether these versions, newest first, go back to what was known before.

        They do if they end well before it, or bring nothing new: then a row that shows late is found by its model.
        """
        if len(newest) < asked or self._watermark is None or newest[-1].updated < self._watermark - OVERLAP:
            return True
        return all(self.versions(each.model).get(each.number) == each for each in newest)

    def take_newest(self, newest: Iterable[Version]) -> None:
        """Take in the versions that were changed last."""
        for version in newest:
            self.take_version(version)
            self._watermark = max(self._watermark or 0, version.updated)

    # looks at everything, or at one model

    def take_all_versions(self, versions: Iterable[Version]) -> None:
        """Take in the versions of all models; what is not among them is not remembered any longer."""
        self._versions = {}
        for version in versions:
            self.take_version(version)

    def take_versions(self, name: str, versions: Iterable[Version]) -> None:
        """Take in all versions of one model."""
        self._versions[name] = {version.number: version for version in versions if version.model == name}

    def take_version(self, version: Version) -> None:
        """Take in one version."""
        self._versions.setdefault(version.model, {})[version.number] = version

    def take_model(self, model: Model) -> None:
        """Take in a model."""
        self.models[model.name] = model
        self.former.pop(model.name, None)

    def drop(self, name: str) -> None:
        """Take in that there is no such model."""
        self.models.pop(name, None)
        known = self._versions.pop(name, None)
        if known:
            self.former[name] = known
        if len(self.former) > MOST_FORMER:
            self.former.pop(next(iter(self.former)))

    def forget(self, names: Iterable[str]) -> None:
        """Forget models that nobody watches: whether they are there is not known."""
        for name in names:
            self.models.pop(name, None)

    # what to ask

    def candidates(self, selector: CollectionSelector) -> Iterator[str]:
        """Go through the names that a selector may mean; its tags are not looked at."""
        if not selector.is_pattern:
            yield selector.name
            return
        pattern = re.compile(selector.name)
        yield from (name for name in sorted(self.names()) if pattern.fullmatch(name))

    def is_doubtful(self, model: Model, stages: frozenset[str]) -> bool:
        """
        Tell whether what is remembered of a model's versions may not be so; `stages` are those that matter.

        A version that was deleted is not among the newest, but no longer the highest of its stage either: the model
        shows that, unless the stage has another that is higher. One that is being registered is asked for again,
        since nobody promises that its time moves when it is ready. What is older than the model is of one of the
        same name that was deleted.
        """
        known = self.versions(model.name)
        highest: dict[str, Version] = {}
        for number in sorted(known):
            highest[known[number].stage] = known[number]
        shared = [each.stage for each in known.values() if each.stage in stages]
        return (
            set(highest.values()) != set(model.highest)
            or len(shared) != len(set(shared))
            or any(each.status == PENDING or each.created < model.created for each in known.values())
        )

    def new_name(self, name: str) -> str | None:
        """Return what a model is called now that was once `name`: its versions keep numbers and times of creation."""
        was = {(each.number, each.created) for each in self.former.get(name, {}).values()}
        for other, versions in self._versions.items():
            if other != name and was & {(each.number, each.created) for each in versions.values()}:
                return other
        return None
