"""ModelService/UploadModel and CopyModel: the calls that make models and versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.vertex import artifacts, labels, names
from bridge.sandbox.vertex.errors import refusal
from bridge.sandbox.vertex.messages import moment, types
from bridge.sandbox.vertex.operations import Work

if TYPE_CHECKING:
    from bridge.sandbox.vertex.messages import Message
    from bridge.sandbox.vertex.operations import Operations
    from bridge.sandbox.vertex.state import State
    from bridge.sandbox.vertex.versions import Versions

# mypy sees the members of the SDK's enums as plain integers, so they are made into members again where they are used
_CUSTOM = types.ModelSourceInfo.ModelSourceType.CUSTOM
_Resources = types.Model.DeploymentResourcesType
_DEPLOYABLE = (_Resources.DEDICATED_RESOURCES, _Resources.SHARED_RESOURCES)


class Uploads:
    """New versions, from files or from another version."""

    def __init__(self, state: State, operations: Operations, versions: Versions) -> None:
        self._state = state
        self._operations = operations
        self._versions = versions
        operations.add("UploadModel", Work(types.UploadModelRequest, types.UploadModelOperationMetadata, self._upload))
        operations.add("CopyModel", Work(types.CopyModelRequest, types.CopyModelOperationMetadata, self._copy))

    def UploadModel(self, request: types.UploadModelRequest) -> Message:
        """Begin to register a version: of `parent_model`, or the first of a new model."""
        names.check_display_name(request.model.display_name)
        labels.check_labels(request.model.labels, self._state.switches)
        for alias in request.model.version_aliases:
            names.check_alias(alias)
        artifacts.check_uri(request.model.artifact_uri)
        if self._state.switches.artifact_check == "at upload":
            artifacts.check_contents(self._state, request.model)
        target = self._target(request)
        if self._state.switches.concurrent_uploads == "second refused" and self._operations.is_running(
            "UploadModel", target
        ):
            raise refusal("ABORTED", f"another upload into {target} is running")
        return self._operations.begin("UploadModel", target, request)

    def CopyModel(self, request: types.CopyModelRequest) -> Message:
        """Begin to copy a version, which is resolved now and once."""
        source = names.parse_model(request.source_model)
        self._versions.head(source)
        request.source_model = f"{source.model}@{self._versions.resolve(source)}"
        return self._operations.begin("CopyModel", self._target(request), request)

    def _target(self, request: types.UploadModelRequest | types.CopyModelRequest) -> str:
        """Return the name of the model that gets the version; fill in the id of a new one in `request`."""
        location = names.parse_location(request.parent)
        if request.parent_model:
            parent = names.parse_model(request.parent_model)
            if parent.location != location:
                raise refusal("INVALID_ARGUMENT", f"parent_model {parent.model} is not in {location}")
            if request.model_id not in ("", parent.model_id):  # refusing is a guess; the SDK never sends both
                raise refusal("INVALID_ARGUMENT", f"model_id {request.model_id!r} is not that of {parent.model}")
            self._versions.head(parent)
            request.parent_model = parent.model  # a suffix says nothing here (guess)
            return parent.model
        if request.model_id:
            names.check_model_id(request.model_id)
        else:
            request.model_id = self._state.storage.new_id()
        name = f"{location}/models/{request.model_id}"
        self._refuse_duplicate(name)
        return name

    def _refuse_duplicate(self, name: str) -> None:
        if self._state.switches.existing_model_id == "already_exists" and self._state.storage.models.get(name):
            raise refusal("ALREADY_EXISTS", f"model {name} exists; name it as parent_model to add a version")

    def _upload(self, request: types.UploadModelRequest, at: float) -> types.UploadModelResponse:
        if self._state.switches.artifact_check == "in operation":
            artifacts.check_contents(self._state, request.model)
        model = types.Model(request.model)
        if not model.model_source_info.source_type:
            model.model_source_info.source_type = types.ModelSourceInfo.ModelSourceType(_CUSTOM)
        name, number = self._add(request, model, at)
        return types.UploadModelResponse(model=name, model_version_id=str(number))

    def _copy(self, request: types.CopyModelRequest, at: float) -> types.CopyModelResponse:
        source = names.parse_model(request.source_model)
        head = self._versions.head(source)
        model = self._versions.view(
            head, self._versions.version(source.model, self._versions.resolve(source)), versioned=True
        )
        model.version_aliases = []  # aliases do not come along [sdk]
        model.original_model_info.model = request.source_model
        model.model_source_info.copy = True
        name, number = self._add(request, model, at)
        return types.CopyModelResponse(model=name, model_version_id=str(number))

    def _add(
        self, request: types.UploadModelRequest | types.CopyModelRequest, model: types.Model, at: float
    ) -> tuple[str, int]:
        """Add `model` where `request` says; return the model's name and the version's id."""
        name = request.parent_model or f"{request.parent}/models/{request.model_id}"
        # What was checked when the operation began may have changed since: two first uploads with one model_id.
        if request.parent_model:
            head = self._versions.head(names.parse_model(name))
        else:
            self._refuse_duplicate(name)
            head = self._state.storage.models.get(name) or types.Model()
        _make_deployable(model)
        if not head.name:
            head = types.Model(
                name=name, display_name=model.display_name, description=model.description, create_time=moment(at)
            )
            if self._state.switches.label_scope == "model":
                head.labels, model.labels = dict(model.labels), {}
        elif self._state.switches.new_version_display_name == "applied":
            head.display_name = model.display_name
        self._versions.put_head(head, at)
        return name, self._versions.add(head, model, at)


def _make_deployable(model: types.Model) -> None:
    """Say how the version can be deployed: with a container, on machines of its own or shared ones (guess)."""
    model.supported_deployment_resources_types = (
        [_Resources(number) for number in _DEPLOYABLE] if model.container_spec.image_uri else []
    )
