"""The other end of a connection, down to its bytes: what it says, when it closes, and how often it was connected to."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Heard:
    """One request."""

    line: str
    headers: Mapping[str, str]  # names in lower case


class Talk:
    """One connection, as the server has it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._file = connection.makefile("rb")

    def hear_head(self) -> Heard | None:
        """Read the head of a request; None if the other side has closed."""
        line = self._file.readline()
        if not line:
            return None
        headers = {}
        while (header := self._file.readline().strip()) != b"":
            name, _, value = header.decode().partition(":")
            headers[name.lower()] = value.strip()
        return Heard(line.decode().strip(), headers)

    def hear_body(self, heard: Heard) -> bytes:
        return self._file.read(int(heard.headers.get("content-length", 0)))

    def say(self, *answers: bytes) -> None:
        self.connection.sendall(b"".join(answers))

    def close(self) -> None:
        self._file.close()
        self.connection.close()


class Peer:
    """A server that does with each connection, in a thread of its own, what `script` says; a context manager."""

    def __init__(
        self, script: Callable[[Peer, Talk], None], *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self._script = script
        self._tls = tls
        self._host = host
        self._listening = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port: int = self._listening.getsockname()[1]
        self.connections = 0
        self.heard: list[Heard] = []
        self.bodies: list[bytes] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{f'[{self._host}]' if ':' in self._host else self._host}:{self.port}"

    def hear(self, talk: Talk) -> Heard | None:
        """Read and keep one request with its body; None if there are no more."""
        heard = talk.hear_head()
        if heard is not None:
            self.heard.append(heard)
            self.bodies.append(talk.hear_body(heard))
        return heard

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:  # it was closed
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:  # who asks may leave in the middle
            talk = Talk(self._tls.wrap_socket(connection, server_side=True) if self._tls else connection)
            try:
                self._script(self, talk)
            finally:
                talk.close()


def answering(*answers: bytes) -> Callable[[Peer, Talk], None]:
    """Answer every request of every connection in the same way, until the other side closes."""

    def script(peer: Peer, talk: Talk) -> None:
        while peer.hear(talk):
            talk.say(*answers)

    return script


def closing_after(answer: bytes, closed: threading.Event | None = None) -> Callable[[Peer, Talk], None]:
    """Answer one request of each connection, and close it without a word of that."""

    def script(peer: Peer, talk: Talk) -> None:
        peer.hear(talk)
        talk.say(answer)
        talk.close()
        if closed is not None:
            closed.set()

    return script


@dataclass(frozen=True)
class Certificate:
    """Signed by itself, for localhost and 127.0.0.1."""

    text: bytes  # PEM
    hashed: str  # the name by which OpenSSL finds it in a folder
    server: ssl.SSLContext


def certificate(folder: Path) -> Certificate:
    """Make a certificate, and what a server needs to show it; its key is written below `folder`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=3650))
        .not_valid_after(now + dt.timedelta(days=36500))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    text = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + text)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    # X509_NAME_hash: SHA-1 of the name without its outer tag; it is in lower case, which that wants, already.
    digest = hashes.Hash(hashes.SHA1())  # noqa: S303  OpenSSL's choice
    digest.update(name.public_bytes()[2:])
    return Certificate(text, f"{int.from_bytes(digest.finalize()[:4], 'little'):08x}.0", server)
