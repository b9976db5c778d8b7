"""
The target and the limit: two programs in C that are no part of this project, compiled on the spot.

sink.c is shaped like Cloud Storage and is no bottleneck; phys.c copies with nothing around it. See README.md.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PROMISED = (
    "static const u8*promised(const char*w,u8*md){u8 d[24];if(want_md5!=2)return want_md5?md:0;"
    "if(strlen(w)!=24||EVP_DecodeBlock(d,(const u8*)w,24)!=18)return 0;memcpy(md,d,16);return md;}\n"
)

# sink.c gives objects no md5 (0), or one that it computes (1), at half of its speed. The real service computes one
# too, but on its own machines. So with these, objects have the md5 that their sender promised (2): what is replaced,
# by what, and how often it must be there.
_ANSWERS_WITH_MD5 = (
    ("#define BUF (1<<18)", f"{_PROMISED}#define BUF (1<<18)", 1),
    ("if(want_md5){", "if(want_md5==1){", 5),
    ("oput(key,L,cr,want_md5?md:0)", "oput(key,L,cr,promised(wm,md))", 1),  # sent in one request
    ("oput(s->name,s->got,~s->crc,0)", "oput(s->name,s->got,~s->crc,promised(s->wantmd5,md))", 1),  # in a session
)


@dataclass(frozen=True, slots=True)
class Tally:
    """What has come to the target."""

    requests: int
    objects: int
    sent: int  # bytes of all bodies, descriptions included


def build(sources: Path, folder: Path) -> None:
    """Compile both programs into a folder, as `sink` and `phys`."""
    code = (sources / "sink.c").read_text()
    for old, new, times in _ANSWERS_WITH_MD5:
        assert code.count(old) == times, f"sink.c is not the one that is known here: {old} is not there {times} times"
        code = code.replace(old, new)
    (folder / "sink.c").write_text(code)
    for source, built in ((folder / "sink.c", "sink"), (sources / "phys.c", "phys")):
        gcc = ["gcc", "-O2", "-msse4.2", "-w", "-o", str(folder / built), str(source), "-lcrypto", "-lpthread"]
        subprocess.run(gcc, check=True)  # noqa: S603  our own words


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run the target that was built in a folder; yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with ended(subprocess.Popen([str(folder / "sink"), str(port)], env={**os.environ, "SINK_MD5": "2"})):  # noqa: S603  the same
        url = f"http://127.0.0.1:{port}"
        for _ in range(100):
            try:
                tally(url)
                break
            except requests.ConnectionError:
                threading.Event().wait(0.05)
        yield url


def reset(url: str, *, delay: int, cap: int) -> None:
    """Have the target forget all; from now on it answers after `delay` ms and takes `cap` MB/s of a stream."""
    requests.get(f"{url}/reset", params={"delay": delay, "mbps": cap}, timeout=5).raise_for_status()


def tally(url: str) -> Tally:
    """Ask the target what has come since it was reset."""
    told = requests.get(f"{url}/stats", timeout=5).json()
    return Tally(told["req"], told["put"], told["bytes"])


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process with the block."""
    try:
        yield
    finally:
        process.kill()
        process.wait()
