"""
200 models that change at once, under Vertex's quotas of 60 uploads a minute; and one of another connection meanwhile.

That one has an alias moved as soon as a quarter of the crowd is there, between two versions that are registered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.service import stage

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.table import Row

MODELS = 200
POLL = 10  # seconds
ASKED_EVERY = 1.0  # seconds: asking counts for the same quota
MODEL = "model-{name}"
ASIDE = "model-aside-00000"


def measure(folder: Path) -> list[Row]:
    """Have 200 new collections found by one sweep, and watch what becomes of them and what is said."""
    stage.seed(folder / "sandbox", 1, "aside", versions=2)
    aside = stage.one_mapping("aside-.*", "aside", MODEL).replace("from: acme", "from: other")
    stage.write_config(folder, aside, f"poll_every: {POLL}s\n", others=("other",))
    with stage.sandbox(folder / "sandbox", "--no-mlflow"), stage.Service(folder) as service, stage.vertex() as vertex:
        for version in (1, 0):  # both are registered
            stage.until(lambda: stage.holder(vertex, ASIDE, "production") is not None)
            stage.tag(stage.api().artifact(f"{stage.REGISTRY}/aside-00000:v{version}"))
            stage.until(lambda wanted=str(2 - version): stage.holder(vertex, ASIDE, "production") != wanted)  # type: ignore[misc]  # mypy infers no default of a lambda
    stage.seed(folder / "sandbox", MODELS, "crowd")
    stage.write_config(folder, stage.one_mapping("crowd-.*") + aside, f"poll_every: {POLL}s\n", others=("other",))
    with stage.sandbox(folder / "sandbox", "--no-mlflow"), stage.vertex() as vertex:
        stage.control("PATCH", "/switches/vertex", {"quotas": True})
        with stage.Service(folder) as service:
            first = stage.until(lambda: service.metric("bridge_models", state="SYNCED") >= MODELS / 4, 1.0)
            moved = stage.api().artifact(f"{stage.REGISTRY}/aside-00000:v1")
            stage.tag(moved)
            beside = stage.until(lambda: stage.holder(vertex, ASIDE, "production") == "2", ASKED_EVERY)
            rest = stage.until(lambda: service.metric("bridge_models", state="SYNCED") == MODELS + 1, 1.0)
            refused = sum(
                service.metric("bridge_upstream_requests_total", api=api, code="429")
                for api in ("vertex", "vertex_uploads")
            )
            loud = len(service.loud())
    return [
        ("200 models at once, until all are synced", "-", "min", [(first + beside + rest) / 60]),
        ("200 models at once, refusals by quota", "-", "requests", [refused]),
        ("200 models at once, warnings to people", "<= 0", "lines", [float(loud)]),
        (f"tag to alias of another connection meanwhile, polled every {POLL} s", f"<= {POLL + 2}", "s", [beside]),
    ]
