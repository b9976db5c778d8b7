"""PredictionService: nothing is computed; the answer says which deployed model the split chose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.vertex.errors import refusal
from bridge.sandbox.vertex.messages import HttpBody, pack, plain, types

if TYPE_CHECKING:
    from bridge.sandbox.vertex.endpoints import Endpoints
    from bridge.sandbox.vertex.messages import Message
    from bridge.sandbox.vertex.state import State


class Predictions:
    """Predict and RawPredict: both echo what they are sent."""

    def __init__(self, state: State, endpoints: Endpoints) -> None:
        self._state = state
        self._endpoints = endpoints

    def Predict(self, request: types.PredictRequest) -> types.PredictResponse:
        """Answer with the instances as predictions, and with the deployed model that was drawn."""
        deployed = self._draw(request.endpoint)
        response = types.PredictResponse(
            deployed_model_id=deployed.id,
            model=deployed.model,
            model_version_id=deployed.model_version_id,
            model_display_name=deployed.display_name,
        )
        plain(response).predictions.extend(plain(request).instances)
        return response

    def RawPredict(self, request: types.RawPredictRequest) -> Message:
        """
        Answer with the body as it came.

        Who answered is in `extensions`, a DeployedModelRef (the stand-in's own way); the REST front makes of it
        the two headers that aiplatform_v1's raw_predict documents.
        """
        deployed = self._draw(request.endpoint)
        drawn = types.DeployedModelRef(endpoint=request.endpoint, deployed_model_id=deployed.id)
        body = plain(request).http_body
        return HttpBody(content_type=body.content_type, data=body.data, extensions=[pack(drawn)])

    def _draw(self, name: str) -> types.DeployedModel:
        """Return one of the deployed models, each as often as its share of the traffic says."""
        endpoint = self._endpoints.get(name)
        split = dict(endpoint.traffic_split)
        if not split:  # the service's own words (explainable_ai_sdk#3)
            raise refusal("FAILED_PRECONDITION", f"Endpoint {name} doesn't have traffic_split.")
        drawn = self._state.random.choices(list(split), weights=list(split.values()))[0]
        return next(deployed for deployed in endpoint.deployed_models if deployed.id == drawn)
