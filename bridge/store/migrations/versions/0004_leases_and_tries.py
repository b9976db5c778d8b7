"""One process at a time works on a model, and what it tried in vain is tried again when its time comes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # see bridge/store/tables.py


def upgrade() -> None:
    """Add a table, and columns to the statuses; those that are there were tried by nobody who would tell."""
    op.create_table(
        "leases",
        sa.Column("mapping", NAME, primary_key=True),
        sa.Column("model", NAME, primary_key=True),
        sa.Column("owner", NAME, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("until", NAME, nullable=False),
    )
    op.add_column("statuses", sa.Column("attempt", sa.Integer, nullable=False, server_default="0"))
    op.add_column("statuses", sa.Column("next_try", NAME))
    op.add_column("statuses", sa.Column("tried", NAME))
