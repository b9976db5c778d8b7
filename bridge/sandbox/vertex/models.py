"""ModelService: reading, changing and deleting models and versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.vertex import filters, labels, names, pages
from bridge.sandbox.vertex.errors import refusal
from bridge.sandbox.vertex.messages import empty_pb2, types
from bridge.sandbox.vertex.operations import Work
from bridge.sandbox.vertex.versions import DEFAULT

if TYPE_CHECKING:
    from bridge.sandbox.vertex.filters import Condition
    from bridge.sandbox.vertex.messages import Message
    from bridge.sandbox.vertex.names import ModelName
    from bridge.sandbox.vertex.operations import Operations
    from bridge.sandbox.vertex.state import State
    from bridge.sandbox.vertex.versions import Versions

# Filters and orders of the two lists: aiplatform_v1/types/model_service.py
_MODEL_FILTERS = {"model": "= !=", "display_name": "= !=", "base_model_name": "=", "labels": ""}
_VERSION_FILTERS = {"labels": ""}
_MODEL_ORDERS = ("display_name", "create_time", "update_time")
_VERSION_ORDERS = ("create_time", "update_time")

# UpdateModelRequest: model fields, version fields; labels are either's, by the form of the name
_MODEL_FIELDS = frozenset({"display_name", "description", "labels"})
_VERSION_FIELDS = frozenset({"version_description", "labels"})


class Models:
    """The calls on models that exist."""

    def __init__(self, state: State, operations: Operations, versions: Versions) -> None:
        self._state = state
        self._storage = state.storage
        self._operations = operations
        self._versions = versions
        operations.add("DeleteModel", Work(types.DeleteModelRequest, types.DeleteOperationMetadata, self._delete_model))
        operations.add(
            "DeleteModelVersion",
            Work(types.DeleteModelVersionRequest, types.DeleteOperationMetadata, self._delete_version),
        )

    def GetModel(self, request: types.GetModelRequest) -> types.Model:
        """Return the version a name means; its name comes back in the form it was asked in [sdk]."""
        name = names.parse_model(request.name)
        head = self._versions.head(name)
        version = self._versions.version(name.model, self._versions.resolve(name))
        return self._versions.view(head, version, versioned=name.names_version)

    def ListModels(self, request: types.ListModelsRequest) -> types.ListModelsResponse:
        """List the models of a location as their default versions, in the order they were made (guess)."""
        location, size_max = names.parse_location(request.parent), self._state.switches.page_size_max
        conditions = filters.parse_filter(request.filter, _MODEL_FILTERS)
        if conditions or request.order_by or self._state.switches.list_lag:
            selected = self._selected(location, conditions, request.order_by)
            found, token = pages.page(selected, request, size_max)
        else:  # then the models of the other pages need not be read
            listed, token = pages.page(self._storage.models.names(location), request, size_max)
            found = [self._default_view(self._versions.head(names.parse_model(name))) for name in listed]
        return types.ListModelsResponse(
            models=[pages.masked(model, request.read_mask) for model in found], next_page_token=token
        )

    def _selected(self, location: str, conditions: list[Condition], order_by: str) -> list[types.Model]:
        heads = [head for head in self._storage.models.list(location) if self._is_listed(head.create_time)]
        return [
            model
            for model in map(self._default_view, filters.order(heads, order_by, _MODEL_ORDERS, getattr))
            if all(condition.holds(_filtered_fields(model), model.labels) for condition in conditions)
        ]

    def _default_view(self, head: types.Model) -> types.Model:
        version = self._versions.version(head.name, self._storage.aliases(head.name)[DEFAULT])
        return self._versions.view(head, version, versioned=False)

    def ListModelVersions(self, request: types.ListModelVersionsRequest) -> types.ListModelVersionsResponse:
        """List a model's versions, oldest first [repo]; their names carry the version id [sdk]."""
        name = names.parse_model(request.name)
        head = self._versions.head(name)
        conditions = filters.parse_filter(request.filter, _VERSION_FILTERS)
        versions = [
            self._versions.view(head, version, versioned=True)
            for version in self._storage.versions.list(head.name)
            if self._is_listed(version.version_create_time)
        ]
        met = [version for version in versions if all(condition.holds({}, version.labels) for condition in conditions)]
        ordered = filters.order(
            met, request.order_by, _VERSION_ORDERS, lambda version, field: getattr(version, f"version_{field}")
        )
        listed, token = pages.page(ordered, request, self._state.switches.page_size_max)
        return types.ListModelVersionsResponse(
            models=[pages.masked(version, request.read_mask) for version in listed], next_page_token=token
        )

    def _is_listed(self, made: Message) -> bool:
        return bool(made.timestamp() + self._state.switches.list_lag <= self._state.clock.now())

    def ListModelVersionCheckpoints(
        self, request: types.ListModelVersionCheckpointsRequest
    ) -> types.ListModelVersionCheckpointsResponse:
        """List no checkpoints, uploaded models have none (guess); a bare name means the latest version [sdk]."""
        name = names.parse_model(request.name)
        self._versions.head(name)
        if name.names_version:
            self._versions.resolve(name)
        return types.ListModelVersionCheckpointsResponse()

    def UpdateModel(self, request: types.UpdateModelRequest) -> types.Model:
        """
        Change what update_mask names: the model's fields under `m` or `m@-`, a version's under `m@v`.

            name     display_name, description   version_description   labels
            m, m@-   set                         FAILED_PRECONDITION   the model's
            m@v      FAILED_PRECONDITION         set                   the version's
        Anything else is INVALID_ARGUMENT; artifact_uri for one is immutable. [sdk: UpdateModelRequest]
        """
        name = names.parse_model(request.model.name)
        head = self._versions.head(name)
        version = self._versions.version(name.model, self._versions.resolve(name))
        if request.model.etag and request.model.etag != head.etag:  # none given: a blind overwrite [sdk]
            raise refusal(self._state.switches.etag_conflict_code, f"{head.name} has another etag than the request")
        paths = [filters.snake_case(path) for path in request.update_mask.paths]
        _check_update_mask(name, paths)
        if "display_name" in paths:
            names.check_display_name(request.model.display_name)
        if "labels" in paths:
            labels.check_labels(request.model.labels, self._state.switches)
        changed = version if name.names_version else head
        for path in paths:
            setattr(changed, path, getattr(request.model, path))
        if name.names_version:
            self._versions.put_version(head, version, self._state.clock.now())
        else:
            self._versions.put_head(head, self._state.clock.now())
        return self._versions.view(head, version, versioned=name.names_version)

    def MergeVersionAliases(self, request: types.MergeVersionAliasesRequest) -> types.Model:
        """
        Give a version aliases and take others from it; all of it or nothing.

        The version may be named by id [sdk] or by alias [repo]. One alias added and removed cancels out [sdk];
        removing one that the version does not have does nothing (guess).
        """
        name = names.parse_model(request.name)
        if not name.names_version:
            raise refusal("INVALID_ARGUMENT", f"{request.name} names no version: MODEL@VERSION")
        head, number = self._versions.head(name), self._versions.resolve(name)
        if not request.version_aliases:
            raise refusal("INVALID_ARGUMENT", "version_aliases is empty")
        asked = list(dict.fromkeys(request.version_aliases))
        added = [names.check_alias(alias) for alias in asked if not alias.startswith("-")]
        removed = [names.check_alias(alias[1:]) for alias in asked if alias.startswith("-")]
        for alias in removed:
            if alias not in added:
                self._take_alias(head.name, alias, number)
        for alias in added:
            if alias not in removed:
                self._versions.set_alias(head.name, alias, number)
        version = self._versions.version(head.name, number)
        self._versions.put_version(head, version, self._state.clock.now())
        return self._versions.view(head, version, versioned=True)

    def _take_alias(self, model: str, alias: str, version: int) -> None:
        if alias == DEFAULT:  # exactly one version has it, always [sdk]; how that is refused is not known
            code = self._state.switches.remove_default_code
            if code == "ignored":
                return
            raise refusal(code, f"alias 'default' of {model} cannot be removed, only given to another version")
        if self._storage.aliases(model).get(alias) == version:
            self._storage.remove_alias(model, alias)

    def DeleteModelVersion(self, request: types.DeleteModelVersionRequest) -> Message:
        """Begin to delete one version, which is resolved now; not the only one, not a deployed one [sdk]."""
        name = names.parse_model(request.name)
        if not name.names_version:
            raise refusal("INVALID_ARGUMENT", f"{request.name} names no version: MODEL@VERSION")
        number = self._deletable(name)
        request.name = f"{name.model}@{number}"
        return self._operations.begin("DeleteModelVersion", name.model, request)

    def _deletable(self, name: ModelName) -> int:
        """Return the id of a version that may be deleted; refuse the others."""
        self._versions.head(name)
        number = self._versions.resolve(name)
        whole = f"{name.model}@{number}"
        if len(self._storage.versions.list(name.model)) == 1:
            raise refusal("FAILED_PRECONDITION", f"{whole} is the only version: delete the model")
        if self._versions.version(name.model, number).deployed_models:
            raise refusal("FAILED_PRECONDITION", f"{whole} is deployed")
        is_default = self._storage.aliases(name.model)[DEFAULT] == number
        if is_default and self._state.switches.delete_default == "reject":
            raise refusal("FAILED_PRECONDITION", f"{whole} is the default version: give `default` to another first")
        return number

    def _delete_version(self, request: types.DeleteModelVersionRequest, at: float) -> Message:  # noqa: ARG002  an effect
        name = names.parse_model(request.name)
        number = self._deletable(name)  # again: it may have been deployed since
        self._versions.delete(self._versions.head(name), number)
        return empty_pb2.Empty()

    def DeleteModel(self, request: types.DeleteModelRequest) -> Message:
        """Begin to delete a model and all it has; not while a version is deployed [sdk]."""
        name = names.parse_model(request.name)
        if name.suffix is not None:
            raise refusal("INVALID_ARGUMENT", f"{request.name} is a version: DeleteModelVersion deletes those")
        self._check_undeployed(name)
        return self._operations.begin("DeleteModel", name.model, request)

    def _check_undeployed(self, name: ModelName) -> None:
        self._versions.head(name)
        if any(version.deployed_models for version in self._storage.versions.list(name.model)):
            raise refusal("FAILED_PRECONDITION", f"{name.model} is deployed")

    def _delete_model(self, request: types.DeleteModelRequest, at: float) -> Message:  # noqa: ARG002  an effect
        name = names.parse_model(request.name)
        self._check_undeployed(name)
        self._versions.delete_all(self._versions.head(name))
        return empty_pb2.Empty()


def _check_update_mask(name: ModelName, paths: list[str]) -> None:
    """Refuse what UpdateModel cannot change under this form of the name."""
    if not paths:
        raise refusal("INVALID_ARGUMENT", "update_mask is empty")  # required [sdk]; the code is a guess
    for path in paths:
        if path not in _MODEL_FIELDS | _VERSION_FIELDS:
            raise refusal("INVALID_ARGUMENT", f"{path} cannot be updated: it is immutable or output only")
        if path not in (_VERSION_FIELDS if name.names_version else _MODEL_FIELDS):
            kind = "version" if name.names_version else "model"
            raise refusal("FAILED_PRECONDITION", f"{path} is not a field of a {kind}, which the request names")


def _filtered_fields(model: types.Model) -> dict[str, str]:
    return {
        "model": names.parse_model(model.name).model_id,
        "display_name": model.display_name,
        "base_model_name": model.base_model_source.model_garden_source.public_model_name,
    }
