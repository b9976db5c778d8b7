"""Weights & Biases as a source, through its public SDK."""
