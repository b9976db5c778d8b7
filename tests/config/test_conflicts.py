"""What two mappings cannot both mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.config.folders import PROD

if TYPE_CHECKING:
    from tests.config.folders import Folder

PATTERN = "{from: acme, registry: model, collection: {regex: '(?P<task>[a-z]+)'}}"


def test_two_mappings_of_one_name_are_an_error_that_shows_both(folder: Folder) -> None:
    folder.mapping(file="other.yaml", target="{to: prod, model: other}")
    assert folder.wrong() == ["mappings/other.yaml:2:11: a mapping is already named 'fraud' (mappings/fraud.yaml:2:11)"]


def test_two_mappings_that_write_one_model_are_an_error_that_shows_both(folder: Folder) -> None:
    folder.mapping("copy", file="other.yaml", target="{to: prod, model: fraud}")
    assert folder.wrong() == [
        (
            "mappings/other.yaml:4:31: mapping 'copy' writes the Vertex model 'fraud', "
            "as mapping 'fraud' does (mappings/fraud.yaml:4:31); give it another"
        )
    ]


def test_a_registry_under_two_names_is_one_registry(folder: Folder) -> None:
    folder.bridge(f"  again: {PROD}\n  far: {PROD.replace('europe-west4', 'us-central1')}\n")
    folder.mapping("copy", file="other.yaml", target="{to: again, model: fraud}")
    folder.mapping("far", file="third.yaml", target="{to: far, model: fraud}")
    assert [message.split(": ")[0] for message in folder.wrong()] == ["mappings/other.yaml:4:32"]


def test_the_same_model_is_found_even_if_bridge_yaml_is_wrong(folder: Folder) -> None:
    folder.bridge("zzz: 1\nowner: NO\n")
    folder.mapping("copy", file="other.yaml", target="{to: prod, model: fraud}")
    assert [message.split(": ")[0] for message in folder.wrong()] == [
        "bridge.yaml:4:1",
        "bridge.yaml:5:8",
        "mappings/other.yaml:4:31",
    ]


def test_two_patterns_with_one_template_are_an_error(folder: Folder) -> None:
    folder.mapping("one", file="fraud.yaml", source=PATTERN, target="{to: prod, model: 'x-{task}'}")
    folder.mapping("two", file="other.yaml", source=PATTERN, target="{to: prod, model: 'x-{task}'}")
    folder.mapping("three", file="third.yaml", source=PATTERN, target="{to: prod, model: 'y-{task}'}")
    assert folder.wrong() == [
        (
            "mappings/other.yaml:4:31: mapping 'two' writes the Vertex model 'x-{task}', "
            "as mapping 'one' does (mappings/fraud.yaml:4:31); give it another"
        )
    ]
