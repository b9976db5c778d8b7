"""`bridge demo`: the story of the main job, told on the sandbox, offline."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.cli.printing import say

if TYPE_CHECKING:
    from bridge.sandbox.world import World

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


def demo() -> None:
    """Tag a model in W&B and watch it arrive in Vertex: a run of everything, on local stand-ins, in a minute."""
    from bridge.sandbox.world import World

    with tempfile.TemporaryDirectory(prefix="bridge-demo-") as folder, World(Path(folder, "sandbox")) as world:
        _Story(world, Path(folder)).tell()


class _Story:
    """What a data scientist does with the SDKs, and what `bridge` makes of it; a step that fails ends the story."""

    def __init__(self, world: World, folder: Path) -> None:
        from bridge.sandbox import address

        self._world = world
        self._folder = folder
        self._address = address
        self._path = f"{address.ORG_ENTITY}/wandb-registry-{address.REGISTRY}/{COLLECTION}"
        # A user's own settings must not lead a script out of the sandbox.
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "GOOGLE", "CLOUDSDK"))
        }
        home = {
            "WANDB_DIR": f"{folder}/wandb",
            "WANDB_CACHE_DIR": f"{folder}/cache",
            "WANDB_DATA_DIR": f"{folder}/data",
        }
        self._environment = kept | world.environment() | home | {"WANDB_SILENT": "true", "BRIDGE_CONFIG": "bridge.yaml"}

    def tell(self) -> None:
        """Tell it from the first tag to the last."""
        (self._folder / "mappings").mkdir()
        (self._folder / "bridge.yaml").write_text(f"store: sqlite:///bridge.db\n{self._world.connections()}")
        (self._folder / "mappings" / "fraud.yaml").write_text(MAPPING)
        self._chapter("The mapping says what follows what (mappings/fraud.yaml)")
        say(MAPPING.rstrip())
        self._bridge("check")

        self._chapter("A data scientist logs a model from a W&B run, links it into the registry and tags it")
        first = self._person("log", PROJECT, COLLECTION, self._address.REGISTRY, "weights of the first")
        self._person("alias", f"{self._path}:{first}", "production")
        self._bridge("plan")
        self._bridge("sync")

        self._chapter("Vertex has it as a version with the same alias; the bucket has its files, verified")
        self._vertex()
        self._person("files", self._address.BUCKET)
        self._bridge("where", "fraud@production")

        self._chapter("A second version is logged, and the tag moves")
        second = self._person("log", PROJECT, COLLECTION, self._address.REGISTRY, "weights of the second")
        self._person("alias", f"{self._path}:{second}", "production")
        self._bridge("plan")
        self._bridge("sync")
        self._vertex()

        self._chapter("The tag is removed; an absence is believed only when it was seen twice")
        self._person("unalias", f"{self._path}:{second}", "production")
        self._bridge("sync")
        self._bridge("sync")
        self._vertex()

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

    def _vertex(self) -> None:
        self._person("versions", self._address.PROJECT, self._address.LOCATION, "fraud")

    def _bridge(self, *arguments: str) -> None:
        self._run(f"bridge {' '.join(arguments)}", "bridge", *arguments)

    def _person(self, *arguments: str) -> str:
        return self._run(f"(a person, with the SDK) {' '.join(arguments)}", "bridge.sandbox.people", *arguments)

    def _run(self, title: str, module: str, *arguments: str) -> str:
        say(f"$ {title}")
        done = subprocess.run(  # noqa: S603  our own modules, our own words
            [sys.executable, "-m", module, *arguments],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for line in done.stdout.splitlines():
            say(f"  {line}")
        if done.returncode != 0:
            sys.stderr.write(done.stderr)
            raise SystemExit(done.returncode)
        return done.stdout.strip()
