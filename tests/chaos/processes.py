"""A command with all that it starts, which is signalled only while its number cannot be somebody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ASKED_EVERY = 0.05  # seconds


class Group:
    """
    One process group. The number of a process that was waited for may be given to any other, and so may its group's.

    So nothing here waits for the leader before the group was killed: until then it is alive or a zombie, and has
    its number. Popen's own poll, wait and terminate do wait for it, and are used in `end` alone.
    """

    def __init__(self, command: Sequence[str], folder: Path, log: Path) -> None:
        with log.open("ab") as opened:
            self._leader = subprocess.Popen(  # noqa: S603  the arguments are ours
                command, cwd=folder, stdout=opened, stderr=opened, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self._leader.pid

    @property
    def code(self) -> int | None:
        """How the leader has ended, as Popen says it; None while it runs. It stays a zombie."""
        if self._leader.returncode is not None:
            return self._leader.returncode
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def terminate(self) -> bool:
        """Tell the leader to end; False, and nothing is sent, if it has."""
        if self.code is not None:
            return False
        os.kill(self.pid, signal.SIGTERM)
        return True

    def kill(self) -> bool:
        """Kill all of it; False, and nothing is sent, if it was ended: its number is not ours any more."""
        if self._leader.returncode is not None:
            return False
        os.killpg(self.pid, signal.SIGKILL)
        return True

    def end(self, patience: float) -> int | None:
        """Give the leader so many seconds to end, kill all that is left, and return its code; None: it had to be."""
        left = patience
        while (code := self.code) is None and left > 0:
            threading.Event().wait(ASKED_EVERY)
            left -= ASKED_EVERY
        self.kill()
        self._leader.wait()
        return code
