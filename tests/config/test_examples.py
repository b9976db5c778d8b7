"""The shipped examples, together with the bridge.yaml that mappings/README.md shows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from bridge.config.load import load
from bridge.core.model import Layout, Policy

EXAMPLES = Path(__file__).parents[2] / "mappings"


def test_the_examples_are_a_whole_configuration(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "mappings")
    (tmp_path / "bridge.yaml").write_text(bridge_yaml_of_the_readme())
    specs = {spec.name: spec for spec in load(tmp_path / "bridge.yaml").mappings}
    assert list(specs) == ["churn", "fraud", "ranker", "reranker", "vision"]
    assert specs["fraud"].aliases.named["best_model"] == "best-model"
    assert specs["fraud"].default_from == "production"
    assert specs["vision"].source.is_pattern
    assert specs["vision"].target.model == "vision-{task}"
    assert specs["ranker"].policy is Policy.UPSERT_ONLY
    assert specs["ranker"].source.aliases == frozenset({"candidate", "production"})
    assert specs["reranker"].source.aliases == frozenset({"prod"})
    assert specs["churn"].source.stages == frozenset({"Staging", "Production"})
    assert specs["churn"].source.aliases == frozenset({"champion"})
    assert specs["churn"].serving.layout is Layout.AUTO


def test_each_example_says_in_a_line_or_two_what_it_shows() -> None:
    for path in EXAMPLES.glob("*.yaml"):
        lines = path.read_text().splitlines()
        assert 1 <= next(n for n, line in enumerate(lines) if not line.startswith("#")) <= 2, path
        assert f"`{path.name}`" in (EXAMPLES / "README.md").read_text()


def bridge_yaml_of_the_readme() -> str:
    block = re.search(r"```yaml\n(# bridge\.yaml\n.*?)```", (EXAMPLES / "README.md").read_text(), re.DOTALL)
    assert block
    return block[1]
