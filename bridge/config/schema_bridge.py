"""The shape of bridge.yaml."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from bridge.config import addresses, checks
from bridge.config.schema_copying import CopyingYaml
from bridge.config.schema_models import KINDS, TEXT, Duration, Name, Part, Plain, Strict, by_type
from bridge.config.schema_service import Interval, LimitsYaml, ServiceYaml
from bridge.config.units import PERCENTAGE_PATTERN
from bridge.config.wrong import Fault, Wrong, either, kind_of

Percentage = Annotated[
    str,
    AfterValidator(checks.percentage),
    BeforeValidator(either("a percentage such as 30%", str)),
    WithJsonSchema({"type": "string", "pattern": PERCENTAGE_PATTERN}),
]


class SecretYaml(Strict):
    """Where a secret lies: `{env: NAME}` or `{file: PATH}`."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    # Capitals only, so that a secret pasted in place of a name is not taken for one and shown later.
    env: str | None = Field(None, pattern=r"^[A-Z][A-Z0-9_]{0,127}$")
    file: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one_of_both(self) -> SecretYaml:
        if (self.env is None) == (self.file is None):
            raise Wrong("exactly one of env and file is needed")
        return self


class WandbWebhookYaml(Strict):
    """What webhooks of W&B must show: an access token, a signature, or both."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    token: SecretYaml | None = None
    secret: SecretYaml | None = None

    @model_validator(mode="after")
    def _at_least_one(self) -> WandbWebhookYaml:
        if self.token is None and self.secret is None:
            raise Wrong("at least one of token and secret is needed, or anybody could send webhooks")
        return self


class MlflowWebhookYaml(Strict):
    """What webhooks of MLflow must be signed with."""

    advice: ClassVar[dict[str, str]] = {
        "secret": "write secret: {env: BRIDGE_WEBHOOK_SECRET}",
        "token": "MLflow sends no token; write secret: {env: BRIDGE_WEBHOOK_SECRET}",
    }

    secret: SecretYaml


class WandbYaml(Strict):
    """A W&B server, and whose key opens it."""

    advice: ClassVar[dict[str, str]] = {
        "base_url": "write base_url: https://api.wandb.ai, or your own server",
        "api_key": "write api_key: {env: WANDB_API_KEY}",
    }

    kind: Literal["wandb"]
    base_url: Annotated[str, AfterValidator(addresses.http_url), WithJsonSchema({"type": "string", "format": "uri"})]
    organization: Plain | None = None
    api_key: SecretYaml
    webhook: WandbWebhookYaml | None = None


_BY_VARIABLE = f"MLflow's own variables are used: {addresses.MLFLOW_VARIABLES}"


class MlflowYaml(Strict):
    """An MLflow tracking server, and the buckets outside of it that versions may be read from."""

    advice: ClassVar[dict[str, str]] = {
        "tracking_uri": "write tracking_uri: http://mlflow:5000, or the address of your server",
        **dict.fromkeys(("api_key", "token", "username", "password"), _BY_VARIABLE),
    }

    kind: Literal["mlflow"]
    tracking_uri: Annotated[str, AfterValidator(addresses.tracking_uri), WithJsonSchema(TEXT)]
    workspace: Annotated[str, AfterValidator(checks.workspace), WithJsonSchema(TEXT)] | None = None
    artifact_stores: Annotated[
        list[
            Annotated[
                str,
                AfterValidator(addresses.artifact_store),
                WithJsonSchema({"type": "string", "pattern": "^(s3|gs)://[^/]+(/.*)?$"}),
            ]
        ],
        AfterValidator(checks.unique),
    ] = Field(default=[])
    storage_endpoint: Annotated[str, AfterValidator(addresses.storage_endpoint)] | None = None
    webhook: MlflowWebhookYaml | None = None


class VertexYaml(Strict):
    """A Vertex AI Model Registry, and the bucket its models lie in."""

    kind: Literal["vertex"]
    project: Part
    location: Annotated[str, AfterValidator(addresses.location)]
    bucket: Annotated[
        str, AfterValidator(addresses.bucket), WithJsonSchema({"type": "string", "pattern": "^gs://[^/]+(/.*)?$"})
    ]
    endpoint: Annotated[str, AfterValidator(addresses.endpoint)] | None = None
    insecure: bool = False
    storage_endpoint: Annotated[str, AfterValidator(addresses.storage_endpoint)] | None = None


class GuardsYaml(Strict):
    """What is taken for an accident, and how long a lost reply may still come true."""

    max_removals: Percentage = "30%"
    min_removals: int = Field(3, ge=1)
    settle: Duration = "10m"


class ChannelYaml(Strict):
    """Where notifications go: whoever has the URL may write there, so it is a secret."""

    advice: ClassVar[dict[str, str]] = {"url": "write url: {env: SLACK_WEBHOOK_URL}"}

    url: SecretYaml


class NotifyYaml(Strict):
    """Who is told when a model is blocked, fails or recovers, and when an alias has moved."""

    slack: ChannelYaml | None = None
    webhook: ChannelYaml | None = None


_KINDS = f"{', '.join(KINDS[:-1])} or {KINDS[-1]}"


def _connection_kind(value: object) -> object:
    if not isinstance(value, dict):
        raise Wrong(f"expected a mapping, found {kind_of(value)}")
    kind = value.get("kind")
    if "kind" not in value:
        raise Wrong(f"missing key 'kind'; use {_KINDS}")
    if kind not in KINDS:
        found = repr(kind) if isinstance(kind, str) else kind_of(kind)
        raise Wrong(Fault(f"expected {_KINDS}, found {found}", ("kind",)))
    return value


ConnectionYaml = Annotated[
    Annotated[WandbYaml, Tag("\0wandb")]
    | Annotated[MlflowYaml, Tag("\0mlflow")]
    | Annotated[VertexYaml, Tag("\0vertex")],
    Discriminator(lambda value: f"\0{value['kind']}"),
    BeforeValidator(_connection_kind),
]


class BridgeYaml(Strict):
    """bridge.yaml: how to reach things."""

    advice: ClassVar[dict[str, str]] = {
        "connections": "it names the W&B, MLflow and Vertex AI ends that mappings refer to"
    }

    store: Annotated[
        Annotated[str, AfterValidator(addresses.store), Tag("\0text")] | Annotated[SecretYaml, Tag("\0mapping")],
        Discriminator(by_type),
        BeforeValidator(either("a text or {env: NAME}", str, dict)),
    ] = "sqlite:///bridge.db"
    secret_key: SecretYaml | None = None
    owner: Annotated[str, AfterValidator(checks.owner)] = "registry-bridge"
    poll_every: Interval = "60s"
    mappings: Plain = "mappings"
    connections: dict[Name, ConnectionYaml]
    guards: GuardsYaml = Field(default_factory=lambda: GuardsYaml.model_validate({}))
    copying: CopyingYaml = Field(default_factory=lambda: CopyingYaml.model_validate({}))
    service: ServiceYaml = Field(default_factory=lambda: ServiceYaml.model_validate({}))
    notify: NotifyYaml = Field(default_factory=lambda: NotifyYaml.model_validate({}))
    limits: LimitsYaml = Field(default_factory=lambda: LimitsYaml.model_validate({}))
