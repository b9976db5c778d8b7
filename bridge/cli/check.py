"""`bridge check`: whether the configuration is sound."""

from __future__ import annotations

from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, Json, load_config
from bridge.cli.printing import say, say_json


def check(config: ConfigPath = DEFAULT_CONFIG, *, as_json: Json = False) -> None:
    """Validate bridge.yaml and the mappings, offline."""
    loaded = load_config(config)
    if as_json:
        say_json({"connections": sorted(loaded.connections), "mappings": [spec.name for spec in loaded.mappings]})
        return
    say(f"{config}: fine; connections: {len(loaded.connections)}, mappings: {len(loaded.mappings)}")
