"""What the bridge has deleted in Vertex, and which versions of ours the last complete listing did not hold."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # see bridge/store/tables.py
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add a table, and a column to the snapshots; those that are there name no absent version."""
    op.create_table(
        "tombstones",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("mapping", NAME, nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("connection", NAME, nullable=False),
        sa.Column("collection", NAME, nullable=False),
        sa.Column("label", NAME, nullable=False),
        sa.Column("source_id", NAME, nullable=False),
        sa.Column("digest", NAME),
        sa.Column("url", NAME, nullable=False),
        sa.Column("artifact_uri", NAME, nullable=False),
        sa.Column("version_id", NAME, nullable=False),
        sa.Column("first_seen", NAME, nullable=False),
        sa.Column("facts", sa.JSON),
        sa.Column("removed", NAME, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("files_removed", NAME),
    )
    op.create_index("tombstones_by_key", "tombstones", ["mapping", "model"])
    op.add_column("snapshots", sa.Column("absent", sa.JSON))
