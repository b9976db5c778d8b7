"""How Vertex AI serves a version: which image, asked how, and which of the files it is given. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from bridge.core.errors import NeedsPerson
from bridge.core.model import Container, Fit, Layout
from bridge.core.naming import check_paths
from bridge.core.prebuilt import (
    FRAMEWORKS,
    OWN_IMAGE,
    SKLEARN,
    TENSORFLOW,
    XGBOOST,
    Framework,
    choose_files,
    closest,
    framework_called,
    framework_of_files,
    image,
    read_version,
    shown,
    spell,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bridge.core.model import Facts, Serving
    from bridge.core.prebuilt import Renames

MLMODEL = "MLmodel"  # the file at the root of what mlflow's log_model writes

# Of MLflow's scoring server (mlflow 3.17.2, pyfunc/scoring_server); it reads Vertex's {"instances": ...} too.
_MLFLOW_PORTS = (8080,)
_MLFLOW_PREDICT = "/invocations"
_MLFLOW_HEALTH = "/ping"

_METADATA = "the metadata"
_MAPPING = "the mapping"
_VERSION_KEYS = {"sklearn": "sklearn_version", "xgboost": "xgb_version", "pytorch": "pytorch_version"}
_BOOSTER = "xgboost.core.Booster"  # what mlflow takes for the model_class if an MLmodel file names none
_COLUMN_NAME = re.compile(r'\bname\\*"\s*:')  # in a signature, whose inputs are JSON inside JSON


@dataclass(frozen=True, slots=True)
class _Said:
    """What a version is, and who says so; `version` is as they wrote it."""

    framework: Framework
    who: str
    version: str | None
    who_version: str

    def __str__(self) -> str:
        says = f"{self.who} says {self.framework.name}"
        if self.version is None or read_version(self.version) is None:
            return says
        return (
            f"{says} {self.version}" if self.who == self.who_version else f"{says}, {self.who_version} {self.version}"
        )


def fit(serving: Serving, paths: Collection[str], facts: Facts, location: str) -> Fit:
    """
    Choose how a version of these files is served, or say why no container would load it: pure, deterministic.

        layout         the version is                          fit
        mirror         anything                                the image, as the mapping has it
        custom-mlflow  with an MLmodel file at its root        the image, asked as MLflow's scoring server is
        custom-mlflow  without                                 refused
        prebuilt       skops, .keras, pytorch without a .mar   refused: its images load no such file
        prebuilt       of a framework without images           refused
        prebuilt       ambiguous: of two files, of two flavors refused, naming both
        prebuilt       loadable, and an image is given         that image, given only what such an image loads
        prebuilt       loadable, of a version with an image    Vertex's image of that version
        prebuilt       loadable, older than an image of its    Vertex's next newer image, and why says so
                       major version
        prebuilt       loadable, newer, or of unknown version  refused, naming the newest that there is
        auto           such that prebuilt fits                 as prebuilt; the mapping's image is not used
        auto           any other, and an image is given        as custom-mlflow if it has an MLmodel file, else
                                                               as mirror; why says what is wrong with prebuilt
        auto           any other                               refused, as prebuilt is

    What a version is, in this order: the mapping says it, the MLmodel's native flavor, the source's metadata,
    the name of a file. `location` is Vertex's: "europe-west4". Raises NeedsPerson.
    """
    match serving.layout:
        case Layout.MIRROR:
            return plain_fit(serving)
        case Layout.CUSTOM_MLFLOW:
            return _custom_mlflow(serving, paths)
        case Layout.PREBUILT:
            return _prebuilt(serving, paths, facts, location)
        case Layout.AUTO:
            return _auto(serving, paths, facts, location)
        case _:
            assert_never(serving.layout)


def plain_fit(serving: Serving) -> Fit:
    """Return the fit of layout mirror: the tree as it is, for the mapping's image. Raises NeedsPerson without one."""
    return Fit(Layout.MIRROR, _container(serving, _own_image(serving)))


def _custom_mlflow(serving: Serving, paths: Collection[str]) -> Fit:
    if MLMODEL not in paths:
        raise NeedsPerson(
            "layout custom-mlflow needs a file MLmodel at the root of the version, and there is none",
            "log the model with mlflow's log_model, or use layout mirror",
        )
    container = _container(serving, _own_image(serving))
    return Fit(
        Layout.CUSTOM_MLFLOW,
        replace(
            container,
            ports=container.ports or _MLFLOW_PORTS,
            predict_route=container.predict_route or _MLFLOW_PREDICT,
            health_route=container.health_route or _MLFLOW_HEALTH,
        ),
    )


def _auto(serving: Serving, paths: Collection[str], facts: Facts, location: str) -> Fit:
    # The ports and routes beside an image are that image's.
    own = serving if serving.image is None else replace(serving, ports=(), predict_route=None, health_route=None)
    try:
        return _prebuilt(replace(own, image=None), paths, facts, location)
    except NeedsPerson as problem:
        if serving.image is None:
            raise
        fallback = _custom_mlflow(serving, paths) if MLMODEL in paths else plain_fit(serving)
        return replace(fallback, why=f"{fallback.layout}: {problem.reason}")


def _prebuilt(serving: Serving, paths: Collection[str], facts: Facts, location: str) -> Fit:
    said = _what_it_is(serving, paths, facts)
    renames = choose_files(said.framework, facts.flavors.get(said.framework.name, {}), paths)
    check_paths(target for _, target in renames)
    if serving.image is not None:
        chosen, why = serving.image, f"files for {said.framework.name}: {said}"
    else:
        chosen, why = _image(said, serving, location)
    cautions = "".join(f"; {each}" for each in _cautions(said.framework, facts, renames))
    return Fit(Layout.PREBUILT, _container(serving, chosen), renames, why + cautions)


