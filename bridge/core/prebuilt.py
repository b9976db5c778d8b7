"""
Which images Vertex AI has of its own, and which files they load. Pure.

The catalogue is that of google-cloud-aiplatform 2.7.0 (aiplatform/constants/prediction.py), and a test holds
it there. The names of files are from Google's page "Export model artifacts for prediction", and the SDK's
own predictors look for the same ones (aiplatform/prediction/{sklearn,xgboost}/predictor.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bridge.core.errors import NeedsPerson

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

Version = tuple[int, int]  # major and minor
Renames = tuple[tuple[str, str], ...]  # path in the faithful copy, path for the container; sorted

OWN_IMAGE = "give an image of your own under serving, with layout custom-mlflow, mirror or auto"  # ends most remedies
SAVED_MODEL = "saved_model.pb"

_SHOWN = 80  # characters of a text from outside
_VERSION = re.compile(
    r"(\d{1,4})\.(\d{1,4})(\.\d{1,6}){0,3}([.-]?(a|b|rc|dev|post)\d{0,8}){0,2}(\+[a-zA-Z0-9.]{1,20})?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Framework:
    """A framework that Vertex AI has images for."""

    name: str  # also of its flavor in an MLmodel file
    spellings: frozenset[str]  # lower case
    versions: tuple[Version, ...]  # newest first
    accelerators: frozenset[str]
    files: Mapping[str, str]  # a file that a version may hold -> the name under which the images load it
    telling: frozenset[str]  # those of `files` whose name alone says which framework it is

    @property
    def newest(self) -> str:
        """The newest version that has an image."""
        return spell(self.versions[0])


SKLEARN = Framework(
    "sklearn",
    frozenset({"sklearn", "scikit-learn", "scikit_learn"}),
    ((1, 6), (1, 5), (1, 4), (1, 3), (1, 2), (1, 0), (0, 24), (0, 23), (0, 22), (0, 20)),
    frozenset({"cpu"}),
    {"model.pkl": "model.pkl", "model.joblib": "model.joblib"},
    frozenset({"model.pkl", "model.joblib"}),
)
XGBOOST = Framework(
    "xgboost",
    frozenset({"xgboost"}),
    ((2, 1), (2, 0), (1, 7), (1, 6), (1, 5), (1, 4), (1, 3), (1, 2), (1, 1), (0, 90), (0, 82)),
    frozenset({"cpu"}),
    # A booster is recognised by its first bytes, not by its name: the same code reads UBJSON, JSON and
    # the old binary form under ".bst" (xgboost 2.1.4, measured in tests/serving).
    {
        "model.bst": "model.bst",
        "model.ubj": "model.bst",
        "model.json": "model.bst",
        "model.xgb": "model.bst",
        "model.pkl": "model.pkl",
        "model.joblib": "model.joblib",
    },
    frozenset({"model.bst"}),
)
TENSORFLOW = Framework(
    "tensorflow",
    frozenset({"tensorflow", "tf"}),
    (*((2, minor) for minor in range(15, 0, -1)), (1, 15)),
    frozenset({"cpu", "gpu"}),
    {SAVED_MODEL: SAVED_MODEL},
    frozenset({SAVED_MODEL}),
)
PYTORCH = Framework(
    "pytorch",
    frozenset({"pytorch", "torch"}),
    ((2, 4), (2, 3), (2, 2), (2, 1), (2, 0), (1, 13), (1, 12), (1, 11)),
    frozenset({"cpu", "gpu"}),
    {"model.mar": "model.mar"},
    frozenset({"model.mar"}),
)
FRAMEWORKS = (SKLEARN, XGBOOST, TENSORFLOW, PYTORCH)


def shown(text: str) -> str:
    """Quote a text from outside, escaped, and cut where it would fill the screen."""
    return ascii(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def spell(version: Version) -> str:
    """Write a version as people do: "1.6"."""
    return f"{version[0]}.{version[1]}"


def read_version(text: str) -> Version | None:
    """Return major and minor of "2.1.4", "1.6rc1" or "2.4.0+cpu"; None for anything odd."""
    match = _VERSION.fullmatch(text)
    return (int(match[1]), int(match[2])) if match else None


def framework_called(word: str) -> Framework | None:
    """Return the framework that people spell like this, None if it has no image."""
    return next((each for each in FRAMEWORKS if word.strip().lower() in each.spellings), None)


def framework_of_files(paths: Iterable[str]) -> tuple[Framework, str] | None:
    """
    Tell a framework by the one file that is named as its images want it, and return that file too.

    None if there is none. Raises NeedsPerson if there are two.
    """
    telling = {name: each for each in FRAMEWORKS for name in each.telling}
    path = _only_one(
        paths, telling, f"set framework under serving, log the version with one of them only, or {OWN_IMAGE}"
    )
    return None if path is None else (telling[_name(path)], path)


def closest(framework: Framework, version: Version) -> Version | None:
    """
    Return the version whose image is for `version`: its own, else the next higher one of the same major.

    A model is read by the library that wrote it or a later one, so a lower image never is; the SDK chooses
    as this does (aiplatform/helpers/container_uri_builders.py), but counts 1.3.2 as higher than 1.3.
    """
    fitting = (each for each in framework.versions if each[0] == version[0] and each >= version)
    return min(fitting, default=None)


def image(framework: Framework, version: Version, accelerator: Literal["cpu", "gpu"], location: str) -> str:
    """Return the image for a version of the catalogue, from the registry that is closest to a Vertex location."""
    area = location.partition("-")[0]
    host = area if area in {"europe", "asia"} else "us"
    name = framework.name
    if framework is TENSORFLOW:
        name = "tf" if version < (2, 0) else "tf2"
    return f"{host}-docker.pkg.dev/vertex-ai/prediction/{name}-{accelerator}.{version[0]}-{version[1]}:latest"


def choose_files(framework: Framework, flavor: Mapping[str, str], paths: Collection[str]) -> Renames:
    """
    Choose what the framework's images load, and under which names: the flavor's file, else the well-known one.

    `flavor` is the framework's part of an MLmodel file, empty if there is none. Raises NeedsPerson.
    """
    chosen: Renames | None = None
    if framework is SKLEARN and "pickled_model" in flavor:
        chosen = _pickle(flavor, paths)
    elif framework is XGBOOST and "data" in flavor:
        chosen = ((_present(flavor["data"], paths), "model.bst"),)
    elif framework is TENSORFLOW:
        chosen = _saved_model(flavor, paths)
    return chosen or _well_known(framework, paths)


def _pickle(flavor: Mapping[str, str], paths: Collection[str]) -> Renames:
    path, form = flavor["pickled_model"], flavor.get("serialization_format", "pickle")
    if form == "skops" or path.endswith(".skops"):
        raise NeedsPerson(
            "the model is written by skops, which no prebuilt container reads, and turning it into a pickle"
            " would run the model's code",
            "log it with serialization_format='cloudpickle' by a scikit-learn that has a container"
            f" ({SKLEARN.newest} or older), or {OWN_IMAGE}",
        )
    if form not in {"pickle", "cloudpickle"}:
        raise NeedsPerson(f"no prebuilt container reads the serialization_format {shown(form)}", OWN_IMAGE)
    return ((_present(path, paths), "model.joblib" if path.endswith(".joblib") else "model.pkl"),)


def _saved_model(flavor: Mapping[str, str], paths: Collection[str]) -> Renames | None:
    if "saved_model_dir" in flavor:
        folder = flavor["saved_model_dir"].strip("/")
        prefix = "" if folder in {"", "."} else f"{folder}/"
        _present(prefix + SAVED_MODEL, paths)
    elif "data" in flavor:  # of a Keras model, which MLflow saves as <data>/model, model.keras or model.h5
        prefix = f"{flavor['data'].strip('/')}/model/"
        if prefix + SAVED_MODEL not in paths:
            raise NeedsPerson(
                f"this Keras model is not a SavedModel: there is no file {shown(prefix + SAVED_MODEL)}",
                f"export it as a SavedModel and log that, or {OWN_IMAGE}",
            )
    else:
        return None
    return _below(prefix, paths)


def _well_known(framework: Framework, paths: Collection[str]) -> Renames:
    path = _only_one(paths, framework.files, f"log the version with one of them only, or {OWN_IMAGE}")
    if path is None:
        made = "; MLflow makes none" if framework is PYTORCH else ""
        raise NeedsPerson(
            f"this version has no file that a {framework.name} container loads ({', '.join(framework.files)}{made})",
            f"log it with one, or {OWN_IMAGE}",
        )
    if framework is TENSORFLOW:
        return _below(path.removesuffix(SAVED_MODEL), paths)
    return ((path, framework.files[_name(path)]),)


def _below(prefix: str, paths: Collection[str]) -> Renames:
    return tuple((path, path.removeprefix(prefix)) for path in sorted(set(paths)) if path.startswith(prefix))


def _only_one(paths: Iterable[str], names: Collection[str], remedy: str) -> str | None:
    """Find the one file with one of the names, at the root or, if none is there, anywhere below."""
    named = sorted({path for path in paths if _name(path) in names})
    found = [path for path in named if "/" not in path] or named
    if len(found) > 1:
        more = f" and {len(found) - 2} more" if len(found) > 2 else ""  # noqa: PLR2004  two are named
        raise NeedsPerson(f"{shown(found[0])} and {shown(found[1])}{more} could each be the model", remedy)
    return found[0] if found else None


def _present(path: str, paths: Collection[str]) -> str:
    if path not in paths:
        raise NeedsPerson(
            f"the MLmodel names {shown(path)}, which is not among the version's files",
            f"log the model again with mlflow's log_model, or {OWN_IMAGE}",
        )
    return path


def _name(path: str) -> str:
    return path.rpartition("/")[2]
