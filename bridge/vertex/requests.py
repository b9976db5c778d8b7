"""How a version is spelled in a request to Vertex AI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.cloud import aiplatform_v1 as v1  # noqa: TID251  this is its room

from bridge.core.describing import description_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.core.model import Container, Facts, SourceVersion


def model_of(
    name: str,
    version: SourceVersion,
    artifact_uri: str,
    container: Container,
    *,
    labels: Mapping[str, str],
    facts: Facts,
) -> v1.Model:
    """Return what is uploaded: without aliases."""
    return v1.Model(
        display_name=name[:128],
        version_description=description_of(version, facts),
        artifact_uri=artifact_uri,
        container_spec=_container(container),
        labels=dict(labels),
    )


def _container(container: Container) -> v1.ModelContainerSpec:
    return v1.ModelContainerSpec(
        image_uri=container.image,
        ports=[v1.Port(container_port=port) for port in container.ports],
        predict_route=container.predict_route or "",
        health_route=container.health_route or "",
        env=[v1.EnvVar(name=name, value=value) for name, value in container.env],
    )
