"""A version as a folder on disk, and what a prebuilt container is given of it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.core.model import Facts, Layout, Serving
from bridge.core.serving import MLMODEL, fit
from bridge.sources.mlmodel import read_mlmodel

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.core.model import Fit

PREBUILT = Serving(layout=Layout.PREBUILT)
HERE = "europe-west4"


@dataclass(frozen=True, slots=True)
class Version:
    """The files of a version, as the faithful copy has them."""

    folder: Path

    @property
    def paths(self) -> list[str]:
        """All files, relative to the folder."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.folder).as_posix() for path in files)

    @property
    def facts(self) -> Facts:
        """What its MLmodel file says."""
        file = self.folder / MLMODEL
        return read_mlmodel(file.read_bytes(), MLMODEL) if file.exists() else Facts()

    def fit(self, serving: Serving = PREBUILT) -> Fit:
        """Choose how it is served."""
        return fit(serving, self.paths, self.facts, HERE)

    def arrange(self, fit: Fit, to: Path) -> Path:
        """Copy what the fit says to the folder that a container is given."""
        for source, target in fit.renames:
            (to / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.folder / source, to / target)
        return to

    def write(self, path: str, content: str = "") -> None:
        """Write a file of the version."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(content)
