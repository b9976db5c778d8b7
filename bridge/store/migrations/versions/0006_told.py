"""What people were notified of, so that nothing is said twice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # see bridge/store/tables.py


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "told",
        sa.Column("mapping", NAME, primary_key=True),
        sa.Column("model", NAME, primary_key=True),
        sa.Column("about", NAME, primary_key=True),
        sa.Column("word", NAME, nullable=False),
    )
