"""mlflow as people use it, kept quiet and at home."""

from __future__ import annotations

import importlib
import logging
import warnings
from typing import TYPE_CHECKING

import pytest

from tests.serving.versions import Version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="package", autouse=True)
def _quiet_mlflow() -> Iterator[None]:
    """Let mlflow report to nobody; its advice against pickles is known."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        with warnings.catch_warnings():
            # It warns of a type hint of its own (mlflow 3.17.2, types/responses.py).
            warnings.filterwarnings("ignore", ".*Any type hint is inferred as AnyType", UserWarning)
            importlib.import_module("mlflow.pyfunc")
        logger.setLevel(logging.ERROR)
        yield
        logger.setLevel(level)


@pytest.fixture
def version(tmp_path: Path) -> Version:
    """Return a version whose folder is not there yet, as mlflow wants it."""
    return Version(tmp_path / "version")


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """Return the folder that the container is given."""
    folder = tmp_path / "given"
    folder.mkdir()
    return folder
