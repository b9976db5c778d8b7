"""MLflow as a source: against the real server, and against answers that it rarely gives."""
