"""Since when a model is behind its source."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # see bridge/store/tables.py


def upgrade() -> None:
    """
    Add a column to the statuses; what is in trouble is behind since it was last looked at, at the latest.

    Of the others the next pass says so. A pause kept the time of the look before it; a pass over what is paused
    has `tried`.
    """
    op.add_column("statuses", sa.Column("behind_since", NAME))
    op.execute(
        "UPDATE statuses SET behind_since = looked_at "
        "WHERE state IN ('BLOCKED', 'FAILED', 'DEGRADED', 'DRIFTED') OR (state = 'HELD' AND tried IS NOT NULL)"
    )
