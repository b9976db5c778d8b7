"""
What runs in MLflow's process: the app of `mlflow server`, as that command starts it, without its second process.

Started as `python child.py FD` with the settings in the environment (process.py). FD is a socket that listens
already; standard input is a pipe whose other end the parent holds and never writes to.
"""

from __future__ import annotations

import gc
import ipaddress
import os
import socket
import sys
import threading


class BeyondLoopback(Exception):
    """Not an OSError, which MLflow's HTTP sessions would take for a failure to try again after."""


def stay_home(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse, as an audit hook, whatever leaves the machine: a connection, or the look-up of a name."""
    if event == "socket.connect":
        peer, address = arguments
        if not isinstance(peer, socket.socket) or peer.family != socket.AF_UNIX:
            _refuse_unless_loopback(address[0] if isinstance(address, tuple) else address)
    elif event == "socket.getaddrinfo":
        _refuse_unless_loopback(arguments[0])


def _refuse_unless_loopback(host: object) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return
    try:
        is_loopback = ipaddress.ip_address(str(name)).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise BeyondLoopback(f"the sandbox does not leave this machine, and {name!r} is beyond it")


def die_with_parent() -> None:
    """
    End this process as soon as nobody holds the other end of standard input.

    Also after kill -9 of the parent, on any system, and whichever thread of it has started us: PR_SET_PDEATHSIG
    is Linux's alone and strikes when that thread ends.
    """
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def main() -> None:
    """Migrate the database, then serve until SIGTERM."""
    threading.Thread(target=die_with_parent, daemon=True).start()
    sys.addaudithook(stay_home)
    # Both names are what mlflow/cli/__init__.py and mlflow/server/__init__.py (3.17.2) use. They are imported
    # now because the hook is to see what they do.
    import uvicorn  # noqa: PLC0415  the same
    from mlflow.server.handlers import initialize_backend_stores  # noqa: PLC0415  the same

    store = os.environ["_MLFLOW_SERVER_FILE_STORE"]
    initialize_backend_stores(store, store, os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"])
    from mlflow.server.fastapi_app import app  # noqa: PLC0415  the same

    gc.freeze()  # what is imported stays, and nobody need look whether it does
    # No lifespan: it sweeps up Docker containers and home folders of MLflow's assistant, which are not ours.
    # asyncio's loop, since the hook does not see what uvloop connects to.
    config = uvicorn.Config(app, lifespan="off", loop="asyncio", ws="none", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
