"""The stand-ins against what is recorded of the real services."""
