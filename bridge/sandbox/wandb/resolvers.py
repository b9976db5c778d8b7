"""Which class answers which type of the schema; what nobody answers is refused by name, never left out."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    validate_schema,
)

from bridge.sandbox.wandb.aliases import AliasMutations
from bridge.sandbox.wandb.artifacts import (
    Alias,
    Artifact,
    ArtifactTag,
    Membership,
)
from bridge.sandbox.wandb.automation_changes import AutomationMutations
from bridge.sandbox.wandb.automations import (
    Automation,
    EntityAutomations,
    FilterEventTriggeringCondition,
    GenericWebhookIntegration,
    GenericWebhookTriggeredAction,
    NoOpTriggeredAction,
    OrganizationAutomations,
    ProjectAutomations,
)
from bridge.sandbox.wandb.collection_changes import CollectionMutations
from bridge.sandbox.wandb.collections import (
    ArtifactType,
    Collection,
    CollectionQueries,
    EntityCollections,
    ProjectCollections,
)
from bridge.sandbox.wandb.files import ArtifactFile, ArtifactFiles, MembershipFiles, Upload
from bridge.sandbox.wandb.ids import timestamp
from bridge.sandbox.wandb.paging import Edge, Page, PageInfo
from bridge.sandbox.wandb.people import Entity, Member, Organization, PeopleMutations, PeopleQueries, User
from bridge.sandbox.wandb.projects import EntityProjects, Project, ProjectMember, ProjectQueries, UserProjects
from bridge.sandbox.wandb.registries import RegistryMutations
from bridge.sandbox.wandb.run_changes import RunMutations
from bridge.sandbox.wandb.runs import ArtifactRuns, ProjectRuns, Run, RunFile
from bridge.sandbox.wandb.uploads import UploadMutations
from bridge.sandbox.wandb.version_lists import CollectionVersions, EntityVersions, ProjectVersions, VersionQueries
from bridge.sandbox.wandb.versions import VersionMutations

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = Path(__file__).with_name("schema")


class Query(PeopleQueries, ProjectQueries, CollectionQueries, VersionQueries):
    """The root of all questions."""


class Mutation(
    PeopleMutations,
    RegistryMutations,
    CollectionMutations,
    AliasMutations,
    UploadMutations,
    VersionMutations,
    RunMutations,
    AutomationMutations,
):
    """The root of all changes."""


# The classes whose attributes and methods are a type's fields: the record itself, and what other topics add to it.
# A type that is not here is answered from dicts, by key.
ANSWERED_BY: dict[str, tuple[type, ...]] = {
    "Query": (Query,),
    "Mutation": (Mutation,),
    "User": (User, UserProjects),
    "Member": (Member,),
    "Organization": (Organization, OrganizationAutomations),
    "Entity": (Entity, EntityProjects, EntityCollections, EntityVersions, EntityAutomations),
    "Project": (Project, ProjectCollections, ProjectVersions, ProjectRuns, ProjectAutomations),
    "ProjectMember": (ProjectMember,),
    "ProjectTeamMember": (ProjectMember,),
    "ArtifactType": (ArtifactType,),
    "ArtifactSequence": (Collection, CollectionVersions),
    "ArtifactPortfolio": (Collection, CollectionVersions),
    "ArtifactCollectionMembership": (Membership, MembershipFiles),
    "Artifact": (Artifact, ArtifactFiles, ArtifactRuns),
    "ArtifactAlias": (Alias,),
    "Tag": (ArtifactTag,),
    "File": (ArtifactFile,),
    "FileUpload": (Upload,),
    "Run": (Run,),
    "RunFile": (RunFile,),
    "Trigger": (Automation,),
    "FilterEventTriggeringCondition": (FilterEventTriggeringCondition,),
    "GenericWebhookTriggeredAction": (GenericWebhookTriggeredAction,),
    "NoOpTriggeredAction": (NoOpTriggeredAction,),
    "GenericWebhookIntegration": (GenericWebhookIntegration,),
    "PageInfo": (PageInfo,),
}
NESTED_MEMBERSHIPS = frozenset(
    f"{name}.artifactMemberships" for name in ("ArtifactCollection", "ArtifactSequence", "ArtifactPortfolio")
)
# Arguments that are words of Python's own.
ARGUMENT_NAMES = {"id": "id_", "input": "given"}


@lru_cache(maxsize=8)
def schema_without(unknown_fields: frozenset[str]) -> GraphQLSchema:
    """
    Return the executable schema, without the fields ("Type.field") that this server shall not know.

    Raises ValueError if one is no field of an output type, or if what is left is no schema.
    """
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(SCHEMA.glob("*.graphql")))
    schema = build_schema(text)
    for graphql_type in schema.type_map.values():
        if isinstance(graphql_type, GraphQLObjectType) and not graphql_type.name.startswith("__"):
            _bind(graphql_type)
        elif isinstance(graphql_type, GraphQLInterfaceType | GraphQLUnionType):
            graphql_type.resolve_type = _name_of_type
    for field in sorted(unknown_fields):
        _remove(schema, field)
    if errors := validate_schema(schema):
        gone = ", ".join(sorted(unknown_fields))
        raise ValueError(f"unknown_fields: without {gone} the schema is broken: {errors[0].message}")
    return schema


def _remove(schema: GraphQLSchema, field: str) -> None:
    type_name, _, field_name = field.partition(".")
    owner = schema.type_map.get(type_name)
    # The types of introspection are graphql-core's own objects, the same in every schema.
    if isinstance(owner, GraphQLObjectType | GraphQLInterfaceType) and not type_name.startswith("__"):
        fields = owner.fields
    else:
        fields = {}
    if field_name not in fields:
        raise ValueError(f'unknown_fields: {field!r} is not "Type.field" of the schema')
    del fields[field_name]


def _bind(graphql_type: GraphQLObjectType) -> None:
    classes = ANSWERED_BY.get(graphql_type.name)
    for name, field in graphql_type.fields.items():
        for argument_name, argument in field.args.items():
            argument.out_name = ARGUMENT_NAMES.get(argument_name, argument_name)
        if graphql_type.name.endswith("Connection"):
            field.resolve = _resolver(graphql_type.name, name, (Page,))
        elif graphql_type.name.endswith("Edge"):
            field.resolve = _resolver(graphql_type.name, name, (Edge,))
        elif classes is None:
            field.resolve = _from_dict(graphql_type.name, name)
        else:
            field.resolve = _resolver(graphql_type.name, name, classes)
        if get_named_type(field.type).name == "DateTime":
            field.resolve = _as_time(field.resolve)


def _resolver(type_name: str, field: str, classes: tuple[type, ...]) -> Callable[..., Any]:
    """Answer a field by the attribute or method of its name, or of its name in snake case."""
    snake = re.sub(r"(?<!^)([A-Z])", lambda letter: "_" + letter[1].lower(), field)
    for owner in classes:
        for name in (field, snake):
            found = getattr(owner, name, None)
            if callable(found):
                return _by_method(found)
            if hasattr(owner, name) or name in getattr(owner, "__dataclass_fields__", ()):
                return _by_attribute(name)
    return _refused(type_name, field)


def _by_method(method: Callable[..., Any]) -> Callable[..., Any]:
    def resolve(source: object, info: GraphQLResolveInfo[Any], **arguments: object) -> Any:  # noqa: ANN401  any field's value
        return method(source, info.context, **arguments)

    return resolve


def _by_attribute(name: str) -> Callable[..., Any]:
    def resolve(source: object, info: GraphQLResolveInfo[Any], **arguments: object) -> Any:  # noqa: ANN401, ARG001  the same
        return getattr(source, name)

    return resolve


def _from_dict(type_name: str, field: str) -> Callable[..., Any]:
    refuse = _refused(type_name, field)

    def resolve(source: object, info: GraphQLResolveInfo[Any], **arguments: object) -> Any:  # noqa: ANN401  the same
        if isinstance(source, dict) and field in source:
            return source[field]
        return refuse(source, info, **arguments)

    return resolve


def _as_time(resolve: Callable[..., Any]) -> Callable[..., Any]:
    def resolve_time(source: object, info: GraphQLResolveInfo[Any], **arguments: object) -> str | None:
        seconds = resolve(source, info, **arguments)
        return None if seconds is None else timestamp(seconds)

    return resolve_time


def _refused(type_name: str, field: str) -> Callable[..., Any]:
    def resolve(source: object, info: GraphQLResolveInfo[Any], **arguments: object) -> Any:  # noqa: ANN401, ARG001  the same
        raise GraphQLError(f"the sandbox does not implement {type_name}.{field}")

    return resolve


def _name_of_type(value: object, info: GraphQLResolveInfo[Any], graphql_type: object) -> str:  # noqa: ARG001  graphql-core's
    return value.typename if isinstance(value, Collection) else type(value).__name__


def root_of(operation: str) -> Query | Mutation:
    """Return the object that answers "query" or "mutation"."""
    return Mutation() if operation == "mutation" else Query()
