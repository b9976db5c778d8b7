"""ModelService: the evaluations of model versions, kept as they are imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.vertex import names, pages
from bridge.sandbox.vertex.errors import refusal
from bridge.sandbox.vertex.messages import moment, types

if TYPE_CHECKING:
    from bridge.sandbox.vertex.state import State
    from bridge.sandbox.vertex.versions import Versions


class Evaluations:
    """Evaluations belong to a version; the SDK asks for them by its versioned name (aiplatform/models.py:7809)."""

    def __init__(self, state: State, versions: Versions) -> None:
        self._state = state
        self._versions = versions

    def ImportModelEvaluation(self, request: types.ImportModelEvaluationRequest) -> types.ModelEvaluation:
        """Keep an evaluation and name it; a bare model name means the default version (guess)."""
        evaluation = types.ModelEvaluation(request.model_evaluation)
        model = names.parse_model(request.parent).model
        parent = self._version_name(request.parent)
        evaluation.name = f"{model}/evaluations/{self._state.storage.new_id()}"
        evaluation.create_time = moment(self._state.clock.now())
        self._state.storage.evaluations.put(evaluation.name, parent, evaluation)
        return evaluation

    def GetModelEvaluation(self, request: types.GetModelEvaluationRequest) -> types.ModelEvaluation:
        """Return one evaluation."""
        evaluation = self._state.storage.evaluations.get(request.name)
        if evaluation is None:
            raise refusal("NOT_FOUND", f"there is no evaluation {request.name}")
        return evaluation

    def ListModelEvaluations(self, request: types.ListModelEvaluationsRequest) -> types.ListModelEvaluationsResponse:
        """List the evaluations of a version, oldest first."""
        if request.filter:
            raise refusal("UNIMPLEMENTED", "ListModelEvaluations: the stand-in has no filter for evaluations")
        evaluations = self._state.storage.evaluations.list(self._version_name(request.parent))
        listed, token = pages.page(evaluations, request, self._state.switches.page_size_max)
        return types.ListModelEvaluationsResponse(
            model_evaluations=[pages.masked(evaluation, request.read_mask) for evaluation in listed],
            next_page_token=token,
        )

    def _version_name(self, name: str) -> str:
        parsed = names.parse_model(name)
        self._versions.head(parsed)
        return f"{parsed.model}@{self._versions.resolve(parsed)}"
