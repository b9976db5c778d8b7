"""How long `bridge run` takes until it is ready, and what it costs while nothing happens: 100 models, all synced."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.service import stage

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.table import Row

MODELS = 100
IDLE = 30  # seconds
ROUNDS = 3


def measure(folder: Path) -> list[Row]:
    """Start it a few times, and watch it between two sweeps."""
    stage.seed(folder / "sandbox", MODELS, "still")
    settings = "poll_every: 1h\nlimits: {wandb: 1000/s, vertex: 10000/m, vertex_uploads: 10000/m}\n"
    stage.write_config(folder, stage.one_mapping("still-.*"), settings)
    ready, idle = [], []
    with stage.sandbox(folder / "sandbox", "--no-mlflow"):
        with stage.Service(folder) as service:
            stage.until(lambda: service.metric("bridge_models", state="SYNCED") == MODELS)
        for _ in range(ROUNDS):
            with stage.Service(folder) as service:
                ready.append(service.seconds_to_ready)
                stage.until(lambda: service.metric("bridge_last_sweep_timestamp_seconds") > 0)
                before = sum(service.cpu())
                time.sleep(IDLE)  # noqa: TID251  it is idle
                idle.append(100 * (sum(service.cpu()) - before) / IDLE)
    return [
        ("`bridge run`, start to ready", "<= 8", "s", ready),
        ("CPU between two sweeps, SDK's core process included", "<= 1", "%", idle),
    ]
