"""
The JSON Schemas of the two kinds of file, for editors and for CI; `python -m bridge.config.schema` writes them.

They say shapes; what `bridge check` knows besides (references, conflicts, regular expressions) they do not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bridge.config.schema_bridge import BridgeYaml
from bridge.config.schema_mapping import MappingsYaml, MappingYaml

FILES = {"bridge": "bridge.schema.json", "mapping": "mapping.schema.json"}


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas by kind of file, `bridge` and `mapping`; plain JSON values, draft 2020-12."""
    bridge = BridgeYaml.model_json_schema()
    mapping = MappingsYaml[MappingYaml].model_json_schema()
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {
        "bridge": {**head, **bridge, "title": "registry-bridge: bridge.yaml"},
        "mapping": {**head, **mapping, "title": "registry-bridge: mappings/*.yaml"},
    }


def text_of(schema: dict[str, Any]) -> str:
    """Return a schema as its shipped file holds it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_schemas(folder: Path) -> None:
    """Write both files into a folder."""
    for kind, schema in json_schemas().items():
        (folder / FILES[kind]).write_text(text_of(schema), encoding="utf-8")


if __name__ == "__main__":
    write_schemas(Path(__file__).parent)
