"""The first schema: records, mirrored, journal, intents, snapshots, statuses, holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Sorted by code points in both databases, and numbered by SQLite: see bridge/store/tables.py.
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make all tables."""
    _versions()
    _journal()
    _models()


def _source_version() -> tuple[sa.Column[str], ...]:
    return (
        sa.Column("connection", NAME, nullable=False),
        sa.Column("collection", NAME, nullable=False),
        sa.Column("label", NAME, nullable=False),
        sa.Column("source_id", NAME, nullable=False),
        sa.Column("digest", NAME),
        sa.Column("url", NAME, nullable=False),
    )


def _versions() -> None:
    op.create_table(
        "records",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("mapping", NAME, nullable=False),
        sa.Column("model", NAME, nullable=False),
        *_source_version(),
        sa.Column("artifact_uri", NAME, nullable=False),
        sa.Column("version_id", NAME, nullable=False),
        sa.Column("first_seen", NAME, nullable=False),
        sa.UniqueConstraint("mapping", "model", "artifact_uri", name="one_record_per_folder"),
    )
    op.create_table(
        "intents",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("mapping", NAME, nullable=False),
        sa.Column("model", NAME, nullable=False),
        *_source_version(),
        sa.Column("artifact_uri", NAME, nullable=False),
        sa.Column("sent_at", NAME),
        sa.Column("operation", NAME),
        sa.UniqueConstraint("mapping", "model", "artifact_uri", name="one_intent_per_folder"),
    )


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("mapping", NAME, nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("change", sa.JSON, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("begun", NAME, nullable=False),
        sa.Column("outcome", NAME),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("finished", NAME),
        sa.CheckConstraint("outcome IN ('applied', 'failed', 'abandoned')", name="outcome_is_known"),
        sa.CheckConstraint("(outcome IS NULL) = (finished IS NULL)", name="an_outcome_has_a_time"),
        sqlite_autoincrement=True,
    )
    op.create_index("journal_by_key", "journal", ["mapping", "model", "id"])
    op.create_index(
        "journal_unfinished",
        "journal",
        ["mapping", "model"],
        sqlite_where=sa.text("outcome IS NULL"),
        postgresql_where=sa.text("outcome IS NULL"),
    )


def _models() -> None:
    op.create_table(
        "mirrored",
        sa.Column("mapping", NAME, primary_key=True),
        sa.Column("model", NAME, primary_key=True),
        sa.Column("alias", NAME, primary_key=True),
        sa.Column("version_id", NAME, nullable=False),
    )
    op.create_table(
        "snapshots",
        sa.Column("mapping", NAME, primary_key=True),
        sa.Column("model", NAME, primary_key=True),
        sa.Column("aliases", sa.JSON, nullable=False),
    )
    op.create_table(
        "statuses",
        sa.Column("mapping", NAME, primary_key=True),
        sa.Column("model", NAME, primary_key=True),
        sa.Column("state", NAME, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("remedy", sa.Text, nullable=False),
        sa.Column("collection", NAME, nullable=False),
        sa.Column("looked_at", NAME, nullable=False),
        sa.Column("fingerprint", NAME),
        sa.CheckConstraint(
            "state IN ('SYNCED', 'PENDING', 'COPYING', 'REGISTERING', 'BLOCKED', 'FAILED', 'HELD', 'DEGRADED', "
            "'DRIFTED')",
            name="state_is_known",
        ),
    )
    op.create_table(
        "holds",
        sa.Column("mapping", NAME, primary_key=True),
        sa.Column("model", NAME, primary_key=True),
        sa.Column("alias", NAME, primary_key=True),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("until", NAME),
    )
