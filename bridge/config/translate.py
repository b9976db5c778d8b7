"""Values of bridge.core, and Config's own, from what the files say. Nothing here can be wrong any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bridge.config import units
from bridge.config.model import (
    Config,
    MlflowConnection,
    SecretRef,
    ServiceSettings,
    VertexConnection,
    WandbConnection,
    WebhookSecrets,
)
from bridge.config.relations_aliases import OTHERS
from bridge.config.schema_bridge import MlflowYaml, WandbWebhookYaml, WandbYaml
from bridge.config.schema_mapping import NewestYaml
from bridge.config.schema_source import MlflowSourceYaml, PatternYaml, ProjectSourceYaml
from bridge.core.model import (
    MLFLOW_PLACE,
    Alias,
    AliasRules,
    CollectionSelector,
    Freeze,
    Layout,
    MappingSpec,
    OnConflict,
    OnDrift,
    OnSourceDelete,
    Policy,
    RemovalGuard,
    Scan,
    Serving,
    Target,
    VersionRule,
)

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.config.schema_bridge import BridgeYaml, MlflowWebhookYaml, NotifyYaml, SecretYaml, VertexYaml
    from bridge.config.schema_mapping import MappingYaml, ScanYaml
    from bridge.config.schema_service import ServiceYaml
    from bridge.config.schema_serving import ServingYaml
    from bridge.core.errors import Position


def to_config(said: BridgeYaml, path: Path, mappings: tuple[MappingSpec, ...]) -> Config:
    """Return the whole configuration; files of secrets are looked for beside bridge.yaml, not where we run."""
    folder = path.parent
    return Config(
        path=path,
        store=said.store if isinstance(said.store, str) else _secret(said.store, folder),
        secret_key=_secret(said.secret_key, folder) if said.secret_key is not None else None,
        owner=said.owner,
        poll_every=units.duration(said.poll_every),
        settle=units.duration(said.guards.settle),
        copying=said.copying.settings(),
        service=_service(said.service),
        limits={name: units.budget(getattr(said.limits, name)) for name in type(said.limits).model_fields},
        notify=_channels(said.notify, folder),
        guard=RemovalGuard(units.share(said.guards.max_removals), said.guards.min_removals),
        connections={name: _connection(name, each, folder) for name, each in said.connections.items()},
        mappings=mappings,
    )


def _service(said: ServiceYaml) -> ServiceSettings:
    host, _, port = said.listen.rpartition(":")
    full_every, grace = units.duration(said.full_every), units.duration(said.grace)
    return ServiceSettings(host.strip("[]"), int(port), said.keys, full_every, grace)


def _channels(said: NotifyYaml, folder: Path) -> dict[Literal["slack", "webhook"], SecretRef]:
    found: dict[Literal["slack", "webhook"], SecretRef] = {}
    if said.slack is not None:
        found["slack"] = _secret(said.slack.url, folder)
    if said.webhook is not None:
        found["webhook"] = _secret(said.webhook.url, folder)
    return found


def to_spec(said: MappingYaml, origin: Position) -> MappingSpec:
    """Return one rule; `origin` is where it begins."""
    rules = _alias_rules(said)
    versions = _version_rule(said)
    return MappingSpec(
        name=said.name,
        source=_selector(said, rules, versions),
        target=Target(said.target.to, said.target.model),
        policy=Policy(said.policy),
        aliases=rules,
        serving=_serving(said.serving),
        origin=origin,
        default_from=said.default_from,
        versions=versions,
        drift=OnDrift(said.drift),
        on_conflict=OnConflict(said.on_conflict),
        on_source_delete=OnSourceDelete(said.on_source_delete),
        freezes=tuple(Freeze(each.cron, units.duration(each.for_), each.timezone) for each in said.freeze),
        scan=None if said.scan is None else _scan(said.scan),
    )


def _scan(said: ScanYaml) -> Scan:
    return Scan(tuple(said.command), units.duration(said.within).total_seconds())


def _connection(
    name: str, said: WandbYaml | MlflowYaml | VertexYaml, folder: Path
) -> WandbConnection | MlflowConnection | VertexConnection:
    if isinstance(said, WandbYaml):
        key, webhook = _secret(said.api_key, folder), _webhook(said.webhook, folder)
        return WandbConnection(name, said.base_url.rstrip("/"), key, said.organization, webhook)
    storage_endpoint = said.storage_endpoint.rstrip("/") if said.storage_endpoint else None
    if isinstance(said, MlflowYaml):
        stores = tuple(store.rstrip("/") for store in said.artifact_stores)
        uri, webhook = said.tracking_uri.rstrip("/"), _webhook(said.webhook, folder)
        return MlflowConnection(name, uri, said.workspace, stores, storage_endpoint, webhook)
    return VertexConnection(
        name=name,
        project=said.project,
        location=said.location,
        bucket=said.bucket.rstrip("/"),
        endpoint=said.endpoint,
        insecure=said.insecure,
        storage_endpoint=storage_endpoint,
    )


def _secret(said: SecretYaml, folder: Path) -> SecretRef:
    return SecretRef(said.env, str(folder / said.file) if said.file is not None else None)


def _webhook(said: WandbWebhookYaml | MlflowWebhookYaml | None, folder: Path) -> WebhookSecrets | None:
    if said is None:
        return None
    token = said.token if isinstance(said, WandbWebhookYaml) else None
    return WebhookSecrets(*(_secret(each, folder) if each else None for each in (token, said.secret)))


def _selector(said: MappingYaml, rules: AliasRules, versions: VersionRule) -> CollectionSelector:
    source = said.source
    aliases = None
    deletes = said.on_source_delete == "delete"  # then a version without an alias is missed, too
    if rules.others == "drop" and versions == VersionRule() and not deletes:
        wanted = {name for name, spelled in rules.named.items() if spelled is not None}
        aliases = frozenset(wanted | ({said.default_from} if said.default_from else set()))
    if isinstance(source, MlflowSourceYaml):
        return _mlflow_selector(source, aliases)
    if isinstance(source, ProjectSourceYaml):
        place = f"{source.entity}/{source.project}"
        return CollectionSelector(source.from_, place, source.collection, artifact_type=source.type, aliases=aliases)
    return CollectionSelector(
        connection=source.from_,
        place=f"wandb-registry-{source.registry}",
        name=_name(source.collection),
        is_pattern=isinstance(source.collection, PatternYaml),
        tags=frozenset(source.where.tags if source.where else ()),
        aliases=aliases,
    )


def _mlflow_selector(source: MlflowSourceYaml, wanted: frozenset[str] | None) -> CollectionSelector:
    """Return which models; `wanted` are the only stages and aliases that the mapping spells, None if any."""
    stages = frozenset(source.stages or ())
    aliases = wanted - stages if wanted is not None else None
    return CollectionSelector(
        connection=source.from_,
        place=MLFLOW_PLACE,
        name=_name(source.model),
        is_pattern=isinstance(source.model, PatternYaml),
        tags=frozenset(f"{key}={value}" for key, value in source.where.tags.items()) if source.where else frozenset(),
        aliases=aliases if source.aliases is None else frozenset(source.aliases),
        stages=stages,
    )


def _name(said: str | PatternYaml) -> str:
    return said.regex if isinstance(said, PatternYaml) else said


def _alias_rules(said: MappingYaml) -> AliasRules:
    """
    Return how aliases are spelled.

        aliases             alias_style  named          others
        (absent)            -            -              pass
        (absent)            slug         -              slug
        {a: b, c: null}     -            a: b, c: null  pass
        {a: b, '*': null}   -            a: b           drop
        [a]                 -            a: a           drop
    """
    if isinstance(said.aliases, list):
        return AliasRules({name: Alias(name) for name in said.aliases}, "drop")
    named = {name: None if to is None else Alias(to) for name, to in said.aliases.items() if name != OTHERS}
    if OTHERS in said.aliases:
        return AliasRules(named, "drop")
    return AliasRules(named, said.alias_style or "pass")


def _version_rule(said: MappingYaml) -> VersionRule:
    if isinstance(said.versions, NewestYaml):
        return VersionRule(said.versions.latest)
    return VersionRule(None if said.versions == "all" else 0)


def _serving(said: ServingYaml) -> Serving:
    return Serving(
        layout=Layout(said.layout),
        image=said.image,
        ports=(said.port,) if said.port is not None else tuple(said.ports),
        predict_route=said.predict_route,
        health_route=said.health_route,
        env=said.env,
        framework=said.framework,
        framework_version=said.framework_version,
        accelerator=said.accelerator,
    )
