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
WANDB, VERTEX_REST, VERTEX_GRPC, GCS = 0, 2, 3, 4  # offsets to the base; 1 and 5 are kept for MLflow and control


def environment(port_base: int = PORT_BASE) -> dict[str, str]:
    """Return the variables for a sandbox on these ports."""

    def at(offset: int) -> str:
        return f"127.0.0.1:{port_base + offset}"

    return variables(f"http://{at(WANDB)}", f"http://{at(VERTEX_REST)}", at(VERTEX_GRPC), f"http://{at(GCS)}")


def variables(wandb: str, vertex_rest: str, vertex_grpc: str, gcs: str) -> dict[str, str]:
    """Return the variables that point unmodified scripts at stand-ins at these addresses."""
    return {
        "WANDB_BASE_URL": wandb,
        "WANDB_API_KEY": API_KEY,
        "WANDB_ENTITY": TEAM,
        "WANDB_ORGANIZATION": ORGANIZATION,
        "STORAGE_EMULATOR_HOST": gcs,
        "BRIDGE_SANDBOX_VERTEX_REST": vertex_rest,
        "BRIDGE_SANDBOX_VERTEX_GRPC": vertex_grpc,
    }
