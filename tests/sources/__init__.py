"""W&B as a source, beyond what the port promises."""
