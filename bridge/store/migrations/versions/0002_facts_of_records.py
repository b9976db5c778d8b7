"""What a source says of the model in a version is kept in its record."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add a column; records that are there have none."""
    op.add_column("records", sa.Column("facts", sa.JSON))
