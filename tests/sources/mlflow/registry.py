"""A registry in memory that a Watcher looks at, for what a real server does too seldom to wait for."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.core.errors import NotFound, TryAgain
from bridge.sources.mlflow.records import READY, Model, Version
from bridge.sources.mlflow.session import MlflowSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.core.errors import BridgeError


class Registry(MlflowSession):
    """
    Answers as a tracking server would; `asked` lists the requests.

    `hidden` models are missing from lists, `denied` says what asking by name fails with, and `meanwhile` is
    called before each answer, with what is asked.
    """

    def __init__(self) -> None:
        super().__init__("acme", "http://mlflow.test")
        self.records: dict[str, Model] = {}
        self.rows: dict[str, dict[int, Version]] = {}
        self.hidden: set[str] = set()
        self.denied: dict[str, BridgeError] = {}
        self.meanwhile: Callable[[str], object] = lambda _: None
        self.asked: list[str] = []
        self.time = 1_000_000_000_000

    # what people do

    def make(self, name: str, versions: int = 1, **aliases: int) -> None:
        self.time += 1
        self.records[name] = Model(name, self.time, aliases)
        self.rows[name] = {}
        for number in range(1, versions + 1):
            self.put(name, number)

    def put(self, name: str, number: int, stage: str = "None", status: str = READY) -> None:
        self.time += 1
        old = self.rows[name].get(number)
        created = old.created if old else self.time
        self.rows[name][number] = Version(name, number, created, self.time, stage, status, f"s3://b/{name}/{number}")

    def drop(self, name: str) -> None:
        del self.records[name], self.rows[name]

    def rename(self, old: str, new: str) -> None:
        self.time += 1
        self.records[new] = replace(self.records.pop(old), name=new)
        self.rows[new] = {
            number: replace(version, model=new, updated=self.time) for number, version in self.rows.pop(old).items()
        }

    # what is answered

    def newest_versions(self, most: int) -> list[Version]:
        self._ask(f"newest {most}")
        return sorted(self._all(), key=lambda version: (-version.updated, version.model))[:most]

    def versions(self, written: str = "") -> list[Version]:
        self._ask(f"versions {written}".strip())
        found = re.fullmatch(r"name = (.*)", written)
        only = None if found is None else ast.literal_eval(found[1])
        return [version for version in self._all() if only in (None, version.model)]

    def models(self, written: str = "") -> list[Model]:
        self._ask(f"models {written}".strip())
        names = set(self.records) - self.hidden
        if found := re.fullmatch(r"name IN \((.*)\)", written):
            names &= set(ast.literal_eval(f"[{found[1]}]"))
        return [self._model(name) for name in sorted(names)]

    def model(self, name: str) -> Model:
        self._ask(f"model {name}")
        if name in self.denied:
            raise self.denied[name]
        if name not in self.records:
            raise NotFound(f"no {name}", "check")
        return self._model(name)

    def version(self, name: str, number: int) -> Version:
        self._ask(f"version {name}/{number}")
        if number not in self.rows.get(name, {}):
            raise NotFound(f"no {name}/{number}", "check")
        return self.rows[name][number]

    def _all(self) -> list[Version]:
        return [version for name, rows in self.rows.items() if name not in self.hidden for version in rows.values()]

    def _model(self, name: str) -> Model:
        highest = {version.stage: version for _, version in sorted(self.rows[name].items())}
        return replace(self.records[name], highest=tuple(highest.values()))

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        self.meanwhile(what)


UNWELL = TryAgain("unwell")
