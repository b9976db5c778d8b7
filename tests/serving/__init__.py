"""Real models, arranged as core.serving says and loaded as Vertex AI's own images load them."""
