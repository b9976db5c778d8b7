"""What a version says of itself, and what a file that is no honest MLmodel file gets."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, strategies as st

from bridge.core.errors import NeedsPerson
from bridge.core.model import Facts
from bridge.sources.mlmodel import metadata_facts, read_mlmodel

REMEDY = "log the version again with mlflow's log_model, or with a file of another name"

# As mlflow 3.17.2 writes it.
SKLEARN = b"""\
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: model.pkl
    predict_fn: predict
    python_version: 3.11.7
  sklearn:
    code: null
    pickled_model: model.pkl
    serialization_format: cloudpickle
    sklearn_version: 1.9.1
    skops_trusted_types: null
is_signature_from_type_hint: false
mlflow_version: 3.17.2
model_id: m-1b2c
model_size_bytes: 728
run_id: 0c1d4f5e8a9b4c6d8e7f0a1b2c3d4e5f
signature:
  inputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
  params: null
utc_time_created: '2026-11-25 20:13:46.569539'
"""


def refused(content: bytes) -> str:
    """Return why a file is refused."""
    with pytest.raises(NeedsPerson) as refusal:
        read_mlmodel(content, "MLmodel")
    assert refusal.value.remedy == REMEDY
    return refusal.value.reason.removeprefix("'MLmodel' cannot be read: ")


def test_an_mlmodel_file_says_what_the_model_is() -> None:
    facts = read_mlmodel(SKLEARN, "MLmodel")
    assert facts == Facts(
        flavors={
            "python_function": {
                "loader_module": "mlflow.sklearn",
                "model_path": "model.pkl",
                "predict_fn": "predict",
                "python_version": "3.11.7",
            },
            "sklearn": {
                "pickled_model": "model.pkl",
                "serialization_format": "cloudpickle",
                "sklearn_version": "1.9.1",
            },
        },
        python="3.11.7",
        signature=facts.signature,
        run_id="0c1d4f5e8a9b4c6d8e7f0a1b2c3d4e5f",
    )
    assert json.loads(facts.signature or "") == {
        "inputs": '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}]',
        "outputs": '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]',
        "params": None,
    }


def test_values_of_flavors_are_kept_as_they_are_written() -> None:
    content = b"flavors: {f: {version: 1.10, on: true, n: 017, none: ~, quoted: 'null', list: [1], table: {a: 1}}}"
    assert read_mlmodel(content, "MLmodel").flavors == {
        "f": {"version": "1.10", "on": "true", "n": "017", "quoted": "null"}
    }


def test_a_flavor_without_values_is_still_a_flavor() -> None:
    assert read_mlmodel(b"flavors: {onnx: null, python_function: {}}", "MLmodel").flavors == {
        "onnx": {},
        "python_function": {},
    }


def test_a_signature_is_read_as_yaml_reads_it() -> None:
    content = b"signature: {a: [1, 2.5, true, null, 'true', text, 1e99999, 99999999999999999999], b: {c: .5}}"
    signature = read_mlmodel(content, "MLmodel").signature
    assert json.loads(signature or "") == {
        "a": [1, 2.5, True, None, "true", "text", "1e99999", "99999999999999999999"],
        "b": {"c": 0.5},
    }


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b"flavors: text",
        b"flavors: [a]",
        b"flavors:\n",
        b"flavors: {" + b"x" * 101 + b": {a: b}}",
        b"signature: text",
        b"run_id: [1]",
        b"run_id: null",
        b"run_id: ''",
        b'run_id: "a\\nb"',
        b"run_id: " + b"x" * 101,
    ],
)
def test_what_is_not_there_or_makes_no_sense_is_absent(content: bytes) -> None:
    assert read_mlmodel(content, "MLmodel") == Facts()


def test_a_long_value_of_a_flavor_is_left_out() -> None:
    content = b"flavors: {f: {a: " + b"x" * 1001 + b", b: 1}}"
    assert read_mlmodel(content, "MLmodel").flavors == {"f": {"b": "1"}}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"#" * (1024 * 1024 + 1), "it is larger than 1 MiB"),
        (b"a: \xff", "it is not UTF-8"),
        (b"", "it is not a YAML mapping"),
        (b"- a", "it is not a YAML mapping"),
        (b"\x80\x04K\x01.", "it is not UTF-8"),
        (b"a: b: c", "it is not YAML"),
        (b"flavors: [", "it is not YAML"),
        (b"a: \x1b", "it is not YAML"),
        (b'a: "\\UFFFFFFFF"', "it is not YAML"),
        (b'a: "\\0"', "a text holds NUL or half of a surrogate pair"),
        (b'a: "\\ud800"', "a text holds NUL or half of a surrogate pair"),
        (b"a: !!python/object/apply:os.system [ls]", "tags ('!') are not allowed"),
        (b"!x {a: 1}", "tags ('!') are not allowed"),
        (b"? !x a\n: 1", "tags ('!') are not allowed"),
        (b"a: &a [x]\nb: [*a, *a]", "anchors and aliases ('&', '*') are not allowed"),
        (b"a: *a", "anchors and aliases ('&', '*') are not allowed"),
        (b"*a : 1", "anchors and aliases ('&', '*') are not allowed"),
        (b"? [a, b]\n: 1", "a key is a list or a mapping"),
        (b"flavors: {a: 1, a: 2}", "the key 'a' is there twice"),
        (b"a: 1\n'a': 2", "the key 'a' is there twice"),
        ("\u00e9\u202e: 1\n\u00e9\u202e: 2".encode(), "the key '\\xe9\\u202e' is there twice"),
        (b"a: 1\n---\nb: 2", "it holds a second YAML document"),
        (b"[" * 100_000, "it is nested deeper than 32 levels"),
        (b"{a: " * 100_000, "it is nested deeper than 32 levels"),
        (b"? " * 100_000, "it is nested deeper than 32 levels"),
        (b"a: [" + b"1," * 100_000 + b"]", "it holds more than 10000 values"),
        ("".join(f"k{number}: 1\n" for number in range(50_000)).encode(), "it holds more than 10000 values"),
    ],
)
def test_a_file_that_mlflow_never_writes_is_refused(content: bytes, reason: str) -> None:
    assert refused(content) == reason


def test_a_files_name_is_escaped() -> None:
    with pytest.raises(NeedsPerson, match=r"^'a\\x1b\\nb' cannot be read: it is not UTF-8; "):
        read_mlmodel(b"\xff", "a\x1b\nb")


ALPHABET = "ab:{}[]&*!?-|>'\"%#,\\ \n\t0.~\u2028\ud800"
SCRAPS = st.text(ALPHABET, max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=60) | SCRAPS | SCRAPS.map(b"flavors: {f: {a: ".__add__))
def test_every_file_is_read_or_refused_in_one_printable_line(content: bytes) -> None:
    try:
        facts = read_mlmodel(content, "MLmodel")
    except NeedsPerson as refusal:
        said = str(refusal)
        assert said.isascii()
        assert said.isprintable()
    else:
        assert facts.python is None


# metadata


def test_metadata_says_what_the_documentation_asks_for() -> None:
    metadata = {
        "framework": "sklearn",
        "framework_version": "1.5.2",
        "python_version": "3.11.7",
        "run_id": "abc",
        "metrics": {"auc": 0.93, "epochs": 12},
        "anything": {"else": 1},
    }
    assert metadata_facts(metadata) == Facts(
        framework="sklearn",
        framework_version="1.5.2",
        python="3.11.7",
        run_id="abc",
        metrics={"auc": 0.93, "epochs": 12.0},
    )


@pytest.mark.parametrize(("number", "text"), [(2.1, "2.1"), (2, "2"), (-0.5, "-0.5")])
def test_a_version_may_be_a_number(number: float, text: str) -> None:
    assert metadata_facts({"framework_version": number}).framework_version == text


NOT_TEXTS: list[object] = [None, True, [], {}, b"x", "", "x" * 101, "a\nb", "a\x1b", "\ud800", "\u202e"]
NOT_NUMBERS: list[object] = [float("nan"), math.inf, 10**400]


@pytest.mark.parametrize("odd", [*NOT_TEXTS, *NOT_NUMBERS, 10**200])
def test_what_is_no_short_text_is_as_good_as_absent(odd: object) -> None:
    keys = ("framework", "framework_version", "python_version", "run_id")
    assert metadata_facts(dict.fromkeys(keys, odd)) == Facts()


@pytest.mark.parametrize("odd", [*NOT_TEXTS, *NOT_NUMBERS, "0.9"])
def test_a_metric_that_is_no_finite_number_is_as_good_as_absent(odd: object) -> None:
    assert metadata_facts({"metrics": {"auc": odd, "f1": 0.5}}) == Facts(metrics={"f1": 0.5})


@pytest.mark.parametrize("odd", ["", "x" * 101, "a\nb", 7, None])
def test_a_metric_without_a_plain_name_is_as_good_as_absent(odd: object) -> None:
    assert metadata_facts({"metrics": {odd: 0.9, "f1": 0.5}}) == Facts(metrics={"f1": 0.5})


@pytest.mark.parametrize("odd", [None, 0.9, "auc", ["auc"]])
def test_metrics_that_are_no_mapping_are_as_good_as_absent(odd: object) -> None:
    assert metadata_facts({"metrics": odd}) == Facts()
