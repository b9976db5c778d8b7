"""Observe, plan, apply, for one key; the only room that causes effects, and only through ports."""
