"""
Addresses of uploads, sealed: whoever has one may write the object, so the database never holds one in clear.

    secret_key  the store is             the key is stretched from
    given       anything                 the secret that was given
    none        a file, to be written    the file "<database>.key" beside it, made when it is first needed
    none        PostgreSQL               a random secret that is gone with this process
    none        anything, to be read     the same: whoever only looks is told no addresses
"""

from __future__ import annotations

import logging
import os
import secrets
from base64 import urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, Protocol

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bridge.core.errors import NeedsPerson

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

SHORTEST = 16  # characters of a secret; in a file, bytes


class Key(Protocol):
    """Where the secret is that addresses are sealed with."""

    @property
    def lasts(self) -> bool:
        """Whether a later process can have it."""
        ...

    def find(self) -> bytes | None:
        """Return the secret; None if there is none that can be read."""
        ...

    def make(self) -> bytes:
        """Return the secret, made now if there is none. Raises NeedsPerson if that cannot be."""
        ...


@dataclass(frozen=True, slots=True)
class GivenKey:
    """A secret that is there from the start."""

    secret: bytes = field(repr=False)
    lasts: bool = True

    def find(self) -> bytes:
        """Return the secret."""
        return self.secret

    make = find


class KeyFile:
    """
    A secret in a file that only its owner may read; it is read each time, as it may vanish or be replaced.

    The file is whole when it appears. Of several processes that make it at once, all use the first one's.
    """

    lasts = True

    def __init__(self, file: Path) -> None:
        self._file = file

    def find(self) -> bytes | None:
        """Return the secret; None if the file is missing, unreadable or too short."""
        try:
            secret = self._file.read_bytes()
        except OSError:
            return None
        return secret if len(secret) >= SHORTEST else None

    def make(self) -> bytes:
        """Return the secret; a file that is missing or too short is made anew. Raises NeedsPerson if that fails."""
        try:
            if not self._file.exists():
                self._put(os.link)  # which leaves the file of a process that was quicker
            elif len(self._file.read_bytes()) < SHORTEST:
                self._put(os.replace)
            return self._file.read_bytes()
        except OSError as error:
            raise NeedsPerson(
                f"the key file {self._file} of the store cannot be read or made: {error.strerror}",
                "let the bridge read it and write to its folder, or set secret_key in bridge.yaml",
            ) from error

    def _put(self, into_place: Callable[[str, Path], None]) -> None:
        made, temporary = mkstemp(prefix=f"{self._file.name}.", dir=self._file.parent)  # of mode 0600
        try:
            with os.fdopen(made, "wb") as file:
                file.write(secrets.token_urlsafe(32).encode())
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                into_place(temporary, self._file)
        finally:
            Path(temporary).unlink(missing_ok=True)


def passing_key() -> Key:
    """Return a key that nobody knows after this process."""
    return GivenKey(secrets.token_bytes(32), lasts=False)


def choose_key(database: Path | None, secret_key: str | None, *, read_only: bool) -> Key:
    """
    Return the key of a store, `database` being its file if it has one, as the table above says.

    Raises NeedsPerson if `secret_key` is too short.
    """
    if secret_key is not None:
        if len(secret_key) < SHORTEST:
            raise NeedsPerson(
                f"secret_key has {len(secret_key)} characters, so it could be guessed",
                f"use {SHORTEST} or more, for instance those of: openssl rand -base64 32",
            )
        return GivenKey(secret_key.encode())
    if read_only:
        return passing_key()
    if database is None:
        log.info("uploads are not taken up after a restart: set secret_key in bridge.yaml")
        return passing_key()
    return KeyFile(database.with_name(f"{database.name}.key"))


def seal(secret: bytes, uri: str, address: str) -> str:
    """Seal the address of the upload of an object; under another URI it cannot be read."""
    return _cipher(secret, uri).encrypt(address.encode()).decode()


def unseal(secret: bytes | None, uri: str, sealed: str) -> str:
    """Return the address; empty if it was sealed with another secret, for another object, or is damaged."""
    if secret is None:
        return ""
    try:
        return _cipher(secret, uri).decrypt(sealed.encode()).decode()
    except InvalidToken:
        return ""


def _cipher(secret: bytes, uri: str) -> Fernet:
    derived = HKDF(SHA256(), length=32, salt=None, info=b"registry-bridge upload of " + uri.encode()).derive(secret)
    return Fernet(urlsafe_b64encode(derived))
