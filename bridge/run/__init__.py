"""Executes work per key: the Runner port's adapters."""
