"""A booster under the name model.bst answers as it did under its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import xgboost
from mlflow import xgboost as mlflow_xgboost

from bridge.core.model import Facts, Layout
from bridge.core.serving import fit
from tests.serving.versions import HERE, PREBUILT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.serving.versions import Version

COLUMNS = ["amount", "age", "country"]
ROWS = np.random.default_rng(7).normal(size=(60, 3))
LABELS = (ROWS[:, 0] + ROWS[:, 1] > 0).astype(int)

# xgboost says so of names that are neither .ubj nor .json, and of the form that ".deprecated" asks for.
DEFAULT_FORM = "ignore:.*Saving model in the UBJSON format as default:UserWarning"
OLD_FORM = "ignore:.*Saving into deprecated binary model format:UserWarning"
# mlflow 3.17.2 converts an example in a way that pandas 3.1 is about to end (mlflow/models/utils.py).
OLD_PANDAS = "ignore:Operation with range is deprecated"


def train(rows: np.ndarray | pd.DataFrame = ROWS) -> xgboost.Booster:
    """Train a small classifier."""
    return xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(rows, label=LABELS), 5)


def answers(folder: Path, rows: object) -> list[float]:
    """Load and ask as the SDK's predictor does (aiplatform/prediction/xgboost/predictor.py), with JSON's lists."""
    booster = xgboost.Booster(model_file=str(folder / "model.bst"))
    return [float(each) for each in booster.predict(xgboost.DMatrix(rows))]


@pytest.mark.filterwarnings(DEFAULT_FORM)
@pytest.mark.parametrize("form", ["ubj", "json", "xgb"])
def test_a_booster_that_mlflow_saved_answers_as_before(version: Version, given: Path, form: str) -> None:
    booster = train()
    mlflow_xgboost.save_model(booster, version.folder, pip_requirements=["xgboost"], model_format=form)
    served = version.fit()
    assert served.renames == ((f"model.{form}", "model.bst"),)
    assert served.container.image == "europe-docker.pkg.dev/vertex-ai/prediction/xgboost-cpu.2-1:latest"
    assert served.why == f"prebuilt xgboost-cpu.2-1: the MLmodel says xgboost {xgboost.__version__}"
    version.arrange(served, given)
    assert [path.name for path in given.iterdir()] == ["model.bst"]
    assert answers(given, ROWS.tolist()) == booster.predict(xgboost.DMatrix(ROWS)).tolist()


@pytest.mark.filterwarnings(DEFAULT_FORM, OLD_FORM)
@pytest.mark.parametrize("name", ["model.bst", "model.ubj", "model.json", "model.xgb", "model.deprecated"])
def test_a_booster_is_known_by_its_bytes_not_by_its_name(version: Version, given: Path, name: str) -> None:
    booster = train()
    version.folder.mkdir()
    booster.save_model(version.folder / name)
    (version.folder / name).rename(version.folder / "model.ubj")
    facts = Facts(framework="xgboost", framework_version="2.1")
    version.arrange(fit(PREBUILT, version.paths, facts, HERE), given)
    assert answers(given, ROWS.tolist()) == booster.predict(xgboost.DMatrix(ROWS)).tolist()


@pytest.mark.filterwarnings(OLD_PANDAS)
def test_a_booster_that_knows_names_of_columns_refuses_what_the_container_asks(version: Version, given: Path) -> None:
    table = pd.DataFrame(ROWS, columns=COLUMNS)
    mlflow_xgboost.save_model(train(table), version.folder, pip_requirements=["xgboost"], input_example=table[:2])
    served = version.fit()
    assert served.layout is Layout.PREBUILT
    assert served.why.endswith(
        "; its columns have names, and a Booster trained with names refuses plain lists of numbers"
    )
    version.arrange(served, given)
    with pytest.raises(ValueError, match="training data did not have the following fields: amount, age, country"):
        answers(given, ROWS.tolist())


def test_a_signature_without_names_of_columns_is_no_reason_for_caution(version: Version) -> None:
    mlflow_xgboost.save_model(train(), version.folder, pip_requirements=["xgboost"], input_example=ROWS[:2])
    assert version.facts.signature is not None
    assert ";" not in version.fit().why
