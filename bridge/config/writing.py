"""A first bridge.yaml and a first mapping, as text: what `bridge init` writes. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})  # which YAML takes for something else


@dataclass(frozen=True, slots=True)
class First:
    """What a first configuration says; nothing in it is a secret, only the name of a variable that holds one."""

    source: Literal["wandb", "mlflow"]
    source_url: str
    collection: str  # of MLflow: the registered model
    project: str  # in Google Cloud
    location: str
    bucket: str
    model: str
    policy: str
    name: str  # of the mapping, and its file
    organization: str | None = None  # of W&B, as all down to the blank line
    registry: str = "model"
    api_key_env: str = "WANDB_API_KEY"

    stages: tuple[str, ...] = ()  # of MLflow
    aliases: tuple[tuple[str, str], ...] = ()
    default_from: str | None = None
    image: str | None = None
    port: int | None = None
    layout: str | None = None
    endpoint: str | None = None  # of a stand-in for Vertex AI
    storage_endpoint: str | None = None
    insecure: bool = False


def bridge_yaml(first: First) -> str:
    """Spell bridge.yaml."""
    if first.source == "wandb":
        source = _flow(
            kind="wandb",
            base_url=first.source_url,
            organization=first.organization,
            api_key={"env": first.api_key_env},
        )
    else:
        source = _flow(kind="mlflow", tracking_uri=first.source_url)
    target = _flow(
        kind="vertex",
        project=first.project,
        location=first.location,
        bucket=first.bucket,
        endpoint=first.endpoint,
        insecure=first.insecure or None,
        storage_endpoint=first.storage_endpoint,
    )
    return (
        "# How to reach things. Secrets are references, {env: NAME} or {file: PATH}, never values.\n"
        "store: sqlite:///bridge.db\n"
        "connections:\n"
        f"  source: {source}\n"
        f"  vertex: {target}\n"
    )


def mapping_yaml(first: First) -> str:
    """Spell the mapping's file."""
    if first.source == "wandb":
        source = _flow(**{"from": "source", "registry": first.registry, "collection": first.collection})
    else:
        source = _flow(**{"from": "source", "model": first.collection, "stages": first.stages or None})
    lines = [
        f"name: {_scalar(first.name)}",
        f"source: {source}",
        f"target: {_flow(to='vertex', model=first.model)}",
        f"policy: {_scalar(first.policy)}",
        *([f"aliases: {_flow(**dict(first.aliases))}"] if first.aliases else []),
        *([f"default_from: {_scalar(first.default_from)}"] if first.default_from else []),
        f"serving: {_flow(layout=first.layout, image=first.image, port=first.port)}",
    ]
    return "# What follows what: see mappings/README.md.\nmappings:\n  - " + "\n    ".join(lines) + "\n"


def _flow(**said: object) -> str:
    return f"{{{', '.join(f'{_scalar(key)}: {_value(value)}' for key, value in said.items() if value is not None)}}}"


def _value(value: object) -> str:
    match value:
        case dict():
            return _flow(**value)
        case tuple():
            return f"[{', '.join(map(_scalar, value))}]"
        case bool() | int():
            return json.dumps(value)
        case _:
            return _scalar(str(value))


def _scalar(text: str) -> str:
    """Spell a text so that YAML reads just that; a JSON string is one of YAML's."""
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else json.dumps(text)
