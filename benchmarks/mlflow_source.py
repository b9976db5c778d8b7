"""
Measures what a sweep of MLflow costs: requests, CPU seconds of our process, wall-clock seconds.

`python -m benchmarks.mlflow_source` prints a table; `measure` gives its rows to benchmarks.run. The server is the
real one, over SQLite; its models are written into the database, which is quicker than asking for each.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.table import Row, say_table
from bridge.app import Bridge
from bridge.config.load import load
from bridge.core.model import MLFLOW_PLACE, CollectionSelector, State
from bridge.sandbox.mlflow.server import MlflowServer
from bridge.sandbox.traffic import Traffic
from bridge.sandbox.world import World
from bridge.sources.mlflow.source import MlflowSource

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSIONS = 3
AGED = 24 * 3600 * 1000  # ms: what is seeded is from yesterday
ROUNDS = 3
MAPPING = """\
mappings:
  - name: all
    source: {from: ml, model: {regex: '(?P<name>model-.*)'}}
    target: {to: prod, model: '{name}'}
    policy: sync
    aliases: {champion: null, shadow: null}
    serving: {image: an/image}
"""


class SteppedClock:
    """A clock that a measurement moves."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        """Return the time that was set."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.at += timedelta(seconds=seconds)


def seed(database: Path, models: range) -> None:
    """Write models with three versions, two aliases and a tag each."""
    now = time.time_ns() // 1_000_000 - AGED
    names = [f"model-{number:05d}" for number in models]
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO registered_models (name, creation_time, last_updated_time, description, workspace) "
            "VALUES (?, ?, ?, '', 'default')",
            [(name, now + index, now + index) for index, name in enumerate(names)],
        )
        connection.executemany(
            "INSERT INTO model_versions (name, version, creation_time, last_updated_time, description, current_stage, "
            "source, run_id, status, run_link, storage_location, workspace) "
            "VALUES (?, ?, ?, ?, '', 'None', ?, '', 'READY', '', ?, 'default')",
            [
                (name, number, now + index, now + index, uri, uri)
                for index, name in enumerate(names)
                for number in range(1, VERSIONS + 1)
                for uri in [f"s3://bucket/{name}/{number}"]
            ],
        )
        connection.executemany(
            "INSERT INTO registered_model_aliases (alias, version, name, workspace) VALUES (?, ?, ?, 'default')",
            [(alias, number, name) for name in names for alias, number in (("champion", 3), ("shadow", 2))],
        )
        connection.executemany(
            "INSERT INTO registered_model_tags (key, value, name, workspace) VALUES ('team', ?, ?, 'default')",
            [("risk" if index % 50 == 0 else "other", name) for index, name in enumerate(names)],
        )


def cost(source: MlflowSource, traffic: Traffic, selectors: Sequence[CollectionSelector], models: int) -> list[float]:
    """Sweep once; return requests, CPU seconds and wall-clock seconds."""
    traffic.reset()
    cpu, wall = time.process_time(), time.perf_counter()
    sweep = source.sweep(selectors)
    spent = [time.process_time() - cpu, time.perf_counter() - wall]
    assert not sweep.failed
    states = [state for found in sweep.found.values() for state in found]
    assert len(states) == models
    assert all(len(state.versions) == VERSIONS and len(state.aliases) == 2 for state in states)  # noqa: PLR2004  as seeded
    return [float(traffic.count("mlflow")), *spent]


def rows(what: str, goals: Sequence[str], costs: list[list[float]]) -> list[Row]:
    """Turn several costs of one thing into rows."""
    units = ("requests", "CPU s", "s")
    return [
        (f"MLflow: {what}", goal, unit, list(values))
        for goal, unit, values in zip(goals, units, zip(*costs, strict=True), strict=True)
    ]


