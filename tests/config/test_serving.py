"""How a mapping says that its versions are served, and what it gets for what means nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.core.model import Layout, Serving

if TYPE_CHECKING:
    from tests.config.folders import Folder

OWN = "write image: its address, or layout: auto or layout: prebuilt, which find one of Vertex AI's own"
NOTHING = (
    "means nothing here: it chooses among Vertex AI's own images, and layout {} starts yours; "
    "leave it out, or write layout: auto or layout: prebuilt"
)
NO_VERSION = 'is not a version; write it like "1.5" or "1.5.2"'


@pytest.mark.parametrize(
    ("serving", "meant"),
    [
        ("{layout: auto}", Serving(layout=Layout.AUTO)),
        ("{layout: prebuilt}", Serving(layout=Layout.PREBUILT)),
        ("{layout: prebuilt, image: img}", Serving(layout=Layout.PREBUILT, image="img")),
        ("{layout: custom-mlflow, image: img}", Serving(layout=Layout.CUSTOM_MLFLOW, image="img")),
        ("{image: img}", Serving(layout=Layout.MIRROR, image="img")),
        (
            "{layout: auto, framework: sklearn, framework_version: 1.5.2, accelerator: gpu}",
            Serving(layout=Layout.AUTO, framework="sklearn", framework_version="1.5.2", accelerator="gpu"),
        ),
        (
            "{layout: prebuilt, framework: xgboost, framework_version: '1.10', accelerator: cpu}",
            Serving(layout=Layout.PREBUILT, framework="xgboost", framework_version="1.10"),
        ),
        ("{layout: prebuilt, image: null, framework: null}", Serving(layout=Layout.PREBUILT)),
    ],
)
def test_what_a_layout_needs_is_enough(folder: Folder, serving: str, meant: Serving) -> None:
    folder.mapping(serving=serving)
    (spec,) = folder.load().mappings
    assert spec.serving == meant


@pytest.mark.parametrize(
    ("serving", "messages"),
    [
        ("{}", [f"6:14: layout mirror needs the image that serves the files as they are; {OWN}"]),
        (
            "{layout: mirror, image: null}",
            [f"6:14: layout mirror needs the image that serves the files as they are; {OWN}"],
        ),
        (
            "{layout: custom-mlflow}",
            [f"6:14: layout custom-mlflow needs an image that runs MLflow's scoring server; {OWN}"],
        ),
        (
            "{layout: prebuild}",
            ["6:23: expected mirror, prebuilt, custom-mlflow or auto, found 'prebuild'; did you mean 'prebuilt'?"],
        ),
        (
            "{layout: [auto]}",
            [("6:23: expected mirror, prebuilt, custom-mlflow or auto, found a list; did you mean 'auto'?")],
        ),
        (
            "{image: img, framework: sklearn}",
            [f"6:27: framework {NOTHING.format('mirror')}"],
        ),
        (
            "{image: img, layout: custom-mlflow, framework_version: '1.5', accelerator: cpu}",
            [
                f"6:{column}: {key} {NOTHING.format('custom-mlflow')}"
                for column, key in ((50, "framework_version"), (76, "accelerator"))
            ],
        ),
        (
            "{layout: auto, framework_version: 1.5}",
            ["6:48: expected a text, found a decimal number; write it in quotes"],
        ),
        ("{layout: auto, framework_version: 2}", ["6:48: expected a text, found a number; write it in quotes"]),
        ("{layout: auto, framework_version: '2'}", [f"6:48: '2' {NO_VERSION}"]),
        ("{layout: auto, framework_version: 1.5.2.1}", [f"6:48: '1.5.2.1' {NO_VERSION}"]),
        ("{layout: auto, framework_version: v1.5}", [f"6:48: 'v1.5' {NO_VERSION}"]),
        (
            "{layout: auto, framework: lightgbm}",
            [
                (
                    "6:40: expected sklearn, xgboost, tensorflow or pytorch, found 'lightgbm'; "
                    "write one of sklearn, xgboost, tensorflow, pytorch"
                )
            ],
        ),
        (
            "{layout: auto, accelerator: tpu}",
            ["6:42: expected cpu or gpu, found 'tpu'; did you mean 'gpu'?"],
        ),
        (
            "{layout: auto, frame_work: sklearn}",
            ["6:29: unknown key 'frame_work'; did you mean 'framework'?"],
        ),
    ],
)
def test_what_a_layout_gets(folder: Folder, serving: str, messages: list[str]) -> None:
    folder.mapping(serving=serving)
    assert folder.wrong() == [f"mappings/fraud.yaml:{message}" for message in messages]
