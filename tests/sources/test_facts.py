"""What is known of a model: what the source tells, and what an MLmodel file among its files says."""

from __future__ import annotations

from bridge.core.model import Facts
from bridge.sources.facts import facts_in
from bridge.sources.mlmodel import MOST_BYTES
from bridge.testing.source import MemorySource

PATH = "acme_org/wandb-registry-model/fraud"
MLMODEL = b"""\
flavors:
  python_function: {python_version: 3.11.7}
  xgboost: {data: model.ubj, xgb_version: 2.1.4}
run_id: a-run
"""
TOLD = Facts(python="3.10.1", metrics={"auc": 0.9}, framework="sklearn")


def known(files: dict[str, bytes], told: Facts = TOLD) -> Facts:
    source = MemorySource()
    version = source.publish(PATH, files)
    return facts_in(source, version, source.describe(version).files, told)


def test_without_an_mlmodel_file_what_is_told_is_known() -> None:
    assert known({"model.pkl": b"1", "deeper/MLmodel": MLMODEL}) == TOLD


def test_an_mlmodel_file_adds_its_flavors_and_knows_python_better() -> None:
    facts = known({"MLmodel": MLMODEL})

    assert facts.flavors["xgboost"] == {"data": "model.ubj", "xgb_version": "2.1.4"}
    assert (facts.python, facts.run_id, facts.metrics, facts.framework) == ("3.11.7", "a-run", {"auc": 0.9}, "sklearn")


def test_a_run_that_the_source_tells_is_believed_before_the_files() -> None:
    assert known({"MLmodel": MLMODEL}, Facts(run_id="told")).run_id == "told"


def test_an_mlmodel_file_that_cannot_be_read_is_noted_and_stops_nothing() -> None:
    facts = known({"MLmodel": b"flavors: &a {}"})

    assert facts.flavors == {}
    assert facts.unread is not None
    assert "anchors" in facts.unread


def test_of_a_huge_mlmodel_file_only_a_little_is_read() -> None:
    source = MemorySource()
    version = source.publish(PATH, {"MLmodel": b"#" * (MOST_BYTES * 3)})
    facts = facts_in(source, version, source.describe(version).files, Facts())

    assert facts.unread is not None
    assert "larger than 1 MiB" in facts.unread
