"""Alembic's hook: runs the steps over the connection, and in the transaction, that `bridge.store.schema` hands in."""

from __future__ import annotations

from alembic import context

from bridge.store.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
