"""Plants each bug in a copy of the house, and runs the tests that must fail: `python -m tests.mutants [WORD]`."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutants.bugs import BUGS, Bug

HOUSE = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "node_modules")
PARTS = ("bridge", "tests", "mappings", "docs", "pyproject.toml", "README.md", "Makefile", "deploy")
FAILED = 1  # pytest's exit code: tests ran, and some failed


def main(words: list[str]) -> int:
    """Return 0 if every bug is found by every test that must find it; only bugs that hold all the words."""
    chosen = [bug for bug in BUGS if all(word in f"{bug.promise} {bug.what}" for word in words)]
    with TemporaryDirectory(prefix="bridge-mutants-") as folder:
        house = Path(folder)
        for part in PARTS:
            if (HOUSE / part).is_dir():
                shutil.copytree(HOUSE / part, house / part, ignore=LEFT_OUT)
            else:
                shutil.copy(HOUSE / part, house / part)
        whole = sorted({test for bug in chosen for test in bug.tests})
        missed = [f"it fails without a bug: {test}" for test in sorted(_failures(house, whole))]
        for bug in [] if missed else chosen:
            alive = _survives(house, bug)
            _say(f"{bug.promise:4} {'found ' if not alive else 'MISSED'}  {bug.what}")
            missed += [f"{bug.what}: {test}" for test in alive]
    for each in missed:
        _say(f"missed: {each}")
    _say(f"{len(chosen)} bugs, {len(missed)} missed")
    return 1 if missed else 0


def _survives(house: Path, bug: Bug) -> list[str]:
    """Return the tests that should fail with a bug, and do not."""
    file = house / bug.file
    text = file.read_text()
    try:
        file.write_text(bug.planted(text))
        failed = _failures(house, bug.tests)
    finally:
        file.write_text(text)
    return [test for test in bug.tests if not any(each.startswith(test.removesuffix("::")) for each in failed)]


def _failures(house: Path, tests: tuple[str, ...] | list[str]) -> set[str]:
    """Run tests; return those that failed, by their ids."""
    arguments = ["-m", "pytest", "-n", "0", "-q", "-rfE", "--tb=no", "-p", "no:cacheprovider", "-p", "no:randomly"]
    done = subprocess.run(  # noqa: S603  the arguments are ours
        [sys.executable, *arguments, *(test.removesuffix("::") for test in tests)],
        cwd=house,
        env=os.environ | {"PYTHONPATH": str(house), "BRIDGE_MUTANT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    told = (line.partition(" ") for line in done.stdout.splitlines())
    # Ids of parameters have spaces in them; what follows a dash is why.
    found = {rest.partition(" - ")[0] for word, _, rest in told if word in ("FAILED", "ERROR")}
    if done.returncode not in (0, FAILED):
        return {f"pytest ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"}
    return found


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORD", help="only bugs in whose promise and text all of these are")
    sys.exit(main(parser.parse_args().words))
