"""HTTP close to the wire."""
