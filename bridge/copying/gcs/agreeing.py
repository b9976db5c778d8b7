"""Whether an object is the file, by what the bucket knows of it and what passed here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.copying.verifying import VerifiedStream, mismatch
from bridge.core.model import StoredFile

if TYPE_CHECKING:
    from bridge.copying.gcs.uploading import Held


def agreed(there: Held, stream: VerifiedStream) -> StoredFile | None:
    """
    Compare an object with what the source promises, and with the bytes that passed here; None if it is another.

    What the bucket itself took of the whole, md5 or crc32c, is proof if the source promises the same. Else all bytes
    are read, once. Raises IntegrityError if the bytes that passed here are not those that the source promises.
    """
    file, promised = stream.file, stream.file.digest
    if there.size != file.size:
        return None
    taken_there = {"md5": there.md5, "crc32c": there.crc32c}
    if promised is None or taken_there.get(promised.algorithm) is None:
        read = VerifiedStream(file, stream.read, md5=True) if promised and promised.algorithm == "md5" else stream
        sealed = read.seal()
        return replace(sealed, md5=there.md5) if sealed.crc32c == there.crc32c else None
    if taken_there[promised.algorithm] != promised.value:
        return None
    if stream.whole and stream.seal().crc32c != there.crc32c:
        raise mismatch(file, f"{promised.algorithm} {promised.value}", "another")
    return StoredFile(file.path, file.size, there.crc32c, md5=there.md5)
