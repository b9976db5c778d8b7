"""
Run a command in a new network namespace, and exit with 3 if any process in it tried to reach beyond loopback.

The namespace has no route, so every attempt fails at once and is counted by the kernel (OutNoRoutes), by
whichever process and protocol it was made.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import subprocess
import sys
from pathlib import Path

SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40  # linux/sockios.h, linux/if.h
TRIED = 3


def raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP | IFF_RUNNING))


def attempts() -> int:
    """Return how often something was to be sent for which there is no route."""
    names, values = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Ip:")]
    ipv6 = dict(line.split() for line in Path("/proc/net/snmp6").read_text().splitlines())
    return int(dict(zip(names, values, strict=True))["OutNoRoutes"]) + int(ipv6.get("Ip6OutNoRoutes", 0))


if __name__ == "__main__":
    raise_loopback()
    before = attempts()
    ended = subprocess.run(sys.argv[1:], check=False)  # noqa: S603  what the test asked for
    sys.exit(TRIED if attempts() != before else ended.returncode)
