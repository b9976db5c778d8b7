"""Running a command where only loopback exists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ALONE = Path(__file__).with_name("alone.py")


def alone(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a namespace of its own; exit code 3 if it, or a child of it, tried to leave."""
    isolated = ["unshare", "--map-root-user", "--net", sys.executable, str(ALONE), *command]
    return subprocess.run(isolated, capture_output=True, text=True, check=False)  # noqa: S603  our own words
