"""200 models that change at once, under Vertex's quotas of 60 uploads a minute, beside another connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.service import stage

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.table import Row

MODELS = 200


def measure(folder: Path) -> list[Row]:
    """Have 200 new collections found by one sweep, and watch what becomes of them and what is said."""
    stage.seed(folder / "sandbox", MODELS, "crowd")
    stage.write_config(folder, stage.one_mapping("crowd-.*"), "poll_every: 10s\n")
    with stage.sandbox(folder / "sandbox", "--no-mlflow"):
        stage.control("PATCH", "/switches/vertex", {"quotas": True})
        with stage.Service(folder) as service:
            seconds = stage.until(lambda: service.metric("bridge_models", state="SYNCED") == MODELS, 1.0)
            refused = service.metric("bridge_upstream_requests_total", api="vertex", code="429")
            loud = len(service.loud())
    return [
        ("200 models at once, until all are synced", f"{MODELS / 60 - 1:.2g} min by quota", "min", [seconds / 60]),
        ("200 models at once, refusals by quota", "-", "requests", [refused]),
        ("200 models at once, warnings to people", "<= 0", "lines", [float(loud)]),
    ]
