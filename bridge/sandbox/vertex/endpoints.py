"""EndpointService: endpoints, and which model versions are deployed to them with what share of the traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.vertex import artifacts, filters, labels, names, pages, splits
from bridge.sandbox.vertex.errors import refusal
from bridge.sandbox.vertex.messages import empty_pb2, moment, plain, types
from bridge.sandbox.vertex.operations import Work

if TYPE_CHECKING:
    from bridge.sandbox.vertex.messages import Message
    from bridge.sandbox.vertex.operations import Operations
    from bridge.sandbox.vertex.state import State
    from bridge.sandbox.vertex.versions import Versions

# aiplatform_v1/types/endpoint_service.py: ListEndpointsRequest, MutateDeployedModelRequest
_FILTERS = {"endpoint": "= !=", "display_name": "= !=", "base_model_name": "=", "labels": ""}
_ORDERS = ("display_name", "create_time", "update_time")
_MUTABLE = frozenset(
    {
        "dedicated_resources.min_replica_count",
        "dedicated_resources.max_replica_count",
        "dedicated_resources.required_replica_count",
        "dedicated_resources.autoscaling_metric_specs",
        "automatic_resources.min_replica_count",
        "automatic_resources.max_replica_count",
        "disable_container_logging",
    }
)
_RESOURCES = ("dedicated_resources", "automatic_resources", "shared_resources")


class Endpoints:
    """The calls on endpoints; who answers a prediction is in prediction.py."""

    def __init__(self, state: State, operations: Operations, versions: Versions) -> None:
        self._state = state
        self._shelf = state.storage.endpoints
        self._operations = operations
        self._versions = versions
        for method, request, metadata, effect in (
            ("CreateEndpoint", types.CreateEndpointRequest, types.CreateEndpointOperationMetadata, self._create),
            ("DeleteEndpoint", types.DeleteEndpointRequest, types.DeleteOperationMetadata, self._delete),
            ("DeployModel", types.DeployModelRequest, types.DeployModelOperationMetadata, self._deploy),
            ("UndeployModel", types.UndeployModelRequest, types.UndeployModelOperationMetadata, self._undeploy),
            (
                "MutateDeployedModel",
                types.MutateDeployedModelRequest,
                types.MutateDeployedModelOperationMetadata,
                self._mutate,
            ),
        ):
            operations.add(method, Work(request, metadata, effect))

    def get(self, name: str) -> types.Endpoint:
        """Return an endpoint, or raise NOT_FOUND."""
        endpoint = self._shelf.get(names.parse_endpoint(name))
        if endpoint is None:
            raise refusal("NOT_FOUND", f"there is no endpoint {name}")
        return endpoint

    def _put(self, endpoint: types.Endpoint, at: float) -> types.Endpoint:
        endpoint.update_time = moment(at)
        endpoint.etag = f"{self._state.storage.count('etag'):016x}"
        self._shelf.put(endpoint.name, names.parent_of(endpoint.name), endpoint)
        return endpoint

    def CreateEndpoint(self, request: types.CreateEndpointRequest) -> Message:
        """Begin to make an endpoint without deployed models."""
        location = names.parse_location(request.parent)
        names.check_display_name(request.endpoint.display_name)
        labels.check_labels(request.endpoint.labels, self._state.switches)
        splits.checked(request.endpoint.traffic_split, ())
        if request.endpoint_id:
            names.check_endpoint_id(request.endpoint_id)
        else:
            request.endpoint_id = self._state.storage.new_id()
        name = f"{location}/endpoints/{request.endpoint_id}"
        self._refuse_duplicate(name)
        return self._operations.begin("CreateEndpoint", name, request)

    def _refuse_duplicate(self, name: str) -> None:
        if self._shelf.get(name) is not None:
            raise refusal("ALREADY_EXISTS", f"endpoint {name} exists")  # code: the convention, a guess

    def _create(self, request: types.CreateEndpointRequest, at: float) -> types.Endpoint:
        endpoint = types.Endpoint(request.endpoint)
        endpoint.name = f"{request.parent}/endpoints/{request.endpoint_id}"
        self._refuse_duplicate(endpoint.name)
        endpoint.deployed_models = []  # output only
        endpoint.create_time = moment(at)
        return self._put(endpoint, at)

    def GetEndpoint(self, request: types.GetEndpointRequest) -> types.Endpoint:
        """Return one endpoint."""
        return self.get(request.name)

    def ListEndpoints(self, request: types.ListEndpointsRequest) -> types.ListEndpointsResponse:
        """List the endpoints of a location, in the order they were made (guess)."""
        conditions = filters.parse_filter(request.filter, _FILTERS)
        found = [
            endpoint
            for endpoint in self._shelf.list(names.parse_location(request.parent))
            if all(condition.holds(_filtered_fields(endpoint), endpoint.labels) for condition in conditions)
        ]
        ordered = filters.order(found, request.order_by, _ORDERS, getattr)
        listed, token = pages.page(ordered, request, self._state.switches.page_size_max)
        return types.ListEndpointsResponse(
            endpoints=[pages.masked(endpoint, request.read_mask) for endpoint in listed], next_page_token=token
        )

    def UpdateEndpoint(self, request: types.UpdateEndpointRequest) -> types.Endpoint:
        """Change display_name, description, labels or traffic_split at once: not an operation [sdk]."""
        endpoint = self.get(request.endpoint.name)
        if request.endpoint.etag not in ("", endpoint.etag):
            raise refusal(self._state.switches.etag_conflict_code, f"{endpoint.name} has another etag than the request")
        paths = [filters.snake_case(path) for path in request.update_mask.paths]
        if not paths:
            raise refusal("INVALID_ARGUMENT", "update_mask is empty")
        for path in paths:
            match path:
                case "traffic_split":
                    deployed = [model.id for model in endpoint.deployed_models]
                    endpoint.traffic_split = splits.checked(request.endpoint.traffic_split, deployed)
                case "display_name":
                    names.check_display_name(request.endpoint.display_name)
                    endpoint.display_name = request.endpoint.display_name
                case "labels":
                    labels.check_labels(request.endpoint.labels, self._state.switches)
                    endpoint.labels = dict(request.endpoint.labels)
                case "description":
                    endpoint.description = request.endpoint.description
                case _:
                    raise refusal("UNIMPLEMENTED", f"UpdateEndpoint: the stand-in does not update {path}")
        return self._put(endpoint, self._state.clock.now())

    def DeleteEndpoint(self, request: types.DeleteEndpointRequest) -> Message:
        """Begin to delete an endpoint to which nothing is deployed or being deployed."""
        self._check_empty(request.name)
        return self._operations.begin("DeleteEndpoint", request.name, request)

    def _check_empty(self, name: str) -> None:
        if self.get(name).deployed_models or self._operations.is_running("DeployModel", name):
            # the service's own words [issue]
            raise refusal("FAILED_PRECONDITION", "Endpoint has deployed or being-deployed DeployedModel(s)")

    def _delete(self, request: types.DeleteEndpointRequest, at: float) -> Message:  # noqa: ARG002  an effect
        self._check_empty(request.name)
        self._shelf.delete(request.name)
        return empty_pb2.Empty()

    def DeployModel(self, request: types.DeployModelRequest) -> Message:
        """
        Begin to deploy a version to an endpoint; `model@alias` is resolved now and once [sdk, inferred].

        A version without a container, or a request without prediction resources, is refused (codes: guesses).
        """
        endpoint, asked = self.get(request.endpoint), request.deployed_model
        name = names.parse_model(asked.model)
        version = self._versions.version(self._versions.head(name).name, self._versions.resolve(name))
        if not version.supported_deployment_resources_types:
            raise refusal("FAILED_PRECONDITION", f"{asked.model} has no container, so it cannot be deployed")
        if not any(resources in asked for resources in _RESOURCES):
            raise refusal("INVALID_ARGUMENT", f"deployed_model has none of {', '.join(_RESOURCES)}")
        if self._state.switches.artifact_check == "at deploy":
            artifacts.check_contents(self._state, version)
        deployed = [model.id for model in endpoint.deployed_models]
        if asked.id:
            names.check_deployed_model_id(asked.id)
        else:
            asked.id = self._state.storage.new_id()
        if asked.id in deployed:
            raise refusal("ALREADY_EXISTS", f"{endpoint.name} has a DeployedModel {asked.id}")
        splits.after_deploying(request.traffic_split, endpoint.traffic_split, deployed, asked.id)
        asked.model, asked.model_version_id = name.model, version.version_id
        return self._operations.begin("DeployModel", endpoint.name, request)

    def _deploy(self, request: types.DeployModelRequest, at: float) -> types.DeployModelResponse:
        endpoint, deployed = self.get(request.endpoint), types.DeployedModel(request.deployed_model)
        head = self._versions.head(names.parse_model(deployed.model))
        version = self._versions.version(head.name, int(deployed.model_version_id))
        version.deployed_models.append(types.DeployedModelRef(endpoint=endpoint.name, deployed_model_id=deployed.id))
        self._versions.put_version(head, version, at)
        if self._state.switches.deployed_model_name_form == "versioned":
            deployed.model = f"{head.name}@{deployed.model_version_id}"
        deployed.display_name = deployed.display_name or head.display_name
        deployed.create_time = moment(at)
        endpoint.traffic_split = splits.after_deploying(
            request.traffic_split,
            endpoint.traffic_split,
            [model.id for model in endpoint.deployed_models],
            deployed.id,
        )
        endpoint.deployed_models.append(deployed)
        self._put(endpoint, at)
        return types.DeployModelResponse(deployed_model=deployed)

    def UndeployModel(self, request: types.UndeployModelRequest) -> Message:
        """Begin to take a deployed model off an endpoint; it must have no traffic then [sdk]."""
        endpoint = self.get(request.endpoint)
        _deployed(endpoint, request.deployed_model_id)
        _split_without(endpoint, request)
        return self._operations.begin("UndeployModel", endpoint.name, request)

    def _undeploy(self, request: types.UndeployModelRequest, at: float) -> types.UndeployModelResponse:
        endpoint = self.get(request.endpoint)
        gone = _deployed(endpoint, request.deployed_model_id)
        endpoint.traffic_split = _split_without(endpoint, request)
        endpoint.deployed_models = [model for model in endpoint.deployed_models if model.id != gone.id]
        self._put(endpoint, at)
        head = self._versions.head(names.parse_model(gone.model))
        version = self._versions.version(head.name, int(gone.model_version_id))
        version.deployed_models = [
            ref for ref in version.deployed_models if (ref.endpoint, ref.deployed_model_id) != (endpoint.name, gone.id)
        ]
        self._versions.put_version(head, version, at)
        return types.UndeployModelResponse()

    def MutateDeployedModel(self, request: types.MutateDeployedModelRequest) -> Message:
        """Begin to change replica counts, autoscaling or container logging [sdk]."""
        deployed = _deployed(self.get(request.endpoint), request.deployed_model.id)
        if not request.update_mask.paths:
            raise refusal("INVALID_ARGUMENT", "update_mask is empty")
        for path in request.update_mask.paths:
            if path not in _MUTABLE:
                raise refusal("INVALID_ARGUMENT", f"{path} of a DeployedModel cannot be changed")
            resources, dot, _ = path.partition(".")
            if dot and resources not in deployed:
                raise refusal("FAILED_PRECONDITION", f"DeployedModel {deployed.id} does not have {resources}")
        return self._operations.begin("MutateDeployedModel", request.endpoint, request)

    def _mutate(self, request: types.MutateDeployedModelRequest, at: float) -> types.MutateDeployedModelResponse:
        endpoint = self.get(request.endpoint)
        deployed = _deployed(endpoint, request.deployed_model.id)
        plain(request.update_mask).MergeMessage(
            plain(request.deployed_model), plain(deployed), replace_message_field=True, replace_repeated_field=True
        )
        self._put(endpoint, at)
        return types.MutateDeployedModelResponse(deployed_model=deployed)


def _deployed(endpoint: types.Endpoint, deployed_model_id: str) -> types.DeployedModel:
    """Return one of an endpoint's deployed models, the endpoint's own object; the message is [issue] #8475's."""
    for model in endpoint.deployed_models:
        if model.id == deployed_model_id:
            return model
    raise refusal("INVALID_ARGUMENT", f"The following DeployedModel ID(s) [{deployed_model_id}] do not exist")


def _split_without(endpoint: types.Endpoint, request: types.UndeployModelRequest) -> dict[str, int]:
    return splits.after_undeploying(
        request.traffic_split,
        endpoint.traffic_split,
        [model.id for model in endpoint.deployed_models],
        request.deployed_model_id,
    )


def _filtered_fields(endpoint: types.Endpoint) -> dict[str, str]:
    return {
        "endpoint": endpoint.name.rpartition("/")[2],
        "display_name": endpoint.display_name,
        "base_model_name": "",  # of Model Garden's endpoints; the stand-in has none
    }
