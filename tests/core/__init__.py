"""What the bridge means, tested from its docstrings: no ends, no clock, no network."""
