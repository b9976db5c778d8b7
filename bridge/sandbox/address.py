"""Where the sandbox is, and who may come in: known without starting it."""

from __future__ import annotations

ORGANIZATION = "acme"
ORG_ENTITY = "acme_org"  # owns the registries
TEAM = "acme-team"
REGISTRY = "model"
API_KEY = "local-" + "a" * 40  # made up
PROJECT = "acme-prod"
LOCATION = "europe-west4"
BUCKET = "acme-models"

PORT_BASE = 8460
OFFSETS = {"wandb": 0, "mlflow": 1, "vertex_rest": 2, "vertex_grpc": 3, "gcs": 4, "control": 5}  # to the base


def environment(port_base: int = PORT_BASE) -> dict[str, str]:
    """Return the variables for a sandbox on these ports."""
    at = {name: f"127.0.0.1:{port_base + offset}" for name, offset in OFFSETS.items()}
    return variables(
        wandb=f"http://{at['wandb']}",
        mlflow=f"http://{at['mlflow']}",
        vertex_rest=f"http://{at['vertex_rest']}",
        vertex_grpc=at["vertex_grpc"],
        gcs=f"http://{at['gcs']}",
        control=f"http://{at['control']}",
    )


def variables(
    *, wandb: str, mlflow: str | None, vertex_rest: str, vertex_grpc: str, gcs: str, control: str
) -> dict[str, str]:
    """Return the variables that point unmodified scripts at a sandbox at these addresses."""
    found = {
        "WANDB_BASE_URL": wandb,
        "WANDB_API_KEY": API_KEY,
        "WANDB_ENTITY": TEAM,
        "WANDB_ORGANIZATION": ORGANIZATION,
        "MLFLOW_TRACKING_URI": mlflow,
        "STORAGE_EMULATOR_HOST": gcs,
        "BRIDGE_SANDBOX_VERTEX_REST": vertex_rest,
        "BRIDGE_SANDBOX_VERTEX_GRPC": vertex_grpc,
        "BRIDGE_SANDBOX_CONTROL": control,
    }
    return {name: value for name, value in found.items() if value is not None}
