"""
The tables, and the invariants that the database itself holds.

    records    what is registered: source version <-> GCS URI <-> Vertex version
    tombstones what was registered, and deleted by the bridge
    mirrored   where the bridge last set an alias
    journal    what was tried and how it ended, and who paused what; rows are added, finished once, and never removed
    intents    registrations that may still come true
    snapshots  the aliases desired in the last complete listing, and what of ours it did not hold
    statuses   one row per model: what `bridge status` prints
    holds      aliases that a person has paused; "*" is every alias of a model, or every model of a mapping
    uploads    uploads that have begun and not ended
    contents   which object of a bucket holds which bytes
    told       what people were last notified of
    leases     which process works on a model; a row is never removed
    tokens     who may ask the service over HTTP; only digests of the tokens

Times are ISO 8601 texts in UTC. A change here needs a step in migrations/versions; a test compares the two.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from bridge.core.model import State
from bridge.core.records import Outcome, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Dialect

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Prose(TypeDecorator[str]):
    """
    Words for a person, which may quote anything that came from outside.

    PostgreSQL takes no NUL and no UTF-8 driver takes a lone surrogate. An error must not get lost because
    of the bytes that it quotes, so they are stored as U+FFFD.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002  SQLAlchemy's call
        """Replace what a database cannot hold."""
        return None if value is None else _UNSTORABLE.sub("\ufffd", value)


# Sorted by code points, as Python and SQLite sort; a PostgreSQL database may have been made with a locale's order.
NAME = Text().with_variant(Text(collation="C"), "postgresql")
# SQLite numbers rows by itself only if the type's name is exactly INTEGER (sqlite.org/autoinc.html).
ROW_ID = BigInteger().with_variant(Integer(), "sqlite")

METADATA = MetaData()


def _one_of(column: str, words: Iterable[str]) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_is_known")


def _model_key(*, primary_key: bool = False) -> tuple[Column[str], Column[str]]:
    return (
        Column("mapping", NAME, primary_key=primary_key, nullable=False),
        Column("model", NAME, primary_key=primary_key, nullable=False),
    )


def _source_version() -> tuple[Column[str], ...]:
    return (
        Column("connection", NAME, nullable=False),
        Column("collection", NAME, nullable=False),
        Column("label", NAME, nullable=False),
        Column("source_id", NAME, nullable=False),
        Column("digest", NAME),
        Column("url", NAME, nullable=False),
    )


records = Table(
    "records",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    *_model_key(),
    *_source_version(),
    Column("artifact_uri", NAME, nullable=False),
    Column("version_id", NAME, nullable=False),
    Column("first_seen", NAME, nullable=False),
    Column("facts", JSON),  # core.model.Facts; NULL: registered before they were kept
    UniqueConstraint("mapping", "model", "artifact_uri", name="one_record_per_folder"),
)

tombstones = Table(
    "tombstones",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    *_model_key(),
    *_source_version(),
    Column("artifact_uri", NAME, nullable=False),
    Column("version_id", NAME, nullable=False),
    Column("first_seen", NAME, nullable=False),
    Column("facts", JSON),
    Column("removed", NAME, nullable=False),
    Column("why", Prose, nullable=False),
    Column("files_removed", NAME),
)
Index("tombstones_by_key", tombstones.c.mapping, tombstones.c.model)

mirrored = Table(
    "mirrored",
    METADATA,
    *_model_key(primary_key=True),
    Column("alias", NAME, primary_key=True),
    Column("version_id", NAME, nullable=False),
)

journal = Table(
    "journal",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    *_model_key(),
    Column("kind", NAME, nullable=False),  # core.deeds.deed_kind: for those who look with SQL
    Column("change", JSON, nullable=False),
    Column("why", Prose, nullable=False),
    Column("begun", NAME, nullable=False),
    Column("outcome", NAME),
    Column("detail", Prose, nullable=False),
    Column("finished", NAME),
    _one_of("outcome", Outcome),
    CheckConstraint("(outcome IS NULL) = (finished IS NULL)", name="an_outcome_has_a_time"),
    sqlite_autoincrement=True,  # an entry's number is quoted in logs: never used again, whatever is removed by hand
)
Index("journal_by_key", journal.c.mapping, journal.c.model, journal.c.id)
Index(
    "journal_unfinished",  # asked for in every pass, while the journal grows for ever
    journal.c.mapping,
    journal.c.model,
    sqlite_where=journal.c.outcome.is_(None),
    postgresql_where=journal.c.outcome.is_(None),
)

intents = Table(
    "intents",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    *_model_key(),
    *_source_version(),
    Column("artifact_uri", NAME, nullable=False),
    Column("sent_at", NAME),
    Column("operation", NAME),
    UniqueConstraint("mapping", "model", "artifact_uri", name="one_intent_per_folder"),
)

snapshots = Table(
    "snapshots",
    METADATA,
    *_model_key(primary_key=True),
    Column("aliases", JSON, nullable=False),  # a sorted list; empty is not the same as no row
    Column("absent", JSON),  # a sorted list of SourceVersion.id; NULL: saved before it was kept
)

statuses = Table(
    "statuses",
    METADATA,
    *_model_key(primary_key=True),
    Column("state", NAME, nullable=False),
    Column("message", Prose, nullable=False),
    Column("remedy", Prose, nullable=False),
    Column("collection", NAME, nullable=False),
    Column("looked_at", NAME, nullable=False),
    Column("fingerprint", NAME),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("next_try", NAME),
    Column("tried", NAME),
    Column("behind_since", NAME),
    _one_of("state", State),
)

holds = Table(
    "holds",
    METADATA,
    *_model_key(primary_key=True),
    Column("alias", NAME, primary_key=True),
    Column("who", Prose, nullable=False),
    Column("why", Prose, nullable=False),
    Column("until", NAME),
)

uploads = Table(
    "uploads",
    METADATA,
    Column("uri", NAME, primary_key=True),
    Column("sealed_address", NAME, nullable=False),  # see bridge/store/sealing.py
    Column("kind", NAME, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("algorithm", NAME),
    Column("digest", NAME),
    Column("begun", NAME, nullable=False),
    CheckConstraint("(algorithm IS NULL) = (digest IS NULL)", name="a_digest_has_an_algorithm"),
)

contents = Table(
    "contents",
    METADATA,
    Column("bucket", NAME, primary_key=True),
    Column("digest", NAME, primary_key=True),  # the source's; before the algorithm, as it is looked up without that
    Column("algorithm", NAME, primary_key=True),
    Column("size", BigInteger, primary_key=True),
    Column("uri", NAME, nullable=False),
    Column("path", NAME, nullable=False),  # this and what follows: core.model.StoredFile
    Column("crc32c", NAME, nullable=False),
    Column("md5", NAME),
    Column("xxh128", NAME),
    Column("sha256", NAME),
)
Index("contents_by_uri", contents.c.uri)

told = Table(
    "told",
    METADATA,
    *_model_key(primary_key=True),
    Column("about", NAME, primary_key=True),
    Column("word", NAME, nullable=False),
)

leases = Table(
    "leases",
    METADATA,
    *_model_key(primary_key=True),
    Column("owner", NAME, nullable=False),  # empty: it was given back
    Column("epoch", BigInteger, nullable=False),
    Column("until", NAME, nullable=False),
)

tokens = Table(
    "tokens",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("scope", NAME, nullable=False),
    Column("digest", NAME, nullable=False, unique=True),  # SHA-256 of 32 random bytes: nothing to guess, so no salt
    Column("created", NAME, nullable=False),
    _one_of("scope", Scope),
)
