"""The house rules that no other tool checks: sizes, and exceptions that say why."""

from __future__ import annotations

import re
from pathlib import Path

HOUSE = Path(__file__).parents[1]
MODULES = sorted((HOUSE / "bridge").rglob("*.py"))

LONGEST = 300  # lines; a guide, so the exceptions are listed with their reasons
LONGER = {
    "bridge/app.py": "the composition root: one short method for each end",
    "bridge/core/model.py": "all nouns on one page",
    "bridge/core/ports.py": "mostly docstrings: every method is a promise",
    "bridge/testing/store.py": "one port, all of it",
    "bridge/testing/registry.py": "one port with all its moods, and what people do by hand",
    "bridge/vertex/registry.py": "one port, and what is known of each answer beside it",
    "bridge/sandbox/wandb/runs.py": "one topic; its fields are the schema's",
}

EXCEPTION = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:\s*no cover)")
WITH_REASON = re.compile(r"#\s*(noqa:\s*[\w, ]+?|type:\s*ignore\[[\w, -]+\]|pragma:\s*no cover)\s{2,}(#\s*)?\S")


def test_a_module_that_is_long_says_why() -> None:
    long = {str(path.relative_to(HOUSE)) for path in MODULES if len(path.read_text().splitlines()) > LONGEST}
    assert long <= set(LONGER)


def test_an_exception_to_a_rule_has_its_reason_beside_it() -> None:
    bare = [
        f"{path.relative_to(HOUSE)}:{number}"
        for path in MODULES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if EXCEPTION.search(line) and not WITH_REASON.search(line)
    ]
    assert bare == []


def test_every_room_is_on_the_house_tour() -> None:
    tour = (HOUSE / "docs" / "house-tour.md").read_text()
    rooms = [path.name for path in (HOUSE / "bridge").iterdir() if (path / "__init__.py").exists()]
    assert [room for room in rooms if f"`bridge/{room}/`" not in tour] == []


def test_every_decision_is_numbered_in_a_row() -> None:
    numbers = sorted(int(path.name[:4]) for path in (HOUSE / "docs" / "decisions").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))
