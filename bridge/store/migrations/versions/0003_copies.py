"""Uploads that have begun, and which object of a bucket holds which bytes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make two tables."""
    op.create_table(
        "uploads",
        sa.Column("uri", NAME, primary_key=True),
        sa.Column("sealed_address", NAME, nullable=False),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("algorithm", NAME),
        sa.Column("digest", NAME),
        sa.Column("begun", NAME, nullable=False),
        sa.CheckConstraint("(algorithm IS NULL) = (digest IS NULL)", name="a_digest_has_an_algorithm"),
    )
    op.create_table(
        "contents",
        sa.Column("bucket", NAME, primary_key=True),
        sa.Column("digest", NAME, primary_key=True),
        sa.Column("algorithm", NAME, primary_key=True),
        sa.Column("size", sa.BigInteger, primary_key=True),
        sa.Column("uri", NAME, nullable=False),
        sa.Column("path", NAME, nullable=False),
        sa.Column("crc32c", NAME, nullable=False),
        sa.Column("md5", NAME),
        sa.Column("xxh128", NAME),
        sa.Column("sha256", NAME),
    )
    op.create_index("contents_by_uri", "contents", ["uri"])
