"""A folder with a configuration, of which a test spoils one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.config.load import load
from bridge.core.errors import ConfigError, ConfigErrors

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.config.model import Config

ACME = "{kind: wandb, base_url: https://api.wandb.ai, organization: acme, api_key: {env: WANDB_API_KEY}}"
ML = "{kind: mlflow, tracking_uri: 'http://mlflow:5000'}"
PROD = "{kind: vertex, project: acme-prod, location: europe-west4, bucket: gs://acme-models-ew4/registry}"


class Folder:
    """The current directory, holding bridge.yaml and mappings/; a mapping's keys stand on lines 2 to 6."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "mappings").mkdir()
        self.bridge()
        self.mapping()

    def write(self, name: str, text: str | bytes) -> None:
        (self.path / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    def bridge(self, more: str = "", *, acme: str = ACME, prod: str = PROD) -> None:
        """Write bridge.yaml: `acme` on line 2, `prod` on line 3, `more` from line 4 on."""
        self.write("bridge.yaml", f"connections:\n  acme: {acme}\n  prod: {prod}\n{more}")

    def mapping(self, name: str = "fraud", *, file: str = "fraud.yaml", **changes: str | None) -> None:
        """Write a mapping: name on line 2, source 3, target 4, policy 5, serving 6, others below; None: left out."""
        lines = {
            "source": "{from: acme, registry: model, collection: fraud-detector}",
            "target": f"{{to: prod, model: {name}}}",
            "policy": "sync",
            "serving": "{image: img}",
        } | changes
        text = "".join(f"    {key}: {value}\n" for key, value in lines.items() if value is not None)
        self.write(f"mappings/{file}", f"mappings:\n  - name: {name}\n{text}")

    def load(self) -> Config:
        return load(self.path / "bridge.yaml")

    def errors(self) -> tuple[ConfigError, ...]:
        with pytest.raises(ConfigErrors) as raised:
            self.load()
        return raised.value.errors

    def wrong(self) -> list[str]:
        """Return every message, with its place."""
        return [str(error) for error in self.errors()]