def measure() -> list[Row]:
    """
    Measure sweeps of 1,000 and of 5,000 models with three versions each.

    The proxy that counts the requests is in this process, and its CPU seconds are counted too.
    """
    result: list[Row] = []
    traffic = Traffic()
    with tempfile.TemporaryDirectory() as folder:
        server = MlflowServer(Path(folder), traffic=traffic)
        server.start()
        try:
            database = Path(folder, "mlflow.sqlite")
            seed(database, range(1000))
            everything = [_selector(".*", is_pattern=True)]
            result += _measured(server, traffic, "1,000 models", everything, 1000, "<= 4", "<= 1.5", "-")
            single = [_selector(f"model-{number:05d}") for number in range(1000)]
            result += _measured(server, traffic, "1,000 mappings", single, 1000, "<= 4", "<= 1.5", "-")
            seed(database, range(1000, 5000))
            result += _measured(server, traffic, "5,000 models", everything, 5000, "<= 8", "-", "-")
            few = [_selector(f"model-{number:05d}") for number in range(0, 5000, 100)]
            result += _measured(server, traffic, "50 of 5,000 models", few, 50, "-", "-", "-")
            tagged = [_selector(".*", is_pattern=True, tags=frozenset({"team=risk"}))]
            result += _measured(server, traffic, "100 of 5,000 models by tag", tagged, 100, "-", "-", "-")
        finally:
            server.stop()
    return result + passes()


def passes() -> list[Row]:
    """
    Measure quiet passes of the whole bridge over 1,000 models, with a store in SQLite.

    Nothing is to be registered, since there are no files behind the models: their aliases are dropped by the mapping.
    The stand-ins are in this process, and their CPU seconds are counted too.
    """
    with tempfile.TemporaryDirectory() as folder, World(Path(folder, "sandbox"), mlflow=True) as world:
        seed(Path(folder, "sandbox", "mlflow", "mlflow.sqlite"), range(1000))
        Path(folder, "bridge.yaml").write_text(f"store: sqlite:///{folder}/bridge.db\n{world.connections()}")
        Path(folder, "mappings").mkdir()
        Path(folder, "mappings", "all.yaml").write_text(MAPPING)
        costs = []
        with Bridge(load(Path(folder, "bridge.yaml")), clock=SteppedClock()) as bridge:
            assert len(bridge.passes.sync(bridge.config.mappings, why="first")) == 1000  # noqa: PLR2004  as seeded
            for _ in range(ROUNDS):
                world.traffic.reset()
                cpu, wall = time.process_time(), time.perf_counter()
                reports = bridge.passes.sync(bridge.config.mappings, why="quiet")
                spent = [time.process_time() - cpu, time.perf_counter() - wall]
                assert all(report.status.state is State.SYNCED and report.plan is None for report in reports)
                assert world.traffic.count("vertex") == 0
                costs.append([float(world.traffic.count("mlflow")), *spent])
    return rows("1,000 models, quiet pass of the bridge", ("<= 4", "<= 1.5", "-"), costs)


def _selector(name: str, *, is_pattern: bool = False, tags: frozenset[str] = frozenset()) -> CollectionSelector:
    return CollectionSelector("mlflow", MLFLOW_PLACE, name, is_pattern=is_pattern, tags=tags)


def _measured(
    server: MlflowServer,
    traffic: Traffic,
    what: str,
    selectors: Sequence[CollectionSelector],
    models: int,
    *goals: str,
) -> list[Row]:
    """Measure a full sweep and a quiet one, some times each."""
    clock = SteppedClock()
    full, quiet = [], []
    with closing(MlflowSource("mlflow", server.url, clock)) as source:
        for _ in range(ROUNDS):
            clock.sleep(3600)
            full.append(cost(source, traffic, selectors, models))
            quiet.append(cost(source, traffic, selectors, models))
    return rows(f"{what}, full sweep", goals, full) + rows(f"{what}, quiet sweep", goals, quiet)


def main() -> None:
    """Print the table."""
    say_table(measure())


if __name__ == "__main__":
    main()
