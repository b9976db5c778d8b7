"""The real MLflow server in a process of its own, and a proxy before it that counts and lets faults strike."""
