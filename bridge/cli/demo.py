"""`bridge demo`: the story of the main job, told on the sandbox, offline."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bridge.cli.printing import say
from bridge.core.errors import NeedsPerson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.sandbox.world import World

PERSON = "(a person, with the SDK)"
PROJECT = "fraud"  # in W&B
COLLECTION = "fraud-detector"
MAPPING = """\
mappings:
  - name: fraud
    source: {from: acme, registry: model, collection: fraud-detector}
    target: {to: prod, model: fraud}
    policy: sync
    aliases: {production: production, best_model: best-model}
    default_from: production
    serving: {image: europe-docker.pkg.dev/acme/serve/sklearn:1, ports: [8080]}
"""

CHURN = """\
mappings:
  - name: churn
    source: {from: ml, model: {regex: 'churn-(?P<kind>[a-z]+)'}, stages: [Production], aliases: [champion]}
    target: {to: prod, model: 'churn-{kind}'}
    policy: sync
    aliases: {Production: production, champion: champion}
    serving: {layout: auto, image: europe-docker.pkg.dev/acme/serve/mlflow-server:3}
"""


def demo() -> None:
    """Tag models in W&B and MLflow and watch them arrive in Vertex, on local stand-ins, in about a minute."""
    from bridge.sandbox.world import World

    if find_spec("xgboost") is None:
        raise NeedsPerson(
            "the demo trains a model with xgboost, which is not installed", "pip install 'registry-bridge[demo]'"
        )
    with (
        tempfile.TemporaryDirectory(prefix="bridge-demo-") as folder,
        World(Path(folder, "sandbox"), mlflow=True) as world,
        _Story(world, Path(folder)) as story,
    ):
        story.tell()


class _Person:
    """Somebody at a Python prompt of their own, who takes one step after the other with the vendors' SDKs."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bridge.sandbox.people"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "people.log").open("w"),
            text=True,
        )
        self._log = folder / "people.log"

    def begin(self, *step: str) -> None:
        """Tell them what to do; it takes a while."""
        assert self._process.stdin is not None  # noqa: S101  __init__ asked for pipes
        self._process.stdin.write(f"{shlex.join(step)}\n")
        self._process.stdin.flush()

    def end(self) -> list[str]:
        """Wait until it is done; return what they see."""
        from bridge.sandbox.people import END

        seen: list[str] = []
        assert self._process.stdout is not None  # noqa: S101  the same
        for line in self._process.stdout:
            if line.rstrip("\n") == END:
                return seen
            seen.append(line.rstrip("\n"))
        sys.stderr.write(self._log.read_text())
        raise SystemExit(1)

    def leave(self) -> None:
        """End their process."""
        self._process.kill()
        self._process.communicate()


class _Story:
    """What a data scientist does with the SDKs, and what `bridge` makes of it; a step that fails ends the story."""

    def __init__(self, world: World, folder: Path) -> None:
        from bridge.sandbox import address

        self._world = world
        self._folder = folder
        self._address = address
        self._path = f"{address.ORG_ENTITY}/wandb-registry-{address.REGISTRY}/{COLLECTION}"
        # A user's own settings must not lead a script out of the sandbox.
        theirs = ("WANDB", "MLFLOW", "GOOGLE", "CLOUDSDK")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
        home = {
            "WANDB_DIR": f"{folder}/wandb",
            "WANDB_CACHE_DIR": f"{folder}/cache",
            "WANDB_DATA_DIR": f"{folder}/data",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        }
        self._environment = kept | world.environment() | home | {"WANDB_SILENT": "true", "BRIDGE_CONFIG": "bridge.yaml"}
        self._ann, self._ben = (_Person(folder, self._environment) for _ in range(2))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ann.leave()
        self._ben.leave()

    def tell(self) -> None:
        """Tell it from the first tag to the last."""
        self._ben.begin("train", "sklearn", "xgboost")  # takes as long as the story up to their chapter
        (self._folder / "mappings").mkdir()
        (self._folder / "bridge.yaml").write_text(f"store: sqlite:///bridge.db\n{self._world.connections()}")
        (self._folder / "mappings" / "fraud.yaml").write_text(MAPPING)
        self._chapter("The mapping says what follows what (mappings/fraud.yaml)")
        self._show(MAPPING.splitlines())
        self._bridge("check")

        self._chapter("A data scientist logs a model from a W&B run, links it into the registry and tags it")
        first = self._person("log", PROJECT, COLLECTION, self._address.REGISTRY, "weights of the first")
        self._person("alias", f"{self._path}:{first}", "production")
        self._bridge("plan")
        self._bridge("sync")

        self._chapter("Vertex has it as a version with the same alias; the bucket has its files, verified")
        self._vertex("fraud")
        self._person("files", self._address.BUCKET)
        self._bridge("where", "fraud@production")

        self._chapter("A second version is logged, and the tag moves")
        second = self._person("log", PROJECT, COLLECTION, self._address.REGISTRY, "weights of the second")
        self._person("alias", f"{self._path}:{second}", "production")
        self._bridge("sync")
        self._vertex("fraud")

        self._chapter("The tag is removed; an absence is believed only when it was seen twice")
        self._person("unalias", f"{self._path}:{second}", "production")
        self._bridge("sync")
        self._bridge("sync")
        self._vertex("fraud")

        self._chapter("The same from MLflow (mappings/churn.yaml): stages and aliases, and a container that loads it")
        (self._folder / "mappings" / "churn.yaml").write_text(CHURN)
        self._show(CHURN.splitlines())
        say(f"$ {PERSON} train sklearn xgboost")
        self._show(self._ben.end())
        self._person("promote", "churn-sklearn", "1", "champion", who=self._ben)
        self._person("promote", "churn-xgboost", "1", "Production", who=self._ben)
        self._bridge("sync", "churn")
        self._vertex("churn-sklearn", "churn-xgboost")
        self._bridge("explain", "models:/churn-xgboost/Production")

        self._chapter("Nothing has changed since, so nothing is written, and Vertex is not even asked")
        self._world.traffic.reset()
        self._bridge("sync")
        writes = self._world.traffic.count(write=True)
        calls = self._world.traffic.count("vertex")
        say(f"  writes seen by the sandbox: {writes}; calls to Vertex: {calls}")
        if writes or calls:
            raise SystemExit("that is not how the story goes")
        self._bridge("status")
        self._bridge("history")
        say()
        say("That was all: tag a model at the source, and Vertex follows.")

    def _chapter(self, title: str) -> None:
        say()
        say(f"== {title}")

    def _vertex(self, *models: str) -> None:
        self._person("versions", self._address.PROJECT, self._address.LOCATION, *models)

    def _person(self, *step: str, who: _Person | None = None) -> str:
        person = who or self._ann
        say(f"$ {PERSON} {' '.join(step)}")
        person.begin(*step)
        seen = person.end()
        self._show(seen)
        return "\n".join(seen)

    def _bridge(self, *arguments: str) -> None:
        say(f"$ bridge {' '.join(arguments)}")
        done = subprocess.run(  # noqa: S603  our own module, our own words
            [sys.executable, "-m", "bridge", *arguments],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self._show(done.stdout.splitlines())
        if done.returncode != 0:
            sys.stderr.write(done.stderr)
            raise SystemExit(done.returncode)

    def _show(self, lines: Sequence[str]) -> None:
        for line in lines:
            say(f"  {line}")
