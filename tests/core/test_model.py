"""The nouns: how they read, and the two questions they answer."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

from bridge.core import changes, desired, errors, model, records, settling
from bridge.core.model import Alias, RemovalGuard
from tests.core.builders import KEY, foreign, ours, source, version, vertex


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (KEY, "fraud/fraud"),
        (version("v7"), "acme_org/wandb-registry-model/fraud-detector:v7"),
        (RemovalGuard(), "30% (and at least 3)"),
        (RemovalGuard(0.05, 1), "5% (and at least 1)"),
    ],
    ids=["a key", "a source version", "the guard", "another guard"],
)
def test_a_value_reads_as(value: object, text: str) -> None:
    assert str(value) == text


def test_a_source_version_is_found_by_its_id() -> None:
    assert source("v6", "v7").version("id-v7") == version("v7")


def test_a_source_version_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="id-v8"):
        source("v6", "v7").version("id-v8")


def test_an_aliass_holder_is_the_version_that_carries_it() -> None:
    actual = vertex(ours("v6", "staging"), foreign("9", "production"))
    assert actual.holder(Alias("production")) == foreign("9", "production")
    assert actual.holder(Alias("champion")) is None


@pytest.mark.parametrize(
    "module", [changes, desired, errors, model, records, settling], ids=lambda module: module.__name__
)
def test_every_value_of_the_core_is_frozen_and_has_slots(module: object) -> None:
    values = [each for _, each in inspect.getmembers(module, dataclasses.is_dataclass)]
    assert values
    for value in values:
        assert vars(value)["__dataclass_params__"].frozen, value
        assert "__slots__" in vars(value), value
