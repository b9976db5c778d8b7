"""Who may ask the service over HTTP."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # see bridge/store/tables.py


def upgrade() -> None:
    """Make a table."""
    op.create_table(
        "tokens",
        sa.Column("name", NAME, primary_key=True),
        sa.Column("scope", NAME, nullable=False),
        sa.Column("digest", NAME, nullable=False, unique=True),
        sa.Column("created", NAME, nullable=False),
        sa.CheckConstraint("scope IN ('read', 'sync', 'admin')", name="scope_is_known"),
    )
