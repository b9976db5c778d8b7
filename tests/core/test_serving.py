"""How a version is served: the truth table of core.serving, row by row, and what holds for every input."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given, strategies as st

from bridge.core.errors import NeedsPerson
from bridge.core.model import Container, Facts, Fit, Layout, Serving
from bridge.core.naming import check_paths
from bridge.core.prebuilt import FRAMEWORKS, OWN_IMAGE, SKLEARN, XGBOOST, Framework, closest, image, read_version, spell
from bridge.core.serving import fit, plain_fit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

OURS = "europe-docker.pkg.dev/acme/serve/fraud:1"
HERE = "europe-west4"
VERTEX = "europe-docker.pkg.dev/vertex-ai/prediction"
SKOPS = "the model is written by skops, which no prebuilt container reads, and turning it into a pickle would run"


def serve(
    layout: Layout,
    image: str | None = None,
    ports: tuple[int, ...] = (),
    predict_route: str | None = None,
    health_route: str | None = None,
    *,
    env: Mapping[str, str] | None = None,
    framework: str | None = None,
    framework_version: str | None = None,
    accelerator: Literal["cpu", "gpu"] = "cpu",
) -> Serving:
    """Return what a mapping says, the layout first."""
    return Serving(
        layout=layout,
        image=image,
        ports=ports,
        predict_route=predict_route,
        health_route=health_route,
        env=env or {},
        framework=framework,
        framework_version=framework_version,
        accelerator=accelerator,
    )


PREBUILT = serve(Layout.PREBUILT)
AUTO = serve(Layout.AUTO)


def sklearn(version: str = "1.5.2", **more: str) -> Facts:
    """Return the facts of a model that mlflow logged as a pickle; `more` are values of the flavor."""
    flavor = {"pickled_model": "model.pkl", "serialization_format": "pickle", "sklearn_version": version} | more
    return Facts({"python_function": {"loader_module": "mlflow.sklearn"}, "sklearn": flavor})


def xgboost(version: str = "2.1.4", **more: str) -> Facts:
    """Return the facts of a booster that mlflow logged."""
    return Facts({"xgboost": {"data": "model.ubj", "xgb_version": version} | more})


def keras(version: str = "2.15.1") -> Facts:
    """Return the facts of a Keras model that mlflow logged."""
    return Facts({"tensorflow": {"data": "data", "model_type": "keras", "keras_version": version}})


def flavored(name: str, **values: str) -> Facts:
    """Return the facts of an MLmodel file with one native flavor."""
    return Facts({"python_function": {}, name: values})


def refused(serving: Serving, paths: list[str], facts: Facts = Facts()) -> str:  # noqa: B008  a frozen value
    """Return the sentence of a refusal."""
    with pytest.raises(NeedsPerson) as refusal:
        fit(serving, paths, facts, HERE)
    return str(refusal.value)


SKLEARN_FILES = ["MLmodel", "conda.yaml", "model.pkl"]
XGBOOST_FILES = ["MLmodel", "model.ubj"]
KERAS_FILES = ["MLmodel", "data/keras_module.txt", "data/model/saved_model.pb", "data/model/variables/variables.index"]


# mirror


def test_a_mirror_is_served_by_the_mappings_image_as_the_mapping_says() -> None:
    serving = serve(Layout.MIRROR, OURS, (9000,), "/predict", "/health", env={"B": "2", "A": "1"})
    container = Container(OURS, (9000,), "/predict", "/health", (("A", "1"), ("B", "2")))
    assert plain_fit(serving) == Fit(Layout.MIRROR, container)
    assert fit(serving, [], Facts(), HERE) == plain_fit(serving)


@pytest.mark.parametrize("layout", [Layout.MIRROR, Layout.CUSTOM_MLFLOW])
def test_a_layout_for_an_image_of_ones_own_needs_one(layout: Layout) -> None:
    sentence = f"layout {layout} needs an image, and none is given; give an image under serving"
    assert refused(serve(layout), ["MLmodel"]) == sentence


# custom-mlflow


def test_mlflows_server_is_asked_where_it_answers() -> None:
    served = fit(serve(Layout.CUSTOM_MLFLOW, OURS), ["MLmodel", "model.skops"], Facts(), HERE)
    assert served == Fit(Layout.CUSTOM_MLFLOW, Container(OURS, (8080,), "/invocations", "/ping"))


def test_mlflows_server_is_asked_where_the_mapping_says() -> None:
    serving = serve(Layout.CUSTOM_MLFLOW, OURS, (9000,), "/p", "/h", env={"A": "1"})
    served = fit(serving, ["MLmodel"], Facts(), HERE)
    assert served.container == Container(OURS, (9000,), "/p", "/h", (("A", "1"),))


def test_mlflows_server_needs_an_mlmodel_file_at_the_root() -> None:
    assert refused(serve(Layout.CUSTOM_MLFLOW, OURS), ["model/MLmodel"]) == (
        "layout custom-mlflow needs a file MLmodel at the root of the version, and there is none;"
        " log the model with mlflow's log_model, or use layout mirror"
    )


# what a prebuilt container is chosen by


@pytest.mark.parametrize(
    ("serving", "paths", "facts", "name", "why"),
    [
        pytest.param(
            PREBUILT, SKLEARN_FILES, sklearn(), "sklearn-cpu.1-5", "the MLmodel says sklearn 1.5.2", id="sklearn"
        ),
        pytest.param(
            PREBUILT, XGBOOST_FILES, xgboost(), "xgboost-cpu.2-1", "the MLmodel says xgboost 2.1.4", id="xgboost"
        ),
        pytest.param(
            PREBUILT, KERAS_FILES, keras(), "tf2-cpu.2-15", "the MLmodel says tensorflow 2.15.1", id="tensorflow"
        ),
        pytest.param(
            PREBUILT,
            ["model.mar"],
            flavored("pytorch", pytorch_version="2.4.0+cpu"),
            "pytorch-cpu.2-4",
            "the MLmodel says pytorch 2.4.0+cpu",
            id="pytorch",
        ),
        pytest.param(
            serve(Layout.PREBUILT, accelerator="gpu"),
            KERAS_FILES,
            keras("2.14.0"),
            "tf2-gpu.2-14",
            "the MLmodel says tensorflow 2.14.0",
            id="gpu",
        ),
        pytest.param(
            PREBUILT,
            SKLEARN_FILES,
            sklearn("1.1.3"),
            "sklearn-cpu.1-2",
            "the MLmodel says sklearn 1.1.3, and 1.2 is the closest that has a container",
            id="the next higher",
        ),
        pytest.param(
            PREBUILT,
            KERAS_FILES,
            keras("1.14.0"),
            "tf-cpu.1-15",
            "the MLmodel says tensorflow 1.14.0, and 1.15 is the closest that has a container",
            id="tensorflow 1",
        ),
        pytest.param(
            serve(Layout.PREBUILT, framework="scikit-learn", framework_version="1.4"),
            ["model.ubj", "model.joblib"],
            xgboost(),
            "sklearn-cpu.1-4",
            "the mapping says sklearn 1.4",
            id="the mapping before the MLmodel",
        ),
        pytest.param(
            serve(Layout.PREBUILT, framework_version="1.6"),
            SKLEARN_FILES,
            sklearn("1.9.1"),
            "sklearn-cpu.1-6",
            "the MLmodel says sklearn, the mapping 1.6",
            id="the mapping's version before the MLmodel's",
        ),
        pytest.param(
            serve(Layout.PREBUILT, framework="xgboost"),
            XGBOOST_FILES,
            xgboost(),
            "xgboost-cpu.2-1",
            "the mapping says xgboost, the MLmodel 2.1.4",
            id="the MLmodel's version for the mapping's framework",
        ),
        pytest.param(
            PREBUILT,
            SKLEARN_FILES,
            Facts(sklearn().flavors, framework="xgboost", framework_version="2.1"),
            "sklearn-cpu.1-5",
            "the MLmodel says sklearn 1.5.2",
            id="the MLmodel before metadata",
        ),
        pytest.param(
            PREBUILT,
            ["model.mar"],
            Facts(framework="Torch", framework_version="2.3"),
            "pytorch-cpu.2-3",
            "the metadata says pytorch 2.3",
            id="metadata",
        ),
        pytest.param(
            PREBUILT,
            ["model.bst", "sub/model.pkl"],
            Facts(framework_version="2.0"),
            "xgboost-cpu.2-0",
            "the file 'model.bst' says xgboost, the metadata 2.0",
            id="a file's name",
        ),
    ],
)
def test_a_prebuilt_container_is_that_of_the_frameworks_version(
    serving: Serving, paths: list[str], facts: Facts, name: str, why: str
) -> None:
    served = fit(serving, paths, facts, HERE)
    assert (served.layout, served.container) == (Layout.PREBUILT, Container(f"{VERTEX}/{name}:latest"))
    assert served.why == f"prebuilt {name}: {why}"


def test_a_prebuilt_container_is_asked_as_the_mapping_says() -> None:
    serving = serve(Layout.PREBUILT, None, (9000,), "/p", "/h", env={"A": "1"})
    container = fit(serving, SKLEARN_FILES, sklearn(), HERE).container
    assert container == Container(f"{VERTEX}/sklearn-cpu.1-5:latest", (9000,), "/p", "/h", (("A", "1"),))


def test_an_image_takes_the_place_of_a_prebuilt_one_whatever_the_version() -> None:
    served = fit(serve(Layout.PREBUILT, OURS, accelerator="gpu"), ["model.ubj"], xgboost("9"), HERE)
    assert served.container == Container(OURS)
    assert served.renames == (("model.ubj", "model.bst"),)
    assert served.why == "files for xgboost: the MLmodel says xgboost"


@pytest.mark.parametrize(
    ("serving", "paths", "facts", "sentence"),
    [
        pytest.param(
            PREBUILT,
            SKLEARN_FILES,
            sklearn("1.9.1"),
            "the MLmodel says sklearn 1.9.1, and the newest that has a prebuilt container is 1.6;"
            f" train it with sklearn 1.6, or {OWN_IMAGE}",
            id="too new",
        ),
        pytest.param(
            PREBUILT,
            XGBOOST_FILES,
            xgboost("3.0.2"),
            "the MLmodel says xgboost 3.0.2, and the newest that has a prebuilt container is 2.1;"
            f" train it with xgboost 2.1, or {OWN_IMAGE}",
            id="a newer major version",
        ),
        pytest.param(
            PREBUILT,
            ["model.pkl"],
            Facts(),
            "nothing says which version of sklearn this is; the newest with a prebuilt container is 1.6;"
            f" set framework_version under serving, log the version with metadata framework_version, or {OWN_IMAGE}",
            id="no version",
        ),
        pytest.param(
            PREBUILT,
            SKLEARN_FILES,
            sklearn("latest\n"),
            "'latest\\n' does not say which version of sklearn this is; the newest with a prebuilt container is 1.6;"
            f" set framework_version under serving, log the version with metadata framework_version, or {OWN_IMAGE}",
            id="an odd version",
        ),
        pytest.param(
            PREBUILT,
            ["MLmodel", "tf2model/saved_model.pb"],
            flavored("tensorflow", saved_model_dir="tf2model", model_type="tf2-module", keras_version="2.15"),
            "nothing says which version of tensorflow this is; the newest with a prebuilt container is 2.15;"
            f" set framework_version under serving, log the version with metadata framework_version, or {OWN_IMAGE}",
            id="a tf.Module",
        ),
        pytest.param(
            PREBUILT,
            SKLEARN_FILES,
            Facts({"sklearn": {"pickled_model": "model.pkl"}}, framework="xgboost", framework_version="1.6"),
            "nothing says which version of sklearn this is; the newest with a prebuilt container is 1.6;"
            f" set framework_version under serving, log the version with metadata framework_version, or {OWN_IMAGE}",
            id="a version of something else",
        ),
        pytest.param(
            serve(Layout.PREBUILT, accelerator="gpu"),
            XGBOOST_FILES,
            xgboost(),
            f"there is no prebuilt xgboost container for gpu; set accelerator cpu, or {OWN_IMAGE}",
            id="gpu",
        ),
        pytest.param(
            serve(Layout.PREBUILT, framework="lightgbm"),
            SKLEARN_FILES,
            sklearn(),
            f"the mapping says 'lightgbm', which has no prebuilt container; {OWN_IMAGE}",
            id="the mapping says lightgbm",
        ),
        pytest.param(
            PREBUILT,
            ["model.pkl"],
            Facts(framework="cat\x1bboost"),
            f"the metadata says 'cat\\x1bboost', which has no prebuilt container; {OWN_IMAGE}",
            id="the metadata says catboost",
        ),
        pytest.param(
            PREBUILT,
            ["model.pkl"],
            flavored("lightgbm"),
            f"the MLmodel says 'lightgbm', which has no prebuilt container; {OWN_IMAGE}",
            id="the MLmodel says lightgbm",
        ),
        pytest.param(
            PREBUILT,
            ["python_model.pkl"],
            Facts({"python_function": {}}),
            f"the MLmodel says 'python_function', which has no prebuilt container; {OWN_IMAGE}",
            id="a pyfunc",
        ),
        pytest.param(
            PREBUILT,
            SKLEARN_FILES,
            Facts({**sklearn().flavors, **xgboost().flavors}),
            "the MLmodel says sklearn and xgboost, and no one of them is preferred;"
            f" set framework under serving, or {OWN_IMAGE}",
            id="two flavors",
        ),
        pytest.param(
            PREBUILT,
            ["weights.h5"],
            Facts(),
            "neither an MLmodel file, nor metadata, nor the name of a file says which framework this version is of;"
            f" set framework and framework_version under serving, or {OWN_IMAGE}",
            id="nothing says what it is",
        ),
    ],
)
def test_a_prebuilt_container_is_refused_for(serving: Serving, paths: list[str], facts: Facts, sentence: str) -> None:
    assert refused(serving, paths, facts) == sentence


# what a prebuilt container is given


@pytest.mark.parametrize(
    ("serving", "paths", "facts", "renames"),
    [
        pytest.param(PREBUILT, SKLEARN_FILES, sklearn(), {"model.pkl": "model.pkl"}, id="a pickle"),
        pytest.param(
            PREBUILT,
            ["a/fit.joblib", "model.pkl"],
            sklearn(pickled_model="a/fit.joblib"),
            {"a/fit.joblib": "model.joblib"},
            id="joblib, as the flavor says",
        ),
        pytest.param(PREBUILT, XGBOOST_FILES, xgboost(), {"model.ubj": "model.bst"}, id="a booster"),
        pytest.param(
            PREBUILT, ["model.json"], xgboost(data="model.json"), {"model.json": "model.bst"}, id="a booster in JSON"
        ),
        pytest.param(
            PREBUILT,
            KERAS_FILES,
            keras(),
            {
                "data/model/saved_model.pb": "saved_model.pb",
                "data/model/variables/variables.index": "variables/variables.index",
            },
            id="a Keras SavedModel",
        ),
        pytest.param(
            serve(Layout.PREBUILT, framework_version="2.15"),
            ["tf2model/saved_model.pb", "tf2model/assets/words.txt", "tf2model2/saved_model.pb", "MLmodel"],
            flavored("tensorflow", saved_model_dir="tf2model/"),
            {"tf2model/saved_model.pb": "saved_model.pb", "tf2model/assets/words.txt": "assets/words.txt"},
            id="a SavedModel's sub-tree",
        ),
        pytest.param(
            serve(Layout.PREBUILT, framework="tf", framework_version="2.15"),
            ["export/17/saved_model.pb", "export/17/variables/variables.index", "export/notes.txt"],
            Facts(),
            {
                "export/17/saved_model.pb": "saved_model.pb",
                "export/17/variables/variables.index": "variables/variables.index",
            },
            id="the only SavedModel",
        ),
        pytest.param(
            PREBUILT,
            ["saved_model.pb", "variables/variables.index"],
            Facts(framework="tensorflow", framework_version="2.8"),
            {"saved_model.pb": "saved_model.pb", "variables/variables.index": "variables/variables.index"},
            id="a SavedModel at the root",
        ),
        pytest.param(
            serve(Layout.PREBUILT, framework_version="1.6"),
            ["fold1/model.pkl", "fold2/model.pkl", "model.pkl"],
            Facts(),
            {"model.pkl": "model.pkl"},
            id="the root before what is below",
        ),
        pytest.param(
            PREBUILT,
            ["out/model.ubj", "log.txt"],
            Facts(framework="xgboost", framework_version="2.1.4"),
            {"out/model.ubj": "model.bst"},
            id="the only booster",
        ),
        pytest.param(
            PREBUILT,
            ["model.pkl"],
            Facts(framework="xgboost", framework_version="2.1.4"),
            {"model.pkl": "model.pkl"},
            id="a pickled booster",
        ),
        pytest.param(
            serve(Layout.PREBUILT, framework="pytorch", framework_version="2.4"),
            ["MLmodel", "data/model.pt2", "extra_files/model.mar"],
            flavored("pytorch", model_data="data"),
            {"extra_files/model.mar": "model.mar"},
            id="a .mar file",
        ),
    ],
)
def test_the_container_is_given_only_what_it_loads(
    serving: Serving, paths: list[str], facts: Facts, renames: dict[str, str]
) -> None:
    assert fit(serving, paths, facts, HERE).renames == tuple(sorted(renames.items()))


@pytest.mark.parametrize(
    ("paths", "facts", "sentence"),
    [
        pytest.param(
            ["MLmodel", "model.skops"],
            sklearn(pickled_model="model.skops", serialization_format="skops"),
            f"{SKOPS} the model's code; log it with serialization_format='cloudpickle' by a scikit-learn that has a"
            f" container (1.6 or older), or {OWN_IMAGE}",
            id="skops",
        ),
        pytest.param(
            SKLEARN_FILES,
            sklearn(serialization_format="skops"),
            f"{SKOPS} the model's code; log it with serialization_format='cloudpickle' by a scikit-learn that has a"
            f" container (1.6 or older), or {OWN_IMAGE}",
            id="skops by another name",
        ),
        pytest.param(
            SKLEARN_FILES,
            sklearn(serialization_format="onnx"),
            f"no prebuilt container reads the serialization_format 'onnx'; {OWN_IMAGE}",
            id="another format",
        ),
        pytest.param(
            ["MLmodel"],
            sklearn(pickled_model="../model.pkl"),
            "the MLmodel names '../model.pkl', which is not among the version's files;"
            f" log the model again with mlflow's log_model, or {OWN_IMAGE}",
            id="a file that is not there",
        ),
        pytest.param(
            ["MLmodel", "tf2model/saved_model.pbtxt"],
            flavored("tensorflow", saved_model_dir="tf2model"),
            "the MLmodel names 'tf2model/saved_model.pb', which is not among the version's files;"
            f" log the model again with mlflow's log_model, or {OWN_IMAGE}",
            id="no SavedModel",
        ),
        pytest.param(
            ["MLmodel", "data/model.keras"],
            keras("2.18.0"),
            "this Keras model is not a SavedModel: there is no file 'data/model/saved_model.pb';"
            f" export it as a SavedModel and log that, or {OWN_IMAGE}",
            id=".keras",
        ),
        pytest.param(
            ["MLmodel", "data/model.pt2"],
            flavored("pytorch", model_data="data", pytorch_version="2.4.1"),
            "this version has no file that a pytorch container loads (model.mar; MLflow makes none);"
            f" log it with one, or {OWN_IMAGE}",
            id="pytorch without a .mar file",
        ),
        pytest.param(
            ["weights.bin"],
            Facts(framework="xgboost", framework_version="2.1"),
            "this version has no file that a xgboost container loads (model.bst, model.ubj, model.json, model.xgb,"
            f" model.pkl, model.joblib); log it with one, or {OWN_IMAGE}",
            id="no booster",
        ),
        pytest.param(
            ["a/model.bst", "b/model.pkl", "c/model.mar"],
            Facts(),
            "'a/model.bst' and 'b/model.pkl' and 1 more could each be the model;"
            f" set framework under serving, log the version with one of them only, or {OWN_IMAGE}",
            id="two files, two frameworks",
        ),
        pytest.param(
            ["model.pkl", "model.joblib"],
            Facts(framework="sklearn", framework_version="1.6"),
            "'model.joblib' and 'model.pkl' could each be the model;"
            f" log the version with one of them only, or {OWN_IMAGE}",
            id="two files, one framework",
        ),
        pytest.param(
            ["sm/saved_model.pb", "sm/.bridge-manifest.json"],
            flavored("tensorflow", saved_model_dir="sm"),
            "a file of this version is named '.bridge-manifest.json', which is refused:"
            " the bridge's own manifest has that name; log the version again with a plain relative file name",
            id="a file with the manifest's name",
        ),
    ],
)
def test_no_container_would_load(paths: list[str], facts: Facts, sentence: str) -> None:
    assert refused(PREBUILT, paths, facts) == sentence
    assert refused(serve(Layout.PREBUILT, OURS), paths, facts) == sentence, "nor would an image in its place"


# what prebuilt says besides

BOOSTER_ONLY = "; the container loads the Booster inside 'XGBClassifier', so answers are the Booster's"
NAMED = "; its columns have names, and a Booster trained with names refuses plain lists of numbers"
SIGNATURE = r'{"inputs": "[{\"type\": \"double\", \"name\": \"amount\", \"required\": true}]", "params": null}'


@pytest.mark.parametrize(
    ("facts", "caution"),
    [
        (xgboost(model_class="xgboost.core.Booster"), ""),
        (xgboost(model_class="xgboost.sklearn.XGBClassifier"), BOOSTER_ONLY),
        (Facts(xgboost().flavors, signature=SIGNATURE), NAMED),
        (Facts(xgboost().flavors, signature='{"inputs": "[{\\"type\\": \\"tensor\\"}]"}'), ""),
        (sklearn(), ""),
        (
            sklearn(serialization_format="cloudpickle"),
            "; it is written by cloudpickle, and loads only if the container has all that it refers to",
        ),
    ],
)
def test_what_a_person_may_not_expect_is_said(facts: Facts, caution: str) -> None:
    why = fit(PREBUILT, ["model.pkl", "model.ubj"], facts, HERE).why
    assert "".join(re.findall("; .*", why)) == caution


# auto


UNREAD = Facts(unread="the MLmodel file cannot be read: it is not YAML")


def test_an_mlmodel_file_that_cannot_be_read_stops_the_layout_that_must_know() -> None:
    with pytest.raises(NeedsPerson, match="it is not YAML; set framework and framework_version under serving"):
        fit(PREBUILT, ["MLmodel", "model.bst"], UNREAD, HERE)


@pytest.mark.parametrize("layout", [Layout.MIRROR, Layout.CUSTOM_MLFLOW, Layout.AUTO])
def test_an_mlmodel_file_that_cannot_be_read_does_not_stop_an_image_that_may_read_it(layout: Layout) -> None:
    assert fit(serve(layout, OURS), ["MLmodel", "model.bst"], UNREAD, HERE).container.image == OURS


def test_auto_prefers_a_prebuilt_container_over_the_mappings_image() -> None:
    serving = serve(Layout.AUTO, OURS, (9000,), "/p", "/h", env={"A": "1"})
    served = fit(serving, SKLEARN_FILES, sklearn(), HERE)
    assert served.layout is Layout.PREBUILT
    assert served.container == Container(f"{VERTEX}/sklearn-cpu.1-5:latest", env=(("A", "1"),))


def test_auto_without_an_image_asks_a_prebuilt_container_as_the_mapping_says() -> None:
    served = fit(serve(Layout.AUTO, None, (9000,), "/p", "/h"), SKLEARN_FILES, sklearn(), HERE)
    assert served.container == Container(f"{VERTEX}/sklearn-cpu.1-5:latest", (9000,), "/p", "/h")


def test_auto_falls_back_to_mlflows_server() -> None:
    served = fit(serve(Layout.AUTO, OURS), ["MLmodel", "model.pkl"], sklearn("1.9.1"), HERE)
    why = "custom-mlflow: the MLmodel says sklearn 1.9.1, and the newest that has a prebuilt container is 1.6"
    assert served == Fit(Layout.CUSTOM_MLFLOW, Container(OURS, (8080,), "/invocations", "/ping"), why=why)


def test_auto_falls_back_to_a_mirror_if_there_is_no_mlmodel_file() -> None:
    served = fit(serve(Layout.AUTO, OURS, (9000,), "/p", "/h"), ["a.bin"], Facts(framework="onnx"), HERE)
    why = "mirror: the metadata says 'onnx', which has no prebuilt container"
    assert served == Fit(Layout.MIRROR, Container(OURS, (9000,), "/p", "/h"), why=why)


@pytest.mark.parametrize(
    ("paths", "facts"), [(["MLmodel", "model.pkl"], sklearn("1.9.1")), (["model.pkl"], Facts()), ([], Facts())]
)
def test_auto_without_an_image_is_refused_as_prebuilt_is(paths: list[str], facts: Facts) -> None:
    sentence = refused(AUTO, paths, facts)
    assert sentence == refused(PREBUILT, paths, facts)
    assert sentence.endswith(OWN_IMAGE)


# names and versions


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2.1.4", (2, 1)),
        ("1.6", (1, 6)),
        ("1.10.0", (1, 10)),
        ("1.6rc1", (1, 6)),
        ("2.16.0.dev20240101", (2, 16)),
        ("2.4.0a0+git1234", (2, 4)),
        ("2.4.0+cpu", (2, 4)),
        ("1.5.2.post1", (1, 5)),
        *(
            (odd, None)
            for odd in ("", "2", "v2.1", "2.1 ", "2.1\n", "latest", "2.x", ">=2.1", "-2.1", "2..1", "12345.1")
        ),
        ("\u0662.\u0661", None),
    ],
)
def test_a_version_is_read_strictly(text: str, version: tuple[int, int] | None) -> None:
    assert read_version(text) == version


@pytest.mark.parametrize(
    ("version", "used"),
    [
        ((1, 6), "1.6"),
        ((1, 1), "1.2"),
        ((0, 21), "0.22"),
        ((0, 24), "0.24"),
        ((0, 25), None),
        ((1, 7), None),
        ((2, 0), None),
    ],
)
def test_the_closest_image_is_never_of_a_lower_or_another_major_version(
    version: tuple[int, int], used: str | None
) -> None:
    found = closest(SKLEARN, version)
    assert (found and spell(found)) == used


@pytest.mark.parametrize(
    ("location", "host"),
    [("europe-west4", "europe"), ("asia-east1", "asia"), ("us-central1", "us"), ("me-west1", "us"), ("eu", "us")],
)
def test_an_image_comes_from_a_registry_that_exists(location: str, host: str) -> None:
    assert image(XGBOOST, (2, 1), "cpu", location) == (
        f"{host}-docker.pkg.dev/vertex-ai/prediction/xgboost-cpu.2-1:latest"
    )


def test_a_long_name_is_cut() -> None:
    assert len(refused(PREBUILT, ["model.pkl"], flavored("\x1b" * 10_000))) < 600


# against the SDK


def sdk_file(path: str) -> Path:
    """Return a file of google-cloud-aiplatform, whose import would take seconds."""
    spec = importlib.util.find_spec("google.cloud.aiplatform")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / path


def sdk_constants() -> ModuleType:
    """Load the SDK's catalogue alone."""
    spec = importlib.util.spec_from_file_location("sdk_prediction", sdk_file("constants/prediction.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sdk_regions() -> list[str]:
    """Read the SDK's list of locations."""
    tree = ast.parse(sdk_file("constants/base.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SUPPORTED_REGIONS":
            assert isinstance(node.value, ast.Call)
            return sorted(ast.literal_eval(node.value.args[0]))
    raise AssertionError("the SDK keeps its locations elsewhere")


def test_the_catalogue_is_the_sdks() -> None:
    ours = {
        image(framework, version, accelerator, f"{area}-somewhere1")
        for framework in FRAMEWORKS
        for version in framework.versions
        for accelerator in ("cpu", "gpu")
        if accelerator in framework.accelerators
        for area in ("us", "europe", "asia")
    }
    assert ours == set(sdk_constants().SERVING_CONTAINER_URIS)
    assert all(list(each.versions) == sorted(each.versions, reverse=True) for each in FRAMEWORKS)


def test_every_location_of_the_sdk_has_a_registry() -> None:
    known = set(sdk_constants().SERVING_CONTAINER_URIS)
    regions = sdk_regions()
    assert {"me-west1", "europe-west4", "asia-east1", "us-central1"} <= set(regions)
    assert {image(XGBOOST, (2, 1), "cpu", region) for region in regions} <= known


# whatever comes

FILES = ["model.pkl", "model.joblib", "model.skops", "model.ubj", "model.bst", "model.mar", "saved_model.pb", "MLmodel"]
PARTS = ["data", "model", "tf2model", "..", ".", "", "variables", ".bridge-manifest.json", "e\u0301", "\u00e9"]
VALUES = ["1.5", "2.15.0", "keras", "pickle", "cloudpickle", "skops", "xgboost.sklearn.XGBClassifier"]
WORDS = st.sampled_from([*FILES, *PARTS, *VALUES])
TEXTS = WORDS | st.text(max_size=8) | st.lists(WORDS, max_size=4).map("/".join)
SKLEARN_KEYS = ["pickled_model", "serialization_format", "sklearn_version"]
TENSORFLOW_KEYS = ["saved_model_dir", "model_type", "keras_version"]
KEYS = st.sampled_from([*SKLEARN_KEYS, *TENSORFLOW_KEYS, "data", "xgb_version", "model_class", "pytorch_version"])
NAMES = st.sampled_from(["sklearn", "xgboost", "tensorflow", "pytorch", "python_function", "onnx"]) | TEXTS
PATHS = st.lists(TEXTS, max_size=8)
FACTS = st.builds(
    Facts,
    flavors=st.dictionaries(NAMES, st.dictionaries(KEYS, TEXTS, max_size=6), max_size=3),
    signature=st.none() | TEXTS,
    framework=st.none() | NAMES,
    framework_version=st.none() | TEXTS,
)
SERVINGS = st.builds(
    Serving,
    layout=st.sampled_from(Layout),
    image=st.none() | st.just(OURS),
    framework=st.none() | NAMES,
    framework_version=st.none() | TEXTS,
    accelerator=st.sampled_from(["cpu", "gpu"]),
)


@given(SERVINGS, PATHS, FACTS, TEXTS)
def test_whatever_comes_is_fitted_or_refused_in_one_printable_line(
    serving: Serving, paths: list[str], facts: Facts, location: str
) -> None:
    try:
        served = fit(serving, paths, facts, location)
    except NeedsPerson as refusal:
        said = str(refusal)
    else:
        said = served.why
        assert served.layout is not Layout.AUTO
        assert served.container.image == OURS or re.match("(us|europe|asia)-docker", served.container.image)
        assert bool(served.renames) is (served.layout is Layout.PREBUILT)
        assert {source for source, _ in served.renames} <= set(paths)
        check_paths(target for _, target in served.renames)
        assert list(served.renames) == sorted(set(served.renames))
    assert said.isascii()
    assert said == "" or said.isprintable()
    assert len(said) < 1000


@given(st.sampled_from(sdk_regions()), st.sampled_from(FRAMEWORKS))
def test_every_location_gets_an_image_of_every_framework(location: str, framework: Framework) -> None:
    name = framework.name
    path = {"tensorflow": "saved_model.pb", "pytorch": "model.mar", "xgboost": "model.bst"}.get(name, "model.pkl")
    facts = Facts(framework=name, framework_version=framework.newest)
    served = fit(PREBUILT, [path], facts, location)
    assert served.container.image.partition("-")[0] in {"us", "europe", "asia"}