def _image(said: _Said, serving: Serving, location: str) -> tuple[str, str]:
    """Return Vertex's image for what was said, and why. Raises NeedsPerson."""
    framework = said.framework
    if serving.accelerator not in framework.accelerators:
        raise NeedsPerson(
            f"there is no prebuilt {framework.name} container for {serving.accelerator}",
            f"set accelerator cpu, or {OWN_IMAGE}",
        )
    version = None if said.version is None else read_version(said.version)
    if version is None:
        problem = "nothing says" if said.version is None else f"{shown(said.version)} does not say"
        raise NeedsPerson(
            f"{problem} which version of {framework.name} this is; the newest with a prebuilt container"
            f" is {framework.newest}",
            f"set framework_version under serving, log the version with metadata framework_version, or {OWN_IMAGE}",
        )
    used = closest(framework, version)
    if used is None:
        raise NeedsPerson(
            f"{said}, and the newest that has a prebuilt container is {framework.newest}",
            f"train it with {framework.name} {framework.newest}, or {OWN_IMAGE}",
        )
    uri = image(framework, used, serving.accelerator, location)
    why = f"prebuilt {uri.rpartition('/')[2].removesuffix(':latest')}: {said}"
    return uri, why if used == version else f"{why}, and {spell(used)} is the closest that has a container"


def _what_it_is(serving: Serving, paths: Collection[str], facts: Facts) -> _Said:
    framework, who = _framework(serving, paths, facts)
    if serving.framework_version is not None:
        return _Said(framework, who, serving.framework_version, _MAPPING)
    version = _version_of_flavor(framework, facts.flavors.get(framework.name, {}))
    if version is not None:
        return _Said(framework, who, version, "the MLmodel")
    if facts.framework is None or framework_called(facts.framework) is framework:
        return _Said(framework, who, facts.framework_version, _METADATA)
    return _Said(framework, who, None, "")


def _framework(serving: Serving, paths: Collection[str], facts: Facts) -> tuple[Framework, str]:
    """Return the framework, and who says so."""
    if serving.framework is not None:
        return _known(serving.framework, _MAPPING), _MAPPING
    if facts.unread is not None:
        raise NeedsPerson(facts.unread, f"set framework and framework_version under serving, or {OWN_IMAGE}")
    if facts.flavors:
        return _native_flavor(facts.flavors), "the MLmodel"
    if facts.framework is not None:
        return _known(facts.framework, _METADATA), _METADATA
    if found := framework_of_files(paths):
        return found[0], f"the file {shown(found[1])}"
    raise NeedsPerson(
        "neither an MLmodel file, nor metadata, nor the name of a file says which framework this version is of",
        f"set framework and framework_version under serving, or {OWN_IMAGE}",
    )


def _known(word: str, who: str) -> Framework:
    if (found := framework_called(word)) is None:
        raise NeedsPerson(f"{who} says {shown(word)}, which has no prebuilt container", OWN_IMAGE)
    return found


def _native_flavor(flavors: Mapping[str, Mapping[str, str]]) -> Framework:
    native = [each for each in FRAMEWORKS if each.name in flavors]
    if not native:
        # python_function stands beside every native flavor, so alone it means the user's own Python code.
        named = sorted(set(flavors) - {"python_function"}) or ["python_function"]
        raise NeedsPerson(f"the MLmodel says {shown(', '.join(named))}, which has no prebuilt container", OWN_IMAGE)
    if len(native) > 1:
        both = " and ".join(each.name for each in native)
        raise NeedsPerson(
            f"the MLmodel says {both}, and no one of them is preferred", f"set framework under serving, or {OWN_IMAGE}"
        )
    return native[0]


def _version_of_flavor(framework: Framework, flavor: Mapping[str, str]) -> str | None:
    if framework is TENSORFLOW:
        # mlflow writes TensorFlow's own version as keras_version, and for other models none (3.17.2, tensorflow/).
        return flavor.get("keras_version") if flavor.get("model_type") == "keras" else None
    return flavor.get(_VERSION_KEYS[framework.name])


def _cautions(framework: Framework, facts: Facts, renames: Renames) -> list[str]:
    """Say what a person may not expect of a model that loads."""
    flavor = facts.flavors.get(framework.name, {})
    cautions = []
    if framework is XGBOOST and renames[0][1] == "model.bst":
        if (model_class := flavor.get("model_class", _BOOSTER)) != _BOOSTER:
            wrapper = shown(model_class.rpartition(".")[2])
            cautions.append(f"the container loads the Booster inside {wrapper}, so answers are the Booster's")
        # The SDK's predictor asks with plain lists (aiplatform/prediction/xgboost/predictor.py), and a Booster
        # that knows names of columns raises ValueError for those (xgboost 2.1.4, measured in tests/serving).
        if facts.signature and _COLUMN_NAME.search(facts.signature):
            cautions.append("its columns have names, and a Booster trained with names refuses plain lists of numbers")
    if framework is SKLEARN and flavor.get("serialization_format") == "cloudpickle":
        cautions.append("it is written by cloudpickle, and loads only if the container has all that it refers to")
    return cautions


def _own_image(serving: Serving) -> str:
    if serving.image is None:
        raise NeedsPerson(f"layout {serving.layout} needs an image, and none is given", "give an image under serving")
    return serving.image


def _container(serving: Serving, chosen: str) -> Container:
    env = tuple(sorted(serving.env.items()))
    return Container(chosen, serving.ports, serving.predict_route, serving.health_route, env)
