"""Mirrors model versions and aliases from W&B into the Vertex AI Model Registry."""
