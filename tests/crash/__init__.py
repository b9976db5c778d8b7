"""Death at every point."""
