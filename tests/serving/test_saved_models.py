"""A SavedModel's folder is what the container is given, whatever lies around it; TensorFlow is not installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.core.errors import NeedsPerson
from bridge.core.model import Layout, Serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.serving.versions import Version

SAVED_MODEL = [
    "fingerprint.pb",
    "saved_model.pb",
    "variables/variables.data-00000-of-00001",
    "variables/variables.index",
]
AROUND = ["conda.yaml", "python_env.yaml", "requirements.txt"]

# As mlflow writes them: 2.9 for Keras (before .keras files), 3.17.2 for the module.
KERAS = """\
flavors:
  python_function:
    data: data
    env: {conda: conda.yaml, virtualenv: python_env.yaml}
    loader_module: mlflow.tensorflow
    python_version: 3.10.13
  tensorflow:
    code: null
    data: data
    keras_version: 2.14.0
    model_type: keras
    save_format: tf
"""
MODULE = """\
flavors:
  tensorflow:
    code: null
    model_type: tf2-module
    saved_model_dir: tf2model
"""


def test_a_keras_model_is_given_without_what_mlflow_adds(version: Version, given: Path) -> None:
    for path in [
        *AROUND,
        "data/keras_module.txt",
        "data/save_format.txt",
        *(f"data/model/{each}" for each in SAVED_MODEL),
    ]:
        version.write(path, path)
    version.write("MLmodel", KERAS)
    served = version.fit()
    assert served.container.image == "europe-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-14:latest"
    version.arrange(served, given)
    assert sorted(path.relative_to(given).as_posix() for path in given.rglob("*.*")) == SAVED_MODEL
    assert (given / "variables/variables.index").read_text() == "data/model/variables/variables.index"


def test_a_module_is_given_once_its_version_is_known(version: Version, given: Path) -> None:
    for path in [*AROUND, *(f"tf2model/{each}" for each in SAVED_MODEL)]:
        version.write(path, path)
    version.write("MLmodel", MODULE)
    with pytest.raises(NeedsPerson, match=r"^nothing says which version of tensorflow this is;"):
        version.fit()
    served = version.fit(Serving(layout=Layout.PREBUILT, framework_version="2.15", accelerator="gpu"))
    assert served.container.image == "europe-docker.pkg.dev/vertex-ai/prediction/tf2-gpu.2-15:latest"
    assert served.why == "prebuilt tf2-gpu.2-15: the MLmodel says tensorflow, the mapping 2.15"
    version.arrange(served, given)
    assert sorted(path.relative_to(given).as_posix() for path in given.rglob("*.*")) == SAVED_MODEL


def test_what_keras_writes_today_no_container_loads(version: Version) -> None:
    version.write("MLmodel", KERAS.replace("2.14.0", "2.18.0"))
    version.write("data/model.keras")
    with pytest.raises(NeedsPerson, match=r"^this Keras model is not a SavedModel"):
        version.fit()
