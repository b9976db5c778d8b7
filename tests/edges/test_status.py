"""How `bridge status` looks: states, lags, and what is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bridge.cli.main import run
from bridge.cli.status import spell_rows_at
from bridge.core.model import ModelKey, State
from bridge.core.records import Status
from bridge.run.clock import SystemClock
from bridge.store.sql import open_store
from tests.edges.test_start import CONFIG, MAPPING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def row(model: str, state: str, behind: timedelta | None, **more: Any) -> dict[str, Any]:  # noqa: ANN401  JSON
    well = {"message": "", "remedy": "", "attempt": 0, "next_try": None, "aliases": {}}
    since = None if behind is None else (NOON - behind).isoformat()
    return {"mapping": "fraud", "model": model, "state": state, "behind_since": since, **well, **more}


def test_each_model_has_its_lag_and_what_is_wrong_with_it_below() -> None:
    aliases = {"production": {"version": "1", "label": "v0"}}
    trouble = {
        "message": "Vertex AI is unwell",
        "remedy": "wait",
        "attempt": 3,
        "next_try": "2026-01-05T12:01:00+00:00",
    }
    rows = [
        row("fraud", "SYNCED", None, aliases=aliases),
        row("fraud-eu", "FAILED", timedelta(minutes=3, seconds=59), aliases=aliases, **trouble),
        row("fraud-us", "COPYING", timedelta(hours=2)),
        row("fraud-ahead", "PENDING", timedelta(seconds=-5)),
    ]

    assert spell_rows_at(NOON, rows) == [
        "MAPPING  MODEL        STATE    LAG  ALIASES",
        "fraud    fraud        SYNCED   -    production -> v0 @1",
        "fraud    fraud-eu     FAILED   3 m  production -> v0 @1",
        "    Vertex AI is unwell; wait",
        "    tried in vain: 3; next try: 2026-01-05T12:01:00+00:00",
        "fraud    fraud-us     COPYING  2 h",
        "fraud    fraud-ahead  PENDING  0 s",
    ]


def test_a_service_of_an_older_bridge_does_not_say_since_when() -> None:
    older = row("fraud", "FAILED", None)
    del older["behind_since"]

    assert spell_rows_at(NOON, [older])[1] == "fraud    fraud  FAILED  -"


def test_without_a_service_the_store_says_since_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bridge.yaml").write_text(CONFIG)
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "fraud.yaml").write_text(MAPPING)
    since = (SystemClock().now() - timedelta(days=2, hours=1)).isoformat()
    key = ModelKey("fraud", "fraud")
    store = open_store(f"sqlite:///{tmp_path}/bridge.db")
    store.save_status(Status(key, State.BLOCKED, "no", "see", "c", since, None, behind_since=since))
    store.close()
    monkeypatch.chdir(tmp_path)

    assert run(["status"]) == 0
    assert "fraud    fraud  BLOCKED  2 d\n    no; see\n" in capsys.readouterr().out
    assert run(["status", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["state"], told["behind_since"]) == ("BLOCKED", since)
