"""Reconciler, Registrar and Passes, in memory."""
