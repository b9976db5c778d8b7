"""Alembic's folder; `bridge.store.schema` says when it is looked at."""
