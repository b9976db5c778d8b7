"""How errors read, and which is a kind of which."""

from __future__ import annotations

import pytest

from bridge.core.errors import (
    BridgeError,
    ConfigError,
    ConfigErrors,
    IntegrityError,
    NeedsPerson,
    Position,
    TryAgain,
)

AT = Position("mappings/fraud.yaml", 8, 5)


def test_a_position_reads_as_file_line_and_column() -> None:
    assert str(AT) == "mappings/fraud.yaml:8:5"


def test_an_error_in_a_file_begins_with_its_place() -> None:
    error = ConfigError("unknown key 'alias'; did you mean 'aliases'?", AT, "    alias: {}")
    assert str(error) == "mappings/fraud.yaml:8:5: unknown key 'alias'; did you mean 'aliases'?"
    assert (error.message, error.at, error.excerpt) == (
        "unknown key 'alias'; did you mean 'aliases'?",
        AT,
        "    alias: {}",
    )


def test_an_error_without_a_place_is_its_message() -> None:
    error = ConfigError("bridge.yaml does not exist")
    assert str(error) == error.message == "bridge.yaml does not exist"
    assert (error.at, error.excerpt) == (None, None)


def test_of_a_mistake_that_is_everywhere_the_first_ones_are_told() -> None:
    wrong = ConfigErrors(tuple(ConfigError(f"mistake {number}") for number in range(10_000)))
    assert len(wrong.errors) == 10_000
    told = str(wrong).splitlines()
    assert (len(told), told[0], told[19], told[20]) == (
        21,
        "mistake 0",
        "mistake 19",
        "… and 9980 more; mend these first",
    )
    assert str(ConfigErrors(wrong.errors[:20])).splitlines() == told[:20]


def test_all_that_is_wrong_reads_as_one_line_each_in_order() -> None:
    errors = ConfigErrors((ConfigError("first", AT), ConfigError("second")))
    assert str(errors) == "mappings/fraud.yaml:8:5: first\nsecond"
    assert [error.message for error in errors.errors] == ["first", "second"]


def test_what_may_succeed_later_says_when_if_anybody_said() -> None:
    told = TryAgain("W&B answered 429", after=1.5, nothing_happened=True)
    assert (str(told), told.reason, told.after, told.nothing_happened) == ("W&B answered 429",) * 2 + (1.5, True)


def test_what_may_succeed_later_may_have_happened_unless_it_says_otherwise() -> None:
    untold = TryAgain("the connection broke")
    assert (untold.after, untold.nothing_happened) == (None, False)


@pytest.mark.parametrize("kind", [NeedsPerson, IntegrityError])
def test_what_needs_a_person_reads_as_reason_and_remedy(kind: type[NeedsPerson]) -> None:
    error = kind("the bytes differ", "log the version again")
    assert str(error) == "the bytes differ; log the version again"
    assert (error.reason, error.remedy) == ("the bytes differ", "log the version again")


@pytest.mark.parametrize("kind", [ConfigError, ConfigErrors, TryAgain, NeedsPerson])
def test_every_error_is_one_that_the_bridge_knows_how_to_report(kind: type[Exception]) -> None:
    assert issubclass(kind, BridgeError)


def test_wrong_bytes_need_a_person_and_are_never_tried_again_by_themselves() -> None:
    assert issubclass(IntegrityError, NeedsPerson)
    assert not issubclass(NeedsPerson, TryAgain)
