"""
Storms from a seed, until the minutes are over: `python -m tests.chaos --seed 7 --minutes 2`.

Prints a line per storm, and at the first that breaks a promise what was broken, the last doings, and the command
that does the same again; then ends with 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

STORM = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for."""

    seed: int
    minutes: float
    services: int
    storm: float
    store: str
    report: Path | None
    keep: Path | None
    verbose: bool

    @property
    def command(self) -> str:
        """What does the same again."""
        more = f" --services {self.services} --storm {self.storm:g}"
        more += "" if self.store == "sqlite:///bridge.db" else f" --store '{self.store}'"
        return f"python -m tests.chaos --seed {self.seed} --minutes {self.minutes:g}{more}"


def main(arguments: list[str]) -> int:
    """Do what the command line asks for; 0 if every promise was held."""
    asked = asked_for(arguments)
    with ExitStack() as stack:
        folder = asked.keep or Path(stack.enter_context(TemporaryDirectory(prefix="bridge-chaos-")))
        try:
            report = _run(asked, folder)
        except Exception:
            _say(f"the storm itself broke off; again: {asked.command}")
            raise
    if asked.report is not None:
        asked.report.write_text(json.dumps(report, indent=1) + "\n")
    return 1 if report["violations"] else 0


def _run(asked: Asked, folder: Path) -> dict[str, Any]:
    # After the arguments were read: the SDKs need seconds to be imported.
    from tests.chaos.doings import Author  # noqa: PLC0415  the same
    from tests.chaos.ledger import Ledger  # noqa: PLC0415  the same
    from tests.chaos.people import People  # noqa: PLC0415  the same
    from tests.chaos.scene import Scene, Service, rule  # noqa: PLC0415  the same
    from tests.chaos.storm import Storms  # noqa: PLC0415  the same

    def tell(line: str) -> None:
        if asked.verbose:
            _say(line)

    scene, ledger = Scene(folder, asked.store), Ledger(rule)
    with ExitStack() as stack:
        stack.callback(scene.stop)
        scene.start()
        people = People(scene, ledger, asked.seed)
        stack.callback(people.leave)
        scene.services += [Service(scene, number) for number in range(asked.services)]
        for service in scene.services:
            service.start()
            service.wait()
        storms = Storms(scene, people, ledger, tell)
        author = Author(asked.seed, asked.services)
        now = scene.world.clock.now
        found = storms.rage(author.opening())
        began = now()
        storm = 0
        while not found and now() < began + asked.minutes * 60:
            storm += 1
            found = storms.rage(author.storm(min(asked.storm, asked.minutes * 60)))
            _say(f"storm {storm}: {sum(storms.actions.values())} doings so far, {len(found)} promises broken")
        report = {
            "seed": asked.seed,
            "store": asked.store.partition(":")[0],
            "services": asked.services,
            "minutes": round((now() - began) / 60, 1),
            "storms": storm,
            "actions": dict(sorted(storms.actions.items())),
            "violations": [str(violation) for violation in found],
        }
        if found:
            _say(*spelled([str(violation) for violation in found], storms.last, asked))
        _say(json.dumps({key: value for key, value in report.items() if key != "violations"}))
    return report


def spelled(found: Iterable[str], last: Iterable[str], asked: Asked) -> list[str]:
    """Say what was broken, what had been done, and how to do it again."""
    broken = (f"BROKEN {violation}" for violation in found)
    return [*broken, "the last doings:", *(f"  {line}" for line in last), f"again: {asked.command}"]


def asked_for(arguments: list[str]) -> Asked:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--minutes", type=float, required=True, help="storms begin until so many minutes are over")
    parser.add_argument("--services", type=int, default=1, choices=(1, 2), help="on one store")
    parser.add_argument("--storm", type=float, default=STORM, help="seconds of one storm, before the quiet")
    parser.add_argument("--store", default="sqlite:///bridge.db", help="a SQLAlchemy URL")
    parser.add_argument("--report", type=Path, help="write what happened here, as JSON")
    parser.add_argument("--keep", type=Path, help="a folder for logs and data, which stay there")
    parser.add_argument("--verbose", action="store_true", help="print every doing")
    return Asked(**vars(parser.parse_args(arguments)))


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
