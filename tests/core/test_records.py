"""Since when a model is behind its source: the rows of `behind_since`'s table."""

from __future__ import annotations

import pytest

from bridge.core.model import ModelKey, State
from bridge.core.records import Status, behind_since

EIGHT, NINE = "2026-01-05T08:00:00+00:00", "2026-01-05T09:00:00+00:00"
BEHIND = [state for state in State if state is not State.SYNCED]


def status(state: State, since: str | None) -> Status:
    return Status(ModelKey("fraud", "fraud"), state, "", "", "fraud", NINE, None, behind_since=since)


@pytest.mark.parametrize("before", [None, *(status(state, EIGHT) for state in State)])
def test_what_is_synced_is_not_behind_whatever_was(before: Status | None) -> None:
    assert behind_since(status(State.SYNCED, NINE), before) is None


@pytest.mark.parametrize("state", BEHIND)
@pytest.mark.parametrize("before", BEHIND)
@pytest.mark.parametrize("said", [NINE, None])
def test_what_is_behind_stays_behind_since_the_same_time(state: State, before: State, said: str | None) -> None:
    assert behind_since(status(state, said), status(before, EIGHT)) == EIGHT


@pytest.mark.parametrize("state", BEHIND)
@pytest.mark.parametrize("before", [None, *(status(state, None) for state in State)])
@pytest.mark.parametrize("said", [NINE, None])
def test_what_was_not_behind_is_so_since_the_status_says(state: State, before: Status | None, said: str | None) -> None:
    assert behind_since(status(state, said), before) == said
