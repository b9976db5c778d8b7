"""What a Vertex version says of where it came from: its description, for people, and its labels, for filters."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from bridge.core.naming import SOURCE_LABEL, label_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.core.model import Facts, SourceVersion

RUN_LABEL = "bridge-run"
FLAVOR_LABEL = "bridge-flavor"
MOST = 2000  # characters of a description; Vertex's own limit is not documented
_MOST_METRICS = 10
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode categories
_GENERIC = "python_function"  # MLflow's wrapper, which nearly every model has besides its own flavor


def description_of(version: SourceVersion, facts: Facts) -> str:
    """
    Return one line: the source version, its page, and what is known of the model.

    Texts from outside lose their control characters, and the whole is cut to MOST.
    """
    parts = [f"{version} {version.url}", facts_line(facts)]
    text = "; ".join(part for part in parts if part)
    return "".join(char for char in text if unicodedata.category(char) not in _UNSEEN)[:MOST]


def facts_line(facts: Facts) -> str:
    """Return frameworks, python, run and metrics, as far as known, in one line."""
    parts = []
    if frameworks := ", ".join(f"{name} {number}".strip() for name, number in _frameworks(facts).items()):
        parts.append(frameworks)
    if facts.python:
        parts.append(f"python {facts.python}")
    if facts.run_id:
        parts.append(f"run {facts.run_id}")
    metrics = sorted(facts.metrics.items())
    if metrics:
        shown = ", ".join(f"{name} {value:.6g}" for name, value in metrics[:_MOST_METRICS])
        more = len(metrics) - _MOST_METRICS
        parts.append(f"{shown} and {more} more metrics" if more > 0 else shown)
    return "; ".join(parts)


def labels_of(version: SourceVersion, facts: Facts) -> dict[str, str]:
    """Return legal labels: where it came from, its run, and its flavor if it has just one."""
    labels = {SOURCE_LABEL: label_value(str(version))}
    if facts.run_id:
        labels[RUN_LABEL] = label_value(facts.run_id)
    frameworks = list(_frameworks(facts))
    if len(frameworks) == 1:
        labels[FLAVOR_LABEL] = label_value(frameworks[0])
    return labels


def _frameworks(facts: Facts) -> dict[str, str]:
    """Return the model's frameworks with their versions, "" where none is said."""
    own = {name: _version_in(values) for name, values in facts.flavors.items() if name != _GENERIC}
    if not own and facts.framework:
        return {facts.framework: facts.framework_version or ""}
    return own


def _version_in(values: Mapping[str, str]) -> str:
    return next((value for key, value in sorted(values.items()) if key.endswith("_version")), "")
