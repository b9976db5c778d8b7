"""MD5 and CRC32C in the forms GCS uses: base64 of the 16 bytes, base64 of the big-endian 32 bits."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import google_crc32c

from bridge.sandbox.gcs.errors import GcsError, invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.datastructures import Headers

CRC32C_POLYNOMIAL = 0x82F63B78  # Castagnoli, bit-reflected
LENGTHS = {"crc32c": 4, "md5": 16}  # bytes before base64


@dataclass(frozen=True, slots=True)
class Digests:
    """What is known of a body's bytes; `md5` is None for what was put together on the server."""

    size: int
    crc32c: str
    md5: str | None

    @property
    def header(self) -> str:
        """The value of X-Goog-Hash."""
        md5 = f",md5={self.md5}" if self.md5 else ""
        return f"crc32c={self.crc32c}{md5}"


class Hasher:
    """Hashes a body as it passes."""

    def __init__(self) -> None:
        self.size = 0
        self._crc32c = 0
        self._md5 = hashlib.md5(usedforsecurity=False)

    def update(self, piece: bytes) -> None:
        """Take the next piece."""
        self.size += len(piece)
        self._crc32c = google_crc32c.extend(self._crc32c, piece)
        self._md5.update(piece)

    def digests(self) -> Digests:
        """Return the hashes of all that was taken so far."""
        return Digests(self.size, crc32c_text(self._crc32c), base64.b64encode(self._md5.digest()).decode())


def crc32c_text(crc32c: int) -> str:
    """Write a CRC32C as GCS does."""
    return base64.b64encode(crc32c.to_bytes(4, "big")).decode()


def md5_hex(md5: str) -> str:
    """Turn a base64 MD5 into the hexadecimal one that the XML API's ETags are."""
    return base64.b64decode(md5).hex()


Claim = tuple[str, str]  # ("md5" or "crc32c", its base64)


def claims_of(resource: Mapping[str, Any], headers: Headers) -> list[Claim]:
    """Collect every hash a client gives: the resource's md5Hash and crc32c, X-Goog-Hash, Content-MD5."""
    claims = [("md5", resource.get("md5Hash")), ("crc32c", resource.get("crc32c"))]
    for line in headers.getlist("x-goog-hash"):
        for item in line.split(","):
            kind, _, value = item.strip().partition("=")
            claims.append((kind, value))
    claims.append(("md5", headers.get("content-md5")))
    return [(kind, _checked(kind, value)) for kind, value in claims if value]


def _checked(kind: str, value: str) -> str:
    if kind not in LENGTHS:
        raise invalid(f"unknown hash {kind!r} in X-Goog-Hash", xml_code="InvalidDigest")
    try:
        sound = len(base64.b64decode(value, validate=True)) == LENGTHS[kind]
    except (binascii.Error, ValueError):
        sound = False
    if not sound:
        raise invalid(f"{value!r} is not the base64 of a {kind}", xml_code="InvalidDigest")
    return value


def verify(claims: Iterable[Claim], digests: Digests) -> None:
    """
    Compare what the client gave with what arrived.

    Raises 400 at the first difference. That it is 400 is by Google's documentation; nobody has tried.
    """
    for kind, value in claims:
        actual = digests.md5 if kind == "md5" else digests.crc32c
        if value != actual:
            name = kind.upper()
            raise GcsError(
                400,
                "invalid",
                f'Provided {name} hash "{value}" doesn\'t match calculated {name} hash "{actual}".',
                xml_code="BadDigest",
            )


def crc32c_of_joined(pieces: Iterable[Digests]) -> Digests:
    """Return the size and CRC32C of the pieces' bytes in a row, without reading them; no MD5."""
    size = crc = 0
    for piece in pieces:
        crc = _times(_shift(piece.size), crc) ^ int.from_bytes(base64.b64decode(piece.crc32c), "big")
        size += piece.size
    return Digests(size, crc32c_text(crc), None)


# A CRC is linear over GF(2). Appending n zero bytes multiplies it by a 32 x 32 bit matrix, held as its 32
# columns; the CRC of a + b is that of a shifted by len(b), xor that of b (as in zlib's crc32_combine).
Matrix = tuple[int, ...]


def _times(matrix: Matrix, vector: int) -> int:
    result = 0
    for column in matrix:
        if not vector:
            break
        if vector & 1:
            result ^= column
        vector >>= 1
    return result


def _product(left: Matrix, right: Matrix) -> Matrix:
    return tuple(_times(left, column) for column in right)


@lru_cache(maxsize=256)
def _shift(zeros: int) -> Matrix:
    power: Matrix = (CRC32C_POLYNOMIAL, *(1 << bit for bit in range(31)))  # one zero bit
    for _ in range(3):
        power = _product(power, power)  # now one zero byte
    result: Matrix = tuple(1 << bit for bit in range(32))
    while zeros:
        if zeros & 1:
            result = _product(power, result)
        power = _product(power, power)
        zeros >>= 1
    return result
