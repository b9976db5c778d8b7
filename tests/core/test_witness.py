"""Whoever is to hear of what happens, hears of all of it, and need not care."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.core.changes import RemoveAlias
from bridge.core.errors import NeedsPerson
from bridge.core.model import Alias, ModelKey, ModelVersion, SourceVersion, State, TargetState, VersionRef
from bridge.core.records import Progress, Status
from bridge.core.witness import Audience, Witness

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.core.changes import Change
    from bridge.core.errors import BridgeError

KEY = ModelKey("fraud", "fraud")
CHANGE = RemoveAlias(Alias("production"), VersionRef("6", "v6"))
STATUS = Status(KEY, State.SYNCED, "", "", "fraud-detector", "2026-01-05T09:00:00+00:00", None)
PROBLEM = NeedsPerson("no", "mend it")
PROGRESS = Progress(SourceVersion("acme", "fraud-detector", "v7", "id", None, ""), 1, 2, 10, 20, 1.0, None)


class Notes(Witness):
    """Writes all of it down."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def answered(self, api: str, status: int | None) -> None:
        self.heard.append((api, status))

    def copied(self, progress: Progress) -> None:
        self.heard.append(progress)

    def due(self, key: ModelKey) -> None:
        self.heard.append(key)

    def made(self, key: ModelKey, change: Change) -> None:
        self.heard.append((key, change))

    def failed(self, key: ModelKey, change: Change, problem: BridgeError) -> None:
        self.heard.append((key, change, problem))

    def doubled(self, key: ModelKey, versions: int) -> None:
        self.heard.append((key, versions))

    def stood(self, status: Status) -> None:
        self.heard.append(status)

    def swept(self, connection: str, well: Iterable[str]) -> None:
        self.heard.append((connection, list(well)))


def test_an_audience_hears_of_all_and_one_that_only_sits_there_does_no_harm() -> None:
    one, another, audience = Notes(), Notes(), Audience()
    audience.members += [Witness(), one, another]

    audience.answered("wandb", 200)
    audience.copied(PROGRESS)
    audience.due(KEY)
    audience.made(KEY, CHANGE)
    audience.failed(KEY, CHANGE, PROBLEM)
    audience.doubled(KEY, 1)
    audience.stood(STATUS)
    audience.swept("acme", iter(["fraud"]))

    assert one.heard == [
        ("wandb", 200),
        PROGRESS,
        KEY,
        (KEY, CHANGE),
        (KEY, CHANGE, PROBLEM),
        (KEY, 1),
        STATUS,
        ("acme", ["fraud"]),
    ]
    assert another.heard == one.heard


def test_versions_of_ours_in_one_folder_are_doubles_and_those_of_others_are_not() -> None:
    def version(number: str, uri: str, *, ours: bool = True) -> ModelVersion:
        return ModelVersion(number, uri, frozenset(), ours)

    folder = "gs://models/fraud/v1/"
    seen = TargetState("fraud", exists=True, versions=(version("1", folder), version("2", "gs://models/fraud/v2/")))
    assert seen.doubled == 0
    foreign = TargetState("fraud", exists=True, versions=(version("1", folder), version("2", folder, ours=False)))
    assert foreign.doubled == 0
    twice = TargetState("fraud", exists=True, versions=(version("1", folder), version("3", folder)))
    assert twice.doubled == 1
