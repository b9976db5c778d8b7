"""Vertex AI as a target: the Registry port over its generated client."""
