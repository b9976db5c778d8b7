"""The shipped JSON Schemas."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import bridge.config
from bridge.config.schema import FILES, json_schemas, text_of, write_schemas

SHIPPED = Path(bridge.config.__file__).parent


def test_the_shipped_schemas_are_those_of_the_models() -> None:
    for kind, schema in json_schemas().items():
        shipped = (SHIPPED / FILES[kind]).read_text(encoding="utf-8")
        assert shipped == text_of(schema), "run: python -m bridge.config.schema"


def test_schemas_are_written_where_asked(tmp_path: Path) -> None:
    write_schemas(tmp_path)
    assert json.loads((tmp_path / "mapping.schema.json").read_text(encoding="utf-8"))["required"] == ["mappings"]


def test_a_schema_knows_the_keys_as_files_spell_them() -> None:
    source = json_schemas()["mapping"]["$defs"]["RegistrySourceYaml"]
    assert source["required"] == ["from", "registry", "collection"]
    assert source["additionalProperties"] is False


def test_reading_a_configuration_imports_no_vendor_and_nothing_else_of_the_bridge() -> None:
    code = "import sys, bridge.config.load; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  our own interpreter
    modules = set(ran.stdout.split())
    assert not modules & {
        "wandb",
        "google.cloud.aiplatform_v1",
        "google.cloud.storage",
        "grpc",
        "sqlalchemy",
        "requests",
        "starlette",
        "typer",
    }
    rooms = {name.split(".")[1] for name in modules if name.startswith("bridge.")}
    assert rooms == {"config", "core"}
