"""
One look at all that is watched, in few requests.

    request                                                   how often
    the versions that were changed last, 100                  every time, first; larger if they do not reach back
    the watched models with their aliases                     every time; by name, by tag, or all in pages of 1,000
    all models and all versions                               the first time, and every ten minutes
    one model by its name                                     if a look should have shown it, and did not
    one model's versions                                      if the model says something else than is remembered
    one version                                               if an alias is on one that nobody has seen

Moving an alias moves no time of MLflow's (measured with mlflow 3.17.2), so aliases are read each time.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bridge.core.errors import BridgeError, NeedsPerson, NotFound
from bridge.core.model import Sweep
from bridge.sources.mlflow.catalogue import Catalogue
from bridge.sources.mlflow.filters import among, named, tagged
from bridge.sources.mlflow.session import MODELS_PAGE, VERSIONS_PAGE
from bridge.sources.mlflow.states import asked_for, state_of
from bridge.sources.waiting import within

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from bridge.core.model import CollectionSelector, SourceState
    from bridge.core.ports import Clock
    from bridge.sources.mlflow.records import Model
    from bridge.sources.mlflow.session import MlflowSession

PATIENCE = 8.0  # seconds for the first answer: so long a server that takes connections and is silent is waited for
NEWEST = 100  # versions in the first answer
MOST_SINGLE = 10  # models whose versions are read one by one, before all are


class Watcher:
    """Remembers a registry from sweep to sweep. Thread-safe: one sweep at a time."""

    def __init__(self, session: MlflowSession, clock: Clock, full_every: timedelta) -> None:
        self._session = session
        self._clock = clock
        self._full_every = full_every
        self._lock = threading.Lock()
        self._catalogue = Catalogue()
        self._full_at: datetime | None = None

    def sweep(self, selectors: Sequence[CollectionSelector]) -> Sweep:
        """See Source.sweep."""
        if not selectors:
            return Sweep({}, {})
        with self._lock:
            self._read_newest()
            look = _Look(self._session, self._catalogue, selectors)
            now = self._clock.now()
            is_full = self._full_at is None or now - self._full_at >= self._full_every or not self._catalogue.models
            look.read(is_full=is_full)
            if is_full:
                self._full_at = now
            return look.result()

    def _read_newest(self) -> None:
        """
        Read the versions that were changed since the last look, and some from before.

        They are asked for again from the first on, if they are more than expected: of two pages the second may
        hide what the first did not yet show.
        """
        session, asked = self._session, NEWEST
        newest = within(PATIENCE, lambda: session.newest_versions(NEWEST), f"an answer of {session.failures.where}")
        while not self._catalogue.reaches_back(newest, asked) and asked < VERSIONS_PAGE:
            asked = min(asked * 10, VERSIONS_PAGE)
            newest = session.newest_versions(asked)
        self._catalogue.take_newest(newest)


class _Look:
    """One sweep under way."""

    def __init__(self, session: MlflowSession, catalogue: Catalogue, selectors: Sequence[CollectionSelector]) -> None:
        self._session = session
        self._catalogue = catalogue
        self._selectors = list(dict.fromkeys(selectors))
        self._before = {name: model.created for name, model in catalogue.models.items()}
        self._seen: dict[str, Model] = {}
        self._is_blind = False  # everything was asked for, and nothing shown
        self._missing: dict[str, NotFound] = {}  # by name of a model
        self._problems: dict[str, BridgeError] = {}  # the same
        self._chosen: dict[CollectionSelector, list[Model]] = {}

    def read(self, *, is_full: bool) -> None:
        """Ask for all that is needed."""
        is_whole = self._list(None if is_full else self._filters())
        if is_full:
            self._catalogue.take_all_versions(self._session.versions())
        self._is_blind = is_whole and not self._seen
        for selector in self._selectors:
            self._find_missing(selector)
        if is_whole:
            self._catalogue.forget(self._catalogue.models.keys() - self._seen.keys() - self._problems.keys())
        for selector in self._selectors:
            self._chosen[selector] = self._choose(selector)
        self._read_doubtful({model.name: model for models in self._chosen.values() for model in models})
        for selector, models in self._chosen.items():
            for model in models:
                self._read_unknown(selector, model)

    def result(self) -> Sweep:
        """Sum up what is known now."""
        found: dict[CollectionSelector, tuple[SourceState, ...]] = {}
        failed: dict[CollectionSelector, BridgeError] = {}
        for selector, models in self._chosen.items():
            problem = self._problem(selector)
            if problem is not None:
                failed[selector] = problem
                continue
            uri = self._session.tracking_uri
            found[selector] = tuple(
                state_of(selector, model, self._catalogue.versions(model.name), uri) for model in models
            )
        return Sweep(found, failed)

    # which models

    def _filters(self) -> list[str] | None:
        """Return the filters that show what is watched, or None if it takes fewer requests to read everything."""
        by_tag = {tagged(selector.tags) for selector in self._selectors if selector.is_pattern and selector.tags}
        names = [
            name
            for selector in self._selectors
            if not (selector.is_pattern and selector.tags)
            for name in self._catalogue.candidates(selector)
        ]
        filters, never = among(names)
        filters += sorted(written for written in by_tag if written is not None)
        pages = -(-len(self._catalogue.models) // MODELS_PAGE)
        return None if None in by_tag or len(filters) + len(never) > pages else filters

    def _list(self, filters: list[str] | None) -> bool:
        """See what the filters show, or all; tell whether it was all, as it is where the filters are refused."""
        if filters is not None:
            try:
                for written in filters:
                    self._see_all(written)
            except NeedsPerson:  # an older server knows no IN, and one behind a proxy takes no long address
                pass
            else:
                return False
        self._see_all("")
        return True

    def _see_all(self, written: str) -> None:
        for model in self._session.models(written):
            self._see(model)

    def _see(self, model: Model) -> None:
        self._seen[model.name] = model
        self._catalogue.take_model(model)

    def _find_missing(self, selector: CollectionSelector) -> None:
        """Ask by name for what should have been shown; what fails ends that, since the others may fail alike."""
        if selector.is_pattern and self._is_blind:
            return
        for name in self._catalogue.candidates(selector):
            if name not in self._seen and self._is_expected(selector, name):
                self._ask_for(name)
            if name in self._problems:
                return

    def _is_expected(self, selector: CollectionSelector, name: str) -> bool:
        if name in self._missing or name in self._problems:
            return False
        if not selector.is_pattern or not selector.tags:
            return True
        return name in self._catalogue.models and _carries(self._catalogue.models[name], selector)

    def _ask_for(self, name: str) -> None:
        try:
            self._see(self._session.model(name))
        except NotFound as gone:
            self._missing[name] = gone
            self._catalogue.drop(name)
        except BridgeError as problem:
            self._problems[name] = problem

    def _choose(self, selector: CollectionSelector) -> list[Model]:
        readable = self._seen.keys() - self._problems.keys()
        names = [name for name in self._catalogue.candidates(selector) if name in readable]
        return [self._seen[name] for name in names if _carries(self._seen[name], selector)]

    # their versions

    def _read_doubtful(self, watched: Mapping[str, Model]) -> None:
        stages = frozenset(stage for selector in self._selectors for stage in selector.stages)
        doubtful = [
            name
            for name, model in watched.items()
            if self._before.get(name, model.created) != model.created or self._catalogue.is_doubtful(model, stages)
        ]
        if len(doubtful) > MOST_SINGLE or any(named(name) is None for name in doubtful):
            self._catalogue.take_all_versions(self._session.versions())
            return
        for name in doubtful:
            try:
                self._catalogue.take_versions(name, self._session.versions(named(name) or ""))
            except BridgeError as problem:
                self._problems[name] = problem

    def _read_unknown(self, selector: CollectionSelector, model: Model) -> None:
        """Ask for the versions that an alias is on, and that no look has shown."""
        for number in sorted(asked_for(selector, model).values()):
            if number in self._catalogue.versions(model.name):
                continue
            try:
                self._catalogue.take_version(self._session.version(model.name, number))
            except NotFound:
                continue  # the state will say that it is not complete
            except BridgeError as problem:
                self._problems[model.name] = problem

    # what could not be read

    def _problem(self, selector: CollectionSelector) -> BridgeError | None:
        where = self._session.failures.where
        if selector.is_pattern:
            if self._is_blind:
                return NeedsPerson(
                    f"{where} shows no model to this account; without permission MLflow answers an empty list",
                    "grant the account READ on the models, or register one",
                )
            # A model that may not be read is left out, unless it was all there is: who knew it asks for it by name.
            names = () if self._chosen[selector] else self._catalogue.candidates(selector)
            return next((self._problems[name] for name in names if name in self._problems), None)
        if selector.name in self._problems:
            return self._problems[selector.name]
        if selector.name in self._missing:
            return self._renamed(selector.name) or self._missing[selector.name]
        if not self._chosen[selector]:
            return NotFound(
                f"{where} has a registered model {selector.name!a}, but without the tags that the mapping asks for",
                "tag the model, or take the tags out of the mapping",
            )
        return None

    def _renamed(self, name: str) -> NotFound | None:
        new = self._catalogue.new_name(name)
        if new is None:
            return None
        return NotFound(
            f"{self._session.failures.where} has no registered model {name!a} any longer: it was renamed to {new!a}",
            f"name {new!a} in the mapping",
        )


def _carries(model: Model, selector: CollectionSelector) -> bool:
    return selector.tags <= {f"{key}={value}" for key, value in model.tags.items()}
