"""MLflow's model registry as a source, through its own client."""
