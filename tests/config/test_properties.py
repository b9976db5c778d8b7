"""Whatever a file holds, the answer is a Config or ConfigErrors, and every mistake has a place in a file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from ruamel.yaml import YAML

from bridge.config.load import load
from bridge.config.model import Config
from bridge.config.schema_models import KINDS
from bridge.core.errors import ConfigErrors
from tests.config.folders import ML

if TYPE_CHECKING:
    from pathlib import Path

    from tests.config.folders import Folder

_KEYS = (
    "name source target policy aliases alias_style default_from versions serving drift on_conflict on_source_delete "
    "scan command within "
    "mappings from registry entity project collection regex where tags to model image port ports env layout latest * "
    "connections kind base_url api_key file bucket location endpoint insecure storage_endpoint store owner guards "
    "max_removals settle poll_every copying memory one_request part parallel_files max_bandwidth leftovers_after "
    "acme prod [key] "
    "tracking_uri workspace artifact_stores stages framework framework_version accelerator ml"
)
_WORDS = (
    "acme prod wandb vertex mlflow sync slug all {task} (?P<task>a+) ( gs://b https://w localhost:1 10m 30% default "
    "sqlite:///x postgresql+psycopg://u:p@h/d [::1]:1 http://[x /p "
    "ml Production Staging production champion auto mirror prebuilt sklearn 1.5 s3://b databricks "
    "8MiB 1.5GB 0MB 200MB/s"
)
KEYS, WORDS = st.sampled_from(_KEYS.split()), st.sampled_from(_WORDS.split())
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
TREES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), below, max_size=6),
    max_leaves=25,
)
MLFLOW_SOURCE = st.fixed_dictionaries(
    {"from": st.just("ml"), "model": WORDS | st.fixed_dictionaries({"regex": WORDS})},
    optional={"stages": st.lists(WORDS) | TREES, "aliases": st.lists(WORDS) | TREES, "where": TREES},
)
MAPPING = st.fixed_dictionaries(
    {},
    optional={
        "name": WORDS,
        "source": TREES | st.dictionaries(KEYS, TREES) | MLFLOW_SOURCE,
        "target": st.fixed_dictionaries({"to": WORDS | TREES, "model": WORDS | TREES}),
        "policy": WORDS,
        "aliases": st.dictionaries(WORDS, WORDS | st.none()) | st.lists(WORDS) | TREES,
        "alias_style": WORDS,
        "default_from": WORDS,
        "serving": TREES | st.dictionaries(KEYS, TREES | WORDS),
        "versions": TREES,
    },
)
SNIPPETS = st.sampled_from(
    [
        "mappings:\n",
        "- ",
        "? ",
        "key: ",
        "&a ",
        "*a ",
        "!!x ",
        "|\n ",
        ">\n ",
        '"',
        "'",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "#",
        "~",
    ]
) | st.sampled_from(
    ["---\n", "...\n", "%YAML 1.1\n", "\\U0011ffff", "\\x", "<<: ", "\n  ", "\t", "\r", "\ufeff", "\x85"]
)
TEXTS = st.text(max_size=60) | st.lists(SNIPPETS | st.text(max_size=3), max_size=25).map("".join)
quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def answer(path: Path) -> None:
    """Load, and check what comes of it."""
    try:
        errors = None
        config = load(path)
    except ConfigErrors as raised:
        errors = raised.errors
    if errors is None:
        assert isinstance(config, Config)
        return
    assert errors
    for error in errors:
        assert error.message
        assert "\n" not in str(error)
        assert error.at is None or (error.at.line > 0 and error.at.column > 0)


def dumped(tree: Any) -> str:  # noqa: ANN401  any tree at all
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    stream = io.StringIO()
    yaml.dump(tree, stream)
    return stream.getvalue()


@quick
@given(text=TEXTS | st.binary(max_size=60))
@pytest.mark.parametrize("file", ["bridge.yaml", "mappings/fraud.yaml"])
def test_any_text_is_answered(folder: Folder, file: str, text: str | bytes) -> None:
    folder.write(file, text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
    answer(folder.path / "bridge.yaml")


@quick
@given(tree=TREES)
def test_any_tree_in_bridge_yaml_is_answered(folder: Folder, tree: object) -> None:
    folder.write(
        "bridge.yaml",
        dumped({"connections": tree, "store": tree, "guards": tree, "copying": tree, "mappings": "mappings"}),
    )
    answer(folder.path / "bridge.yaml")


@quick
@given(tree=TREES)
def test_any_connection_is_answered(folder: Folder, tree: object) -> None:
    keys = ("api_key", "bucket", "endpoint", "tracking_uri", "workspace", "artifact_stores")
    kinds = {kind: {"kind": kind, **dict.fromkeys(keys, tree)} for kind in KINDS}
    folder.write("bridge.yaml", dumped({"connections": {"acme": tree, **kinds}}))
    answer(folder.path / "bridge.yaml")


@quick
@given(tree=st.lists(MAPPING | TREES, max_size=3))
def test_any_tree_in_a_mapping_file_is_answered(folder: Folder, tree: object) -> None:
    folder.bridge(f"  ml: {ML}\n")
    folder.write("mappings/fraud.yaml", dumped({"mappings": tree}))
    answer(folder.path / "bridge.yaml")
