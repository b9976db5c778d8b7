"""What scikit-learn's containers load of what mlflow writes, and what they are spared."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import joblib
import numpy as np
import pytest
import sklearn
from mlflow import sklearn as mlflow_sklearn
from sklearn.linear_model import LogisticRegression

from bridge.core.errors import NeedsPerson
from bridge.core.model import Layout, Serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.serving.versions import Version

ROWS = np.random.default_rng(7).normal(size=(60, 3))
LABELS = (ROWS[:, 0] > 0).astype(int)


@pytest.fixture(scope="module")
def model() -> LogisticRegression:
    return LogisticRegression().fit(ROWS, LABELS)


def save(model: LogisticRegression, version: Version, form: str | None = None) -> None:
    """Save as people do; `form` None is mlflow's own choice."""
    mlflow_sklearn.save_model(model, version.folder, pip_requirements=["scikit-learn"], serialization_format=form)


def say(version: Version, number: str) -> None:
    """Make the MLmodel file say another version of scikit-learn: no older one is installed."""
    text = (version.folder / "MLmodel").read_text()
    assert f"sklearn_version: {sklearn.__version__}\n" in text
    version.write("MLmodel", text.replace(f"sklearn_version: {sklearn.__version__}\n", f"sklearn_version: {number}\n"))


def test_what_mlflow_writes_by_default_no_container_loads(model: LogisticRegression, version: Version) -> None:
    save(model, version)
    with pytest.raises(NeedsPerson, match=r"^the model is written by skops, which no prebuilt container reads"):
        version.fit()


@pytest.mark.parametrize("form", ["cloudpickle", "pickle"])
def test_a_scikit_learn_that_is_too_new_has_no_container(
    model: LogisticRegression, version: Version, form: str
) -> None:
    save(model, version, form)
    sentence = (
        f"^the MLmodel says sklearn {sklearn.__version__}, and the newest that has a prebuilt container is 1.6;"
        " train it with sklearn 1.6, or "
    )
    with pytest.raises(NeedsPerson, match=sentence):
        version.fit()


def test_a_model_that_is_too_new_goes_to_mlflows_server(model: LogisticRegression, version: Version) -> None:
    save(model, version)
    served = version.fit(Serving(image="europe-docker.pkg.dev/acme/serve/mlflow:1", layout=Layout.AUTO))
    assert served.layout is Layout.CUSTOM_MLFLOW
    assert served.why.startswith("custom-mlflow: the model is written by skops")


@pytest.mark.parametrize("form", ["cloudpickle", "pickle"])
def test_a_pickle_answers_as_before(model: LogisticRegression, version: Version, given: Path, form: str) -> None:
    save(model, version, form)
    say(version, "1.5.2")
    served = version.fit()
    assert served.renames == (("model.pkl", "model.pkl"),)
    assert served.container.image.endswith("/sklearn-cpu.1-5:latest")
    version.arrange(served, given)
    # As the SDK's predictor does: aiplatform/prediction/sklearn/predictor.py.
    loaded = pickle.loads((given / "model.pkl").read_bytes())  # noqa: S301  written a moment ago
    assert loaded.predict(ROWS).tolist() == model.predict(ROWS).tolist()


def test_a_file_of_joblib_answers_as_before(model: LogisticRegression, version: Version, given: Path) -> None:
    version.folder.mkdir()
    joblib.dump(model, version.folder / "model.joblib")
    flavor = "{pickled_model: model.joblib, sklearn_version: 1.6.1}"
    version.write("MLmodel", f"flavors: {{sklearn: {flavor}}}")
    version.arrange(version.fit(), given)
    assert joblib.load(given / "model.joblib").predict(ROWS).tolist() == model.predict(ROWS).tolist()
