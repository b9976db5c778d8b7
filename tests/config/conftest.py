"""A whole configuration in the current directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.config.folders import Folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    return Folder(tmp_path)
