"""When a model is worked on: the rows of `why_now`'s table, and pauses that grow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from bridge.core.model import ModelKey, State
from bridge.core.records import Status
from bridge.core.retrying import LONGEST, LOOKS_EVERY, looks_on, pause_after, why_now

NINE = datetime(2026, 1, 5, 9, tzinfo=UTC)
BEFORE, AFTER = (NINE - timedelta(seconds=1)).isoformat(), (NINE + timedelta(seconds=1)).isoformat()


def status(fingerprint: str | None, tried: str | None, next_try: str | None = None, attempt: int = 0) -> Status:
    key = ModelKey("fraud", "fraud")
    return Status(key, State.FAILED, "", "", "fraud", NINE.isoformat(), fingerprint, attempt, next_try, tried)


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (None, "it is new"),
        (status("now", "now"), None),
        (status("now", None), None),  # a source that could not be read is back, and says the same
        (status("earlier", "earlier"), "it has changed"),
        (status(None, None), "it has changed"),  # a process died in its middle
        (status(None, "earlier", AFTER, 3), "it has changed"),
        (status(None, "now", BEFORE, 1), "try 2"),
        (status(None, "now", NINE.isoformat(), 4), "try 5"),
        (status(None, "now", BEFORE, 0), "what held it has ended"),
        (status(None, "now", AFTER, 1), None),
        (status(None, "now"), None),  # a person is needed
        (status("earlier", "now"), None),
    ],
)
def test_a_model_is_worked_on_when_it_has_changed_or_its_time_has_come(before: Status | None, why: str | None) -> None:
    assert why_now("now", before, NINE) == why


def test_pauses_double_up_to_an_hour() -> None:
    pauses = [pause_after(attempt, None, 0).total_seconds() for attempt in (1, 2, 3, 4, 10, 11, 10_000)]

    assert pauses == [5, 10, 20, 40, 2560, LONGEST, LONGEST]


@given(st.integers(1, 50), st.floats(0, 1, exclude_max=True))
def test_chance_takes_up_to_half_of_a_pause_away(attempt: int, chance: float) -> None:
    longest = pause_after(attempt, None, 0)

    assert longest / 2 <= pause_after(attempt, None, chance) <= longest


@given(st.integers(1, 50), st.floats(0, 86_400), st.floats(0, 1, exclude_max=True))
def test_a_pause_is_never_shorter_than_a_service_asked_for(attempt: int, asked: float, chance: float) -> None:
    assert pause_after(attempt, asked, chance) >= timedelta(seconds=asked)


@pytest.mark.parametrize(
    ("next_try", "awaited", "then"),
    [
        pytest.param(None, timedelta(hours=1), LOOKS_EVERY, id="well"),
        pytest.param(None, timedelta(seconds=5), timedelta(seconds=5), id="soon over"),
        pytest.param(timedelta(seconds=1), timedelta(hours=1), timedelta(seconds=1), id="tried sooner"),
        pytest.param(timedelta(hours=2), timedelta(hours=1), LOOKS_EVERY, id="held for longer"),
    ],
)
def test_a_model_of_which_something_is_awaited_is_looked_at_again_whatever_its_state(
    next_try: timedelta | None, awaited: timedelta, then: timedelta
) -> None:
    before = status("now", "now", (NINE + next_try).isoformat() if next_try else None)

    looked = looks_on(before, NINE + awaited, NINE)

    assert looked.next_try == (NINE + then).isoformat()
    assert why_now("now", looked, NINE) is None
    assert why_now("now", looked, NINE + then) is not None


def test_a_model_of_which_nothing_is_awaited_is_left_as_it_is() -> None:
    before = status("now", "now")

    assert looks_on(before, None, NINE) is before
